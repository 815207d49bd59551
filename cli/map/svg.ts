/**
 * The map as a picture: the host at the top, a trunk down its left side, each segment a bar on the trunk, its containers as
 * cards in rows below the bar. Sizes are in pixels; the picture grows downwards.
 */
import stringWidth from 'string-width'
import type { View } from '../../lib/view/model.ts'
import { visible } from '../../lib/view/visible.ts'
import { escaped } from './markup.ts'
import { type Drawing, drawingOf, type Item, type Panel } from './panels.ts'
import { UNICODE_SIGNS } from './texts.ts'

export interface Picture {
  readonly width: number
  readonly height: number
  /** The `svg` element's content, without its style. */
  readonly content: string
}

const WIDTH = 1200
const MARGIN = 20
const TRUNK = 36
const LEFT = 56
const LINE = 18
const GAP = 16
/** Of a monospaced character at 12 pixels. */
const CHARACTER = 7.3
const NARROWEST_CARD = 150
const WIDEST_CARD = 330
/** From a row's wire to its cards: room for the names of the host's ends. */
const DROP = 30

/** Colours as variables, so that a page may set them by itself. */
export const STYLE = `
:root { --paper: #fff; --ink: #1b1f24; --soft: #57606a; --wire: #8c959f; --card: #f6f8fa; --bar: #0b5cad; --bar-ink: #fff; --bad: #b42318 }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --wire: #656c76; --card: #161b22; --bar: #1f6feb; --bar-ink: #fff; --bad: #ff7b72 } }
svg text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--ink) }
svg .paper { fill: var(--paper) }
svg .box { fill: var(--card); stroke: var(--wire) }
svg .wire { stroke: var(--wire); fill: none }
svg .bar { fill: var(--bar) }
svg text.on-bar { fill: var(--bar-ink) }
svg text.name { font-weight: bold }
svg text.soft { fill: var(--soft) }
svg .box.bad { stroke: var(--bad); stroke-width: 2 }
`

