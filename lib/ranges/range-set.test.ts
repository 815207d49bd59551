import { Netmask } from 'netmask'
import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts'
import { lastAddress, networkOf, parsePrefix } from '../ip/prefix.ts'
import type { IpRange } from '../ip/range.ts'
import { assert, suite } from '../testing/suite.ts'
import { type AddressRange, type RangeSet, rangeOf, rangeSet, setSize, setText, spanOf, Walk } from './range-set.ts'
import { sortRanges } from './sorted-ranges.ts'

const test = suite('lib/ranges/range-set')

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

/** `subnet first last`; the ends of the subnet when those are left out. */
function range(text: string): AddressRange {
  const [subnetText = '', first, last] = text.split(' ')
  const subnet = parsePrefix(subnetText)
  if (subnet === undefined) throw new Error(`not a prefix: ${text}`)
  return {
    subnet,
    first: first === undefined ? networkOf(subnet).address : address(first),
    last: last === undefined ? lastAddress(subnet) : address(last),
    gateway: undefined
  }
}

function cut(text: string): IpRange {
  const [first = '', last = first] = text.split('-')
  return { first: address(first), last: address(last) }
}

function makeSet(ranges: readonly string[], cuts: readonly string[] = []): RangeSet {
  return rangeSet('ranges[0]', ranges.map(range), sortRanges(cuts.map(cut)))
}

function walkAll(set: RangeSet, after?: string): readonly string[] {
  const walk = new Walk(set, after === undefined ? undefined : address(after))
  const seen: string[] = []
  for (let one = walk.next(); one !== undefined; one = walk.next()) {
    seen.push(formatAddress(one))
    if (seen.length > 5000) throw new Error('the walk does not end')
  }
  return seen
}

test('an IPv4 subnet gives exactly the hosts that netmask counts', () => {
  for (const length of [22, 24, 28, 29, 30]) {
    const text = `10.7.8.0/${length}`
    const hosts: string[] = []
    new Netmask(text).forEach(ip => {
      hosts.push(ip)
    })
    assert.equal(walkAll(makeSet([text])), hosts, text)
    assert.is(setSize(makeSet([text])), hosts.length, text)
  }
})

test('cuts: inside, over the ends, touching, nested, of the other family, everything', () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], '10.0.0.1-10.0.0.14'],
    [['10.0.0.1'], '10.0.0.2-10.0.0.14'],
    [['10.0.0.14'], '10.0.0.1-10.0.0.13'],
    [['10.0.0.5-10.0.0.6'], '10.0.0.1-10.0.0.4, 10.0.0.7-10.0.0.14'],
    [['10.0.0.7-10.0.0.8', '10.0.0.5-10.0.0.6', '10.0.0.3'], '10.0.0.1-10.0.0.2, 10.0.0.4, 10.0.0.9-10.0.0.14'],
    [['10.0.0.2-10.0.0.12', '10.0.0.5'], '10.0.0.1, 10.0.0.13-10.0.0.14'],
    [['9.0.0.0-10.0.0.12', '10.0.0.14-255.255.255.255'], '10.0.0.13'],
    [['::1-ffff::'], '10.0.0.1-10.0.0.14'],
    [['0.0.0.0-255.255.255.255'], '']
  ]
  for (const [cuts, expected] of cases) assert.is(setText(makeSet(['10.0.0.0/28'], cuts)), expected, cuts.join())
  assert.is(setText(makeSet(['ffff::/16'], ['ffff::-ffff:1::'])), 'ffff:1::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')
  assert.is(
    setText(makeSet(['10.0.0.0/24'], ['10.0.0.10', '10.0.0.20', '10.0.0.30', '10.0.0.40', '10.0.0.50'])),
    '10.0.0.1-10.0.0.9, 10.0.0.11-10.0.0.19, 10.0.0.21-10.0.0.29, 10.0.0.31-10.0.0.39 and 2 more'
  )
})

