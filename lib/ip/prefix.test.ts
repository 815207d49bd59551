import { Netmask } from 'netmask'
import { assert, suite } from '../testing/suite.ts'
import { addToAddress, formatAddress, parseAddress } from './address.ts'
import {
  formatPrefix,
  hostPrefix,
  type IpPrefix,
  lastAddress,
  networkOf,
  parsePrefix,
  prefixContains,
  prefixesEqual,
  prefixesOverlap
} from './prefix.ts'

const test = suite('lib/ip/prefix')

test('parsePrefix: keeps host bits, refuses what is not a prefix', () => {
  for (const text of ['10.1.2.3/24', '0.0.0.0/0', '10.1.2.3/32', 'fd00::1/64', '::/0', 'fd00::1/128'])
    assert.is(formatPrefix(prefix(text)), text)
  const wrong = [
    '10.1.2.3',
    '10.1.2.3/',
    '/24',
    '10.1.2.3/33',
    '10.1.2.3/-1',
    '10.1.2.3/+8',
    '10.1.2.3/08',
    '10.1.2/24'
  ]
  wrong.push(
    '10.1.2.3/255.255.255.0',
    '10.1.2.3/24/24',
    'fd00::/129',
    'fd00::/ 64',
    '10.1.2.3/1e1',
    '::ffff:10.0.0.0/95'
  )
  for (const text of wrong) assert.is(parsePrefix(text), undefined, JSON.stringify(text))
  assert.is(formatPrefix(prefix('::ffff:10.0.0.0/104')), '10.0.0.0/8')
})

test('IPv4: network, last address and contains agree with netmask for every length', () => {
  for (let length = 0; length <= 32; length += 1) {
    const ours = prefix(`172.29.133.77/${length}`)
    const theirs = new Netmask(`172.29.133.77/${length}`)
    assert.is(formatAddress(networkOf(ours).address), theirs.base, `network /${length}`)
    const last = length >= 31 ? undefined : theirs.broadcast
    if (last !== undefined) assert.is(formatAddress(lastAddress(ours)), last, `last /${length}`)
    for (const probe of [
      '172.29.133.77',
      '172.29.133.78',
      '172.29.132.77',
      '172.31.0.1',
      '10.0.0.1',
      '255.255.255.255'
    ])
      assert.is(prefixContains(ours, address(probe)), theirs.contains(probe), `/${length} contains ${probe}`)
  }
  assert.is(formatAddress(lastAddress(prefix('10.0.0.2/31'))), '10.0.0.3')
})

test('IPv6: network and last address agree with netmask for every length', () => {
  for (let length = 0; length <= 128; length += 1) {
    const text = `2001:db8:a5a5:5a5a:1234:5678:9abc:def1/${length}`
    const theirs = new Netmask(text)
    assert.is(formatAddress(networkOf(prefix(text)).address), canonical(theirs.base), `network /${length}`)
    const inside = lastAddress(prefix(text))
    assert.ok(theirs.contains(formatAddress(inside)), `last /${length} is inside`)
    const outside = addToAddress(inside, 1)
    if (outside !== undefined) assert.not.ok(theirs.contains(formatAddress(outside)), `last /${length} is the last`)
  }
})

test('prefixContains and prefixesOverlap: families never mix', () => {
  assert.not.ok(prefixContains(prefix('0.0.0.0/0'), address('::1')))
  assert.not.ok(prefixContains(prefix('::/0'), address('1.2.3.4')))
  assert.not.ok(prefixesOverlap(prefix('::/0'), prefix('0.0.0.0/0')))
})

test('prefixesOverlap: either way round, host bits without effect', () => {
  const overlapping = [
    ['10.0.0.0/8', '10.5.0.9/16'],
    ['10.0.0.7/24', '10.0.0.9/24'],
    ['fd00::/64', 'fd00::1/128']
  ]
  const apart = [
    ['10.0.0.0/24', '10.0.1.0/24'],
    ['10.0.0.0/25', '10.0.0.128/25'],
    ['fd00::/64', 'fd00:0:0:1::/64']
  ]
  for (const [a = '', b = ''] of overlapping) assert.ok(both(a, b), `${a} and ${b}`)
  for (const [a = '', b = ''] of apart) assert.not.ok(both(a, b), `${a} and ${b}`)
})

test('hostPrefix and prefixesEqual', () => {
  assert.is(formatPrefix(hostPrefix(address('10.0.0.1'))), '10.0.0.1/32')
  assert.is(formatPrefix(hostPrefix(address('fd00::1'))), 'fd00::1/128')
  assert.ok(prefixesEqual(prefix('10.0.0.1/24'), prefix('10.0.0.1/24')))
  assert.not.ok(prefixesEqual(prefix('10.0.0.1/24'), prefix('10.0.0.1/25')))
  assert.not.ok(prefixesEqual(prefix('10.0.0.1/24'), prefix('10.0.0.2/24')))
})

function both(a: string, b: string): boolean {
  const one = prefixesOverlap(prefix(a), prefix(b))
  assert.is(prefixesOverlap(prefix(b), prefix(a)), one)
  return one
}

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(`not a prefix: ${text}`)
  return parsed
}

function address(text: string) {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

function canonical(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1)
}

test.run()
