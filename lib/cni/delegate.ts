/**
 * Delegation to the IPAM plugin. It is looked up in CNI_PATH as runtimes look up plugins; when the file found is the one
 * this process runs, the plugin is called here instead of being executed. Whoever calls cannot tell the difference.
 */
import type { Attachment } from '../attachment.ts'
import {
  type Json,
  jsonArray,
  jsonObject,
  jsonString,
  jsonText,
  memberOf,
  parseJson,
  withMember
} from '../config/json.ts'
import { ConfigError, Section } from '../config/section.ts'
import { errnoOf, messageOf } from '../sys/errors.ts'
import type { Finished } from '../sys/exec.ts'
import { fileStatus, isSameFile } from '../sys/file-status.ts'
import { sleepMilliseconds } from '../sys/stdio.ts'
import {
  CniError,
  DECODE_FAILURE,
  errorFromJson,
  INTERNAL,
  INVALID_CONFIG,
  INVALID_ENVIRONMENT,
  NOT_AVAILABLE
} from './error.ts'
import type { Invocation } from './invocation.ts'
import { type Command, Ipam, type Plugin, type PluginMaker, pluginNamed } from './plugin.ts'
import { EMPTY_RESULT, type Result } from './result.ts'
import { asSeenIn, resultFromJson } from './result-json.ts'

/** Calls a plugin of this process: call.ts's `dispatch`, handed over because it needs this module itself. */
export type Dispatch = (plugin: Plugin, call: Invocation, command: Command) => Result | undefined

/** The delegate that the configuration names; it is not looked for before it is called. */
export function delegateFor(call: Invocation, command: Command, dispatch: Dispatch): Ipam {
  return new Delegate(call, command, dispatch)
}

class Delegate extends Ipam {
  readonly #call: Invocation
  readonly #command: Command
  readonly #dispatch: Dispatch

  constructor(call: Invocation, command: Command, dispatch: Dispatch) {
    super()
    this.#call = call
    this.#command = command
    this.#dispatch = dispatch
  }

