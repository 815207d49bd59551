/**
 * The map for a terminal: the host's interfaces in a box, below it each segment as a bar that its containers hang on. Boxes
 * where there are few, a line each where there are many.
 *
 *     ┌─ myhost ──────────────────────────────────────┐
 *     │ eth0   192.0.2.10/24   default via 192.0.2.1  │
 *     └─┬─────────────────────────────────────────────┘
 *       │
 *       ╞═ bridge patch0 ═ network web ═ 10.77.0.1/24 ════
 *       │   │ veth8b04fea7950   │ veth380a8293860
 *       │ ┌─┴────────────┐    ┌─┴────────────┐
 *       │ │ red          │    │ blue         │
 */
import stringWidth from 'string-width'
import type { View } from '../../lib/view/model.ts'
import { visible } from '../../lib/view/visible.ts'
import { drawingOf, type Item, type Panel } from './panels.ts'
import { ASCII_SIGNS, type Signs, UNICODE_SIGNS } from './texts.ts'

export interface Screen {
  /** Columns; less than 80 are taken for 80. */
  readonly width: number
  /** Nothing but ASCII. */
  readonly isAscii: boolean
  /** Also what no wire of the host leads to. */
  readonly showsAll: boolean
}

/** What lines are drawn with. */
interface Pen extends Signs {
  readonly bar: string
  readonly line: string
  readonly down: string
  readonly topLeft: string
  readonly topRight: string
  readonly bottomLeft: string
  readonly bottomRight: string
  readonly tee: string
  readonly hang: string
  readonly branch: string
  readonly fork: string
  readonly cut: string
}

const UNICODE: Pen = {
  ...UNICODE_SIGNS,
  bar: '═',
  line: '─',
  down: '│',
  topLeft: '┌',
  topRight: '┐',
  bottomLeft: '└',
  bottomRight: '┘',
  tee: '┬',
  hang: '┴',
  branch: '╞',
  fork: '├',
  cut: '…'
}

const ASCII: Pen = {
  ...ASCII_SIGNS,
  bar: '=',
  line: '-',
  down: '|',
  topLeft: '+',
  topRight: '+',
  bottomLeft: '+',
  bottomRight: '+',
  tee: '+',
  hang: '+',
  branch: '+',
  fork: '+',
  cut: '~'
}

const NARROWEST = 80
/** More containers than these on a segment are a line each. */
const MOST_BOXES = 24
const WIDEST_BOX = 44
/** Columns before a segment's content: the trunk and a blank. */
const INDENT = 4

export function terminalMap(view: View, screen: Screen): string {
  const canvas = new Canvas(screen)
  const { host, uplinks, panels, apart, notes } = drawingOf(view, screen.isAscii ? ASCII_SIGNS : UNICODE_SIGNS)
  if (host !== undefined) canvas.hostBox(host.name, uplinks)
  for (const panel of panels) canvas.panel(panel)
  const named = apart.map(one => `not connected: ${one.name}${one.problem === '' ? '' : ` (${one.problem})`}`)
  canvas.notes([...notes, ...(screen.showsAll ? named : apartText(apart.length))])
  return canvas.text()
}

function apartText(count: number): readonly string[] {
  if (count === 0) return []
  const many = count === 1 ? '' : 's'
  return [`${String(count)} more network namespace${many} without a wire to this host: --all names them.`]
}

class Canvas {
  readonly #lines: string[] = []
  readonly #pen: Pen
  readonly #width: number
  readonly #isAscii: boolean

  constructor({ width, isAscii }: Screen) {
    this.#pen = isAscii ? ASCII : UNICODE
    this.#isAscii = isAscii
    this.#width = Math.max(NARROWEST, width)
  }

  text(): string {
    return `${this.#lines.map(line => line.trimEnd()).join('\n')}\n`
  }

  hostBox(name: string, rows: readonly (readonly string[])[]): void {
    const { topLeft, topRight, bottomLeft, bottomRight, line, down, tee } = this.#pen
    const inner = this.#width - 4
    const title = this.#fitted(name, inner - 4)
    const texts = this.#columns(rows, inner)
    this.#lines.push(`${topLeft}${line} ${title} ${line.repeat(inner - stringWidth(title) - 1)}${topRight}`)
    for (const text of texts) this.#lines.push(`${down} ${this.#padded(text, inner)} ${down}`)
    this.#lines.push(`${bottomLeft}${line}${tee}${line.repeat(inner)}${bottomRight}`)
  }

