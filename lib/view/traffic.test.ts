import { assert, suite } from '../testing/suite.ts'
import { type CountersView, NO_COUNTERS } from './model.ts'
import { byNetwork, rated, type Traffic } from './traffic.ts'

const test = suite('lib/view: traffic')

function traffic(key: string, network: string, counters: Partial<CountersView>, connections = 0): Traffic {
  return { key, name: key, network, detail: 'eth0', counters: { ...NO_COUNTERS, ...counters }, connections }
}

test('rates are what came between two readings, a second', () => {
  const before = [traffic('a', 'web', { rxBytes: 1000, txPackets: 10 })]
  const after = [traffic('a', 'web', { rxBytes: 6000, txPackets: 15 })]
  const [one] = rated(before, after, 2.5)
  assert.equal([one?.rates.rxBytes, one?.rates.txPackets, one?.rates.txBytes], [2000, 2, 0])
  assert.is(one?.counters.rxBytes, 6000, 'the counters stay')
})

test('what is new, or began anew, has no rate yet', () => {
  const before = [traffic('a', 'web', { rxBytes: 9000, rxPackets: 5 })]
  const after = [traffic('a', 'web', { rxBytes: 100, rxPackets: 6 }), traffic('b', 'web', { rxBytes: 100 })]
  const [reset, fresh] = rated(before, after, 1)
  assert.equal([reset?.rates.rxBytes, reset?.rates.rxPackets, fresh?.rates.rxBytes], [0, 1, 0])
})

test('of parts that come and go, the rate is what they have added', () => {
  const part = (rxBytes: number): CountersView => ({ ...NO_COUNTERS, rxBytes })
  const port = (...parts: readonly (readonly [string, number])[]): Traffic => ({
    ...traffic('8080/tcp', 'web', { rxBytes: parts.reduce((all, [, bytes]) => all + bytes, 0) }),
    parts: new Map(parts.map(([id, bytes]) => [id, part(bytes)]))
  })
  const [one] = rated([port(['a', 1000], ['gone', 90_000])], [port(['a', 1600], ['new', 400])], 2)
  assert.is(one?.rates.rxBytes, (600 + 400) / 2)
})

test('a network is the sum of its interfaces', () => {
  const rows = byNetwork([
    traffic('a', 'web', { rxBytes: 1, txDropped: 2 }, 3),
    traffic('b', 'web', { rxBytes: 10, txDropped: 20 }, 30),
    traffic('c', '', { rxBytes: 5 })
  ])
  assert.equal(
    rows.map(one => [one.name, one.detail, one.counters.rxBytes, one.counters.txDropped, one.connections]),
    [
      ['(no record)', '1 interfaces', 5, 0, 0],
      ['web', '2 interfaces', 11, 22, 33]
    ]
  )
})

test.run()
