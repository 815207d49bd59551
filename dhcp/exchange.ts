/**
 * The client's conversations with servers, each from its first message to its outcome.
 *
 *     acquire   DISCOVER -> OFFER, REQUEST -> ACK       an address; DECLINE when somebody has it already
 *     renew     REQUEST  -> ACK, from the address       the same for longer
 *     release   RELEASE                                 no answer
 *
 * @source RFC 2131 sections 3.1, 4.1, 4.4, RFC 5227 section 2.1; RFC 6842 and 4361 (client identifiers)
 */
import { randomBytes } from 'node:crypto'
import { formatAddress, type IpAddress } from '../lib/ip/address.ts'
import { formatMac } from '../lib/ip/mac.ts'
import { Acquisition, type Listener, type Patience } from './acquisition.ts'
import { type Grant, grantOf, isUsable } from './grant.ts'
import {
  ACK,
  ANY_ADDRESS,
  CLIENT_ID,
  DECLINE,
  DhcpDecodeError,
  DISCOVER,
  EVERYBODY,
  MAXIMUM_SIZE,
  MESSAGE_TYPE,
  type Message,
  NAK,
  OFFER,
  PARAMETER_LIST,
  RELEASE,
  REQUEST,
  REQUESTED_ADDRESS,
  SERVER_ID,
  SERVER_MESSAGE,
  typeOf
} from './message.ts'
import { addressOf } from './option-values.ts'
import type { OptionsConfig } from './options-config.ts'
import { ALL_SERVERS, type Destination, type DhcpSocket, type Reply } from './socket.ts'
import { clock } from './time.ts'
import { BROADCAST_MAC } from './udp-frame.ts'

/** Who asks, and for what. */
export interface Client {
  readonly clientId: Uint8Array
  readonly options: OptionsConfig
  /** The interface hears nothing that is addressed to it alone before it has an address. */
  readonly broadcast: boolean
}

/** A grant with what renewing it needs. */
export interface Granted extends Grant {
  /** Where the server's answers come from: its MAC, or the last router's. */
  readonly serverMac: Uint8Array
  /** When it was asked for: the lease counts from there. */
  readonly askedAt: number
}

const LARGEST_MESSAGE = 1500
/** A conversation on one interface. */
export interface Conversation extends Listener {
  readonly socket: DhcpSocket
  readonly client: Client
}

/**
 * Gets an address.
 *
 * @param wanted the address to ask for, when it was this client's before
 * @throws {NoLease} when the time is over
 */
export async function acquire(talk: Conversation, patience: Patience, wanted?: IpAddress): Promise<Granted> {
  return new Acquisition4(talk, patience, wanted).run()
}

class Acquisition4 extends Acquisition<Granted> {
  readonly #talk: Conversation
  readonly #wanted: IpAddress | undefined
  readonly #xid = newXid()

  constructor(talk: Conversation, patience: Patience, wanted: IpAddress | undefined) {
    super(talk, patience, 'no DHCP server answered')
    this.#talk = talk
    this.#wanted = wanted
  }

  protected override async attempt(until: number): Promise<Granted | undefined> {
    const offer = await this.#discover(until)
    const answer = offer === undefined ? undefined : await this.#requestOffer(offer)
    return answer === 'refused' ? undefined : answer
  }

