/** The question of a DNS message as it lies there: what is passed on or sent back is never written anew. */

/** Bytes of a message's header. @source RFC 1035 section 4.1.1 */
export const HEADER = 12
/** Type and class, behind the name. */
export const TYPE_AND_CLASS = 4
const LONGEST_LABEL = 63
/** @source RFC 1035 section 2.3.4 */
const LONGEST_NAME = 255

/**
 * Where a name ends, behind its root label.
 *
 * @param start where it begins; the first question's unless told otherwise
 * @returns undefined for what is no name, ends too soon, or is compressed, as nothing before a first question could be
 */
export function endOfName(bytes: Uint8Array, start = HEADER): number | undefined {
  for (let at = start; at < bytes.length && at < start + LONGEST_NAME; ) {
    const length = bytes[at] ?? 0
    if (length === 0) return at + 1
    if (length > LONGEST_LABEL) return undefined
    at += length + 1
  }
  return undefined
}

/** Name, type and class of the first question; undefined where it is none. */
export function questionBytes(bytes: Uint8Array): Uint8Array | undefined {
  const end = endOfName(bytes)
  if (end === undefined || end + TYPE_AND_CLASS > bytes.length) return undefined
  return bytes.subarray(HEADER, end + TYPE_AND_CLASS)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
