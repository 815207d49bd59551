import { assert, suite } from '../testing/suite.ts'
import { type LinkView, type NamespaceView, NO_COUNTERS, type View } from './model.ts'
import { segmentsOf } from './segments.ts'

const test = suite('lib/view: segments')

function link(index: number, name: string, more: Partial<LinkView> = {}): LinkView {
  return {
    index,
    name,
    altNames: [],
    alias: '',
    kind: '',
    mac: '',
    mtu: 1500,
    isUp: true,
    state: 'up',
    master: 0,
    isIsolated: false,
    addresses: [],
    vlan: 0,
    counters: NO_COUNTERS,
    ...more
  }
}

function namespace(id: string, links: readonly LinkView[]): NamespaceView {
  return {
    id,
    isHost: id === '1',
    name: `n${id}`,
    paths: [],
    processes: { count: 1, pid: Number(id), command: 'sleep' },
    containerId: '',
    runtime: '',
    problem: '',
    links,
    routes: []
  }
}

function view(namespaces: readonly NamespaceView[]): View {
  return { version: 1, host: 'h', readAt: '2026-01-01T00:00:00Z', namespaces, networks: [], services: [], problems: [] }
}

/** `kind link: namespace.interface via end` */
function told(namespaces: readonly NamespaceView[]): readonly string[] {
  return segmentsOf(view(namespaces)).segments.map(({ kind, namespace: inside, link: own, members, ports }) => {
    const texts = members.map(
      one => `${one.namespace.name}.${one.link.name}${one.via === undefined ? '' : ` via ${one.via.name}`}`
    )
    const others = ports.length === 0 ? '' : ` + ${ports.map(port => port.name).join(' ')}`
    return `${inside.name} ${kind} ${own?.name ?? '-'}: ${texts.join(', ')}${others}`
  })
}

const veth = (namespaceId: string, index: number, master = 0): Partial<LinkView> => ({
  kind: 'veth',
  peer: { namespace: namespaceId, index },
  master
})

test('a bridge with containers and an uplink', () => {
  const host = namespace('1', [
    link(1, 'lo'),
    link(2, 'eth0', { master: 3 }),
    link(3, 'br0', { kind: 'bridge' }),
    link(4, 'v4', veth('7', 2, 3)),
    link(5, 'v5', veth('6', 2, 3))
  ])
  const boxes = ['6', '7'].map((id, i) => namespace(id, [link(2, 'eth0', veth('1', 5 - i))]))
  assert.equal(told([host, ...boxes]), ['n1 bridge br0: n6.eth0 via v5, n7.eth0 via v4 + eth0'])
})

test('links over one parent, each kind by itself', () => {
  const peer = { namespace: '1', index: 2 }
  const boxes = [
    namespace('6', [link(9, 'eth0', { kind: 'macvlan', peer })]),
    namespace('7', [link(9, 'eth0', { kind: 'ipvlan', peer }), link(10, 'eth1', { kind: 'macvlan', peer })])
  ]
  assert.equal(told([namespace('1', [link(2, 'up0')]), ...boxes]), [
    'n1 ipvlan up0: n7.eth0',
    'n1 macvlan up0: n6.eth0, n7.eth1'
  ])
})

test('a wire is drawn once, wherever its ends are', () => {
  const host = namespace('1', [link(4, 'v4', veth('9', 2))])
  const first = namespace('9', [link(2, 'eth0', veth('1', 4)), link(3, 'side', veth('8', 3))])
  const second = namespace('8', [link(3, 'side', veth('9', 3))])
  assert.equal(told([host, first, second]), ['n1 wire -: n9.eth0 via v4', 'n8 wire -: n9.side via side'])
})

test('a bridge inside a container, whose own containers are reached over it', () => {
  const host = namespace('1', [link(4, 'v4', veth('5', 2))])
  const outer = namespace('5', [
    link(2, 'eth0', veth('1', 4)),
    link(3, 'docker0', { kind: 'bridge' }),
    link(6, 'v6', veth('4', 2, 3))
  ])
  const inner = namespace('4', [link(2, 'eth0', veth('5', 6))])
  assert.equal(told([host, outer, inner]), ['n1 wire -: n5.eth0 via v4', 'n5 bridge docker0: n4.eth0 via v6'])
})

test('what no wire leads to is apart; a moved device that records know is not', () => {
  const owner = { network: 'sriov', containerId: 'c1', ifName: 'net1' }
  const namespaces = [
    namespace('1', [link(1, 'lo')]),
    namespace('6', [link(1, 'lo')]),
    namespace('7', [link(1, 'lo'), link(2, 'net1', { owner })])
  ]
  assert.equal(told(namespaces), ['n1 device -: n7.net1'])
  assert.equal(
    segmentsOf(view(namespaces)).apart.map(one => one.name),
    ['n6']
  )
})

test.run()
