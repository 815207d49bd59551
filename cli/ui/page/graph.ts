/** The map: cards on a plane that can be moved and enlarged, wires behind them, numbers that move. */
import { select } from 'd3-selection'
import { type ZoomTransform, zoom, zoomIdentity } from 'd3-zoom'
import { byId, setText } from './dom.ts'
import { type Graph, type GraphNode, HOST } from './graph-model.ts'
import { layout, MOST_LINES, type Place, sizeOf } from './layout.ts'
import { type Rate, rateText, widthOfRate } from './rates.ts'

const MOVE_MS = 400
const MARGIN = 40
const LARGEST = 1.25

/** Rates by the keys of traffic. */
export type RateOf = (keys: readonly string[]) => Rate

export class GraphPanel {
  readonly #viewport = byId('viewport')
  readonly #plane = byId('plane')
  readonly #onChoose: (node: GraphNode) => void
  readonly #zoom = zoom<HTMLElement, unknown>().scaleExtent([0.05, 3])
  #graph: Graph = { nodes: [], edges: [] }
  /** Where everything is to be, and where it is while it moves there. */
  #places: ReadonlyMap<string, Place> = new Map()
  #shown = new Map<string, Place>()
  #shape = ''
  /** Until somebody moves the map, all of it is shown. */
  #isUntouched = true
  #frame = 0
  #fits: (node: GraphNode) => boolean = () => true

