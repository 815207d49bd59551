/** Conversations with DHCPv6 servers in memory that are silent, contradict themselves or lie. */
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { assert, rejectsLike, suite } from '../../lib/testing/suite.ts'
import type { Patience } from '../acquisition.ts'
import { clock, pause } from '../time.ts'
import { acquire6, type Conversation6, client6Of, release6, renew6 } from './exchange.ts'
import {
  ADVERTISE,
  CLIENT_ID,
  DECLINE,
  decodeAddress,
  decodeAssociation,
  ELAPSED_TIME,
  encodeAddress,
  encodeAssociation,
  FQDN,
  IA_ADDRESS,
  IA_NA,
  type Message,
  NO_BINDING,
  optionOf,
  PREFERENCE,
  RAPID_COMMIT,
  REBIND,
  RELEASE,
  RENEW,
  REPLY,
  REQUEST,
  REQUESTED,
  SERVER_ID,
  SOLICIT,
  STATUS
} from './message.ts'
import type { DhcpSocket6 } from './socket.ts'

const test = suite('dhcp, version 6: exchanges')

const PATIENCE: Patience = { answer: 40, pause: 40, total: 300 }
const CLIENT = client6Of('c1/net/eth0', 'box', 300)
const SERVER = new Uint8Array([0, 1, 1])
const OTHER = new Uint8Array([0, 1, 2])

function ip(text: string): IpAddress {
  return parseAddress(text) ?? { family: 6, bytes: new Uint8Array(16) }
}

interface Answer {
  readonly type: number
  readonly address?: string
  readonly server?: Uint8Array
  readonly preference?: number
  readonly status?: number
  readonly isRapid?: boolean
  readonly xid?: number
}

function messageOf(answer: Answer, xid: number): Message {
  const { address = '', server = SERVER, preference, status } = answer
  const leased = encodeAddress({ address: ip(address), preferred: 60, valid: 100, options: [] })
  const association = { iaid: CLIENT.iaid, t1: 0, t2: 0 }
  return {
    type: answer.type,
    xid: answer.xid ?? xid,
    options: [
      [CLIENT_ID, CLIENT.duid],
      [SERVER_ID, server],
      [IA_NA, encodeAssociation({ ...association, options: address === '' ? [] : [[IA_ADDRESS, leased]] })],
      ...(preference === undefined ? [] : ([[PREFERENCE, new Uint8Array([preference])]] as const)),
      ...(status === undefined ? [] : ([[STATUS, new Uint8Array([0, status])]] as const)),
      ...(answer.isRapid === true ? ([[RAPID_COMMIT, new Uint8Array()]] as const) : [])
    ]
  }
}

/** A network where `server` answers each message with some, at once. */
class FakeSocket implements DhcpSocket6 {
  readonly sent: Message[] = []
  /** Who is said to have an address. */
  readonly holders = new Map<string, Uint8Array>()
  readonly #waiting: Message[] = []
  readonly #server: (message: Message) => readonly Answer[]

  constructor(server: (message: Message) => readonly Answer[]) {
    this.#server = server
  }

  get types(): readonly number[] {
    return this.sent.map(({ type }) => type)
  }