  /** Why no plugin can have given an address; '' when one can. */
  #typeProblem(): string {
    try {
      const type = this.type()
      return type !== '' && this.#isOwn(type) ? notForAddresses(type) : ''
    } catch (error) {
      return messageOf(error)
    }
  }

  /** `"ipam": { "type": "bridge" }` would have bridge call itself until the stack ends. */
  #isOwn(type: string): boolean {
    return this.#call.delegated || type === ownType(this.#call)
  }

  override type(): string {
    const ipam = memberOf(this.#call.config, 'ipam')
    if (ipam === undefined || ipam.type === 'null') return ''
    const problems: string[] = []
    const type = new Section(ipam, 'ipam', problems).text('type') ?? ''
    if (problems.length > 0) throw new ConfigError(problems)
    if (type.indexOf('/') >= 0 || type.indexOf('\\') >= 0 || type === '.' || type === '..') {
      throw new ConfigError([`ipam.type must be the name of a plugin, got ${JSON.stringify(type)}`])
    }
    return type
  }

  override add(): Result {
    return this.#run('ADD') ?? EMPTY_RESULT
  }

  /** A DEL that fails is repeated for as long as the container is known, and its ADD was refused for the same reason. */
  override del(): void {
    const problem = this.#typeProblem()
    if (problem === '') this.#run('DEL')
    else process.stderr.write(`give no address back: ${problem}\n`)
  }

  override check(): void {
    this.#run('CHECK')
  }

  override gc(alsoKept: readonly Attachment[]): void {
    this.#run('GC', alsoKept.length === 0 ? this.#call : withValidAttachments(this.#call, alsoKept))
  }

  override status(): void {
    this.#run('STATUS')
  }

  #run(command: Command, call = this.#call): Result | undefined {
    const type = this.type()
    if (type === '') return undefined
    if (this.#isOwn(type)) throw new ConfigError([notForAddresses(type)])
    const file = findPlugin(type, call.environment.path, this.#command)
    if (!isSameFile(file, call.io.executable)) return execute(call, command, type, file)
    // One of ours, whether this process has it or not.
    const plugin = madeFrom(pluginNamed(type, call.builtins))
    if (plugin?.givesAddresses !== true) return refuseType(type, command)
    if (plugin.name !== type) return execute(call, command, type, file)
    const local = this.#dispatch
    const result = local(plugin, { ...call, delegated: true }, command)
    return result === undefined ? undefined : asSeenIn(result, call.cniVersion)
  }
}

/** The call with more attachments for GC to keep. */
function withValidAttachments(call: Invocation, more: readonly Attachment[]): Invocation {
  const key = validAttachmentsKey(call.config)
  const known = memberOf(call.config, key)?.items ?? []
  const config = withMember(call.config, key, jsonArray(known.concat(more.map(validAttachment))))
  return { ...call, config, text: jsonText(config) }
}

function validAttachment(one: Attachment): Json {
  return jsonObject([
    ['containerID', jsonString(one.containerId)],
    ['ifname', jsonString(one.ifName)]
  ])
}

/**
 * The key of the list of what GC must keep, '' when there is none. An absent list taken for an empty one would remove
 * every container's network, and libcni sends none when its caller gave it no arguments (cnitool does so): it has called
 * DEL for all that it remembers by then, which is why doing nothing is a success. The second name is the one that the
 * specification had first.
 *
 * @source libcni/api.go GCNetworkList, cnitool/cnitool.go of containernetworking/cni 1.3
 */
export function validAttachmentsKey(config: Json): string {
  if (memberOf(config, 'cni.dev/valid-attachments') !== undefined) return 'cni.dev/valid-attachments'
  return memberOf(config, 'cni.dev/attachments') === undefined ? '' : 'cni.dev/attachments'
}

function madeFrom(maker: PluginMaker | undefined): Plugin | undefined {
  if (maker === undefined) return undefined
  const { make } = maker
  return make()
}

/** On DEL there is nothing to give back: no ADD can have had an address. @throws {ConfigError} on every other verb */
function refuseType(type: string, command: Command): undefined {
  if (command !== 'DEL') throw new ConfigError([notForAddresses(type)])
  process.stderr.write(`give no address back: ${notForAddresses(type)}\n`)
  return undefined
}

function notForAddresses(type: string): string {
  return `ipam.type must be a plugin that hands out addresses, got ${JSON.stringify(type)}`
}

function ownType(call: Invocation): string {
  return memberOf(call.config, 'type')?.text ?? ''
}

/** The first file of that name in the directories of `path`. */
function findPlugin(type: string, path: string, command: Command): string {
  if (path === '') {
    const message = `find ipam plugin ${JSON.stringify(type)}: missing CNI_PATH`
    throw new CniError(INVALID_ENVIRONMENT, message, 'set CNI_PATH to the directories that hold the plugins')
  }
  for (const directory of path.split(':')) {
    // An empty part would mean the working directory, where anybody may have put a file of that name.
    if (directory !== '' && isFile(`${directory}/${type}`)) return `${directory}/${type}`
  }
  const message = `find ipam plugin ${JSON.stringify(type)}: not in CNI_PATH ${JSON.stringify(path)}`
  const code = command === 'STATUS' ? NOT_AVAILABLE : INVALID_CONFIG
  throw new CniError(code, message, 'install it there or correct ipam.type')
}

/** sys/stat.h */
const S_IFMT = 0o170000
const S_IFREG = 0o100000

function isFile(path: string): boolean {
  const status = fileStatus(path, true)
  return status !== undefined && (status.mode & S_IFMT) === S_IFREG
}

function execute(call: Invocation, command: Command, type: string, file: string): Result | undefined {
  const finished = executePatiently(call, command, file)
  const what = `ipam plugin ${JSON.stringify(type)}`
  if (finished.status !== 0) throw failureOf(finished, what)
  if (command !== 'ADD') return undefined
  const text = finished.stdout.trim()
  if (text === '') throw new CniError(DECODE_FAILURE, `decode result of ${what}: it printed nothing`)
  try {
    const json = parseJson(text)
    return json.type === 'null' ? undefined : resultFromJson(json, call.cniVersion, `result of ${what}`)
  } catch (error) {
    if (error instanceof CniError) throw error
    const cause = error instanceof Error ? error.message : 'unreadable'
    throw new CniError(DECODE_FAILURE, `decode result of ${what}: ${cause}`)
  }
}

const BUSY_TRIES = 50
const BUSY_PAUSE = 100

/** A file that is being written by an installer cannot be executed ("text file busy"); it will be in a moment. */
function executePatiently(call: Invocation, command: Command, file: string): Finished {
  for (let left = BUSY_TRIES; ; left -= 1) {
    try {
      return call.io.execute(file, command, call.text)
    } catch (error) {
      if (errnoOf(error) !== 'ETXTBSY' || left <= 0) throw error
      sleepMilliseconds(BUSY_PAUSE)
    }
  }
}

/** The delegate's own error where it printed one: its code and its words are for the runtime. */
function failureOf(finished: Finished, what: string): CniError {
  const text = finished.stdout.trim()
  try {
    const error = errorFromJson(parseJson(text))
    if (error !== undefined) return error
  } catch {
    // not JSON: shown below as it is
  }
  const shown = text === '' ? 'it printed nothing' : `it printed ${JSON.stringify(text.slice(0, 200))}`
  const message = `run ${what}: exit status ${String(finished.status)}, ${shown}`
  return new CniError(INTERNAL, message, 'see its messages on standard error')
}