  panel({ title, facts, items }: Panel): void {
    const { branch, bar, down } = this.#pen
    this.#lines.push(`  ${down}`)
    this.#titleLines([title, ...facts]).forEach((text, row) => {
      const rest = Math.max(0, this.#width - INDENT - stringWidth(text) - 2)
      this.#lines.push(row === 0 ? `  ${branch}${bar} ${text} ${bar.repeat(rest)}` : `  ${down}    ${text}`)
    })
    if (items.length > MOST_BOXES) this.#rows(items)
    else for (const boxes of this.#packed(items)) this.#boxes(boxes)
  }

  notes(notes: readonly string[]): void {
    if (notes.length > 0) this.#lines.push('')
    for (const note of notes) this.#lines.push(this.#fitted(note, this.#width))
  }

  /** As many facts on a line as there is room for. */
  #titleLines(facts: readonly string[]): readonly string[] {
    const room = this.#width - INDENT - 4
    const lines: string[] = []
    for (const fact of facts.map(one => this.#fitted(one, room))) {
      const last = lines.at(-1)
      const joined = last === undefined ? fact : `${last} ${this.#pen.bar} ${fact}`
      if (last === undefined || stringWidth(joined) > room) lines.push(fact)
      else lines[lines.length - 1] = joined
    }
    return lines
  }

  #rows(items: readonly Item[]): void {
    const { fork, line, down } = this.#pen
    const rows = items.map(({ name, lines: [link = '', ...rest], via }) => [name, link, via, rest.join(' ')])
    this.#lines.push(`  ${down}  ${down}`)
    for (const text of this.#columns(rows, this.#width - INDENT - 4)) {
      this.#lines.push(`  ${down}  ${fork}${line} ${text}`)
    }
  }

  /** Rows of boxes, each as full as the width allows. */
  #packed(items: readonly Item[]): readonly (readonly Box[])[] {
    const rows: Box[][] = []
    let right = 0
    for (const item of items) {
      const box = this.#box(item)
      const row = rows.at(-1)
      if (row === undefined || right + box.width > this.#width) {
        rows.push([box])
        right = INDENT + box.width + 2
      } else {
        row.push(box)
        right += box.width + 2
      }
    }
    return rows
  }

  #box(item: Item): Box {
    const lines = [item.name, ...item.lines].map(text => this.#fitted(text, WIDEST_BOX))
    const via = this.#fitted(item.via, WIDEST_BOX)
    const widest = Math.max(...lines.map(text => stringWidth(text)), stringWidth(via), 8)
    return { lines, via, width: widest + 4 }
  }

  #boxes(boxes: readonly Box[]): void {
    const { down, line, hang, topLeft, topRight, bottomLeft, bottomRight } = this.#pen
    const height = Math.max(...boxes.map(box => box.lines.length))
    const row = (part: (box: Box) => string): void => {
      this.#lines.push(`  ${down} ${boxes.map(box => this.#padded(part(box), box.width)).join('  ')}`)
    }
    row(({ via }) => `  ${down}${via === '' ? '' : ` ${via}`}`)
    row(({ width }) => `${topLeft}${line}${hang}${line.repeat(width - 4)}${topRight}`)
    for (let i = 0; i <= height; i += 1) {
      row(({ lines, width }) => {
        const text = lines[i]
        if (text !== undefined) return `${down} ${this.#padded(text, width - 4)} ${down}`
        return i === lines.length ? `${bottomLeft}${line.repeat(width - 2)}${bottomRight}` : ''
      })
    }
  }

  /** Cells under each other, each line cut at the width. */
  #columns(rows: readonly (readonly string[])[], width: number): readonly string[] {
    const shown = rows.map(row => row.map(cell => this.#fitted(cell, width)))
    const columns = Math.max(0, ...shown.map(row => row.length))
    const widths = Array.from({ length: columns }, (_none, i) =>
      Math.max(...shown.map(row => stringWidth(row[i] ?? '')))
    )
    return shown.map(row => {
      const text = row.map((cell, i) => this.#padded(cell, widths[i] ?? 0)).join('  ')
      return this.#cut(text.trimEnd(), width)
    })
  }

  /** A text of others, harmless, at most so wide. */
  #fitted(text: string, width: number): string {
    const harmless = visible(text)
    return this.#cut(this.#isAscii ? harmless.replaceAll(/[^\x20-\x7e]/gu, hexOf) : harmless, width)
  }

  #cut(text: string, width: number): string {
    if (stringWidth(text) <= width) return text
    let cut = ''
    for (const character of text) {
      if (stringWidth(cut + character) > width - 1) break
      cut += character
    }
    return `${cut}${this.#pen.cut}`
  }

  #padded(text: string, width: number): string {
    return text + ' '.repeat(Math.max(0, width - stringWidth(text)))
  }
}

interface Box {
  readonly lines: readonly string[]
  /** The host's end, over the box. */
  readonly via: string
  readonly width: number
}

function hexOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