  send(message: Message): void {
    this.sent.push(message)
    for (const answer of this.#server(message)) this.#waiting.push(messageOf(answer, message.xid))
  }

  async receive(until: number, signal: AbortSignal): Promise<Message | undefined> {
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

function talk(socket: FakeSocket, logged: string[] = []): Conversation6 {
  return { socket, client: CLIENT, signal: new AbortController().signal, log: message => logged.push(message) }
}

/** One that behaves. */
function honest({ type }: Message): readonly Answer[] {
  return [{ type: type === SOLICIT ? ADVERTISE : REPLY, address: 'fd09::7' }]
}

async function addressOf(server: (message: Message) => readonly Answer[]): Promise<string> {
  const { address } = await acquire6(talk(new FakeSocket(server)), PATIENCE)
  return formatAddress(address.address)
}

test('SOLICIT, REQUEST: who asks, the association, the wish; the request names server and address', async () => {
  const socket = new FakeSocket(honest)
  const grant = await acquire6(talk(socket), PATIENCE, ip('fd09::9'))
  assert.is(formatAddress(grant.address.address), 'fd09::7')
  assert.equal(grant.server, SERVER)
  assert.equal(socket.types, [SOLICIT, REQUEST])
  const [solicit, request] = socket.sent
  assert.equal(
    solicit?.options.map(([code]) => code),
    [CLIENT_ID, ELAPSED_TIME, IA_NA, RAPID_COMMIT, REQUESTED, FQDN]
  )
  assert.equal([...(optionOf(solicit?.options ?? [], FQDN) ?? [])], [1, 3, 98, 111, 120])
  assert.is(wished(solicit), 'fd09::9')
  assert.is(wished(request), 'fd09::7')
  assert.equal(optionOf(request?.options ?? [], SERVER_ID), SERVER)
  assert.not.equal(solicit?.xid, request?.xid)
})

function wished(message: Message | undefined): string {
  const association = decodeAssociation(optionOf(message?.options ?? [], IA_NA) ?? new Uint8Array())
  return formatAddress(decodeAddress(optionOf(association.options, IA_ADDRESS) ?? new Uint8Array()).address)
}

test('of several offers the highest preference counts; 255 at once; who has none to give is passed over', async () => {
  const offers =
    (...all: readonly Partial<Answer>[]) =>
    (message: Message) =>
      message.type === SOLICIT ? all.map(one => ({ type: ADVERTISE, ...one })) : answerTo(message)
  /** The server that is named, with what it is asked for. */
  const answerTo = (message: Message): readonly Answer[] => [
    { type: REPLY, address: wished(message), server: optionOf(message.options, SERVER_ID) ?? SERVER }
  ]
  const one = { address: 'fd09::1:1', preference: 1 }
  assert.is(await addressOf(offers(one, { address: 'fd09::2:2', preference: 2, server: OTHER }, one)), 'fd09::2:2')
  assert.is(await addressOf(offers({ status: 2 }, one)), 'fd09::1:1')
  assert.is(await addressOf(offers({}, one)), 'fd09::1:1')
  assert.is(await addressOf(offers({ address: 'fd09::5', xid: 1 }, one)), 'fd09::1:1')
})

test('a server that commits at once; a REPLY that does not say so is none', async () => {
  const rapid = new FakeSocket(() => [{ type: REPLY, address: 'fd09::7', isRapid: true }])
  await acquire6(talk(rapid), PATIENCE)
  assert.equal(rapid.types, [SOLICIT])
  const sly = acquire6(talk(new FakeSocket(() => [{ type: REPLY, address: 'fd09::7' }])), PATIENCE)
  await rejectsLike(sly, { name: 'NoLease', message: /no DHCPv6 server answered, in \d+ s and with \d+ messages sent/ })
})

test('refusals are told: in the offer, in the answer, by silence', async () => {
  const reasonOf = async (server: (message: Message) => readonly Answer[], message: RegExp): Promise<void> => {
    await rejectsLike(acquire6(talk(new FakeSocket(server)), PATIENCE), { name: 'NoLease', message })
  }
  await reasonOf(() => [{ type: ADVERTISE, status: 2 }], /^server 000101: it refuses with status 2, in/)
  await reasonOf(
    ({ type }) => [type === SOLICIT ? { type: ADVERTISE, address: 'fd09::7' } : { type: REPLY, status: 4 }],
    /^server 000101: it refuses with status 4, in/
  )
  await reasonOf(
    ({ type }) => (type === SOLICIT ? [{ type: ADVERTISE, address: 'fd09::7' }] : []),
    /^server 000101 offered fd09::7 and then was silent, in/
  )
})

test('an address that somebody has is declined, and the server told so until it says that it heard', async () => {
  let given = 6
  const socket = new FakeSocket(message => {
    if (message.type === SOLICIT) given += 1
    return [{ type: message.type === SOLICIT ? ADVERTISE : REPLY, address: `fd09::${given}` }]
  })
  socket.holders.set('fd09::7', new Uint8Array([2, 0, 0, 0, 0, 9]))
  const logged: string[] = []
  const grant = await acquire6(talk(socket, logged), PATIENCE)
  assert.is(formatAddress(grant.address.address), 'fd09::8')
  assert.equal(logged, ['server 000101 gave fd09::7, which 02:00:00:00:00:09 has already'])
  assert.equal(socket.types, [SOLICIT, REQUEST, DECLINE, SOLICIT, REQUEST])
  const decline = socket.sent[2]
  assert.is(wished(decline), 'fd09::7')
  assert.equal(
    decline?.options.map(([code]) => code),
    [CLIENT_ID, ELAPSED_TIME, IA_NA, SERVER_ID]
  )
})

const HELD = { address: ip('fd09::7'), server: SERVER }

async function renewed(server: (message: Message) => readonly Answer[], everybody = false): Promise<string> {
  const outcome = await renew6(talk(new FakeSocket(server)), HELD, everybody, clock() + 60)
  return outcome === undefined || outcome === 'refused' ? String(outcome) : formatAddress(outcome.address.address)
}

test('RENEW is for its server, REBIND for any; a server that forgot the lease is asked for it anew', async () => {
  const socket = new FakeSocket(honest)
  await renew6(talk(socket), HELD, false, clock() + 60)
  await renew6(talk(socket), HELD, true, clock() + 60)
  assert.equal(socket.types, [RENEW, REBIND])
  assert.equal(
    socket.sent.map(({ options }) => optionOf(options, SERVER_ID)),
    [SERVER, undefined]
  )
  const other = { type: REPLY, address: 'fd09::7', server: OTHER }
  assert.is(await renewed(() => [other]), 'undefined')
  assert.is(await renewed(() => [other], true), 'fd09::7')
  const forgetful = ({ type }: Message): readonly Answer[] => [
    type === RENEW ? { type: REPLY, status: NO_BINDING } : { type: REPLY, address: 'fd09::7' }
  ]
  assert.is(await renewed(forgetful), 'fd09::7')
  assert.is(await renewed(() => [{ type: REPLY, status: NO_BINDING }]), 'refused')
  assert.is(await renewed(() => [{ type: REPLY, status: NO_BINDING }], true), 'refused')
})

test('a renewal that says nothing of the address changes nothing: it may be asked again', async () => {
  assert.is(await renewed(() => [{ type: REPLY }]), 'undefined')
  assert.is(await renewed(() => [{ type: REPLY, address: 'fd09::8' }]), 'undefined')
  assert.is(
    await renewed(() => [
      { type: REPLY, address: 'fd09::8' },
      { type: REPLY, address: 'fd09::7' }
    ]),
    'fd09::7'
  )
})

test('RELEASE is said until the server has heard it', async () => {
  let calls = 0
  const socket = new FakeSocket(() => {
    calls += 1
    return calls === 1 ? [{ type: REPLY, server: OTHER }] : [{ type: REPLY }]
  })
  await release6(talk(socket), HELD)
  assert.equal(socket.types, [RELEASE, RELEASE])
  assert.is(socket.sent[0]?.xid, socket.sent[1]?.xid)
  assert.is(wished(socket.sent[0]), 'fd09::7')
})

test("who asks: a UUID and a number that follow from the names, each interface's own", () => {
  const [first, second] = ['eth0', 'eth1'].map(name => client6Of(`c1/net/${name}`, '', 0))
  assert.equal([...(first?.duid.subarray(0, 2) ?? [])], [0, 4])
  assert.is(first?.duid.length, 18)
  assert.equal(client6Of('c1/net/eth0', '', 0), first)
  assert.not.equal(first?.duid, second?.duid)
})

test.run()
