/**
 * Errors of the protocol: the codes, the one error class that carries them, and the one place that gives a code to every
 * other error.
 * @source CNI specification 1.1.0, "Error"; codes 8 and 999 are libcni's
 */
import { ConfigError } from '../config/section.ts'
import { type Json, JsonError, jsonNumber, jsonObject, jsonString } from '../config/json.ts'
import { errnoOf } from '../sys/errors.ts'
import { NetnsError } from '../sys/netns.ts'
import { UndoError } from '../undo.ts'

export const INCOMPATIBLE_VERSION = 1
/** The message must hold the key and the value. */
export const UNSUPPORTED_FIELD = 2
/** The container is unknown or gone: the runtime need not clean up. */
export const UNKNOWN_CONTAINER = 3
/** The message must name the variables. */
export const INVALID_ENVIRONMENT = 4
export const IO_FAILURE = 5
export const DECODE_FAILURE = 6
export const INVALID_CONFIG = 7
export const INVALID_NETNS = 8
/** Transient: the runtime should try the same call again. */
export const TRY_AGAIN_LATER = 11
/** STATUS: an ADD cannot be served. */
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