  async #discover(until: number): Promise<Reply | undefined> {
    this.#say(DISCOVER, this.#wanted === undefined ? [] : [option(REQUESTED_ADDRESS, this.#wanted.bytes)])
    for (;;) {
      const reply = await this.#next(until)
      if (reply === undefined) return undefined
      if (typeIn(reply.message) !== OFFER) continue
      if (isUsable(reply.message.yiaddr) && serverOf(reply.message) !== undefined) return reply
      this.refuse(`a server offers ${formatAddress(reply.message.yiaddr)}, which is no host's address`)
    }
  }

  #requestOffer(offer: Reply): Promise<Granted | 'refused' | undefined> {
    const server = serverOf(offer.message) ?? ANY_ADDRESS
    const address = offer.message.yiaddr
    return this.request(async until => {
      const askedAt = clock()
      this.note(`server ${formatAddress(server)} offered ${formatAddress(address)} and then was silent`)
      this.#say(REQUEST, [option(REQUESTED_ADDRESS, address.bytes), option(SERVER_ID, server.bytes)])
      for (;;) {
        const reply = await this.#next(until)
        if (reply === undefined) return undefined
        if (!isSame(serverOf(reply.message), server)) continue
        const type = typeIn(reply.message)
        if (type === ACK) return this.#granted(reply, askedAt) ?? 'refused'
        if (type !== NAK) continue
        this.note(refusal(reply.message, server))
        return 'refused'
      }
    })
  }

  #granted(reply: Reply, askedAt: number): Granted | undefined {
    try {
      return { ...grantOf(reply.message, this.#talk.client.options), serverMac: reply.mac, askedAt }
    } catch (error) {
      if (!(error instanceof DhcpDecodeError)) throw error
      this.refuse(`the server's lease cannot be used: ${error.message}`)
      return undefined
    }
  }

  /** Declines an address that somebody on the link has: the server gives it to nobody for a while. */
  protected override async isFree({ address: { address }, server }: Granted): Promise<boolean> {
    const { socket, client, signal } = this.#talk
    const { probe } = client.options
    const holder = probe === 0 ? undefined : await socket.holderOf(address, probe, signal)
    if (holder === undefined) return true
    this.refuse(
      `server ${formatAddress(server)} gave ${formatAddress(address)}, which ${formatMac(holder)} has already`
    )
    this.#say(DECLINE, [option(REQUESTED_ADDRESS, address.bytes), option(SERVER_ID, server.bytes)])
    return false
  }

  async #next(until: number): Promise<Reply | undefined> {
    for (;;) {
      const reply = await this.#talk.socket.receive(until, this.#talk.signal)
      if (reply === undefined || reply.message.xid === this.#xid) return reply
    }
  }

  #say(type: number, options: readonly (readonly [number, Uint8Array])[]): void {
    const seconds = Math.floor(this.elapsed / 1000)
    const message = messageOf(this.#talk, { type, xid: this.#xid, options, seconds })
    this.send(() => this.#talk.socket.send(message, ALL_SERVERS))
  }
}

/** The lease that is held, as far as a renewal needs it. */
export interface Held {
  readonly address: IpAddress
  readonly server: IpAddress
  readonly serverMac: Uint8Array
}

/**
 * Asks for more time: its own server, or everybody.
 *
 * @returns undefined when nobody answered until then, 'refused' when the address must be given up
 */
export async function renew(
  talk: Conversation,
  held: Held,
  everybody: boolean,
  until: number
): Promise<Granted | 'refused' | undefined> {
  const { socket, client, signal } = talk
  const xid = newXid()
  const askedAt = clock()
  const to: Destination = everybody
    ? { address: EVERYBODY, mac: BROADCAST_MAC, from: held.address }
    : { address: held.server, mac: held.serverMac, from: held.address }
  socket.send(messageOf(talk, { type: REQUEST, xid, ciaddr: held.address }), to)
  for (;;) {
    const reply = await socket.receive(until, signal)
    if (reply === undefined) return undefined
    if (reply.message.xid !== xid) continue
    const type = typeIn(reply.message)
    // Asking its own server, a client believes that one only.
    if (type === NAK && (everybody || isSame(serverOf(reply.message), held.server))) return 'refused'
    if (type !== ACK) continue
    if (!isSame(reply.message.yiaddr, held.address)) return 'refused'
    try {
      return { ...grantOf(reply.message, client.options), serverMac: reply.mac, askedAt }
    } catch (error) {
      if (!(error instanceof DhcpDecodeError)) throw error
      talk.log(`the server's lease cannot be used: ${error.message}`)
    }
  }
}

/** Gives the address back. Nobody answers; if the message is lost, the lease ends by itself. */
export function release(socket: DhcpSocket, client: Client, held: Held): void {
  const options = [option(SERVER_ID, held.server.bytes)]
  const message = messageOf({ socket, client }, { type: RELEASE, xid: newXid(), options, ciaddr: held.address })
  socket.send(message, { address: held.server, mac: held.serverMac, from: held.address })
  // The server may have another MAC address by now (a bridge takes that of its lowest port), and nobody would say that it
  // heard nothing. A second message is nothing to it, and nobody forwards what was sent to all.
  socket.send(message, { address: held.server, mac: BROADCAST_MAC, from: held.address })
}

/** The server knows the client by it. */
function ownId(client: Client): ReadonlyMap<number, Uint8Array> {
  const own = client.options.provide.get(CLIENT_ID)
  return own === undefined ? new Map() : new Map([[CLIENT_ID, own]])
}

interface Outgoing {
  readonly type: number
  readonly xid: number
  readonly options?: readonly (readonly [number, Uint8Array])[]
  readonly seconds?: number
  readonly ciaddr?: IpAddress
}

function messageOf({ socket, client }: Pick<Conversation, 'socket' | 'client'>, fields: Outgoing): Message {
  const { type, xid } = fields
  // What gives an address back asks for nothing and tells nothing. RFC 2131 section 4.4.1, table 5
  const isBare = type === RELEASE || type === DECLINE
  const { request } = client.options
  const provide = isBare ? ownId(client) : client.options.provide
  const options = new Map<number, Uint8Array>([
    [MESSAGE_TYPE, new Uint8Array([type])],
    [CLIENT_ID, client.clientId],
    ...(fields.options ?? [])
  ])
  if (!isBare) {
    options.set(MAXIMUM_SIZE, new Uint8Array([LARGEST_MESSAGE >> 8, LARGEST_MESSAGE & 0xff]))
    if (request.length > 0) options.set(PARAMETER_LIST, new Uint8Array(request))
  }
  for (const [code, value] of provide) options.set(code, value)
  return {
    isReply: false,
    xid,
    seconds: fields.seconds ?? 0,
    // With an address, answers reach it.
    broadcast: client.broadcast && !isBare && fields.ciaddr === undefined,
    ciaddr: fields.ciaddr ?? ANY_ADDRESS,
    yiaddr: ANY_ADDRESS,
    chaddr: socket.mac,
    options
  }
}

function option(code: number, value: Uint8Array): readonly [number, Uint8Array] {
  return [code, value]
}

function newXid(): number {
  return randomBytes(4).readUInt32BE()
}

/** -1 when it does not say. */
function typeIn(message: Message): number {
  try {
    return typeOf(message)
  } catch {
    return -1
  }
}

function serverOf(message: Message): IpAddress | undefined {
  try {
    return addressOf(message, SERVER_ID)
  } catch {
    return undefined
  }
}

function isSame(a: IpAddress | undefined, b: IpAddress): boolean {
  return a !== undefined && Buffer.compare(a.bytes, b.bytes) === 0
}

/** A server may say why; what it says is shown quoted. */
function refusal(nak: Message, server: IpAddress): string {
  const value = nak.options.get(SERVER_MESSAGE)
  const words = value === undefined ? '' : `: ${JSON.stringify(Buffer.from(value).toString('latin1').slice(0, 100))}`
  return `server ${formatAddress(server)} refused the address that it had offered${words}`
}
