/**
 * Errors of the protocol: the codes, the one error class that carries them, and the one place that gives a code to every
 * other error.
 * @source CNI specification 1.1.0, "Error"; codes 8 and 999 are libcni's
 */

import { FORMAT_ADVICE, FormatError } from '../config/format.ts'
import { type Json, JsonError, jsonNumber, jsonObject, jsonString, memberOf } from '../config/json.ts'
import { ConfigError } from '../config/section.ts'
import { errnoOf } from '../sys/errors.ts'
import { NetnsError } from '../sys/netns.ts'
import { UndoError } from '../undo.ts'

export const INCOMPATIBLE_VERSION = 1
/** The message must hold the key and the value. */
export const UNSUPPORTED_FIELD = 2
/** The container is unknown or gone: the runtime need not clean up. */
const UNKNOWN_CONTAINER = 3
/** The message must name the variables. */
export const INVALID_ENVIRONMENT = 4
export const IO_FAILURE = 5
export const DECODE_FAILURE = 6
export const INVALID_CONFIG = 7
export const INVALID_NETNS = 8
/** Transient: the runtime should try the same call again. */
export const TRY_AGAIN_LATER = 11
/** STATUS: an ADD cannot be served. ADD: the kernel lacks what every container of this network needs. */
export const NOT_AVAILABLE = 50
/** STATUS: as 50, and containers that are already attached may have lost connectivity. */
export const LIMITED_CONNECTIVITY = 51
export const INTERNAL = 999

/** An error with a code of the protocol. `details` says what the reader can do about it. */
export class CniError extends Error {
  readonly code: number
  readonly details: string

  constructor(code: number, message: string, details = '') {
    super(message)
    this.name = 'CniError'
    this.code = code
    this.details = details
  }
}

/** What a reader can do about an errno, whatever was being done. */
const ADVICE: ReadonlyMap<string, string> = adviceByErrno()

function adviceByErrno(): ReadonlyMap<string, string> {
  const advice = new Map<string, string>()
  advice.set('EPERM', 'run as root: CAP_NET_ADMIN and CAP_SYS_ADMIN are needed')
  advice.set('EACCES', 'run as root, and let the path be readable and its directories searchable')
  advice.set('ENOSPC', 'free space or inodes on that file system, then try again')
  advice.set('EDQUOT', 'raise the quota of that file system, or free space in it')
  advice.set('EROFS', 'make that file system writable, or configure a directory on another one')
  advice.set('EIO', 'the device under that file system fails: see the kernel log')
  advice.set('EBUSY', 'somebody else uses it at this moment: try again')
  advice.set('EAGAIN', 'somebody else uses it at this moment: try again')
  advice.set('EOPNOTSUPP', 'this kernel lacks the feature: load its module or leave the option out')
  advice.set('ENAMETOOLONG', 'the name of a network is a directory there: 255 bytes at most')
  advice.set('EMFILE', 'raise the limit of open files of the runtime')
  advice.set('ENFILE', "raise the system's limit of open files (fs.file-max)")
  return advice
}

/**
 * Gives every error its code. Errors are told apart by class and errno, never by text.
 *
 * @param command the verb that failed, '' when it is not known yet: a namespace that is gone means "container unknown,
 * nothing to clean up" to an ADD, which has undone itself; to any other verb it doesn't, for leases may be left
 */
export function toCniError(error: unknown, command: string): CniError {
  if (error instanceof Error) return withCode(error, command)
  return new CniError(INTERNAL, 'something that is no error was thrown')
}

function withCode(error: Error, command: string): CniError {
  if (error instanceof CniError) return error
  if (error instanceof UndoError) {
    const reason = withCode(error.reason, command)
    return new CniError(reason.code, error.message, reason.details)
  }
  if (error instanceof ConfigError) {
    const code = error.unsupported ? UNSUPPORTED_FIELD : INVALID_CONFIG
    return new CniError(code, error.message, 'correct the network configuration')
  }
  if (error instanceof JsonError) {
    return new CniError(DECODE_FAILURE, error.message, 'the text must be one JSON object in UTF-8')
  }
  if (error instanceof FormatError) return new CniError(NOT_AVAILABLE, error.message, FORMAT_ADVICE)
  if (error instanceof NetnsError) return netnsError(error, command)
  return errnoError(error)
}

function netnsError(error: NetnsError, command: string): CniError {
  if (error.reason === 'absent' && command === 'ADD') {
    return new CniError(UNKNOWN_CONTAINER, error.message, 'create the namespace of the container before ADD')
  }
  if (error.reason === 'absent') {
    return new CniError(INVALID_NETNS, error.message, 'the container is gone: release its attachment with DEL')
  }
  if (error.reason === 'unreadable') {
    return new CniError(INVALID_NETNS, error.message, ADVICE.get(error.explanation) ?? ADVICE.get('EACCES') ?? '')
  }
  const hint = 'CNI_NETNS must be the path of a network namespace, such as /run/netns/NAME or /proc/PID/ns/net'
  return new CniError(INVALID_NETNS, error.message, hint)
}

function errnoError(error: Error): CniError {
  const errno = errnoOf(error)
  const details = ADVICE.get(errno) ?? ''
  if (errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EROFS' || errno === 'EIO') {
    return new CniError(IO_FAILURE, error.message, details)
  }
  if (errno === 'ENAMETOOLONG') return new CniError(INVALID_CONFIG, error.message, details)
  // Whatever the container: this host cannot serve it before its kernel is another.
  if (errno === 'EOPNOTSUPP') return new CniError(NOT_AVAILABLE, error.message, details)
  if (errno === 'EBUSY' || errno === 'EAGAIN') return new CniError(TRY_AGAIN_LATER, error.message, details)
  return new CniError(INTERNAL, error.message, details)
}

/** Characters of a message beyond which nobody reads on, and which a runtime would put into its log nonetheless. */
const LONGEST_MESSAGE = 4000
const LONGEST_DETAILS = 1000

function cut(text: string, longest: number): string {
  if (text.length <= longest) return text
  const last = text.charCodeAt(longest - 1)
  const isHalf = last >= 0xd800 && last < 0xdc00
  return `${text.slice(0, isHalf ? longest - 1 : longest)}... (cut)`
}

/** The object that a failing plugin prints. A text that repeats a megabyte of configuration is cut. */
export function errorToJson(error: CniError, cniVersion: string): Json {
  return jsonObject([
    ['cniVersion', jsonString(cniVersion)],
    ['code', jsonNumber(error.code)],
    ['msg', jsonString(cut(error.message, LONGEST_MESSAGE))],
    ['details', error.details === '' ? undefined : jsonString(cut(error.details, LONGEST_DETAILS))]
  ])
}

/** Reads what another plugin printed when it failed; undefined when it is no error object. */
export function errorFromJson(json: Json): CniError | undefined {
  const code = memberOf(json, 'code')
  const message = memberOf(json, 'msg')
  if (code === undefined || code.type !== 'number' || message === undefined) return undefined
  return new CniError(Number(code.text), message.text, memberOf(json, 'details')?.text ?? '')
}
