/** The order of events, from what each namespace tells of its own. */

import { assert, suite } from '../../lib/testing/suite.ts'
import { type LinkView, type NamespaceView, NO_COUNTERS } from '../../lib/view/model.ts'
import { inOrder, type Step } from './timeline.ts'
import type { Judged, Sighting } from './watch.ts'

const test = suite('cli/trace timeline')

function link(index: number, name: string, peer?: LinkView['peer'], master = 0): LinkView {
  return {
    index,
    name,
    altNames: [],
    alias: '',
    kind: 'veth',
    mac: '',
    mtu: 1500,
    isUp: true,
    state: 'up',
    master,
    isIsolated: false,
    addresses: [],
    vlan: 0,
    counters: NO_COUNTERS,
    ...(peer === undefined ? {} : { peer })
  }
}

function namespace(id: string, links: readonly LinkView[]): NamespaceView {
  const processes = { count: 1, pid: 1, command: '' }
  return {
    id,
    isHost: id === 'host',
    name: id,
    paths: [],
    processes,
    containerId: '',
    runtime: '',
    problem: '',
    links,
    routes: []
  }
}

const RED = namespace('red', [link(2, 'eth0', { namespace: 'host', index: 3 })])
const BLUE = namespace('blue', [link(2, 'eth0', { namespace: 'host', index: 4 })])
const HOST = namespace('host', [
  link(3, 'vred', { namespace: 'red', index: 2 }),
  link(4, 'vblue', { namespace: 'blue', index: 2 })
])

function seen(
  where: NamespaceView,
  direction: 'in' | 'out',
  name: string,
  role: 'request' | 'answer' = 'request'
): Sighting {
  const found = where.links.find(one => one.name === name)
  if (found === undefined) throw new Error(name)
  return { kind: 'seen', namespace: where, link: found, direction, packet: { role } as Sighting['packet'], length: 32 }
}

function rule(where: NamespaceView, chain: string, inputIndex: number, role: 'request' | 'answer' = 'request'): Judged {
  const trace = { chain, inputIndex } as Judged['trace']
  return { kind: 'judged', namespace: where, trace, packet: { role } as Judged['packet'] }
}

function names(steps: readonly Step[]): readonly string[] {
  return steps.map(
    one => `${one.namespace.id} ${one.kind === 'seen' ? `${one.direction} ${one.link.name}` : one.trace.chain}`
  )
}

test('namespaces behind each other as the packet went, rules between their interfaces', () => {
  const steps = [
    // As they come: a namespace at a time, interfaces before rules.
    ...[
      seen(HOST, 'in', 'vred'),
      seen(HOST, 'out', 'vblue'),
      seen(HOST, 'in', 'vblue', 'answer'),
      seen(HOST, 'out', 'vred', 'answer')
    ],
    ...[rule(HOST, 'prerouting', 3), rule(HOST, 'postrouting', 0), rule(HOST, 'back', 4, 'answer')],
    ...[
      seen(BLUE, 'in', 'eth0'),
      seen(BLUE, 'out', 'eth0', 'answer'),
      rule(BLUE, 'input', 2),
      rule(BLUE, 'output', 0, 'answer')
    ],
    ...[seen(RED, 'out', 'eth0'), seen(RED, 'in', 'eth0', 'answer'), rule(RED, 'output', 0)]
  ]
  assert.equal(names(inOrder('red', steps)), [
    ...['red output', 'red out eth0'],
    ...['host in vred', 'host prerouting', 'host postrouting', 'host out vblue'],
    ...['blue in eth0', 'blue input', 'blue output', 'blue out eth0'],
    ...['host in vblue', 'host back', 'host out vred'],
    'red in eth0'
  ])
})

test('a macvlan goes out over its parent, and the answer comes in by both', () => {
  const parent = namespace('host', [link(5, 'up0')])
  const child = namespace('red', [{ ...link(7, 'mv0', { namespace: 'host', index: 5 }), kind: 'macvlan' }])
  const steps = [
    ...[seen(child, 'out', 'mv0'), seen(child, 'in', 'mv0', 'answer')],
    ...[seen(parent, 'out', 'up0'), seen(parent, 'in', 'up0', 'answer')]
  ]
  assert.equal(names(inOrder('red', steps)), ['red out mv0', 'host out up0', 'host in up0', 'red in mv0'])
})

test('what never leaves, and what nobody sees', () => {
  assert.equal(names(inOrder('red', [rule(RED, 'output', 0)])), ['red output'])
  assert.equal(inOrder('red', []), [])
})

test.run()
