/** The codecs against a real exchange, against the RFCs' examples, and against bytes that are broken in every way. */
import { jsonText } from '../lib/config/json.ts'
import { formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { formatMac } from '../lib/ip/mac.ts'
import { formatPrefix } from '../lib/ip/prefix.ts'
import { Random } from '../lib/testing/mutation.ts'
import { assert, bytesEqual, suite, throwsLike } from '../lib/testing/suite.ts'
import { bytesOf, REFERENCE_DISCOVER, REFERENCE_REQUEST, UDHCPD_ACK, UDHCPD_OFFER } from './capture.ts'
import { grantOf, timesOf } from './grant.ts'
import {
  ACK,
  ANY_ADDRESS,
  CLASSLESS_ROUTES,
  CLIENT_ID,
  DhcpDecodeError,
  DISCOVER,
  decodeMessage,
  EVERYBODY,
  encodeMessage,
  type Message,
  OFFER,
  PARAMETER_LIST,
  REQUEST,
  typeOf
} from './message.ts'
import { classlessRoutesOf, domainOf, maskLengthOf, searchOf, staticRoutesOf } from './option-values.ts'
import { clientIdOf, type OptionsConfig } from './options-config.ts'
import { BROADCAST_MAC, checksum, decodeFrame, encodeFrame } from './udp-frame.ts'

const test = suite('dhcp: messages')

const MAC = bytesOf('723bca87d3ac')

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

/** Who asked for everything. */
function asked(priority?: number, request = [1, 121, 3, 33, 6, 15, 119]): OptionsConfig {
  return { request, provide: new Map(), priority, probe: 0 }
}

/** An acknowledgement with these options, written in hexadecimal. */
function ackWith(options: Readonly<Record<number, string>>): Message {
  return {
    isReply: true,
    xid: 1,
    seconds: 0,
    broadcast: false,
    ciaddr: ANY_ADDRESS,
    yiaddr: address('192.0.2.7'),
    chaddr: MAC,
    options: new Map(Object.entries(options).map(([code, value]) => [Number(code), bytesOf(value)]))
  }
}

function routesText(message: Message): readonly string[] {
  return [...classlessRoutesOf(message), ...staticRoutesOf(message)].map(
    ({ dst, gateway }) => `${formatPrefix(dst)} via ${formatAddress(gateway)}`
  )
}

test('a captured exchange is understood: types, addresses, client', () => {
  const read = [REFERENCE_DISCOVER, REFERENCE_REQUEST].map(text => decodeMessage(bytesOf(text).subarray(42)))
  assert.equal(read.map(typeOf), [DISCOVER, REQUEST])
  for (const message of read) {
    assert.is(message.isReply, false)
    assert.is(message.xid, 0x7b41ed10)
    bytesEqual(message.chaddr, MAC)
    bytesEqual(message.options.get(CLIENT_ID) ?? new Uint8Array(), clientIdOf('c1', 'net1', 'eth0'))
    bytesEqual(message.options.get(PARAMETER_LIST) ?? new Uint8Array(), new Uint8Array([3, 1, 42]))
  }
  const replies = [UDHCPD_OFFER, UDHCPD_ACK].map(text => decodeFrame(bytesOf(text)))
  assert.equal(
    replies.map(({ payload }) => typeOf(decodeMessage(payload))),
    [OFFER, ACK]
  )
  assert.is(formatMac(replies[1]?.fromMac ?? new Uint8Array(6)), 'b6:85:5a:56:19:e2')
  assert.is(formatAddress(replies[1]?.from ?? ANY_ADDRESS), '10.9.0.1')
})

test('a captured acknowledgement gives the result that the reference gives, and the domain with its search list', () => {
  const grant = grantOf(decodeMessage(decodeFrame(bytesOf(UDHCPD_ACK)).payload), asked(77))
  assert.is(formatPrefix(grant.address), '10.9.0.34/24')
  assert.is(formatAddress(grant.server), '10.9.0.1')
  assert.equal(grant.times, { renew: 30, rebind: 52.5, expire: 60 })
  const result = JSON.parse(jsonText(grant.result))
  assert.equal(result.ips, [{ address: '10.9.0.34/24', gateway: '10.9.0.1' }])
  assert.equal(result.routes, [
    { dst: '10.20.0.0/16', gw: '10.9.0.5', priority: 77 },
    { dst: '0.0.0.0/0', gw: '10.9.0.1', priority: 77 }
  ])
  assert.equal(result.dns, {
    nameservers: ['10.9.0.2', '10.9.0.3'],
    domain: 'example.org',
    search: ['example.org', 'lab.example.org']
  })
})

test("the reference client's frame is ours, but for identification, life time and checksums", () => {
  const captured = bytesOf(REFERENCE_DISCOVER)
  const payload = encodeMessage(decodeMessage(captured.subarray(42)))
  const frame = encodeFrame({ fromMac: MAC, toMac: BROADCAST_MAC, from: ANY_ADDRESS, to: EVERYBODY }, payload)
  bytesEqual(frame.subarray(0, 14), captured.subarray(0, 14), 'Ethernet header')
  bytesEqual(frame.subarray(26, 38), captured.subarray(26, 38), 'addresses and ports')
  // Ours is filled up to 300 bytes, the capture to 272.
  bytesEqual(payload.subarray(0, captured.length - 42), captured.subarray(42), 'message')
  assert.is(checksum(frame.subarray(14, 34)), 0)
  const pseudo = Buffer.concat([frame.subarray(26, 34), Buffer.from([0, 17]), frame.subarray(38, 40)])
  assert.is(checksum(Buffer.concat([pseudo, frame.subarray(34)])), 0)
})

test('what is cut off anywhere before its end is refused, as a frame and as a message', () => {
  const frame = bytesOf(UDHCPD_ACK)
  for (let length = 0; length < frame.length; length += 1) {
    throwsLike(() => decodeFrame(frame.subarray(0, length)), { name: 'DhcpDecodeError' })
  }
  const message = frame.subarray(42)
  for (let length = 0; length < message.length; length += 1) {
    throwsLike(() => decodeMessage(message.subarray(0, length)), { name: 'DhcpDecodeError' })
  }
})

test('bytes changed at random are a message or a DhcpDecodeError, and so is every value in it', () => {
  const random = new Random(45)
  const frame = bytesOf(UDHCPD_ACK)
  let refused = 0
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = frame.slice()
    for (let changes = 1 + random.below(6); changes > 0; changes -= 1) {
      // Most of them where they hurt.
      const at = random.below(4) === 0 ? random.below(bytes.length) : 282 + random.below(bytes.length - 282)
      bytes[at] = random.below(256)
    }
    try {
      grantOf(decodeMessage(bytes.subarray(42)), asked())
      decodeFrame(bytes)
    } catch (error) {
      refused += 1
      if (!(error instanceof DhcpDecodeError)) throw error
    }
  }
  assert.ok(refused > 1000 && refused < 20_000, `${refused} of 20000 refused`)
})

