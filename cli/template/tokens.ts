/** Takes a template of Go apart: text, and within `{{ }}` words. @source pkg.go.dev/text/template, "Text and spaces" */
import { UsageError } from '../output.ts'

export type Token =
  | { readonly kind: 'text'; readonly text: string }
  /** `{{` and `}}`; what was between them is between these. */
  | { readonly kind: 'open' | 'close' }
  /** A keyword or a function. */
  | { readonly kind: 'word'; readonly text: string }
  /** `.Name`; `.` alone has no text. `isChained`: it follows another one without a space between. */
  | { readonly kind: 'field'; readonly text: string; readonly isChained: boolean }
  /** `$name`; `$` alone has no text. */
  | { readonly kind: 'variable'; readonly text: string }
  | { readonly kind: 'value'; readonly value: string | number | boolean | null }
  | { readonly kind: 'sign'; readonly text: string }

const SIGNS = /^(?::=|[|(),=])/
const SPACE = /^\s+/
/** Digits are a place in a list, which Go leaves to `index`. */
const FIELD = /^\.([\w]+(?:-\w+)*)?/
const VARIABLE = /^\$(\w*)/
const WORD = /^[A-Za-z_]\w*/
const NUMBER = /^-?\d+(?:\.\d+)?/
const STRING = /^"((?:[^"\\]|\\.)*)"|^`([^`]*)`/s
const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['nil', null]
])

/** @throws UsageError */
export function tokensOf(template: string): readonly Token[] {
  const tokens: Token[] = []
  let rest = template
  let trimsNext = false
  while (rest !== '') {
    const at = rest.indexOf('{{')
    const text = at < 0 ? rest : rest.slice(0, at)
    const trimsThis = at >= 0 && /^\{\{-\s/.test(rest.slice(at))
    const shown = trimmed(text, trimsNext, trimsThis)
    if (shown !== '') tokens.push({ kind: 'text', text: shown })
    if (at < 0) break
    const action = actionAt(rest.slice(at))
    if (!action.isComment) tokens.push({ kind: 'open' }, ...wordsOf(action.inside), { kind: 'close' })
    trimsNext = action.trims
    rest = rest.slice(at + action.length)
  }
  return tokens
}

function trimmed(text: string, atStart: boolean, atEnd: boolean): string {
  const behind = atStart ? text.trimStart() : text
  return atEnd ? behind.trimEnd() : behind
}

interface Action {
  readonly inside: string
  readonly length: number
  readonly isComment: boolean
  /** `-}}`: the space behind it goes. */
  readonly trims: boolean
}

/** @param text begins with `{{` */
function actionAt(text: string): Action {
  const comment = /^\{\{(?:-\s)?\s*\/\*.*?\*\/(\s-)?\s*\}\}/s.exec(text)
  if (comment !== null) {
    return { inside: '', length: comment[0].length, isComment: true, trims: comment[1] !== undefined }
  }
  // `}}` may be within a string.
  const whole = /^\{\{((?:"(?:[^"\\]|\\.)*"|`[^`]*`|(?!\}\})[^"`])*)\}\}/s.exec(text)
  if (whole === null) throw notUnderstood(text, 'it has no end: }}')
  const inside = (whole[1] ?? '').replace(/^-\s/, ' ')
  return { inside: inside.replace(/\s-$/, ''), length: whole[0].length, isComment: false, trims: /\s-$/.test(inside) }
}

function wordsOf(inside: string): readonly Token[] {
  const tokens: Token[] = []
  let rest = inside
  let wasSpace = true
  while (rest !== '') {
    const space = SPACE.exec(rest)
    if (space === null) {
      const { token, length } = tokenAt(rest, !wasSpace && canBeChained(tokens.at(-1)), inside)
      tokens.push(token)
      rest = rest.slice(length)
    } else rest = rest.slice(space[0].length)
    wasSpace = space !== null
  }
  return tokens
}

function canBeChained(before: Token | undefined): boolean {
  return before?.kind === 'field' || before?.kind === 'variable' || (before?.kind === 'sign' && before.text === ')')
}

function tokenAt(text: string, isChained: boolean, whole: string): { readonly token: Token; readonly length: number } {
  const string = STRING.exec(text)
  if (string !== null) {
    const value = string[2] ?? unquoted(string[1] ?? '')
    return { token: { kind: 'value', value }, length: string[0].length }
  }
  const number = NUMBER.exec(text)
  if (number !== null) return { token: { kind: 'value', value: Number(number[0]) }, length: number[0].length }
  const field = FIELD.exec(text)
  if (field !== null) return { token: { kind: 'field', text: field[1] ?? '', isChained }, length: field[0].length }
  const variable = VARIABLE.exec(text)
  if (variable !== null) return { token: { kind: 'variable', text: variable[1] ?? '' }, length: variable[0].length }
  const word = WORD.exec(text)?.[0]
  if (word !== undefined) {
    const constant = CONSTANTS.get(word)
    const token: Token = constant === undefined ? { kind: 'word', text: word } : { kind: 'value', value: constant }
    return { token, length: word.length }
  }
  const sign = SIGNS.exec(text)?.[0]
  if (sign === undefined) throw notUnderstood(`{{${whole}}}`, `${JSON.stringify(text.charAt(0))} is not understood`)
  return { token: { kind: 'sign', text: sign }, length: sign.length }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' }

function unquoted(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_all, letter: string) => ESCAPES[letter] ?? letter)
}

export function notUnderstood(where: string, why: string): UsageError {
  return new UsageError(
    `read --format: ${JSON.stringify(where)}: ${why}`,
    "it is a template of Go, such as '{{.Name}}', '{{json .}}', '{{range .Containers}}{{.Name}} {{end}}'"
  )
}
