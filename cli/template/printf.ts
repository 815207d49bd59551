/** Go's printf, as far as values of JSON need it. @source pkg.go.dev/fmt */

const VERB = /%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g

/** `%-20s %5d %q %v`; a verb that does not fit is shown as Go shows it: `%!d(web)`. */
export function formatText(form: string, args: readonly unknown[], textOf: (value: unknown) => string): string {
  let [used, place, text] = [0, 0, '']
  for (const match of form.matchAll(VERB)) {
    const [all, flags = '', width = '', precision = '', verb = ''] = match
    text += form.slice(place, match.index)
    place = match.index + all.length
    if (verb === '%') text += '%'
    else if (used >= args.length) text += `%!${verb}(MISSING)`
    else {
      const value = args[used]
      used += 1
      const shown = shownBy(verb, value, precision, textOf)
      text += shown === undefined ? `%!${verb}(${textOf(value)})` : padded(shown, flags, Number(width || '0'))
    }
  }
  const extra = args.slice(used).map(one => `%!(EXTRA ${textOf(one)})`)
  return `${text}${form.slice(place)}${extra.join('')}`
}

function shownBy(
  verb: string,
  value: unknown,
  precision: string,
  textOf: (value: unknown) => string
): string | undefined {
  const cut = (text: string): string => (precision === '' ? text : text.slice(0, Number(precision)))
  if (verb === 'v') return textOf(value)
  if (verb === 's') return cut(textOf(value))
  if (verb === 'q') return JSON.stringify(cut(textOf(value)))
  if (verb === 't') return typeof value === 'boolean' ? String(value) : undefined
  if (typeof value !== 'number') return undefined
  if (verb === 'd') return Number.isInteger(value) ? String(value) : undefined
  if (verb === 'x' || verb === 'X') {
    const digits = value.toString(16)
    return verb === 'x' ? digits : digits.toUpperCase()
  }
  return verb === 'f' ? value.toFixed(precision === '' ? 6 : Number(precision)) : undefined
}

function padded(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width)
  return text.padStart(width, flags.includes('0') ? '0' : ' ')
}