test('a long value goes into several options and comes back whole; overload reads file and sname', () => {
  const long = new Uint8Array(600).map((_, i) => i % 251)
  const message: Message = { ...ackWith({ 53: '05' }), options: new Map([[43, long]]) }
  const bytes = encodeMessage(message)
  assert.equal([bytes[240], bytes[241], bytes[497], bytes[498]], [43, 255, 43, 255])
  bytesEqual(decodeMessage(bytes).options.get(43) ?? new Uint8Array(), long)

  const overloaded = encodeMessage(ackWith({ 52: '03', 12: '6162' }))
  overloaded.set(bytesOf('0c026364ff'), 108)
  overloaded.set(bytesOf('0f026f6bff'), 44)
  const read = decodeMessage(overloaded)
  assert.is(Buffer.from(read.options.get(12) ?? []).toString(), 'abcd')
  assert.is(domainOf(read), 'ok')
})

test('an option in twenty thousand pieces comes back whole', () => {
  const head = encodeMessage(ackWith({})).slice(0, 240)
  const pieces = Array.from({ length: 20_000 }, (_, i) => [43, 1, i & 255]).flat()
  const value = decodeMessage(Uint8Array.from([...head, ...pieces, 255])).options.get(43)
  assert.equal([value?.length, value?.[0], value?.[19_999]], [20_000, 0, 19_999 & 255])
})

