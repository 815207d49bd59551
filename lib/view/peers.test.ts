import { assert, suite } from '../testing/suite.ts'
import { type LinkView, NO_COUNTERS } from './model.ts'
import { Peers } from './peers.ts'
import type { ReadLink, ReadNamespace } from './read-namespace.ts'

const test = suite('lib/view: other ends')

function link(index: number, peerIndex: number, peerNumber: number | undefined, kind = 'veth'): ReadLink {
  const view: LinkView = {
    index,
    name: `l${String(index)}`,
    altNames: [],
    alias: '',
    kind,
    mac: '',
    mtu: 1500,
    isUp: true,
    state: 'up',
    master: 0,
    isIsolated: false,
    addresses: [],
    vlan: 0,
    counters: NO_COUNTERS
  }
  return { view, peerIndex, peerNumber }
}

function namespace(
  id: string,
  links: readonly ReadLink[],
  numbers: readonly (readonly [number, string])[]
): ReadNamespace {
  return { id, links, routes: [], numbers: new Map(numbers) }
}

test('a number that is known leads there', () => {
  const host = namespace('1', [link(5, 2, 0)], [[0, '7']])
  const box = namespace('7', [link(2, 5, 3)], [])
  const peers = new Peers([host, box])
  assert.equal(peers.placeOf(host, link(5, 2, 0)), { namespace: '7', index: 2 })
  assert.equal(peers.placeOf(box, link(2, 5, 3)), { namespace: '1', index: 5 }, 'the other end knows')
})

test('both ends here, and none at all', () => {
  const host = namespace('1', [link(5, 6, undefined), link(6, 5, undefined), link(7, 0, undefined, 'dummy')], [])
  const peers = new Peers([host])
  assert.equal(peers.placeOf(host, link(5, 6, undefined)), { namespace: '1', index: 6 })
  assert.is(peers.placeOf(host, link(7, 0, undefined, 'dummy')), undefined)
})

test('two pairs of the same indexes are told apart by asking', () => {
  // 7-8 and 9-10, each with index 2 at both ends: only the namespaces themselves know.
  const boxes = ['7', '8', '9', '10'].map(id => namespace(id, [link(2, 2, 0)], []))
  const pairs: Readonly<Record<string, string>> = { 7: '8', 8: '7', 9: '10', 10: '9' }
  const peers = new Peers(boxes)
  for (const { asked, about } of peers.questions()) if (pairs[asked.id] === about) asked.numbers.set(0, about)
  for (const box of boxes) {
    assert.equal(peers.placeOf(box, link(2, 2, 0)), { namespace: pairs[box.id] ?? '', index: 2 }, box.id)
  }
})

test('nobody is asked about what is known, and not more than 20,000 questions', () => {
  const known = new Peers([namespace('1', [link(5, 2, 0)], [[0, '7']]), namespace('7', [link(2, 5, 3)], [])])
  assert.equal([...known.questions()], [])
  const many = Array.from({ length: 300 }, (_none, i) => namespace(String(i), [link(2, 2, 0)], []))
  assert.is([...new Peers(many).questions()].length, 20_000)
})

test.run()
