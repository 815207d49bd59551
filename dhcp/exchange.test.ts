/** Conversations with servers in memory that are silent, contradict themselves or lie. */

import { parseJson } from '../lib/config/json.ts'
import { formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { assert, rejectsLike, suite } from '../lib/testing/suite.ts'
import { acquire, type Client, type Patience, release, renew } from './exchange.ts'
import {
  ACK,
  ANY_ADDRESS,
  CLIENT_ID,
  DISCOVER,
  type Message,
  NAK,
  OFFER,
  PARAMETER_LIST,
  RELEASE,
  REQUEST,
  REQUESTED_ADDRESS,
  SERVER_ID,
  typeOf
} from './message.ts'
import { clock, pause } from './time.ts'
import type { Destination, Reply, Wire } from './wire.ts'
import { clientIdOf, readWishes } from './wishes.ts'

const test = suite('dhcp: exchanges')

const MAC = new Uint8Array([2, 0, 0, 0, 0, 1])
const SERVER_MAC = new Uint8Array([2, 0, 0, 0, 0, 99])
const PATIENCE: Patience = { answer: 40, pause: 40, total: 300 }
const CLIENT: Client = {
  clientId: clientIdOf('c1', 'net', 'eth0'),
  wishes: readWishes(parseJson('{"provide":[{"option":"host-name","value":"box"}]}'), ''),
  broadcast: false
}

function ip(text: string): IpAddress {
  return parseAddress(text) ?? ANY_ADDRESS
}

interface Sent {
  readonly message: Message
  readonly to: Destination
}

/** A network where `server` answers each message with some, at once. */
class FakeWire implements Wire {
  readonly mac = MAC
  readonly sent: Sent[] = []
  readonly #waiting: Reply[] = []
  readonly #server: (message: Message) => readonly Partial<Message>[]

  constructor(server: (message: Message) => readonly Partial<Message>[]) {
    this.#server = server
  }

  send(message: Message, to: Destination): void {
    this.sent.push({ message, to })
    for (const reply of this.#server(message)) {
      this.#waiting.push({ message: { ...message, isReply: true, options: new Map(), ...reply }, mac: SERVER_MAC })
    }
  }

  async receive(until: number, signal: AbortSignal): Promise<Reply | undefined> {
    signal.throwIfAborted()
    const next = this.#waiting.shift()
    if (next === undefined) await pause(Math.max(0, until - clock()) + 10, signal)
    return next
  }

  close(): void {}
}

function reply(
  type: number,
  yiaddr: string,
  more: Readonly<Record<number, readonly number[]>> = {},
  server = '192.0.2.1'
) {
  const options = new Map<number, Uint8Array>([
    [53, new Uint8Array([type])],
    [SERVER_ID, ip(server).bytes],
    [1, new Uint8Array([255, 255, 255, 0])],
    [51, new Uint8Array([0, 0, 0, 100])]
  ])
  for (const [code, value] of Object.entries(more)) options.set(Number(code), new Uint8Array(value))
  return { yiaddr: ip(yiaddr), options }
}

/** One that behaves. */
function honest(message: Message) {
  return [reply(typeOf(message) === DISCOVER ? OFFER : ACK, '192.0.2.7')]
}

function run(wire: Wire, signal = new AbortController().signal, wanted?: IpAddress) {
  return acquire(wire, CLIENT, PATIENCE, signal, wanted)
}

test('DISCOVER, REQUEST: both as broadcasts without address, with client id, wishes and the offer', async () => {
  const wire = new FakeWire(honest)
  const grant = await run(wire, undefined, ip('192.0.2.9'))
  assert.is(formatAddress(grant.terms.address.address), '192.0.2.7')
  assert.equal(grant.mac, SERVER_MAC)
  assert.equal(
    wire.sent.map(({ message }) => typeOf(message)),
    [DISCOVER, REQUEST]
  )
  const [discover, request] = wire.sent
  for (const one of [discover, request]) {
    assert.is(formatAddress(one?.to.address ?? ANY_ADDRESS), '255.255.255.255')
    assert.is(formatAddress(one?.to.from ?? ip('1.1.1.1')), '0.0.0.0')
    assert.is(formatAddress(one?.message.ciaddr ?? ip('1.1.1.1')), '0.0.0.0')
    assert.equal(one?.message.options.get(CLIENT_ID), CLIENT.clientId)
    assert.equal([...(one?.message.options.get(PARAMETER_LIST) ?? [])], [1, 121, 3, 33, 6, 15, 119])
    assert.is(Buffer.from(one?.message.options.get(12) ?? []).toString(), 'box')
  }
  assert.equal(discover?.message.options.get(REQUESTED_ADDRESS), ip('192.0.2.9').bytes)
  assert.equal(request?.message.options.get(REQUESTED_ADDRESS), ip('192.0.2.7').bytes)
  assert.equal(request?.message.options.get(SERVER_ID), ip('192.0.2.1').bytes)
})

test('a silent network: asked several times, then an error that says so, in bounded time', async () => {
  const wire = new FakeWire(() => [])
  const began = Date.now()
  await rejectsLike(run(wire), {
    name: 'NoLease',
    message: /^no DHCP server answered, in \d+ s and with \d+ messages sent$/
  })
  assert.ok(Date.now() - began < 5000)
  assert.ok(wire.sent.length >= 3, `${wire.sent.length} messages`)
  assert.is(new Set(wire.sent.map(({ message }) => message.xid)).size, 1)
})

test('answers of another transaction, of another server, without type or with a senseless address are none', async () => {
  const wire = new FakeWire(message => {
    if (typeOf(message) === DISCOVER) {
      return [
        { ...reply(OFFER, '192.0.2.66'), xid: message.xid ^ 1 },
        { options: new Map([[SERVER_ID, ip('192.0.2.1').bytes]]), yiaddr: ip('192.0.2.66') },
        reply(OFFER, '0.0.0.0'),
        reply(OFFER, '255.255.255.255'),
        reply(ACK, '192.0.2.66'),
        reply(OFFER, '192.0.2.7')
      ]
    }
    return [
      reply(NAK, '0.0.0.0', {}, '192.0.2.200'),
      reply(ACK, '192.0.2.66', {}, '192.0.2.200'),
      reply(ACK, '192.0.2.7')
    ]
  })
  const grant = await run(wire)
  assert.is(formatAddress(grant.terms.address.address), '192.0.2.7')
})

test('a refusal begins anew; refused to the end, the error quotes the server', async () => {
  let refusals = 0
  const once = new FakeWire(message => {
    if (typeOf(message) === DISCOVER) return [reply(OFFER, '192.0.2.7')]
    refusals += 1
    return [refusals === 1 ? reply(NAK, '0.0.0.0') : reply(ACK, '192.0.2.7')]
  })
  await run(once)
  assert.is(once.sent.length, 4)

  const words = [...Buffer.from('no "free" leases\n')]
  const always = new FakeWire(message => [
    typeOf(message) === DISCOVER ? reply(OFFER, '192.0.2.7') : reply(NAK, '0.0.0.0', { 56: words })
  ])
  await rejectsLike(run(always), {
    name: 'NoLease',
    message: /^server 192\.0\.2\.1 refused .*: "no \\"free\\" leases\\n", in/
  })
})

test('a lease that cannot be used is named; an offer that nobody keeps, too', async () => {
  const noMask = new FakeWire(message => {
    const { yiaddr, options } = reply(typeOf(message) === DISCOVER ? OFFER : ACK, '192.0.2.7')
    options.delete(1)
    return [{ yiaddr, options }]
  })
  await rejectsLike(run(noMask), { name: 'NoLease', message: /cannot be used: read option 1 \(subnet mask\)/ })
  const unkept = new FakeWire(message => (typeOf(message) === DISCOVER ? [reply(OFFER, '192.0.2.7')] : []))
  await rejectsLike(run(unkept), {
    name: 'NoLease',
    message: /^server 192\.0\.2\.1 offered 192\.0\.2\.7 and then was silent/
  })
})

test('whoever asked and is gone ends it at once', async () => {
  const abort = new AbortController()
  const ended = run(new FakeWire(() => []), abort.signal)
  abort.abort(new Error('gone'))
  await rejectsLike(ended, { message: /^gone$/ })
})

test('renewing: from the address, to its server or to all; another address or a NAK is a refusal', async () => {
  const held = { address: ip('192.0.2.7'), server: ip('192.0.2.1'), serverMac: SERVER_MAC }
  const signal = new AbortController().signal
  const ask = (wire: Wire, everybody = false) => renew(wire, CLIENT, held, everybody, clock() + 50, signal)
  const wire = new FakeWire(honest)
  assert.type(await ask(wire), 'object')
  await ask(wire, true)
  const [own, all] = wire.sent
  assert.equal([own?.to.address, own?.to.mac, own?.to.from], [held.server, SERVER_MAC, held.address])
  assert.is(formatAddress(all?.to.address ?? ANY_ADDRESS), '255.255.255.255')
  for (const one of [own, all]) {
    assert.equal(one?.message.ciaddr, held.address)
    // RFC 2131 table 5: neither option in RENEWING and REBINDING
    assert.is(one?.message.options.has(REQUESTED_ADDRESS), false)
    assert.is(one?.message.options.has(SERVER_ID), false)
  }
  assert.is(await ask(new FakeWire(() => [reply(NAK, '0.0.0.0')])), 'refused')
  assert.is(await ask(new FakeWire(() => [reply(ACK, '192.0.2.8')])), 'refused')
  assert.is(await ask(new FakeWire(() => [reply(NAK, '0.0.0.0', {}, '192.0.2.200')])), undefined)
  assert.is(await ask(new FakeWire(() => [reply(NAK, '0.0.0.0', {}, '192.0.2.200')]), true), 'refused')
  assert.is(await ask(new FakeWire(() => [])), undefined)
})

test('RELEASE: to the server, from the address, with nothing that RFC 2131 forbids', () => {
  const wire = new FakeWire(() => [])
  release(wire, CLIENT, { address: ip('192.0.2.7'), server: ip('192.0.2.1'), serverMac: SERVER_MAC })
  const [sent] = wire.sent
  assert.equal([...(sent?.message.options.keys() ?? [])], [53, CLIENT_ID, SERVER_ID])
  assert.is(typeOf(sent?.message ?? ({} as Message)), RELEASE)
  assert.equal(sent?.message.ciaddr, ip('192.0.2.7'))
  assert.equal(sent?.to.address, ip('192.0.2.1'))
})

test.run()
