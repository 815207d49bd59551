import { assert, suite } from '../testing/suite.ts'
import { isSameTbf, limitForLatency, tbfFromOptions, tbfOptions } from './tbf.ts'

const test = suite('lib/net/tbf')

// Expected values: what `tc -d qdisc` (iproute2 6.1) shows after `tc qdisc add dev X root tbf rate R burst B latency 25ms`
// or after the reference plugin's ADD; ticks by hand from 1 tick = 64 ns.

test('limit: the burst and what the rate passes within the latency, at most what 32 bits hold', () => {
  assert.is(limitForLatency(1_000_000, 100_000, 25), 125_000)
  assert.is(limitForLatency(125_000, 536_870_911, 25), 536_874_036)
  assert.is(limitForLatency(12_500, 4_294_967_294, 25), 4_294_967_295)
})

test('kernel: the burst becomes the ticks that it lasts, as tc and the reference plugin count', () => {
  assert.equal(tbfOptions({ rate: 1_000_000, burst: 100_000, limit: 125_000 }), {
    rate: 1_000_000,
    limit: 125_000,
    buffer: 1_562_500,
    burst: undefined
  })
  // 1 Gbit/s and 123456 bytes: 987.648 us, and 987 us are 15421 ticks.
  assert.is(tbfOptions({ rate: 125_000_000, burst: 123_456, limit: 1 }).buffer, 15_421)
})

test('kernel: where microseconds are too coarse or ticks do not fit, the bytes are told too', () => {
  assert.is(tbfOptions({ rate: 1_250_000_000, burst: 1500, limit: 1 }).burst, 1500)
  const long = tbfOptions({ rate: 125_000, burst: 536_870_911, limit: 1 })
  assert.is(long.burst, 536_870_911)
  assert.ok(long.buffer < 4_294_967_296)
})

test('shown: ticks become bytes again', () => {
  assert.equal(tbfFromOptions({ rate: 1_000_000, limit: 125_000, buffer: 1_562_500 }), {
    rate: 1_000_000,
    burst: 100_000,
    limit: 125_000
  })
})

test('comparison: rounding and the cut to 32 bits are no difference, anything else is', () => {
  for (const rate of [1, 12_500, 125_000, 1_000_003, 125_000_000, 12_500_000_000]) {
    for (const burst of [1500, 100_000, 536_870_911, 4_294_967_294]) {
      const wanted = { rate, burst, limit: 9 }
      // What the kernel makes of the bytes: whole ticks of the time they last, of which it shows 32 bits.
      const ticks = Math.floor((burst * 15_625_000) / rate) % 4_294_967_296
      const shown = tbfFromOptions({ rate, limit: 9, buffer: ticks })
      assert.ok(isSameTbf(wanted, shown), `${rate} ${burst}`)
      assert.not.ok(isSameTbf({ ...wanted, rate: rate + 1 }, shown))
      assert.not.ok(isSameTbf({ ...wanted, limit: 10 }, shown))
    }
  }
  const shown = tbfFromOptions({ rate: 1_000_000, limit: 9, buffer: 1_562_500 })
  assert.not.ok(isSameTbf({ rate: 1_000_000, burst: 101_000, limit: 9 }, shown))
  assert.not.ok(isSameTbf({ rate: 1_000_000, burst: 99_000, limit: 9 }, shown))
})

test.run()
