/** The codecs against bytes written by hand from RFC 8415, and what is made of a server's words. */
import { formatAddress, parseAddress } from '../../lib/ip/address.ts'
import { assert, suite, throwsLike } from '../../lib/testing/suite.ts'
import { bytesOf } from '../capture.ts'
import { grantOf } from './grant.ts'
import { decodeMessage, encodeMessage, type Message, optionOf } from './message.ts'
import { decodeFrame, encodeFrame } from './udp-frame.ts'

const test = suite('dhcp, version 6: messages')

const ADDRESS = 'fd090000000000000000000000000010'

interface Reply {
  readonly t1?: string
  readonly t2?: string
  readonly preferred?: string
  readonly valid?: string
  readonly address?: string
  /** More options of the message, of the association, and of the address, in hexadecimal. */
  readonly more?: string
  readonly inAssociation?: string
  readonly inAddress?: string
}

function option(code: string, value: string): string {
  return `${code}${(value.length / 2).toString(16).padStart(4, '0')}${value}`
}

/** A REPLY of transaction 0a0b0c, from server 0001aa, for association 7. */
function reply(parts: Reply = {}): Message {
  const { t1 = '0000000a', t2 = '00000014', preferred = '0000001e', valid = '00000028', address = ADDRESS } = parts
  const leased = option('0005', address + preferred + valid + (parts.inAddress ?? ''))
  const association = option('0003', `00000007${t1}${t2}${leased}${parts.inAssociation ?? ''}`)
  return decodeMessage(bytesOf(`070a0b0c${option('0002', '0001aa')}${association}${parts.more ?? ''}`))
}

function refused(parts: Reply, message: RegExp, name = 'DhcpDecodeError'): void {
  throwsLike(() => grantOf(reply(parts), 7), { name, message })
}

test('a message: header, options in their order, and the same bytes again', () => {
  const text = `010a0b0c${option('0001', '0004aabb')}${option('0008', '0000')}${option('000e', '')}`
  const message = decodeMessage(bytesOf(text))
  assert.is(message.type, 1)
  assert.is(message.xid, 0x0a0b0c)
  assert.equal([...(optionOf(message.options, 1) ?? [])], [0, 4, 0xaa, 0xbb])
  assert.is(optionOf(message.options, 14)?.length, 0)
  assert.is(Buffer.from(encodeMessage(message)).toString('hex'), text)
  const whole = bytesOf(text)
  for (const length of [0, 3, 5, 7, 9, 11]) {
    throwsLike(() => decodeMessage(whole.subarray(0, length)), { name: 'DhcpDecodeError' })
  }
})

test('a grant: a single address, times, name servers and search list', () => {
  const dns = option('0017', `fd09${'00'.repeat(13)}01fe80${'00'.repeat(13)}01`)
  const search = option('0018', '076578616d706c65036f726700')
  const { address, server, times, dns: names } = grantOf(reply({ more: dns + search }), 7)
  assert.is(`${formatAddress(address.address)}/${address.length}`, 'fd09::10/128')
  assert.equal([...server], [0, 1, 0xaa])
  assert.equal(times, { renew: 10, rebind: 20, expire: 40 })
  // A link-local server would need to say of which link.
  assert.equal(names, { nameservers: ['fd09::1'], search: ['example.org'], options: [] })
})

test("times: T1 and T2 of 0 are the client's to choose; all ones are for ever; senseless ones are made sensible", () => {
  const times = (parts: Reply) => grantOf(reply(parts), 7).times
  assert.equal(times({ t1: '00000000', t2: '00000000', preferred: '00000064', valid: '000000c8' }), {
    renew: 50,
    rebind: 80,
    expire: 200
  })
  const forever = { t1: 'ffffffff', t2: 'ffffffff', preferred: 'ffffffff', valid: 'ffffffff' }
  assert.equal(times(forever), { renew: Infinity, rebind: Infinity, expire: Infinity })
  assert.equal(times({ ...forever, t1: '00000000', t2: '00000000' }), {
    renew: Infinity,
    rebind: Infinity,
    expire: Infinity
  })
  // A second of lifetime: renewed all the time.
  assert.equal(times({ t1: '00000000', t2: '00000000', preferred: '00000001', valid: '00000001' }), {
    renew: 5,
    rebind: 8,
    expire: 10
  })
  // T2 after the end.
  assert.equal(times({ t2: '000000ff' }), { renew: 15, rebind: 24, expire: 40 })
})

test('refused: a status anywhere, no usable address, times that contradict each other', () => {
  const status = option('000d', '000266756c6c')
  for (const parts of [{ more: status }, { inAssociation: status }, { inAddress: status }]) {
    refused(parts, /^it refuses with status 2: "full"$/, 'Refusal')
  }
  refused({ valid: '00000000', preferred: '00000000' }, /^fd09::10 is not to be used any more$/, 'Refusal')
  refused({ preferred: '00000029' }, /preferred for longer than it is valid/)
  refused({ t1: '00000015' }, /read option 3 \(IA_NA\): the server does not send it/)
  for (const strange of [`ff02${'00'.repeat(14)}`, `fe80${'00'.repeat(14)}`, '00'.repeat(16), `${'00'.repeat(15)}01`]) {
    refused({ address: strange }, /is no host's$/)
  }
  throwsLike(() => grantOf(reply(), 8), { message: /option 3/ })
  throwsLike(() => grantOf(reply(), 7, parseAddress('fd09::11')), { message: /there is no address to use/ })
  throwsLike(() => grantOf(reply({ more: option('0017', '00') }), 7), {
    message: /read option 23: it must hold a list/
  })
  throwsLike(() => grantOf(decodeMessage(bytesOf('070a0b0c000300020000')), 7), { message: /read option 3/ })
})

test('a frame: to all servers of the link, with a right checksum; only datagrams for a client are read', () => {
  const from = parseAddress('fe80::1')
  if (from === undefined) throw new Error('fe80::1')
  const frame = encodeFrame(bytesOf('020000000001'), from, bytesOf('aabb'))
  // The checksum by hand: fe80+1 + ff02+1+2 + 000a + 0011 + 0222+0223+000a + aabb = 2acab; acab+2 = acad, inverted 5352
  assert.is(
    Buffer.from(frame).toString('hex'),
    `33330001000202000000000186dd60000000000a1101fe80${'00'.repeat(13)}01ff02${'00'.repeat(11)}01000202220223000a5352aabb`
  )
  throwsLike(() => decodeFrame(frame), { message: /not for a DHCPv6 client/ })
  const answer = Uint8Array.from(frame)
  answer.set([0x02, 0x23, 0x02, 0x22], 54)
  assert.equal([...decodeFrame(answer)], [0xaa, 0xbb])
  answer[59] = 0x0b
  throwsLike(() => decodeFrame(answer), { message: /lengths do not fit/ })
  throwsLike(() => decodeFrame(frame.subarray(0, 61)), { message: /too short/ })
})

test.run()
