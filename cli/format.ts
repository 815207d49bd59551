/** How rows are shown: tables, JSON, YAML, or a template as Docker's `--format` takes. */
import type { Call } from './call.ts'
import { didYouMean } from './nearest.ts'
import { jsonLine, tableText, UsageError } from './output.ts'
import { expand, type Lookup } from './template.ts'

/** A thing that is shown: its fields by name, in the order of the table's columns. */
export type Row = Readonly<Record<string, unknown>>

export interface Shape {
  /** Fields of the ordinary table; `wide` shows all. */
  readonly columns: readonly string[]
  /** The field that names the row. */
  readonly key: string
  /** Every field, also when there is no row. */
  readonly fields: readonly string[]
}

/** What `--output`, `--json`, `--quiet` and `--format` ask for. */
export async function formatted(call: Call, rows: readonly Row[], shape: Shape): Promise<string> {
  if (call.has('quiet')) return linesOf(rows.map(row => textOf(row[shape.key])))
  const template = call.text('format')
  const format = call.asJson ? 'json' : (call.text('output') ?? (template === undefined ? 'table' : template))
  if (format === 'json') return jsonLine(rows)
  if (format === 'yaml') return (await import('yaml')).stringify(rows)
  if (format === 'name') return linesOf(rows.map(row => textOf(row[shape.key])))
  if (format === 'table') return table(rows, shape.columns)
  if (format === 'wide') return table(rows, shape.fields)
  return byTemplate(format, rows, shape.fields)
}

function linesOf(lines: readonly string[]): string {
  return lines.map(line => `${line}\n`).join('')
}

function table(rows: readonly Row[], columns: readonly string[]): string {
  return tableText(
    columns.map(headingOf),
    rows.map(row => columns.map(column => textOf(row[column]) || '-'))
  )
}

/** `LinkLocal` -> `LINK LOCAL` */
function headingOf(field: string): string {
  return field.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toUpperCase()
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(' ')
  if (value === null || value === undefined) return ''
  if (typeof value !== 'object') return String(value)
  return Object.entries(value)
    .map(([key, text]) => `${key}=${textOf(text)}`)
    .join(',')
}

/**
 * `{{.Name}}\t{{json .Labels}}` once for each row, `table …` with headings before them; or the names of fields, `Name,Driver`.
 *
 * @throws UsageError naming the field that there is not
 */
function byTemplate(text: string, rows: readonly Row[], fields: readonly string[]): string {
  if (!text.includes('{{')) {
    const columns = text.split(',').map(name => fieldNamed(name.trim(), fields))
    return table(rows, columns)
  }
  const isTable = text.startsWith('table ')
  const template = (isTable ? text.slice('table '.length) : text).replaceAll('\\t', '\t').replaceAll('\\n', '\n')
  const lines = rows.map(row => expanded(template, path => valueAt(row, path, fields)))
  if (!isTable) return linesOf(lines)
  const headings = expanded(template, path => headingOf(fieldNamed(path[0] ?? '', fields)))
  return tableText(
    headings.split('\t'),
    lines.map(line => line.split('\t'))
  )
}

/** `--format` of `inspect`: over one value of any depth. */
export function expandedOver(template: string, value: unknown): string {
  const text = template.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
  return expanded(text, path => valueAt(value, path, undefined))
}

function expanded(template: string, lookup: Lookup): string {
  return expand(template, lookup, value => path => valueAt(value, path, undefined), textOf)
}

function valueAt(value: unknown, path: readonly string[], fields: readonly string[] | undefined): unknown {
  let here = value
  path.forEach((part, depth) => {
    const names = typeof here === 'object' && here !== null ? Object.keys(here) : []
    const name = fieldNamed(part, depth === 0 && fields !== undefined ? fields : names)
    here = typeof here === 'object' && here !== null ? Reflect.get(here, name) : undefined
  })
  return here
}

/** In any case: Docker's fields begin with a capital, and nobody remembers which do. */
function fieldNamed(name: string, fields: readonly string[]): string {
  const field = fields.find(one => one === name) ?? fields.find(one => one.toLowerCase() === name.toLowerCase())
  if (field !== undefined) return field
  const message = `read --format: there is no field ${JSON.stringify(name)}${didYouMean(name, fields)}`
  throw new UsageError(message, `fields are ${fields.join(', ')}`)
}
