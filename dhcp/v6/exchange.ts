/**
 * The client's conversations with DHCPv6 servers, each from its first message to its outcome.
 *
 *     acquire   SOLICIT -> ADVERTISE, REQUEST -> REPLY   an address; DECLINE when somebody has it already
 *               SOLICIT -> REPLY                         the same, from a server that commits at once
 *     renew     RENEW -> REPLY; REBIND -> REPLY          the same for longer: from its server, from any
 *     release   RELEASE -> REPLY
 *
 * @source RFC 8415 section 18.2
 */
import { createHash, randomBytes } from 'node:crypto'
import { sameBytes } from '../../lib/bytes/compare.ts'
import { Writer } from '../../lib/bytes/writer.ts'
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { formatMac, hex } from '../../lib/ip/mac.ts'
import { Acquisition, type Listener, type Patience } from '../acquisition.ts'
import { DhcpDecodeError } from '../message.ts'
import { clock } from '../time.ts'
import { type Grant6, grantOf, Refusal, serverOf } from './grant.ts'
import {
  ADVERTISE,
  CLIENT_ID,
  DECLINE,
  DNS_SERVERS,
  DOMAIN_SEARCH,
  ELAPSED_TIME,
  encodeAddress,
  encodeAssociation,
  FQDN,
  IA_ADDRESS,
  IA_NA,
  type Message,
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
  SOL_MAX_RT,
  SOLICIT
} from './message.ts'
import type { DhcpSocket6 } from './socket.ts'

/** Who asks. */
export interface Client6 {
  readonly duid: Uint8Array
  readonly iaid: number
  /** Without the domain, or with it; '' for none. */
  readonly hostName: string
  /** For how many milliseconds the link is asked who has an address, before it is used; 0 = not at all. */
  readonly probe: number
}

/** A conversation on one interface. */
export interface Conversation6 extends Listener {
  readonly socket: DhcpSocket6
  readonly client: Client6
}

/** A grant, and when it was asked for: the lease counts from there. */
export interface Granted6 extends Grant6 {
  readonly askedAt: number
}

/** The lease that is held, as far as a renewal needs it. */
export interface Held6 {
  readonly address: IpAddress
  /** Its DUID. */
  readonly server: Uint8Array
}

const HIGHEST_PREFERENCE = 255
/** RFC 8415 section 7.6: 1 s, doubled; it goes on longer than a runtime would wait for DEL. */
const RELEASE_TRIES = 3
const RELEASE_PAUSE = 1000
const DUID_UUID = 4

/**
 * Who asks, as the same container's interface always says it: a UUID made of the three names, and a number made of them.
 * The MAC address is not part of it; servers that reserve addresses by it take it from the frame.
 */
export function client6Of(names: string, hostName: string, probe: number): Client6 {
  const digest = createHash('sha256').update(names).digest()
  const uuid = new Uint8Array(digest.subarray(0, 16))
  // RFC 9562 version 8: made in a way of one's own.
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x80
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  return { duid: new Uint8Array([0, DUID_UUID, ...uuid]), iaid: digest.readUInt32BE(16), hostName, probe }
}

/**
 * Gets an address.
 *
 * @param wanted the address to ask for, when it was this client's before
 * @throws {NoLease} when the time is over
 */
export async function acquire6(talk: Conversation6, patience: Patience, wanted?: IpAddress): Promise<Granted6> {
  return new Acquisition6(talk, patience, wanted).run()
}

class Acquisition6 extends Acquisition<Granted6> {
  readonly #talk: Conversation6
  readonly #wanted: IpAddress | undefined
  /** Of the question for offers, however often it is asked: a late answer is an answer. */
  readonly #solicited = newXid()

  constructor(talk: Conversation6, patience: Patience, wanted: IpAddress | undefined) {
    super(talk, patience, 'no DHCPv6 server answered')
    this.#talk = talk
    this.#wanted = wanted
  }

  protected override async attempt(until: number, isFirst: boolean): Promise<Granted6 | undefined> {
    const found = await this.#solicit(until, isFirst)
    if (found === undefined || 'askedAt' in found) return found
    const answer = await this.#requestOffer(found)
    return answer === 'refused' ? undefined : answer
  }

