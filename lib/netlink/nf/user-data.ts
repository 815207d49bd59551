/**
 * Comments. The kernel keeps the bytes and never looks into them; the form is the one nft writes and shows:
 * type, length, text with its NUL.
 *
 * @source libnftnl/udata.h struct nftnl_udata, NFTNL_UDATA_RULE_COMMENT, NFTNL_UDATA_SET_ELEM_COMMENT
 */
import type { Rows } from '../rows.ts'

const COMMENT = 0

/** @param text at most 254 bytes in UTF-8 */
export function encodeComment(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text)
  const data = new Uint8Array(bytes.length + 3)
  data[0] = COMMENT
  data[1] = bytes.length + 1
  data.set(bytes, 2)
  return data
}

/** The comment in user data that may hold other things too; the empty string when there is none. */
export function decodeComment(data: Uint8Array): string {
  let offset = 0
  while (offset + 2 <= data.length) {
    const type = data[offset] ?? 0
    const length = data[offset + 1] ?? 0
    if (type === COMMENT && length > 0 && offset + 2 + length <= data.length) {
      return new TextDecoder().decode(data.subarray(offset + 2, offset + 1 + length))
    }
    offset += 2 + length
  }
  return ''
}

/** An attribute of user data that holds a comment; the empty string for none. */
export function commentRow(rows: Rows, type: number, symbol: string, comment: string): string {
  const data = rows.bytes(type, symbol, comment === '' ? undefined : encodeComment(comment))
  return data === undefined ? '' : decodeComment(data)
}
