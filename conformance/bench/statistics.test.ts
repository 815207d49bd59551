import { assert, suite } from '../../lib/testing/suite.ts'
import { estimateOf, quantile, sampleOf } from './statistics.ts'

const test = suite('conformance/bench/statistics')

test('quantile: middle of odd and even numbers of values', () => {
  assert.is(quantile([1, 2, 30], 0.5), 2)
  assert.is(quantile([1, 2, 4, 30], 0.5), 3)
  assert.is(quantile([7], 0.9), 7)
})

test('sampleOf: does not depend on order and ignores one outlier in the median', () => {
  const sample = sampleOf([100, 3, 1, 2, 4])
  assert.equal([sample.median, sample.runs], [3, 5])
  assert.ok(sample.low < 2 && sample.high > 4)
})

test("estimateOf: the ranks of statistics books' tables for the median's 95 % interval", () => {
  const oneTo = (n: number) => Array.from({ length: n }, (_none, i) => n - i)
  for (const [n, low, high] of [
    [6, 1, 6],
    [9, 2, 8],
    [10, 2, 9],
    [20, 6, 15],
    [40, 14, 27]
  ] as const) {
    const { low: seenLow, high: seenHigh } = estimateOf(oneTo(n))
    assert.equal([n, seenLow, seenHigh], [n, low, high])
  }
})

test('estimateOf: few values are their own interval', () => {
  assert.equal(estimateOf([3, 1, 2]), { median: 2, low: 1, high: 3 })
})

test.run()
