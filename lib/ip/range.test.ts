import { Netmask } from 'netmask'
import { assert, suite } from '../testing/suite.ts'
import { parseAddress } from './address.ts'
import { type IpRange, rangeContains, rangeSize, rangesOverlap } from './range.ts'

const test = suite('lib/ip/range')

test('rangeSize: agrees with netmask for whole IPv4 blocks', () => {
  for (let length = 1; length <= 30; length += 1) {
    const block = new Netmask(`10.77.0.0/${length}`)
    assert.is(rangeSize(range(block.base, block.broadcast ?? '')), block.size, `/${length}`)
  }
})

test('rangeSize: exact up to 2^53, Infinity above, 0 when reversed or mixed', () => {
  assert.is(rangeSize(range('10.0.0.1', '10.0.0.1')), 1)
  assert.is(rangeSize(range('10.0.0.254', '10.0.2.3')), 262)
  assert.is(rangeSize(range('0.0.0.0', '255.255.255.255')), 2 ** 32)
  assert.is(rangeSize(range('fd00::1', 'fd00::20:0:0:0')), 2 ** 53)
  assert.is(rangeSize(range('fd00::', 'fd00::20:0:0:0')), Infinity)
  assert.is(rangeSize(range('::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')), Infinity)
  assert.is(rangeSize(range('10.0.0.2', '10.0.0.1')), 0)
  assert.is(rangeSize(range('10.0.0.2', 'fd00::1')), 0)
})

test('rangeContains: both ends included, other family never', () => {
  const some = range('10.0.0.5', '10.0.1.5')
  for (const text of ['10.0.0.5', '10.0.0.255', '10.0.1.5']) assert.ok(rangeContains(some, address(text)), text)
  for (const text of ['10.0.0.4', '10.0.1.6', '::a00:5']) assert.not.ok(rangeContains(some, address(text)), text)
})

test('rangesOverlap: one shared address is enough', () => {
  assert.ok(rangesOverlap(range('10.0.0.1', '10.0.0.5'), range('10.0.0.5', '10.0.0.9')))
  assert.ok(rangesOverlap(range('10.0.0.1', '10.0.0.9'), range('10.0.0.3', '10.0.0.4')))
  assert.not.ok(rangesOverlap(range('10.0.0.1', '10.0.0.5'), range('10.0.0.6', '10.0.0.9')))
  assert.not.ok(rangesOverlap(range('0.0.0.0', '255.255.255.255'), range('::', '::ffff')))
})

function range(first: string, last: string): IpRange {
  return { first: address(first), last: address(last) }
}

function address(text: string) {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

test.run()