  /**
   * The best offer, or what a server has committed to at once.
   *
   * @param isFirst all offers are waited for, unless one is of the highest preference; later the first one counts
   */
  async #solicit(until: number, isFirst: boolean): Promise<Grant6 | Granted6 | undefined> {
    const askedAt = clock()
    const xid = this.#solicited
    this.#say(SOLICIT, { xid, address: this.#wanted, isRapid: true })
    let best: { readonly grant: Grant6; readonly preference: number } | undefined
    for (;;) {
      const message = await next(this.#talk, xid, until)
      if (message === undefined) return best?.grant
      const isCommitted = message.type === REPLY && optionOf(message.options, RAPID_COMMIT) !== undefined
      if (message.type !== ADVERTISE && !isCommitted) continue
      const grant = this.#read(message)
      if (grant === undefined) continue
      if (isCommitted) return { ...grant, askedAt }
      const preference = optionOf(message.options, PREFERENCE)?.[0] ?? 0
      if (!isFirst || preference === HIGHEST_PREFERENCE) return grant
      if (best === undefined || preference > best.preference) best = { grant, preference }
    }
  }

  #requestOffer({ address: { address }, server }: Grant6): Promise<Granted6 | 'refused' | undefined> {
    const xid = newXid()
    return this.request(async until => {
      const askedAt = clock()
      this.note(`server ${hex(server)} offered ${formatAddress(address)} and then was silent`)
      this.#say(REQUEST, { xid, address, server })
      for (;;) {
        const message = await next(this.#talk, xid, until)
        if (message === undefined) return undefined
        if (message.type !== REPLY || !isFrom(message, server)) continue
        const grant = this.#read(message)
        return grant === undefined ? 'refused' : { ...grant, askedAt }
      }
    })
  }

  #read(message: Message): Grant6 | undefined {
    try {
      return grantOf(message, this.#talk.client.iaid)
    } catch (error) {
      this.refuse(reasonOf(error, message))
      return undefined
    }
  }

