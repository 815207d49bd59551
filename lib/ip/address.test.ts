import { isIP } from 'node:net'
import { assert, suite } from '../testing/suite.ts'
import {
  addressesEqual,
  addToAddress,
  compareAddresses,
  formatAddress,
  type IpAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseAddress
} from './address.ts'

const test = suite('lib/ip/address')

test('formatAddress: the examples of RFC 5952', () => {
  // Section 4 rules, left as they might be written, right as they must be.
  const examples: readonly (readonly [string, string])[] = [
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::AAAA', '2001:db8::aaaa'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['fd00:0:0:1::', 'fd00:0:0:1::']
  ]
  for (const [given, expected] of examples) assert.is(formatAddress(address(given)), expected, given)
})

test('parseAddress: the text forms of RFC 4291 section 2.2', () => {
  const same: readonly (readonly [string, string])[] = [
    ['2001:DB8:0:0:8:800:200C:417A', '2001:DB8::8:800:200C:417A'],
    ['FF01:0:0:0:0:0:0:101', 'FF01::101'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['0:0:0:0:0:0:13.1.68.3', '::13.1.68.3']
  ]
  for (const [long, short] of same) assert.ok(addressesEqual(address(long), address(short)), `${long} is ${short}`)
  assert.equal(
    [...address('2001:DB8::8:800:200C:417A').bytes],
    [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 8, 8, 0, 0x20, 0x0c, 0x41, 0x7a]
  )
})

test('parseAddress: a mapped address is the IPv4 address', () => {
  for (const text of ['::ffff:129.144.52.38', '::FFFF:8190:3426']) {
    assert.is(address(text).family, 4)
    assert.is(formatAddress(address(text)), '129.144.52.38')
  }
  const bytes = new Uint8Array(16)
  bytes.set([255, 255, 1, 2, 3, 4], 10)
  assert.is(formatAddress({ family: 6, bytes }), '::ffff:1.2.3.4', 'RFC 5952 section 5')
})

test('parseAddress: refuses what is not an address', () => {
  const wrong = [
    ...['', '.', '1', '1.2.3', '1.2.3.4.5', '256.0.0.1', '1.2.3.04', '01.2.3.4', ' 1.2.3.4', '1.2.3.4 ', '1.2.3.-4'],
    ...[
      '+1.2.3.4',
      '1.2.3.4/24',
      '0x1.2.3.4',
      '1e1.2.3.4',
      ':',
      ':::',
      ':1',
      '1:',
      '1::2::3',
      '1:::2',
      '12345::',
      'g::'
    ],
    ...['1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8::', 'fe80::1%eth0', '[::1]'],
    ...['1.2.3.4::', '::1.2.3.4:5', '1:2:3:4:5:6:7:1.2.3.4', '::1.2.3', '::01.2.3.4', '1.2.3.4::5']
  ]
  for (const text of wrong) {
    assert.is(parseAddress(text), undefined, JSON.stringify(text))
    if (text.indexOf('%') < 0) assert.is(isIP(text), 0, `Node agrees on ${JSON.stringify(text)}`)
  }
  // Node's isIP takes "::" for nothing at all; Go and we want it to stand for one group at least.
  assert.is(parseAddress('1:2:3:4::5:6:7:8'), undefined)
})

test('parse and format: agree with the URL parser on random IPv6 addresses', () => {
  const seed = Date.now()
  const random = generator(seed)
  for (let round = 0; round < 500; round += 1) {
    const bytes = new Uint8Array(16)
    for (let i = 0; i < 16; i += 2) {
      const kind = random()
      bytes[i] = kind < 0.7 ? 0 : Math.floor(random() * 256)
      bytes[i + 1] = kind < 0.5 ? 0 : Math.floor(random() * 256)
    }
    if (bytes[10] === 255) bytes[10] = 254
    const groups: string[] = []
    for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16))
    const expected = new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
    assert.is(formatAddress({ family: 6, bytes }), expected, `seed ${seed}`)
    assert.equal(address(expected).bytes, bytes, `seed ${seed}`)
  }
})

test('addToAddress: carries, borrows and ends where the family ends', () => {
  const steps: readonly (readonly [string, number, string | undefined])[] = [
    ['10.0.0.255', 1, '10.0.1.0'],
    ['10.0.1.0', -1, '10.0.0.255'],
    ['255.255.255.255', 1, undefined],
    ['0.0.0.0', -1, undefined],
    ['0.0.0.0', 4294967295, '255.255.255.255'],
    ['0.0.0.0', 4294967296, undefined],
    ['fd00::ffff:ffff', 1, 'fd00::1:0:0'],
    ['fd00::', 2 ** 53 - 1, 'fd00::1f:ffff:ffff:ffff'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 1, undefined],
    ['::', -1, undefined],
    ['1::', -1, '0:ffff:ffff:ffff:ffff:ffff:ffff:ffff']
  ]
  for (const [from, n, expected] of steps) {
    const sum = addToAddress(address(from), n)
    assert.is(sum === undefined ? undefined : formatAddress(sum), expected, `${from} + ${n}`)
  }
})

test('addToAddress: agrees with bigint arithmetic', () => {
  const seed = Date.now()
  const random = generator(seed)
  for (let round = 0; round < 500; round += 1) {
    const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256))
    const n = Math.floor((random() - 0.5) * 2 ** Math.floor(random() * 54))
    const sum = addToAddress({ family: 6, bytes }, n)
    assert.is(sum === undefined ? undefined : toBigint(sum), toBigint({ family: 6, bytes }) + BigInt(n), `seed ${seed}`)
  }
})

test('compareAddresses: orders by family, then by value', () => {
  const sorted = ['0.0.0.0', '9.255.255.255', '10.0.0.1', '10.0.0.10', '::', '::1', '1::', 'fd00::']
  const shuffled = [...sorted].reverse().map(address)
  assert.equal(shuffled.sort(compareAddresses).map(formatAddress), sorted)
})

test('kinds: the borders of each block', () => {
  const cases: readonly (readonly [(a: IpAddress) => boolean, readonly string[], readonly string[]])[] = [
    [isUnspecified, ['0.0.0.0', '::'], ['0.0.0.1', '::1', '1.0.0.0', '1::']],
    [isLoopback, ['127.0.0.0', '127.255.255.255', '::1'], ['126.255.255.255', '128.0.0.0', '::', '::2', '1::1']],
    [isMulticast, ['224.0.0.0', '239.255.255.255', 'ff00::', 'ff02::1'], ['223.255.255.255', '240.0.0.0', 'fe00::']],
    [isLinkLocal, ['169.254.0.0', '169.254.255.255', 'fe80::', 'febf::1'], ['169.253.0.0', 'fe7f::', 'fec0::']]
  ]
  for (const [is, inside, outside] of cases) {
    for (const text of inside) assert.ok(is(address(text)), `${is.name} ${text}`)
    for (const text of outside) assert.not.ok(is(address(text)), `${is.name} ${text}`)
  }
})

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

function toBigint(value: IpAddress): bigint {
  return value.bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
}

/** Numbers in [0, 1) that the seed decides. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

test.run()