test('routes: the example of RFC 3442, on-link ones, what is malformed', () => {
  // RFC 3442: 0.0.0.0/0, 10.0.0.0/8, 10.0.0.0/24, 10.17.0.0/16, 10.27.129.0/24, 10.229.0.128/25, 10.198.122.47/32
  const descriptors = ['00', '080a', '180a0000', '100a11', '180a1b81', '190ae50080', '200ac67a2f']
  const value = descriptors.map(one => `${one}c0000201`).join('')
  assert.equal(routesText(ackWith({ [CLASSLESS_ROUTES]: value })), [
    '0.0.0.0/0 via 192.0.2.1',
    '10.0.0.0/8 via 192.0.2.1',
    '10.0.0.0/24 via 192.0.2.1',
    '10.17.0.0/16 via 192.0.2.1',
    '10.27.129.0/24 via 192.0.2.1',
    '10.229.0.128/25 via 192.0.2.1',
    '10.198.122.47/32 via 192.0.2.1'
  ])
  // Bits beyond the length do not count; gateway 0.0.0.0 is on the link.
  assert.equal(routesText(ackWith({ 121: '110aff0000000000' })), ['10.255.0.0/17 via 0.0.0.0'])
  for (const broken of ['21c000020100', '18', '180a0000c00002']) {
    throwsLike(() => classlessRoutesOf(ackWith({ 121: broken })), { name: 'DhcpDecodeError', message: /option 121/ })
  }
  // Option 33: networks of the old classes, hosts, and no default route.
  assert.equal(
    routesText(ackWith({ 33: '0a000000c0000201ac100000c0000201c6336400c0000201c6336405c000020100000000c0000201' })),
    [
      '10.0.0.0/8 via 192.0.2.1',
      '172.16.0.0/16 via 192.0.2.1',
      '198.51.100.0/24 via 192.0.2.1',
      '198.51.100.5/32 via 192.0.2.1'
    ]
  )
  throwsLike(() => staticRoutesOf(ackWith({ 33: '0a000000' })), { name: 'DhcpDecodeError' })
})

test('masks, times and addresses that make no sense', () => {
  assert.is(maskLengthOf(ackWith({ 1: 'fffffe00' })), 23)
  assert.is(maskLengthOf(ackWith({ 1: 'ffffffff' })), 32)
  for (const mask of ['ff00ff00', '00000000', 'ffff']) {
    throwsLike(() => maskLengthOf(ackWith({ 1: mask })), { name: 'DhcpDecodeError' })
  }
  assert.equal(timesOf(ackWith({ 51: '00000064' })), { renew: 50, rebind: 87.5, expire: 100 })
  assert.equal(timesOf(ackWith({ 51: '00000064', 58: '0000000a', 59: '00000014' })), {
    renew: 10,
    rebind: 20,
    expire: 100
  })
  // T2 before T1: neither counts.
  assert.is(timesOf(ackWith({ 51: '00000064', 58: '00000014', 59: '0000000a' })).renew, 50)
  assert.is(timesOf(ackWith({ 51: 'ffffffff' })).expire, Infinity)
  throwsLike(() => timesOf(ackWith({ 51: '00000000' })), { name: 'DhcpDecodeError' })
  const whole = { 1: 'ffffff00', 51: '00000064', 54: 'c0000201' }
  for (const yiaddr of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255']) {
    throwsLike(() => grantOf({ ...ackWith(whole), yiaddr: address(yiaddr) }, asked()), { name: 'DhcpDecodeError' })
  }
  for (const lacking of [1, 51, 54]) {
    const rest = Object.fromEntries(Object.entries(whole).filter(([code]) => Number(code) !== lacking))
    throwsLike(() => grantOf(ackWith(rest), asked()), {
      name: 'DhcpDecodeError',
      message: new RegExp(`option ${lacking}`)
    })
  }
})

