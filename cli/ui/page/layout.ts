/**
 * Where the nodes of a graph are. Each has its place for as long as it is there: what comes is put beside what it hangs on, and the
 * others make room.
 */
import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type SimulationNodeDatum
} from 'd3-force'
import { type Graph, type GraphNode, HOST, type NodeKind } from './graph-model.ts'

export interface Size {
  readonly width: number
  readonly height: number
}

export interface Place {
  readonly x: number
  readonly y: number
}

const LINE = 16

/** A card has a line for its title, those of its text, and one for its traffic. */
export function sizeOf({ kind, lines }: Pick<GraphNode, 'kind' | 'lines'>): Size {
  const rows = Math.min(lines.length, MOST_LINES[kind]) + (kind === 'container' ? 2 : 1)
  return { width: WIDTHS[kind], height: rows * LINE + 14 }
}

const WIDTHS: Readonly<Record<NodeKind, number>> = { host: 250, segment: 190, container: 170, service: 170 }
export const MOST_LINES: Readonly<Record<NodeKind, number>> = { host: 4, segment: 3, container: 4, service: 3 }

/** Cards are wider than high: forces work where they are about square. */
const FLATTENED = 0.62
const GAP = 28
const STEPS = 240
/** How far nodes that have a place may go from it. */
const GENTLY = 0.1
/** Between two cards at least. */
const SPACE = 8
const ROUNDS = 200

interface Body extends SimulationNodeDatum, Size {
  readonly key: string
  readonly radius: number
}

/** @param before places of the nodes that were there already, by key */
export function layout(graph: Graph, before: ReadonlyMap<string, Place>): ReadonlyMap<string, Place> {
  const bodies = graph.nodes.map(node => bodyOf(node, before))
  const byKey = new Map(bodies.map(body => [body.key, body]))
  putBesideNeighbours(graph, byKey)
  const links = graph.edges.flatMap(({ from, to, kind }) => {
    const [source, target] = [byKey.get(from), byKey.get(to)]
    return source === undefined || target === undefined ? [] : [{ source, target, kind }]
  })
  forceSimulation(bodies)
    .force(
      'links',
      forceLink<Body, (typeof links)[number]>(links)
        .distance(({ source, target }) => source.radius + target.radius + 30)
        .strength(({ kind }) => (kind === 'wire' ? 0.7 : 0.1))
    )
    .force('charge', forceManyBody<Body>().strength(-900).distanceMax(900))
    .force('collide', forceCollide<Body>(body => body.radius).iterations(3))
    .force('x', forceX<Body>(0).strength(0.04))
    .force('y', forceY<Body>(0).strength(0.06))
    .alpha(before.size === 0 ? 1 : GENTLY)
    .stop()
    .tick(STEPS)
  const cards = bodies.map(({ key, width, height, x = 0, y = 0 }) => ({ key, width, height, x, y: y * FLATTENED }))
  separate(cards)
  return new Map(cards.map(({ key, x, y }) => [key, { x: Math.round(x), y: Math.round(y) }]))
}

interface Card extends Size {
  readonly key: string
  x: number
  y: number
}

/** Circles keep cards apart nearly always; what is left is pushed aside, each pair along the shorter way. */
function separate(cards: readonly Card[]): void {
  for (let round = 0; round < ROUNDS; round += 1) {
    const pairs = cards.flatMap((a, i) => cards.slice(i + 1).filter(b => pushApart(a, b)))
    if (pairs.length === 0) return
  }
}

/** @returns whether one lay over the other */
function pushApart(a: Card, b: Card): boolean {
  const x = (a.width + b.width) / 2 + SPACE - Math.abs(a.x - b.x)
  const y = (a.height + b.height) / 2 + SPACE - Math.abs(a.y - b.y)
  if (x <= 0 || y <= 0) return false
  // One pixel more, so that rounding brings nothing back; the host stays in the middle.
  const part = a.key === HOST ? 0 : 0.5
  if (x < y) {
    const way = (a.x < b.x ? -1 : 1) * (x + 1)
    a.x += way * part
    b.x -= way * (1 - part)
  } else {
    const way = (a.y < b.y ? -1 : 1) * (y + 1)
    a.y += way * part
    b.y -= way * (1 - part)
  }
  return true
}

function bodyOf(node: GraphNode, before: ReadonlyMap<string, Place>): Body {
  const { width, height } = sizeOf(node)
  const radius = (Math.max(width, height / FLATTENED) + GAP) / 2
  const known = before.get(node.key)
  const fixed = node.key === HOST ? { fx: 0, fy: 0 } : {}
  return {
    key: node.key,
    width,
    height,
    radius,
    ...fixed,
    ...(known === undefined ? {} : { x: known.x, y: known.y / FLATTENED })
  }
}

/** In the order of the graph, which begins at the host: each new node turns around its first neighbour that has a place. */
function putBesideNeighbours(graph: Graph, byKey: ReadonlyMap<string, Body>): void {
  const counts = new Map<string, number>()
  for (const body of byKey.values()) {
    if (body.key === HOST || body.x !== undefined) continue
    const edges = graph.edges.filter(edge => edge.to === body.key || edge.from === body.key)
    const neighbour = edges
      .map(edge => byKey.get(edge.to === body.key ? edge.from : edge.to))
      .find(one => one?.key === HOST || one?.x !== undefined)
    const key = neighbour?.key ?? ''
    const turn = counts.get(key) ?? 0
    counts.set(key, turn + 1)
    // The golden angle: no two of them are behind each other.
    const angle = turn * Math.PI * (3 - Math.sqrt(5))
    const distance = 120 + 12 * turn
    body.x = (neighbour?.x ?? 0) + distance * Math.cos(angle)
    body.y = (neighbour?.y ?? 0) + distance * Math.sin(angle)
  }
}
