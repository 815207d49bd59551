/**
 * Templates as Docker's `--format` has them, as far as they only show: `{{.Field.0.Field}}`, `{{json .Field}}`, and
 * `{{range .Field}}…{{end}}`, within which `.` is each member of a list or of an object.
 */
import { UsageError } from './output.ts'

/** The value at a path; of '.', the value itself. */
export type Lookup = (path: readonly string[]) => unknown

type Node =
  | { readonly text: string }
  | { readonly path: readonly string[]; readonly isJson: boolean }
  | { readonly path: readonly string[]; readonly body: readonly Node[] }

const PATH = String.raw`(?:\.[\w-]+)+|\.`
const TAG = new RegExp(String.raw`\{\{\s*(?:(end)|(range|json)?\s*(${PATH}))\s*\}\}`, 'g')

/**
 * @param lookup at the outermost level
 * @param within the same within one member of a range
 * @param textOf how a value is shown
 * @throws UsageError for what is no such template
 */
export function expand(
  template: string,
  lookup: Lookup,
  within: (value: unknown) => Lookup,
  textOf: (value: unknown) => string
): string {
  const shown = (nodes: readonly Node[], look: Lookup): string =>
    nodes
      .map(node => {
        if ('text' in node) return node.text
        const value = look(node.path)
        if ('body' in node)
          return membersOf(value)
            .map(member => shown(node.body, within(member)))
            .join('')
        return node.isJson ? JSON.stringify(value) : textOf(value)
      })
      .join('')
  return shown(parsed(template), lookup)
}

function membersOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

function parsed(template: string): readonly Node[] {
  const open: { readonly path: readonly string[]; readonly nodes: Node[] }[] = [{ path: [], nodes: [] }]
  let place = 0
  for (const tag of template.matchAll(TAG)) {
    const [all, end, word, path = ''] = tag
    const here = open.at(-1)
    here?.nodes.push({ text: plain(template.slice(place, tag.index)) })
    place = tag.index + all.length
    const names = path.split('.').filter(part => part !== '')
    if (word === 'range') open.push({ path: names, nodes: [] })
    else if (end === undefined) here?.nodes.push({ path: names, isJson: word === 'json' })
    else if (open.length === 1) throw notUnderstood('{{end}}')
    else {
      const range = open.pop()
      open.at(-1)?.nodes.push({ path: range?.path ?? [], body: range?.nodes ?? [] })
    }
  }
  const [whole] = open
  if (whole === undefined || open.length > 1) throw notUnderstood('{{range}} without {{end}}')
  return [...whole.nodes, { text: plain(template.slice(place)) }]
}

/** @throws UsageError for a tag that is none of ours */
function plain(text: string): string {
  if (text.includes('{{')) throw notUnderstood(text.slice(text.indexOf('{{')))
  return text
}

function notUnderstood(what: string): UsageError {
  return new UsageError(
    `read --format: ${JSON.stringify(what)} is not understood`,
    'a template has {{.Field}}, {{.Field.0.Field}}, {{json .Field}} and {{range .Field}}...{{end}}; for more: --json and jq'
  )
}
