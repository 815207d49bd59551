/**
 * Texts that others chose, for a terminal. An interface may be called `\x1b[2J` (the kernel refuses `/`, `:` and blanks
 * alone), an alias may hold any byte, and a right-to-left override makes `eth0` out of `0hte`.
 *
 * @source Unicode 16, general categories Cc, Cf, Zl, Zp, Cs, Co, Cn
 */

/** Controls, formats (bidi overrides, zero width), separators of lines, and what has no character. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\u2800\u3164\uffa0\u115f\u1160]/gu

/** A letter may bear a few marks; a tower of them covers the lines above. */
const TOWER = /(\p{M}{2})\p{M}+/gu

/** The text with everything that a terminal would obey, or a person could not see, written as `\u{…}`. */
export function visible(text: string): string {
  return text.replaceAll(INVISIBLE, escaped).replaceAll(TOWER, '$1')
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
