/**
 * The form of files that programs of ours leave for each other, older and newer ones: the member `format`, a number.
 *
 *     ADD of 0.3.0 writes an entry of format 2; the host goes back to 0.2.0, whose DEL would understand half of it and remove
 *     the entry with the rest: it refuses instead, and the entry waits for whoever can read it.
 *
 * Members that a reader may pass over raise no number: readers pass over what they do not know. Without `format` it is 1, as
 * 0.1.0 wrote it.
 */
import { type Json, jsonNumber, jsonText, memberOf, withMember } from './json.ts'

/** The newest form that this version reads, and the one that it writes. */
export const FORMAT = 1

const KEY = 'format'
/** Of a damaged file it may be anything. */
const LONGEST = 20

/** What a newer version has written, in a form that this one does not know. */
export class FormatError extends Error {
  /** @param object what was read, ready to print */
  constructor(object: string, format: string) {
    super(`read ${object}: it is of format ${format}, and this version of Patchbay knows ${String(FORMAT)}`)
    this.name = 'FormatError'
  }
}

/** What a reader can do about it. */
export const FORMAT_ADVICE =
  'a newer Patchbay has written it: install that one again, and remove what it made before going back'

/** The object with its format. */
export function withFormat(json: Json): Json {
  return withMember(json, KEY, jsonNumber(FORMAT))
}

/** @throws {FormatError} for a form that this version does not know @param object what it is, ready to print */
export function refuseNewer(json: Json, object: string): void {
  const format = memberOf(json, KEY)
  if (format === undefined) return
  // Also what is no number: nobody can have meant 1 by it.
  if (format.type !== 'number' || !(Number(format.text) <= FORMAT)) {
    throw new FormatError(object, jsonText(format).slice(0, LONGEST))
  }
}
