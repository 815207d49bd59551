import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts'
import { type IpRange, rangesOverlap } from '../ip/range.ts'
import { assert, suite } from '../testing/suite.ts'
import { type AddressRange, rangeSet, setSize, spanOf } from './range-set.ts'
import { findOverlaps, firstReaching, type Overlap, sortRanges } from './sorted-ranges.ts'

const test = suite('lib/ranges/sorted-ranges')

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

function ranges(...texts: readonly string[]): readonly IpRange[] {
  return texts.map(text => {
    const [first = '', last = first] = text.split('-')
    return { first: address(first), last: address(last) }
  })
}

function texts(list: readonly IpRange[]): readonly string[] {
  return list.map(({ first, last }) => `${formatAddress(first)}-${formatAddress(last)}`)
}

test('ranges that overlap become one, those of both families stay apart', () => {
  const sorted = sortRanges(ranges('10.0.0.9', 'fd00::1-fd00::5', '10.0.0.1-10.0.0.4', '10.0.0.3-10.0.0.6', '10.0.0.2'))
  assert.equal(texts(sorted.list), ['10.0.0.1-10.0.0.6', '10.0.0.9-10.0.0.9', 'fd00::1-fd00::5'])
  const places = ['10.0.0.0', '10.0.0.6', '10.0.0.7', 'fd00::', 'fd00::6'].map(text =>
    firstReaching(sorted.list, address(text))
  )
  assert.equal(places, [0, 0, 1, 2, 3])
})

test('overlaps are those that comparing all pairs finds', () => {
  // A multiplicative generator: the same "random" ranges in every run.
  let seed = 1
  const next = (below: number): number => {
    seed = (seed * 48271) % 2147483647
    return seed % below
  }
  for (let round = 0; round < 300; round += 1) {
    const list: IpRange[] = []
    for (let i = next(9); i >= 0; i -= 1) {
      const first = next(60)
      list.push(...ranges(`10.0.0.${String(first)}-10.0.0.${String(first + next(12))}`))
    }
    const expected: Overlap[] = []
    list.forEach((range, place) => {
      const earlier = list.findIndex((one, i) => i < place && rangesOverlap(one, range))
      if (earlier >= 0) expected.push({ place, earlier })
    })
    assert.equal(findOverlaps(list), expected, texts(list).join(' '))
  }
})

/** Every look at an address's family counts: comparing two takes two. */
class CountedAddress implements IpAddress {
  static looks = 0
  readonly bytes: Uint8Array

  constructor(text: string) {
    this.bytes = address(text).bytes
  }

  get family(): 4 {
    CountedAddress.looks += 1
    return 4
  }
}

/** How many looks at addresses it takes to make a set of so many subnets, to judge them, and to find an address in it. */
function looksFor(count: number): number {
  const list: AddressRange[] = []
  for (let i = 0; i < count; i += 1) {
    const network = `10.${String(i >> 8)}.${String(i & 255)}`
    list.push({
      subnet: { address: new CountedAddress(`${network}.0`), length: 24 },
      first: new CountedAddress(`${network}.1`),
      last: new CountedAddress(`${network}.254`),
      gateway: new CountedAddress(`${network}.1`)
    })
  }
  const gateways = list.flatMap(({ gateway }) => (gateway === undefined ? [] : [{ first: gateway, last: gateway }]))
  CountedAddress.looks = 0
  assert.equal(findOverlaps(list), [])
  const set = rangeSet('ranges[0]', list, sortRanges(gateways))
  const looks = CountedAddress.looks
  assert.is(setSize(set), count * 253)
  for (const { first } of list.slice(-100)) assert.is(spanOf(set, first), undefined)
  assert.is(spanOf(set, address('10.0.1.77'))?.range, 1)
  return looks
}

test('eight times as many ranges take about eight times the work', () => {
  const [few, many] = [looksFor(500), looksFor(4000)]
  assert.ok(few > 500)
  // n log n would be 10.7 times as much, comparing all with all 64 times.
  assert.ok(many < few * 16, `${String(few)} looks for 500 ranges, ${String(many)} for 4000`)
})

test.run()