  /** Declines an address that somebody on the link has: the server gives it to nobody for a while. */
  protected override async isFree({ address: { address }, server }: Granted6): Promise<boolean> {
    const { socket, client, signal } = this.#talk
    const holder = client.probe === 0 ? undefined : await socket.holderOf(address, client.probe, signal)
    if (holder === undefined) return true
    this.refuse(`server ${hex(server)} gave ${formatAddress(address)}, which ${formatMac(holder)} has already`)
    await tellSurely(this.#talk, DECLINE, { address, server })
    return false
  }

  #say(type: number, fields: Fields): void {
    const message = messageOf(this.#talk.client, type, fields, this.elapsed)
    this.send(() => this.#talk.socket.send(message))
  }
}

/**
 * Asks for more time: its own server, or everybody.
 *
 * @returns undefined when nobody answered until then, 'refused' when the address must be given up
 */
export async function renew6(
  talk: Conversation6,
  held: Held6,
  everybody: boolean,
  until: number
): Promise<Granted6 | 'refused' | undefined> {
  const { address, server } = held
  const outcome = await ask(talk, everybody ? { type: REBIND, address } : { type: RENEW, address, server }, until)
  // A server that has forgotten it may give it again. RFC 8415 section 18.2.10.1
  const again = outcome === 'unknown' ? await ask(talk, { type: REQUEST, address, server }, until) : outcome
  return again === 'unknown' ? 'refused' : again
}

async function ask(
  talk: Conversation6,
  { type, ...fields }: { readonly type: number; readonly address: IpAddress; readonly server?: Uint8Array },
  until: number
): Promise<Granted6 | 'refused' | 'unknown' | undefined> {
  const askedAt = clock()
  const question = messageOf(talk.client, type, { xid: newXid(), ...fields }, 0)
  talk.socket.send(question)
  for (;;) {
    const message = await next(talk, question.xid, until)
    if (message === undefined) return undefined
    // Asking its own server, a client believes that one only.
    if (message.type !== REPLY || (fields.server !== undefined && !isFrom(message, fields.server))) continue
    try {
      return { ...grantOf(message, talk.client.iaid, fields.address), askedAt }
    } catch (error) {
      talk.log(reasonOf(error, message))
      if (error instanceof Refusal) return error.isUnknown && fields.server !== undefined ? 'unknown' : 'refused'
    }
  }
}

/** Gives the address back, and waits for the server to say that it heard it, for some seconds. */
export async function release6(talk: Conversation6, held: Held6): Promise<void> {
  await tellSurely(talk, RELEASE, held)
}

async function tellSurely(talk: Conversation6, type: number, held: Held6): Promise<void> {
  const message = messageOf(talk.client, type, { xid: newXid(), ...held }, 0)
  for (let tries = 0; tries < RELEASE_TRIES; tries += 1) {
    talk.socket.send(message)
    const until = clock() + RELEASE_PAUSE
    for (;;) {
      const answer = await next(talk, message.xid, until)
      if (answer === undefined) break
      if (answer.type === REPLY && isFrom(answer, held.server)) return
    }
  }
}

async function next({ socket, signal }: Conversation6, xid: number, until: number): Promise<Message | undefined> {
  for (;;) {
    const message = await socket.receive(until, signal)
    if (message === undefined || message.xid === xid) return message
  }
}

function isFrom(message: Message, server: Uint8Array): boolean {
  return sameBytes(optionOf(message.options, SERVER_ID), server)
}

interface Fields {
  readonly xid: number
  readonly address?: IpAddress | undefined
  readonly server?: Uint8Array
  /** Whether a server may commit itself at once. */
  readonly isRapid?: boolean
}

/** @param elapsed milliseconds since the client began */
function messageOf(client: Client6, type: number, { xid, address, server, isRapid }: Fields, elapsed: number): Message {
  // Lifetimes and times are the server's to choose.
  const leased = address === undefined ? undefined : encodeAddress({ address, preferred: 0, valid: 0, options: [] })
  const association = encodeAssociation({
    iaid: client.iaid,
    t1: 0,
    t2: 0,
    options: leased === undefined ? [] : [[IA_ADDRESS, leased]]
  })
  const hundredths = Math.min(Math.floor(elapsed / 10), 0xffff)
  const options: (readonly [number, Uint8Array])[] = [
    [CLIENT_ID, client.duid],
    [ELAPSED_TIME, new Writer().u16be(hundredths).finish()],
    [IA_NA, association]
  ]
  if (server !== undefined) options.push([SERVER_ID, server])
  if (isRapid === true) options.push([RAPID_COMMIT, new Uint8Array()])
  // What gives an address back asks for nothing.
  if (type !== RELEASE && type !== DECLINE) {
    options.push([REQUESTED, new Writer().u16be(DNS_SERVERS).u16be(DOMAIN_SEARCH).u16be(SOL_MAX_RT).finish()])
    if (client.hostName !== '') options.push([FQDN, fqdnOf(client.hostName)])
  }
  return { type, xid, options }
}

function newXid(): number {
  return randomBytes(3).readUIntBE(0, 3)
}

/** Flags (the server is to do what is to be done in the DNS), and a name that goes on, unless it ends with a dot. RFC 4704 */
function fqdnOf(name: string): Uint8Array {
  const labels = name.split('.').filter(label => label !== '' && Buffer.byteLength(label) < 64)
  const writer = new Writer().u8(1)
  for (const label of labels) writer.u8(Buffer.byteLength(label)).bytes(Buffer.from(label))
  return name.endsWith('.') || labels.length > 1 ? writer.u8(0).finish() : writer.finish()
}

function reasonOf(error: unknown, message: Message): string {
  if (error instanceof Refusal) return `server ${serverText(message)}: ${error.message}`
  if (error instanceof DhcpDecodeError) return `the server's lease cannot be used: ${error.message}`
  throw error
}

function serverText(message: Message): string {
  try {
    return hex(serverOf(message))
  } catch {
    return 'without a name'
  }
}
