/** Probes and what is recognised: bytes worked out by hand from the RFCs, and packets that end anywhere. */
import { parseAddress } from '../../lib/ip/address.ts'
import { assert, bytesEqual, suite } from '../../lib/testing/suite.ts'
import { buildProbe, type Probe } from './probe.ts'
import { recognise } from './recognise.ts'

const test = suite('cli/trace packets')

function address(text: string): Probe['source'] {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

const PING: Probe = {
  protocol: 'icmp',
  source: address('10.0.0.1'),
  destination: address('10.0.0.2'),
  sourcePort: 0x1234,
  port: 0,
  token: 0xdeadbeef,
  id: 0x0101,
  size: 0
}
const SYN: Probe = { ...PING, protocol: 'tcp', port: 80 }
const DATAGRAM: Probe = { ...PING, protocol: 'udp', port: 53 }
const PING6: Probe = { ...PING, source: address('fd00::1'), destination: address('fd00::2') }

test('probes are what the RFCs say, with their sums', () => {
  // 4500+0020+0101+4000+4001+0a00+0001+0a00+0002 = 0xda25; of ICMP 0800+1234+0001+dead+beef = 0x1b7d1, 0xb7d2
  bytesEqual(buildProbe(PING), hex('45000020 01014000 400125da 0a000001 0a000002 0800482d 12340001 deadbeef'))
  // pseudo header 0a00+0001+0a00+0002+0006+0014 = 0x141d; +1234+0050+dead+beef+5002+faf0 = 0x30f2f, 0x0f32
  bytesEqual(
    buildProbe(SYN),
    hex('45000028 01014000 400625cd 0a000001 0a000002 12340050 deadbeef 00000000 5002faf0 f0cd0000')
  )
  // 0a00+0001+0a00+0002+0011+000c = 0x1420; +1234+0035+000c+dead+beef = 0x1c431, 0xc432
  bytesEqual(buildProbe(DATAGRAM), hex('45000020 01014000 401125ca 0a000001 0a000002 12340035 000c3bcd deadbeef'))
  // fd00+0001+fd00+0002+000c+003a = 0x1fa49; +8000+1234+0001+dead+beef = 0x42a1a, 0x2a1e
  const addresses = 'fd000000000000000000000000000001 fd000000000000000000000000000002'
  bytesEqual(buildProbe(PING6), hex(`60000101 000c3a40 ${addresses} 8000d5e1 12340001 deadbeef`))
})

test('a probe is as large as it should be', () => {
  assert.is(buildProbe({ ...SYN, size: 1500 }).length, 1500)
  assert.is(buildProbe({ ...PING6, size: 1280 }).length, 1280)
})

const HEADER = '45000028 00004000 40060000 0a000002 0a000001'

test('answers: SYN and ACK, RST with ACK, of another connection', () => {
  const answer = recognise(SYN, hex(`${HEADER} 00501234 11111111 deadbef0 5012faf0 00000000`))
  assert.equal(
    [answer?.role, answer?.isReset, answer?.sourcePort, answer?.destinationPort],
    ['answer', false, 80, 0x1234]
  )
  const refused = recognise(SYN, hex(`${HEADER} 00501234 00000000 deadbef0 50140000 00000000`))
  assert.equal([refused?.role, refused?.isReset], ['answer', true])
  assert.is(recognise(SYN, hex(`${HEADER} 00501234 11111111 deadbef1 5012faf0 00000000`)), undefined)
})

test('the probe itself, whatever was translated', () => {
  const translated = recognise(
    SYN,
    hex('45000028 01014000 3f060000 c0000201 0a000009 99991f90 deadbeef 00000000 5002faf0 00000000')
  )
  assert.equal([translated?.role, translated?.ttl, translated?.destinationPort], ['request', 63, 8080])
  const pong = recognise(PING, hex('45000020 77770000 40010000 0a000002 0a000001 00000000 12340001 deadbeef'))
  assert.is(pong?.role, 'answer')
  const reply = recognise(DATAGRAM, hex('4500001d 77770000 40110000 0a000002 0a000001 00351234 00090000 41'))
  assert.is(reply?.role, 'answer')
})

test('errors quote what they are about', () => {
  const quoted = '450005dc 01014000 40060000 0a000001 0a000002 12340050 deadbeef'
  const outer = '45000038 00000000 40010000 0a0000fe 0a000001'
  const tooBig = recognise(SYN, hex(`${outer} 03040000 00000578 ${quoted}`))
  assert.equal([tooBig?.role, tooBig?.error], ['error', { type: 3, code: 4, mtu: 1400 }])
  const other = quoted.replace('01014000', '01024000')
  assert.is(recognise(SYN, hex(`${outer} 03040000 00000578 ${other}`)), undefined)
})

test('questions for neighbours: of ARP and of neighbour discovery, as far as a trace shows them', () => {
  const arp = hex('00010800 06040001 020000000001 0a000001 000000000000 0a000002')
  assert.is(recognise(PING, arp)?.role, 'question')
  assert.is(recognise({ ...PING, source: address('10.9.9.1'), destination: address('10.9.9.2') }, arp), undefined)
  const solicitation = 'fd000000000000000000000000000001 ff0200000000000000000001ff000002 87000000 00000000'
  const header = '60000000 00203aff'
  assert.is(recognise(PING6, hex(`${header} ${solicitation} fd0000000000000000000000`))?.role, 'question')
  assert.is(recognise(PING6, hex(`${header} ${solicitation} fd1100000000000000000000`)), undefined)
})

test('bytes that end anywhere are recognised or not, and nothing is thrown', () => {
  for (const probe of [PING, SYN, DATAGRAM, PING6]) {
    const whole = buildProbe(probe)
    assert.is(recognise(probe, whole)?.role, 'request')
    for (let length = 0; length < whole.length; length += 1) recognise(probe, whole.subarray(0, length))
  }
})

test.run()
