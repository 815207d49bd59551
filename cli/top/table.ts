/** The table of `patchbay top`, as text. */
import stringWidth from 'string-width'
import type { Rated } from '../../lib/view/traffic.ts'
import { visible } from '../../lib/view/visible.ts'
import type { By } from './reading.ts'
import { sizeText } from './size-text.ts'
import type { SortKey } from './sort-keys.ts'

interface Column {
  readonly name: SortKey
  readonly heading: string
  readonly text: (row: Rated) => string
  readonly value: (row: Rated) => number | string
}

const NUMBERS: readonly Column[] = [
  number('rx', 'RX/s', row => row.rates.rxBytes, sizeText),
  number('tx', 'TX/s', row => row.rates.txBytes, sizeText),
  number('packets', 'PACKETS/s', row => row.rates.rxPackets + row.rates.txPackets, String),
  number('drops', 'DROPS/s', row => row.rates.rxDropped + row.rates.txDropped, String),
  number('connections', 'CONNECTIONS', row => row.connections, String)
]

const TEXTS: readonly Column[] = [
  { name: 'name', heading: 'NAME', text: row => row.name, value: row => row.name },
  { name: 'network', heading: 'NETWORK', text: row => row.network, value: row => row.network }
]

function number(
  name: SortKey,
  heading: string,
  value: (row: Rated) => number,
  text: (value: number) => string
): Column {
  return { name, heading, value, text: row => text(value(row)) }
}

/** Numbers from above, names from A to Z. */
export function sorted(rows: readonly Rated[], key: SortKey): readonly Rated[] {
  const column = [...TEXTS, ...NUMBERS].find(one => one.name === key)
  return [...rows].sort((a, b) => {
    const [x, y] = [column?.value(a) ?? 0, column?.value(b) ?? 0]
    if (typeof x === 'number' && typeof y === 'number' && x !== y) return y - x
    if (String(x) !== String(y)) return String(x) < String(y) ? -1 : 1
    return a.key < b.key ? -1 : 1
  })
}

export interface Page {
  readonly by: By
  readonly sort: SortKey
  readonly width: number
  /** Lines for rows; undefined = all. */
  readonly height: number | undefined
}

/** Headings and rows, each line as wide as the page at most. */
export function topTable(rows: readonly Rated[], { by, sort, width, height }: Page): readonly string[] {
  const detail = { container: 'INTERFACE', network: 'ON IT', port: 'LEADS TO' }[by]
  const names = by === 'network' ? TEXTS.slice(0, 1) : TEXTS
  const mark = (column: Column): string => `${column.heading}${column.name === sort ? '*' : ''}`
  const texts = [
    [...names.map(mark), detail],
    ...sorted(rows, sort)
      .slice(0, height)
      .map(row => [...names.map(column => visible(column.text(row)) || '-'), visible(row.detail)])
  ]
  const values = [
    NUMBERS.map(mark),
    ...sorted(rows, sort)
      .slice(0, height)
      .map(row => NUMBERS.map(one => one.text(row)))
  ]
  const right = aligned(values, 'right').map(line => line.join('  '))
  const room = Math.max(0, width - Math.max(...right.map(line => line.length)) - 2)
  return aligned(texts, 'left').map((cells, i) => `${fitted(cells.join('  '), room)}  ${right[i] ?? ''}`)
}

function aligned(rows: readonly (readonly string[])[], side: 'left' | 'right'): readonly (readonly string[])[] {
  const widths = (rows[0] ?? []).map((_cell, i) => Math.max(...rows.map(row => stringWidth(row[i] ?? ''))))
  return rows.map(row =>
    row.map((cell, i) => {
      const blank = ' '.repeat(Math.max(0, (widths[i] ?? 0) - stringWidth(cell)))
      return side === 'left' ? cell + blank : blank + cell
    })
  )
}

/** Exactly so wide. */
function fitted(text: string, width: number): string {
  let cut = text
  while (stringWidth(cut) > width) cut = [...cut].slice(0, -1).join('')
  return cut + ' '.repeat(Math.max(0, width - stringWidth(cut)))
}