/** One file, with its style. */
export function svgMap(view: View): string {
  const { width, height, content } = picture(view)
  const size = `width="${String(width)}" height="${String(height)}" viewBox="0 0 ${String(width)} ${String(height)}"`
  const title = `<title>${escaped(`Container networks of ${view.host}`)}</title>`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>${title}<style>${STYLE}</style>${content}</svg>\n`
}

export function picture(view: View): Picture {
  const drawing = drawingOf(view, UNICODE_SIGNS)
  const canvas = new Canvas()
  canvas.host(drawing)
  for (const panel of drawing.panels) canvas.panel(panel)
  const { length } = drawing.apart
  canvas.notes([...drawing.notes, ...(length === 0 ? [] : [`not connected: ${String(length)} network namespaces`])])
  return canvas.picture()
}

class Canvas {
  readonly #parts: string[] = []
  /** Where the next thing begins. */
  #y = MARGIN
  #trunkFrom = 0
  #trunkTo = 0

  picture(): Picture {
    const height = this.#y + MARGIN
    const paper = `<rect class="paper" width="${String(WIDTH)}" height="${String(height)}"/>`
    const trunk = wire(`M${TRUNK} ${this.#trunkFrom} V${this.#trunkTo}`)
    return { width: WIDTH, height, content: `${paper}${trunk}${this.#parts.join('')}` }
  }

  host({ host, uplinks }: Drawing): void {
    if (host === undefined) return
    const lines = uplinks.map(cells => cells.filter(cell => cell !== '').join('   '))
    const height = LINE * (lines.length + 1) + GAP
    const parts = [
      rect('box', { x: MARGIN, y: this.#y, width: WIDTH - 2 * MARGIN, height }),
      text('name', MARGIN + 12, this.#y + LINE + 2, host.name),
      ...lines.map((line, i) => text('', MARGIN + 12, this.#y + LINE * (i + 2) + 2, line))
    ]
    this.#parts.push(card(host.id, [host.name, ...lines], parts))
    this.#y += height
    this.#trunkFrom = this.#y
    this.#trunkTo = this.#y
  }

  panel({ title, facts, items }: Panel): void {
    const height = LINE + 8
    this.#y += GAP + 8
    this.#parts.push(
      wire(`M${TRUNK} ${this.#y + height / 2} H${LEFT}`),
      rect('bar', { x: LEFT, y: this.#y, width: WIDTH - LEFT - MARGIN, height }),
      text('on-bar name', LEFT + 10, this.#y + LINE, title),
      text('on-bar', LEFT + 10 + widthOf(`${title}   `), this.#y + LINE, facts.join('  ·  '))
    )
    this.#trunkTo = this.#y + height / 2
    this.#y += height
    this.#cards(items)
  }

  notes(notes: readonly string[]): void {
    this.#y += GAP
    for (const note of notes) {
      this.#y += LINE
      this.#parts.push(text('soft', MARGIN, this.#y, note))
    }
  }

  /** In rows as full as the picture is wide, all cards of a panel of one width. */
  #cards(items: readonly Item[]): void {
    const texts = items.flatMap(item => [item.name, ...item.lines])
    const width = Math.min(WIDEST_CARD, Math.max(NARROWEST_CARD, ...texts.map(line => widthOf(line) + 24)))
    const left = LEFT + GAP
    const columns = Math.max(1, Math.floor((WIDTH - MARGIN - left + GAP) / (width + GAP)))
    const top = this.#y
    for (let from = 0; from < items.length; from += columns) {
      const row = items.slice(from, from + columns)
      const y = this.#y + GAP / 2
      const height = LINE * Math.max(...row.map(({ lines }) => lines.length + 1)) + 12
      const last = left + (row.length - 1) * (width + GAP) + 14
      this.#parts.push(wire(`M${LEFT + 6} ${top} V${y} H${last}`))
      row.forEach((item, i) => {
        this.#card(item, { x: left + i * (width + GAP), y: y + DROP, width, height })
      })
      this.#y = y + DROP + height
    }
  }

  #card({ namespace, name, lines, via, isBad, words }: Item, place: Rectangle): void {
    const parts = [
      wire(`M${place.x + 14} ${place.y - DROP} V${place.y}`),
      text('soft', place.x + 20, place.y - 8, via),
      rect(isBad ? 'box bad' : 'box', place),
      ...[name, ...lines].map((line, i) =>
        text(i === 0 ? 'name' : '', place.x + 12, place.y + LINE * (i + 1), cut(line, place.width - 24))
      )
    ]
    this.#parts.push(card(namespace, [name, ...lines, via, ...words], parts))
  }
}

interface Rectangle {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

function rect(style: string, { x, y, width, height }: Rectangle): string {
  return `<rect class="${style}" x="${x}" y="${y}" width="${width}" height="${height}" rx="4"/>`
}

function wire(path: string): string {
  return `<path class="wire" d="${path}"/>`
}

function text(style: string, x: number, y: number, content: string): string {
  return `<text class="${style}" x="${x}" y="${y}">${escaped(content)}</text>`
}

/** What can be found and opened. @param words that it is found by; the first names it */
function card(id: string, words: readonly string[], parts: readonly string[]): string {
  const found = escaped(
    words
      .filter(word => word !== '')
      .join(' ')
      .toLowerCase()
  )
  return `<g class="card" data-namespace="${escaped(id)}" data-words="${found}">${parts.join('')}</g>`
}

function widthOf(content: string): number {
  return Math.ceil(stringWidth(visible(content)) * CHARACTER)
}

function cut(content: string, width: number): string {
  const harmless = visible(content)
  if (widthOf(harmless) <= width) return harmless
  let kept = harmless
  while (kept !== '' && widthOf(`${kept}…`) > width) kept = [...kept].slice(0, -1).join('')
  return `${kept}…`
}
