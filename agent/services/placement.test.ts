import { assert, suite } from '../../lib/testing/suite.ts'
import { slotsOf, turnsOf } from './placement.ts'

const test = suite('agent/services, placement')

test('turns: who stays keeps its place; holes are filled by who comes, then from the end', () => {
  assert.equal(turnsOf([], ['a', 'b', 'c'], 0), ['a', 'b', 'c'])
  assert.equal(turnsOf([], ['a', 'b', 'c'], 5), ['c', 'a', 'b'])
  assert.equal(turnsOf([], [], 5), [])
  assert.equal(turnsOf(['a', 'b', 'c'], ['a', 'b', 'c', 'd'], 1), ['a', 'b', 'c', 'd'])
  assert.equal(turnsOf(['a', 'b', 'c'], ['d', 'c', 'b'], 1), ['d', 'b', 'c'])
  assert.equal(turnsOf(['a', 'b', 'c', 'd'], ['c', 'd'], 1), ['d', 'c'])
  assert.equal(turnsOf(['a', 'b', 'c'], ['a'], 1), ['a'])
  assert.equal(turnsOf(['a', 'b'], [], 1), [])
})

function countsOf(slots: readonly string[]): readonly number[] {
  const counts = new Map<string, number>()
  for (const one of slots) counts.set(one, (counts.get(one) ?? 0) + 1)
  return [...counts.values()].sort((a, b) => a - b)
}

test('slots: as many for each, the same whatever the order, and nearly all stay when one goes', () => {
  const members = ['10.4.0.3', '10.4.0.4', '10.4.0.5', '10.4.0.6', '10.4.0.7']
  const slots = slotsOf(members)
  // 251 = 5 * 50 + 1
  assert.equal(countsOf(slots), [50, 50, 50, 50, 51])
  assert.equal(slotsOf(members.toReversed()), slots)
  const without = slotsOf(members.slice(1))
  assert.equal(countsOf(without), [62, 63, 63, 63])
  const moved = slots.filter((one, i) => one !== '10.4.0.3' && one !== without[i]).length
  assert.ok(moved < 251 / 5, `${moved} of 251 moved although their member stayed`)
  assert.equal(slotsOf([]), [])
  assert.is(slotsOf(Array.from({ length: 100 }, (_, i) => `10.4.0.${i}`)).length, 2039)
})

test.run()