test('an address that no server means to give is refused, with what it is', () => {
  const whole = { 1: 'ffffff00', 3: 'c00002fe', 51: '00000064', 54: 'c0000201' }
  const given = (yiaddr: string, more: Readonly<Record<number, string>> = {}) =>
    grantOf({ ...ackWith({ ...whole, ...more }), yiaddr: address(yiaddr) }, asked())
  assert.is(formatPrefix(given('192.0.2.7').address), '192.0.2.7/24')
  for (const [yiaddr, what, more] of [
    ['192.0.2.255', /192\.0\.2\.255\/24 is the broadcast address/, {}],
    ['192.0.2.0', /192\.0\.2\.0\/24 is that of its network/, {}],
    ['192.0.2.254', /its router's/, {}],
    ['192.0.2.1', /the server's own/, {}],
    ['192.0.2.7', /192\.0\.2\.7\/1 is in a network with more than 2\^24/, { 1: '80000000' }]
  ] as const) {
    throwsLike(() => given(yiaddr, more), { name: 'DhcpDecodeError', message: what })
  }
  // A network of two and a single host have neither.
  assert.is(formatPrefix(given('192.0.2.255', { 1: 'ffffffff' }).address), '192.0.2.255/32')
  assert.is(formatPrefix(given('192.0.2.6', { 1: 'fffffffe' }).address), '192.0.2.6/31')
})

test("a lease of a second counts as ten, and so do a server's own times", () => {
  assert.equal(timesOf(ackWith({ 51: '00000001' })), { renew: 5, rebind: 8.75, expire: 10 })
  assert.is(timesOf(ackWith({ 51: '00000064', 58: '00000001', 59: '00000002' })).renew, 50)
})

test('routes to loopback and multicast addresses are left out; 0.0.0.0 as their gateway says that they are on the link', () => {
  // RFC 3442: 127.0.0.0/8 via 192.0.2.1, 224.0.0.0/4 via 192.0.2.1, 198.51.100.0/24 on the link, default via 192.0.2.1
  const routes = '087fc0000201' + '04e0c0000201' + '18c6336400000000' + '00c0000201'
  const ack = ackWith({ 1: 'ffffff00', 51: '00000064', 54: 'c0000201', 121: routes })
  assert.equal(JSON.parse(jsonText(grantOf(ack, asked()).result)).routes, [
    { dst: '198.51.100.0/24', gw: '0.0.0.0' },
    { dst: '0.0.0.0/0', gw: '192.0.2.1' }
  ])
})

test('what was not asked for is not used: a server sends its router all the same', () => {
  const ack = ackWith({ 1: 'ffffff00', 3: 'c0000201', 6: 'c0000201', 15: '6578', 51: '00000064', 54: 'c0000201' })
  const result = JSON.parse(jsonText(grantOf(ack, asked(undefined, [1])).result))
  assert.equal([result.ips, result.routes, result.dns], [[{ address: '192.0.2.7/24' }], undefined, {}])
})

test('names are names: nothing a resolv.conf would take for more, no endless search list', () => {
  assert.is(domainOf(ackWith({ 15: Buffer.from('lab.example.org\0').toString('hex') })), 'lab.example.org')
  for (const text of ['a\nnameserver 192.0.2.66', 'a_-. b', '', '-', 'a..b', 'x'.repeat(254)]) {
    assert.is(domainOf(ackWith({ 15: Buffer.from(text).toString('hex') })), undefined, text)
  }
  // Some servers write a search list there (resolv.conf's form): the first is the domain.
  assert.is(domainOf(ackWith({ 15: Buffer.from('a.example b.example').toString('hex') })), 'a.example')
  // RFC 3397 section 2's example: eng.apple.com., marketing.apple.com. by pointer
  const example = '03656e67056170706c6503636f6d00096d61726b6574696e67c004'
  assert.equal(searchOf(ackWith({ 119: example })), ['eng.apple.com', 'marketing.apple.com'])
  for (const broken of ['c000', '0161c000', '0361', '40', 'c0', '0161c002']) {
    assert.equal(searchOf(ackWith({ 119: broken })), [], broken)
  }
})

test.run()
