/** How rows are shown: tables, JSON, YAML, or a template as Docker's `--format` takes. */
import type { Call } from './call.ts'
import { didYouMean } from './nearest.ts'
import { jsonLine, tableText, UsageError, withBoldHeadings } from './output.ts'
import { filled } from './template/execute.ts'

/** A thing that is shown: its fields by name, in the order of the table's columns. */
export type Row = Readonly<Record<string, unknown>>

export interface Shape {
  /** Fields of the ordinary table; `wide` shows all. */
  readonly columns: readonly string[]
  /** The field that names the row. */
  readonly key: string
  /** Every field, also when there is no row. */
  readonly fields: readonly string[]
  /** What templates may call a field besides: Docker's names of it. */
  readonly alsoCalled?: Readonly<Record<string, string>>
  /** The column of the table that is cut where the line would be wider than the terminal. */
  readonly elastic?: string | undefined
}

/** What `--output`, `--json`, `--quiet` and `--format` ask for. */
export async function formatted(call: Call, rows: readonly Row[], shape: Shape): Promise<string> {
  if (call.has('quiet')) return linesOf(rows.map(row => textOf(row[shape.key])))
  const template = call.text('format')
  if (template !== undefined && !call.asJson) return byTemplate(template, rows, shape)
  const format = call.asJson ? 'json' : (call.text('output') ?? 'table')
  if (format === 'json') return jsonLine(rows)
  if (format === 'yaml') return (await import('yaml')).stringify(rows)
  if (format === 'name') return linesOf(rows.map(row => textOf(row[shape.key])))
  const shown = format === 'wide' ? table(rows, shape.fields) : table(rows, shape.columns, shape.elastic)
  return withBoldHeadings(shown, call.output)
}

function linesOf(lines: readonly string[]): string {
  return lines.map(line => `${line}\n`).join('')
}

function table(rows: readonly Row[], columns: readonly string[], elastic?: string): string {
  const texts = rows.map(row => columns.map(column => textOf(row[column]) || '-'))
  const place = elastic === undefined ? -1 : columns.indexOf(elastic)
  return tableText(columns.map(headingOf), texts, place)
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
 * A template once for each row, `table …` with headings before them; `json`, an object a line, and `table`, as with Docker; or
 * the names of fields, `Name,Driver`.
 *
 * @throws UsageError naming the field that there is not
 */
function byTemplate(text: string, rows: readonly Row[], shape: Shape): string {
  if (text === 'json') return linesOf(rows.map(row => JSON.stringify(row)))
  if (text === 'table') return table(rows, shape.columns, shape.elastic)
  const isTable = text.startsWith('table ')
  const template = isTable ? text.slice('table '.length) : text
  const known = [...shape.fields, ...Object.keys(shape.alsoCalled ?? {})]
  const nameOf = (name: string): string => {
    const field = fieldNamed(name, known)
    return shape.alsoCalled?.[field] ?? field
  }
  if (!template.includes('{{'))
    return table(
      rows,
      template.split(',').map(name => nameOf(name.trim()))
    )
  const over = (row: Row): string => filledWith(template, row, (value, name) => rowField(row, value, name, nameOf))
  if (!isTable) return linesOf(rows.map(over))
  const headings = filledWith(template, {}, (_value, name) =>
    name === 'Label' ? (key: unknown) => String(key).toUpperCase() : headingOf(nameOf(name))
  )
  return tableText(
    headings.split('\t'),
    rows.map(row => over(row).split('\t'))
  )
}

/** `.Label "KEY"`, which Docker has beside `.Labels`. */
function rowField(row: Row, value: unknown, name: string, nameOf: (name: string) => string): unknown {
  if (value !== row) return memberOf(value, name)
  if (name === 'Label') return (key: unknown) => memberOf(row['Labels'], String(key))
  return row[nameOf(name)]
}

/** `--format` of `inspect`: over one value of any depth; `json` is all of it. */
export function expandedOver(template: string, value: unknown): string {
  return template === 'json' ? JSON.stringify(value) : filledWith(template, value, memberOf)
}

/** As a shell hands `\t` on, it is no tab yet. */
function filledWith(template: string, value: unknown, field: (value: unknown, name: string) => unknown): string {
  const text = template.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
  return filled(text, value, { field, textOf })
}

/**
 * A member of a list, a field, or a member of a map, which may be missing. All fields of an object that is no map begin with a
 * capital.
 */
function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (Object.hasOwn(value, name)) return Reflect.get(value, name)
  const names = Object.keys(value)
  const isMap = !Array.isArray(value) && !(names.length > 0 && names.every(one => /^[A-Z]/.test(one)))
  return isMap ? undefined : Reflect.get(value, fieldNamed(name, names))
}

/** In any case: Docker's fields begin with a capital, and nobody remembers which do. */
function fieldNamed(name: string, fields: readonly string[]): string {
  const field = fields.find(one => one === name) ?? fields.find(one => one.toLowerCase() === name.toLowerCase())
  if (field !== undefined) return field
  const message = `read --format: there is no field ${JSON.stringify(name)}${didYouMean(name, fields)}`
  throw new UsageError(message, fields.length === 0 ? '' : `fields are ${fields.join(', ')}`)
}
