import { assert, suite } from '../../lib/testing/suite.ts'
import { quantile, sampleOf } from './statistics.ts'

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

test.run()
