/** Conversations with servers in memory that are silent, contradict themselves or lie. */

import { parseJson } from '../lib/config/json.ts'
import { formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { assert, rejectsLike, suite } from '../lib/testing/suite.ts'
import type { Patience } from './acquisition.ts'
import { acquire, type Client, release, renew } from './exchange.ts'
import {
  ACK,
  ANY_ADDRESS,
  CLIENT_ID,
  DECLINE,
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
import { clientIdOf, readOptionsConfig } from './options-config.ts'
import type { Destination, DhcpSocket, Reply } from './socket.ts'
import { clock, pause } from './time.ts'

const test = suite('dhcp: exchanges')

const MAC = new Uint8Array([2, 0, 0, 0, 0, 1])
const SERVER_MAC = new Uint8Array([2, 0, 0, 0, 0, 99])
const PATIENCE: Patience = { answer: 40, pause: 40, total: 300 }
const CLIENT: Client = {
  clientId: clientIdOf('c1', 'net', 'eth0'),
  options: readOptionsConfig(parseJson('{"provide":[{"option":"host-name","value":"box"}]}'), ''),
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
class FakeSocket implements DhcpSocket {
  readonly mac = MAC
  readonly sent: Sent[] = []
  /** Who is said to have an address. */
  readonly holders = new Map<string, Uint8Array>()
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

  async holderOf(address: IpAddress): Promise<Uint8Array | undefined> {
    return this.holders.get(formatAddress(address))
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

function run(socket: DhcpSocket, signal = new AbortController().signal, wanted?: IpAddress) {
  return acquire({ socket, client: CLIENT, signal, log: () => undefined }, PATIENCE, wanted)
}

test('an address that somebody has is declined: to all, without a wish; the next offer is taken', async () => {
  let given = 6
  const socket = new FakeSocket(message => {
    if (typeOf(message) === DISCOVER) given += 1
    return typeOf(message) === DECLINE ? [] : [reply(typeOf(message) === DISCOVER ? OFFER : ACK, `192.0.2.${given}`)]
  })
  socket.holders.set('192.0.2.7', MAC)
  const logged: string[] = []
  const signal = new AbortController().signal
  const talk = { socket, client: CLIENT, signal, log: (message: string) => logged.push(message) }
  const grant = await acquire(talk, PATIENCE)
  assert.is(formatAddress(grant.address.address), '192.0.2.8')
  assert.equal(logged, ['server 192.0.2.1 gave 192.0.2.7, which 02:00:00:00:00:01 has already'])
  assert.equal(
    socket.sent.map(({ message }) => typeOf(message)),
    [DISCOVER, REQUEST, DECLINE, DISCOVER, REQUEST]
  )
  const decline = socket.sent[2]
  assert.is(formatAddress(decline?.to.address ?? ANY_ADDRESS), '255.255.255.255')
  assert.is(formatAddress(decline?.message.ciaddr ?? ip('1.1.1.1')), '0.0.0.0')
  // RFC 2131 table 5: the address, the server, who asks, and nothing else.
  assert.equal([...(decline?.message.options.keys() ?? [])].sort(), [REQUESTED_ADDRESS, 53, SERVER_ID, CLIENT_ID])
})

test('DISCOVER, REQUEST: both as broadcasts without address, with client id, options and the offer', async () => {
  const socket = new FakeSocket(honest)
  const grant = await run(socket, undefined, ip('192.0.2.9'))
  assert.is(formatAddress(grant.address.address), '192.0.2.7')
  assert.equal(grant.serverMac, SERVER_MAC)
  assert.equal(
    socket.sent.map(({ message }) => typeOf(message)),
    [DISCOVER, REQUEST]
  )
  const [discover, request] = socket.sent
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
  const socket = new FakeSocket(() => [])
  const began = Date.now()
  await rejectsLike(run(socket), {
    name: 'NoLease',
    message: /^no DHCP server answered, in \d+ s and with \d+ messages sent$/
  })
  assert.ok(Date.now() - began < 5000)
  assert.ok(socket.sent.length >= 3, `${socket.sent.length} messages`)
  assert.is(new Set(socket.sent.map(({ message }) => message.xid)).size, 1)
})

test('answers of another transaction, of another server, without type or with a senseless address are none', async () => {
  const socket = new FakeSocket(message => {
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
  const grant = await run(socket)
  assert.is(formatAddress(grant.address.address), '192.0.2.7')
})

test('a refusal begins anew; refused to the end, the error quotes the server', async () => {
  let refusals = 0
  const once = new FakeSocket(message => {
    if (typeOf(message) === DISCOVER) return [reply(OFFER, '192.0.2.7')]
    refusals += 1
    return [refusals === 1 ? reply(NAK, '0.0.0.0') : reply(ACK, '192.0.2.7')]
  })
  await run(once)
  assert.is(once.sent.length, 4)

  const words = [...Buffer.from('no "free" leases\n')]
  const always = new FakeSocket(message => [
    typeOf(message) === DISCOVER ? reply(OFFER, '192.0.2.7') : reply(NAK, '0.0.0.0', { 56: words })
  ])
  await rejectsLike(run(always), {
    name: 'NoLease',
    message: /^server 192\.0\.2\.1 refused .*: "no \\"free\\" leases\\n", in/
  })
})

test('a lease that cannot be used is named; an offer that nobody keeps, too', async () => {
  const noMask = new FakeSocket(message => {
    const { yiaddr, options } = reply(typeOf(message) === DISCOVER ? OFFER : ACK, '192.0.2.7')
    options.delete(1)
    return [{ yiaddr, options }]
  })
  await rejectsLike(run(noMask), { name: 'NoLease', message: /cannot be used: read option 1 \(subnet mask\)/ })
  const unkept = new FakeSocket(message => (typeOf(message) === DISCOVER ? [reply(OFFER, '192.0.2.7')] : []))
  await rejectsLike(run(unkept), {
    name: 'NoLease',
    message: /^server 192\.0\.2\.1 offered 192\.0\.2\.7 and then was silent/
  })
})

test('whoever asked and is gone ends it at once', async () => {
  const abort = new AbortController()
  const ended = run(new FakeSocket(() => []), abort.signal)
  abort.abort(new Error('gone'))
  await rejectsLike(ended, { message: /^gone$/ })
})

test('renewing: from the address, to its server or to all; another address or a NAK is a refusal', async () => {
  const held = { address: ip('192.0.2.7'), server: ip('192.0.2.1'), serverMac: SERVER_MAC }
  const signal = new AbortController().signal
  const ask = (socket: DhcpSocket, everybody = false) =>
    renew({ socket, client: CLIENT, signal, log: () => undefined }, held, everybody, clock() + 50)
  const socket = new FakeSocket(honest)
  assert.type(await ask(socket), 'object')
  await ask(socket, true)
  const [own, all] = socket.sent
  assert.equal([own?.to.address, own?.to.mac, own?.to.from], [held.server, SERVER_MAC, held.address])
  assert.is(formatAddress(all?.to.address ?? ANY_ADDRESS), '255.255.255.255')
  for (const one of [own, all]) {
    assert.equal(one?.message.ciaddr, held.address)
    // RFC 2131 table 5: neither option in RENEWING and REBINDING
    assert.is(one?.message.options.has(REQUESTED_ADDRESS), false)
    assert.is(one?.message.options.has(SERVER_ID), false)
  }
  assert.is(await ask(new FakeSocket(() => [reply(NAK, '0.0.0.0')])), 'refused')
  assert.is(await ask(new FakeSocket(() => [reply(ACK, '192.0.2.8')])), 'refused')
  assert.is(await ask(new FakeSocket(() => [reply(NAK, '0.0.0.0', {}, '192.0.2.200')])), undefined)
  assert.is(await ask(new FakeSocket(() => [reply(NAK, '0.0.0.0', {}, '192.0.2.200')]), true), 'refused')
  assert.is(await ask(new FakeSocket(() => [])), undefined)
})

test('RELEASE: to the server, from the address, with nothing that RFC 2131 forbids', () => {
  const socket = new FakeSocket(() => [])
  release(socket, CLIENT, { address: ip('192.0.2.7'), server: ip('192.0.2.1'), serverMac: SERVER_MAC })
  const [sent] = socket.sent
  assert.equal([...(sent?.message.options.keys() ?? [])], [53, CLIENT_ID, SERVER_ID])
  assert.is(typeOf(sent?.message ?? ({} as Message)), RELEASE)
  assert.equal(sent?.message.ciaddr, ip('192.0.2.7'))
  assert.equal(sent?.to.address, ip('192.0.2.1'))
  // And once more to all stations, for a server that has another MAC address by now.
  assert.equal(
    socket.sent.map(one => [...one.to.mac]),
    [[...SERVER_MAC], [255, 255, 255, 255, 255, 255]]
  )
})

test.run()
