/**
 * Texts judged character by character. A regular expression says the same in fewer words; the native engine compiles it anew
 * in every process, and a plugin's whole call computes little more than a few of those.
 */

/** @param code of a character, or a byte of UTF-8 */
export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** `a` to `z` and `A` to `Z`. */
export function isLetter(code: number): boolean {
  const small = code | 0x20
  return small >= 0x61 && small <= 0x7a
}

/** `0` to `9` and `a` to `f`. */
export function isHexDigit(code: number): boolean {
  return isDigit(code) || (code >= 0x61 && code <= 0x66)
}

/** Whether the text has characters, and each of its bytes fits. */
export function consistsOf(text: string, fits: (byte: number) => boolean): boolean {
  for (const byte of new TextEncoder().encode(text)) if (!fits(byte)) return false
  return text !== ''
}

/** Whether the text holds white space, as `\s` has it, or one of the characters of `others`, which are ASCII. */
export function hasSpaceOr(text: string, others: string): boolean {
  const bytes = new TextEncoder().encode(text)
  const wanted = new TextEncoder().encode(others)
  for (const byte of bytes) {
    if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) return true
    for (const other of wanted) if (byte === other) return true
  }
  return bytes.length !== text.length && /\s/.test(text)
}
