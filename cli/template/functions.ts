/**
 * Functions of templates: Go's, and those that Docker adds.
 *
 * @source pkg.go.dev/text/template, "Functions"; docs.docker.com/engine/cli/formatting
 */
import { formatText } from './printf.ts'

type Shown = (value: unknown) => string
/** An Error says why it cannot be. */
type TemplateFunction = (args: readonly unknown[], textOf: Shown) => unknown

/** @source "If", "the empty values are false, 0, any nil pointer …, and any array, slice, map, or string of length zero" */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

function lengthOf([value]: readonly unknown[]): unknown {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (typeof value === 'object' && value !== null) return Object.keys(value).length
  return new Error('only texts, lists and maps have a length')
}

function indexed([value, ...keys]: readonly unknown[]): unknown {
  let here = value
  for (const key of keys) {
    if (Array.isArray(here)) {
      if (typeof key !== 'number' || key < 0 || key >= here.length) {
        return new Error(`there is no member ${String(key)}: the list has ${String(here.length)}`)
      }
      here = here[key]
    } else if (typeof here === 'object' && here !== null) {
      const name = String(key)
      here = Object.hasOwn(here, name) ? Reflect.get(here, name) : undefined
    } else if (here !== undefined) return new Error('only lists and maps have members')
  }
  return here
}

function sliced([value, from, to]: readonly unknown[]): unknown {
  const start = from === undefined ? 0 : Number(from)
  const end = to === undefined ? undefined : Number(to)
  if (typeof value === 'string' || Array.isArray(value)) return value.slice(start, end)
  return new Error('only texts and lists have parts')
}

/** -1, 0 or 1; undefined for what cannot be compared. */
function order(a: unknown, b: unknown): number | undefined {
  if (typeof a === 'number' && typeof b === 'number') return Math.sign(a - b)
  if (typeof a === 'string' && typeof b === 'string') return a === b ? 0 : a < b ? -1 : 1
  return undefined
}

function compared(holds: (order: number) => boolean): TemplateFunction {
  return ([a, b]) => {
    const result = order(a, b)
    return result === undefined ? new Error('only two numbers or two texts can be compared') : holds(result)
  }
}

/** Go's Print: a space between two that are no texts. */
function printed(args: readonly unknown[], textOf: Shown): string {
  return args
    .map((one, i) => `${i > 0 && typeof one !== 'string' && typeof args[i - 1] !== 'string' ? ' ' : ''}${textOf(one)}`)
    .join('')
}

/** The last argument is what a pipeline hands on; Docker's functions of texts take it last, or alone. */
const TEXTS: Readonly<Record<string, (text: string) => string>> = {
  lower: text => text.toLowerCase(),
  upper: text => text.toUpperCase(),
  title: text => text.replaceAll(/\b[a-z]/g, letter => letter.toUpperCase())
}

export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', args => args.find(one => !isTrue(one)) ?? args.at(-1)],
  ['or', args => args.find(isTrue) ?? args.at(-1)],
  ['not', ([value]) => !isTrue(value)],
  ['eq', ([value, ...others]) => others.some(one => one === value)],
  ['ne', ([a, b]) => a !== b],
  ['lt', compared(one => one < 0)],
  ['le', compared(one => one <= 0)],
  ['gt', compared(one => one > 0)],
  ['ge', compared(one => one >= 0)],
  ['index', indexed],
  ['len', lengthOf],
  ['slice', sliced],
  ['print', printed],
  ['println', (args, textOf) => `${args.map(textOf).join(' ')}\n`],
  ['printf', ([form, ...args], textOf) => formatText(String(form), args, textOf)],
  ['json', ([value]) => JSON.stringify(value === undefined ? null : value)],
  [
    'join',
    ([list, between], textOf) => (Array.isArray(list) ? list.map(textOf).join(String(between ?? '')) : textOf(list))
  ],
  ['split', ([text, at]) => String(text).split(String(at ?? ' '))],
  ['pad', ([text, before, behind]) => `${' '.repeat(Number(before))}${String(text)}${' '.repeat(Number(behind))}`],
  ['truncate', ([text, length]) => String(text).slice(0, Number(length))],
  ...Object.entries(TEXTS).map(([name, change]): [string, TemplateFunction] => [
    name,
    ([text], textOf) => change(textOf(text))
  ])
])
