/**
 * Names that containers are called by in DNS: labels of letters, digits, `-` and `_`, not beginning or ending with `-`.
 * The underscore is no part of a host name (RFC 952, RFC 1123 section 2.1), but of most names that runtimes make.
 */

/** @source RFC 1035 section 2.3.4: 63 octets in a label; 255 in a name on the wire, which is 253 as text */
const LONGEST_LABEL = 63
const LONGEST_NAME = 253

/** DNS tells no upper from lower case (RFC 4343); a trailing dot is the root's. */
export function canonicalName(text: string): string {
  const lower = text.toLowerCase()
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

/**
 * Why a text is no name that a container can have.
 *
 * @param name in its canonical form
 * @returns '' when it is one
 */
export function nameProblem(name: string): string {
  if (name === '') return 'must not be empty'
  if (name.length > LONGEST_NAME) return `must have at most ${String(LONGEST_NAME)} characters`
  for (const label of name.split('.')) {
    if (label === '') return 'must not have an empty label'
    if (label.length > LONGEST_LABEL) return `must have at most ${String(LONGEST_LABEL)} characters between dots`
    if (!isLabel(label)) return 'must be of letters, digits, "-" and "_", with "-" only between others'
  }
  return ''
}

function isLabel(label: string): boolean {
  if (label.startsWith('-') || label.endsWith('-')) return false
  for (let i = 0; i < label.length; i += 1) {
    const code = label.charCodeAt(i)
    const isLetter = code >= 97 && code <= 122
    const isDigit = code >= 48 && code <= 57
    if (!isLetter && !isDigit && code !== 45 && code !== 95) return false
  }
  return true
}