test('subnets of one and two addresses lose none', () => {
  assert.equal(walkAll(makeSet(['10.0.0.4/31'])), ['10.0.0.4', '10.0.0.5'])
  assert.equal(walkAll(makeSet(['10.0.0.4/32'])), ['10.0.0.4'])
  assert.equal(walkAll(makeSet(['fd00::4/127'])), ['fd00::4', 'fd00::5'])
  assert.equal(walkAll(makeSet(['255.255.255.255/32'])), ['255.255.255.255'])
})

test('the network and broadcast addresses are never given away, even when the range names them', () => {
  assert.is(setText(makeSet(['10.0.0.0/24 10.0.0.0 10.0.0.255'])), '10.0.0.1-10.0.0.254')
  assert.is(setText(makeSet(['fd00::/120 fd00:: fd00::ff'])), 'fd00::-fd00::ff')
})

test('Walk: begins behind the last one, goes round, sees each once', () => {
  const set = makeSet(['10.0.0.0/29', '10.0.1.0/24 10.0.1.10 10.0.1.12'], ['10.0.0.4', '10.0.1.12'])
  const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.5', '10.0.0.6', '10.0.1.10', '10.0.1.11']
  const from = (first: string) => [...all.slice(all.indexOf(first)), ...all.slice(0, all.indexOf(first))]
  const cases = [
    ['10.0.0.1', '10.0.0.2'],
    ['10.0.0.3', '10.0.0.5'],
    ['10.0.0.4', '10.0.0.5'],
    ['10.0.0.6', '10.0.1.10'],
    ['10.0.0.0', '10.0.0.1'],
    ['10.0.0.7', '10.0.1.10'],
    ['10.0.1.10', '10.0.1.11'],
    ['10.0.1.11', '10.0.0.1'],
    ['10.0.1.12', '10.0.0.1'],
    ['10.0.1.200', '10.0.0.1'],
    ['192.168.0.1', '10.0.0.1'],
    ['fd00::1', '10.0.0.1']
  ] as const
  for (const [after, first] of cases) assert.equal(walkAll(set, after), from(first), `after ${after}`)
  assert.equal(walkAll(set), all)
})

test('Walk: several ranges of one subnet, in the order written', () => {
  const set = makeSet(['10.0.0.0/24 10.0.0.20 10.0.0.21', '10.0.0.0/24 10.0.0.10 10.0.0.11'])
  assert.equal(walkAll(set), ['10.0.0.20', '10.0.0.21', '10.0.0.10', '10.0.0.11'])
  assert.equal(walkAll(set, '10.0.0.21'), ['10.0.0.10', '10.0.0.11', '10.0.0.20', '10.0.0.21'])
  assert.equal(walkAll(set, '10.0.0.11'), ['10.0.0.20', '10.0.0.21', '10.0.0.10', '10.0.0.11'])
})

test('huge ranges are neither counted nor walked through', () => {
  const set = makeSet(['fd00::/64'], ['fd00::2:0:0:0-fd00::7fff:ffff:ffff:ffff'])
  assert.is(setSize(set), Infinity)
  const walk = new Walk(set, address('fd00::1:ffff:ffff:ffff'))
  const next = walk.next()
  assert.is(next && formatAddress(next), 'fd00::8000:0:0:0')
})

test('spanOf and rangeOf: a cut address is in the range, but in no span', () => {
  const set = makeSet(['10.0.0.0/24', 'fd00::/64'], ['10.0.0.1'])
  assert.is(spanOf(set, address('10.0.0.1')), undefined)
  assert.ok(rangeOf(set, address('10.0.0.1')) !== undefined)
  assert.is(spanOf(set, address('10.0.0.2'))?.range, 0)
  assert.is(spanOf(set, address('fd00::2'))?.range, 1)
  assert.is(rangeOf(set, address('10.0.1.1')), undefined)
})

test('a set whose addresses are all cut gives nothing', () => {
  const set = makeSet(['10.0.0.0/30'], ['10.0.0.0-10.0.0.3'])
  assert.is(setSize(set), 0)
  assert.equal(walkAll(set), [])
  assert.equal(walkAll(set, '10.0.0.1'), [])
})

test.run()