  constructor(onChoose: (node: GraphNode) => void) {
    this.#onChoose = onChoose
    this.#zoom.on('zoom', event => {
      if (event.sourceEvent !== null) this.#isUntouched = false
      this.#transform(event.transform)
    })
    select(this.#viewport).call(this.#zoom).on('dblclick.zoom', null)
    // What gets the focus out of sight is scrolled to by the browser: the map is moved instead.
    this.#viewport.addEventListener('scroll', () => this.#viewport.scrollTo(0, 0))
    this.#viewport.addEventListener('keydown', event => this.#onKey(event))
    new ResizeObserver(() => this.#isUntouched && this.fit()).observe(this.#viewport)
  }

  update(graph: Graph, rateOf: RateOf): void {
    this.#graph = graph
    const shape = JSON.stringify([graph.nodes.map(node => [node.key, sizeOf(node)]), graph.edges.map(edge => edge.key)])
    if (shape !== this.#shape) {
      this.#shape = shape
      this.#places = layout(graph, this.#places)
    }
    this.#drawCards(rateOf)
    this.#drawWires(rateOf)
    this.#move()
  }

  /** Shows the cards that fit, and all others faintly. @returns how many fit */
  find(fits: (node: GraphNode) => boolean): number {
    this.#fits = fits
    select(this.#plane)
      .selectAll<HTMLElement, GraphNode>('.card')
      .classed('missed', node => !fits(node))
    return this.#graph.nodes.filter(fits).length
  }

  chosen(key: string): void {
    select(this.#plane)
      .selectAll<HTMLElement, GraphNode>('.card')
      .classed('chosen', node => node.key === key)
  }

  focus(key: string): void {
    this.#cardOf(key)?.focus()
  }

  zoomBy(factor: number): void {
    this.#isUntouched = false
    this.#zoom.scaleBy(select(this.#viewport), factor)
  }

  fit(): void {
    const { clientWidth: width, clientHeight: height } = this.#viewport
    if (width === 0 || this.#places.size === 0) return
    const corners = this.#graph.nodes.map(node => {
      const { x, y } = this.#places.get(node.key) ?? { x: 0, y: 0 }
      const size = sizeOf(node)
      return {
        left: x - size.width / 2,
        right: x + size.width / 2,
        top: y - size.height / 2,
        bottom: y + size.height / 2
      }
    })
    const left = Math.min(...corners.map(one => one.left)) - MARGIN
    const right = Math.max(...corners.map(one => one.right)) + MARGIN
    const top = Math.min(...corners.map(one => one.top)) - MARGIN
    const bottom = Math.max(...corners.map(one => one.bottom)) + MARGIN
    const scale = Math.min(LARGEST, width / (right - left), height / (bottom - top))
    const to = zoomIdentity
      .translate(width / 2, height / 2)
      .scale(scale)
      .translate(-(left + right) / 2, -(top + bottom) / 2)
    this.#zoom.transform(select(this.#viewport), to)
    this.#isUntouched = true
  }

  #transform({ x, y, k }: ZoomTransform): void {
    this.#plane.style.transform = `translate(${String(x)}px, ${String(y)}px) scale(${String(k)})`
  }

  #drawCards(rateOf: RateOf): void {
    const cards = select(this.#plane)
      .selectAll<HTMLButtonElement, GraphNode>('.card')
      .data(this.#graph.nodes, node => node.key)
      .join(enter => {
        const made = enter.append('button').attr('type', 'button')
        made.on('click', (_event, node) => this.#onChoose(node)).on('focus', (_event, node) => this.#show(node))
        return made
      })
      .attr('class', node => `card ${node.kind}${node.isBad ? ' bad' : ''}${this.#fits(node) ? '' : ' missed'}`)
      .attr('data-key', node => node.key)
    cards.each((node, i, elements) => {
      const card = elements[i]
      if (card !== undefined) fill(card, node, rateText(node, rateOf(node.traffic)))
    })
  }

  #drawWires(rateOf: RateOf): void {
    select('#wires')
      .selectAll<SVGLineElement, Graph['edges'][number]>('line')
      .data(this.#graph.edges, edge => edge.key)
      .join('line')
      .each((edge, i, lines) => {
        const line = lines[i]
        if (line === undefined) return
        const { rx, tx } = rateOf(edge.traffic === '' ? [] : [edge.traffic])
        const flow = rx + tx === 0 ? '' : rx >= tx ? ' flows' : ' flows back'
        line.setAttribute('class', `${edge.kind}${flow}`)
        line.style.strokeWidth = String(widthOfRate(rx + tx))
      })
  }

  /** From where everything is to its place; at once where the person wants nothing to move, or nothing was there. */
  #move(): void {
    cancelAnimationFrame(this.#frame)
    const from = new Map(this.#shown)
    const isStill = from.size === 0 || matchMedia('(prefers-reduced-motion: reduce)').matches
    const began = performance.now()
    const step = (): void => {
      const part = isStill ? 1 : Math.min(1, (performance.now() - began) / MOVE_MS)
      this.#put(from, part * (2 - part))
      if (part < 1) this.#frame = requestAnimationFrame(step)
    }
    step()
    if (this.#isUntouched) this.fit()
  }

  #put(from: ReadonlyMap<string, Place>, part: number): void {
    this.#shown = new Map(
      [...this.#places].map(([key, to]) => {
        const begin = from.get(key) ?? to
        return [key, { x: begin.x + (to.x - begin.x) * part, y: begin.y + (to.y - begin.y) * part }]
      })
    )
    select(this.#plane)
      .selectAll<HTMLElement, GraphNode>('.card')
      .each((node, i, elements) => {
        const { x, y } = this.#shown.get(node.key) ?? { x: 0, y: 0 }
        const { width, height } = sizeOf(node)
        const { style } = elements[i] ?? this.#plane
        style.width = `${String(width)}px`
        style.height = `${String(height)}px`
        style.transform = `translate(${String(x - width / 2)}px, ${String(y - height / 2)}px)`
      })
    select('#wires')
      .selectAll<SVGLineElement, Graph['edges'][number]>('line')
      .attr('x1', ({ from: key }) => this.#shown.get(key)?.x ?? 0)
      .attr('y1', ({ from: key }) => this.#shown.get(key)?.y ?? 0)
      .attr('x2', ({ to: key }) => this.#shown.get(key)?.x ?? 0)
      .attr('y2', ({ to: key }) => this.#shown.get(key)?.y ?? 0)
  }

  /** Brings a card that has got the focus by a key into sight. */
  #show(node: GraphNode): void {
    const place = this.#places.get(node.key)
    const card = this.#cardOf(node.key)?.getBoundingClientRect()
    const port = this.#viewport.getBoundingClientRect()
    if (place === undefined || card === undefined) return
    if (card.left >= port.left && card.right <= port.right && card.top >= port.top && card.bottom <= port.bottom) return
    this.#isUntouched = false
    this.#zoom.translateTo(select(this.#viewport), place.x, place.y)
  }

  #cardOf(key: string): HTMLElement | undefined {
    return (
      select(this.#plane)
        .selectAll<HTMLElement, GraphNode>('.card')
        .filter(node => node.key === key)
        .node() ?? undefined
    )
  }

  #onKey(event: KeyboardEvent): void {
    const step = STEPS[event.key]
    const key = document.activeElement instanceof HTMLElement ? (document.activeElement.dataset['key'] ?? HOST) : HOST
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    const here = this.#places.get(key)
    const next = here === undefined ? undefined : nearest(this.#places, here, step)
    if (next !== undefined) this.focus(next)
  }
}

const STEPS: Readonly<Record<string, Place>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 }
}

/** The place that lies nearest in a direction: what lies aside counts as three times as far. */
function nearest(places: ReadonlyMap<string, Place>, here: Place, step: Place): string | undefined {
  let best: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const [key, { x, y }] of places) {
    const ahead = (x - here.x) * step.x + (y - here.y) * step.y
    const aside = Math.abs((x - here.x) * step.y) + Math.abs((y - here.y) * step.x)
    const far = ahead + 3 * aside
    if (ahead <= 0 || far >= least) continue
    best = key
    least = far
  }
  return best
}

/** The lines of a card; those that are there already are changed, not made anew. */
function fill(card: HTMLElement, node: GraphNode, rate: string): void {
  const lines = [node.title, ...node.lines.slice(0, MOST_LINES[node.kind]), ...(rate === '' ? [] : [rate])]
  while (card.childElementCount > lines.length) card.lastElementChild?.remove()
  lines.forEach((line, i) => {
    const span = card.children[i] ?? card.appendChild(document.createElement('span'))
    span.className = i === 0 ? 'title' : rate !== '' && i === lines.length - 1 ? 'rate' : ''
    setText(span, line)
  })
}
