/**
 * Whether a text can stand in resolv.conf, a file of lines and words.
 *
 * @source man 5 resolv.conf
 */
export function isWord(text: string): boolean {
  if (text === '') return false
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code <= 32 || code >= 127) return false
  }
  return true
}
