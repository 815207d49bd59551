import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../../../lib/testing/suite.ts'
import type { View } from '../../../lib/view/model.ts'
import { type Graph, type GraphNode, graphOf, HOST, type NodeKind } from './graph-model.ts'
import { layout, type Place, sizeOf } from './layout.ts'

const test = suite('cli/ui: graph')

function node(key: string, kind: NodeKind, lines = 2): GraphNode {
  return {
    key,
    kind,
    title: key,
    lines: Array.from({ length: lines }, () => 'a line'),
    namespace: '',
    isBad: false,
    traffic: [],
    words: ''
  }
}

/** A host with bridges, and so many containers on each. */
function star(counts: readonly number[]): Graph {
  const wire = (from: string, to: string): Graph['edges'][number] => ({
    key: `${from} ${to}`,
    from,
    to,
    kind: 'wire',
    traffic: ''
  })
  const bridges = counts.map((_count, i) => `b${String(i)}`)
  const boxes = counts.flatMap((count, i) => Array.from({ length: count }, (_none, j) => `b${String(i)}.${String(j)}`))
  return {
    nodes: [
      node(HOST, 'host'),
      ...bridges.map(key => node(key, 'segment', 3)),
      ...boxes.map(key => node(key, 'container'))
    ],
    edges: [...bridges.map(key => wire(HOST, key)), ...boxes.map(key => wire(key.split('.')[0] ?? '', key))]
  }
}

/** Pairs of cards of which one lies over the other. */
function overlaps(graph: Graph, places: ReadonlyMap<string, Place>): readonly string[] {
  const cards = graph.nodes.map(one => ({ key: one.key, ...sizeOf(one), ...(places.get(one.key) ?? { x: 0, y: 0 }) }))
  return cards.flatMap((a, i) =>
    cards.slice(i + 1).flatMap(b => {
      const isApart = Math.abs(a.x - b.x) >= (a.width + b.width) / 2 || Math.abs(a.y - b.y) >= (a.height + b.height) / 2
      return isApart ? [] : [`${a.key} ${b.key}`]
    })
  )
}

test('no card lies over another, from 2 to 300 of them', () => {
  for (const counts of [[1], [3, 2], [12, 1, 5], [40, 40], [290]])
    assert.equal(overlaps(star(counts), layout(star(counts), new Map())), [], counts.join())
})

test('the same graph has the same places; what is there hardly moves when something comes', () => {
  const before = layout(star([8, 8]), new Map())
  assert.equal([...layout(star([8, 8]), new Map())], [...before])
  const after = layout(star([8, 9]), before)
  const moved = [...before].map(([key, { x, y }]) =>
    Math.hypot((after.get(key)?.x ?? 0) - x, (after.get(key)?.y ?? 0) - y)
  )
  assert.ok(Math.max(...moved) < 170, `less than a card is wide: ${String(Math.max(...moved))}`)
  assert.equal(overlaps(star([8, 9]), after), [])
})

test('the example: host, bridge, overlay, macvlan; a service; a container on two of them is one card', () => {
  const view: View = JSON.parse(
    readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'view.example.json'), 'utf8')
  )
  const { nodes, edges } = graphOf(view)
  assert.equal(
    nodes.map(one => one.kind).join(' '),
    'host segment segment segment container container container container service'
  )
  assert.is(new Set(nodes.map(one => one.key)).size, nodes.length)
  const onTwo = nodes.filter(one => edges.filter(edge => edge.kind === 'wire' && edge.to === one.key).length === 2)
  assert.is(onTwo.length, 1)
  assert.is(onTwo[0]?.traffic.length, 2)
})

test.run()
