/**
 * The answers to what containers ask for. Pure: bytes in, bytes out, or the word that somebody else has to be asked.
 *
 * @source RFC 1035 section 4; RFC 2308 (NODATA and NXDOMAIN), RFC 6891 (EDNS0), RFC 8482 (ANY), RFC 1035 section 3.5 and
 *   RFC 3596 section 2.5 (PTR)
 */
import { randomInt } from 'node:crypto'
import { type Answer, decode, encode, type OptAnswer, type Packet, type Question, TRUNCATED_RESPONSE } from 'dns-packet'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { canonicalName } from '../../lib/names/host-name.ts'
import { endOfName, HEADER, questionBytes, TYPE_AND_CLASS, viewOf } from './question-bytes.ts'
import type { Named, Zone } from './zone.ts'

/** Seconds that an answer may be kept: a container that comes or goes is noticed about then. */
const TTL_SECONDS = 5
/** What a resolver without EDNS0 can take by UDP, and the most that we send to one with it (DNS flag day 2020). */
const PLAIN_BYTES = 512
const EDNS_BYTES = 1232
/** Questions are short: what is longer is no question. */
const LONGEST_QUESTION = 4096

/** Type, class and TTL, between a record's name and the length of its data. @source RFC 1035 section 3.2.1 */
const BEFORE_LENGTH = 8

const FORMERR = 1
const SERVFAIL = 2
const NXDOMAIN = 3
const NOTIMP = 4
const REFUSED = 5
/** Its lower four bits are 0: the others stand in the OPT record (RFC 6891 section 6.1.3). */
const BADVERS = 16

const AUTHORITATIVE_ANSWER = 0x400
const RECURSION_DESIRED = 0x100
const RECURSION_AVAILABLE = 0x80
const OPCODE_MASK = 0x7800
const RESPONSE = 0x8000

/** A question as it came. */
export interface Asked {
  readonly packet: Packet
  readonly question: Question
  /** As it was sent, and is sent back. */
  readonly bytes: Uint8Array
  /** Canonical. */
  readonly name: string
}

/** What to do with a datagram: answer it, ask others, or nothing at all (what is no question, so that two servers never talk). */
export type Verdict =
  | { readonly do: 'answer'; readonly bytes: Uint8Array }
  | { readonly do: 'forward'; readonly asked: Asked }
  | { readonly do: 'ignore' }

/**
 * What containers call the host that they are on, as Docker and podman have it. They are answered by the asker's gateways that are
 * addresses of the host; where it has none, and where somebody is called so, as every other name.
 */
const HOST_NAMES = ['host.docker.internal', 'gateway.docker.internal', 'host.containers.internal']

/** How the question came: UDP answers must fit what the asker takes. */
export type Transport = 'udp' | 'tcp'

export function verdictOn(bytes: Uint8Array, transport: Transport, asker: readonly Named[], zone: Zone): Verdict {
  if (bytes.length < HEADER || bytes.length > LONGEST_QUESTION) return { do: 'ignore' }
  const view = viewOf(bytes)
  const flags = view.getUint16(2)
  if ((flags & RESPONSE) !== 0) return { do: 'ignore' }
  if ((flags & OPCODE_MASK) !== 0) return { do: 'answer', bytes: bareAnswer(bytes, NOTIMP) }
  const asked = questionOf(bytes, view.getUint16(4))
  if (asked === undefined) return { do: 'answer', bytes: bareAnswer(bytes, FORMERR) }
  if ((optionsOf(asked)?.ednsVersion ?? 0) > 0)
    return { do: 'answer', bytes: encodeAnswer(asked, BADVERS, [], transport) }
  const answers = answersTo(asked, asker, zone)
  if (answers === 'forward') {
    const isClosed = asker.every(one => one.record.isInternal)
    // The host's resolvers are not asked for containers that must not reach out. NXDOMAIN, since musl waits its whole
    // time-out for anything else.
    return isClosed ? { do: 'answer', bytes: encodeAnswer(asked, NXDOMAIN, [], transport) } : { do: 'forward', asked }
  }
  if (typeof answers === 'number') return { do: 'answer', bytes: encodeAnswer(asked, answers, [], transport) }
  return { do: 'answer', bytes: encodeAnswer(asked, 0, answers, transport) }
}

/** When nobody could be asked. */
export function failure(asked: Asked, transport: Transport): Uint8Array {
  return encodeAnswer(asked, SERVFAIL, [], transport)
}

function questionOf(bytes: Uint8Array, count: number): Asked | undefined {
  const own = questionBytes(bytes)
  if (count !== 1 || own === undefined) return undefined
  try {
    const packet = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    const question = packet.questions?.[0]
    return question && { packet, question, bytes: own, name: canonicalName(question.name) }
  } catch {
    // A container may send anything.
    return undefined
  }
}

/** Records, a response code, or the word to ask elsewhere. */
function answersTo(asked: Asked, asker: readonly Named[], zone: Zone): readonly Answer[] | number | 'forward' {
  const { name, question } = asked
  if (question.class !== undefined && question.class !== 'IN') return REFUSED
  // Who may copy a zone is known by address: the host that it is asked from may, and no container by way of it.
  if (question.type === 'AXFR' || question.type === 'IXFR') return REFUSED
  const reversed = reversedAddress(name)
  if (reversed !== undefined) {
    const found = zone.nameOf(reversed, asker)
    if (found === undefined) return 'forward'
    return question.type === 'PTR' ? [{ type: 'PTR', name: question.name, ttl: TTL_SECONDS, data: found }] : []
  }
  const { addresses: found, isOurs } = zone.find(name, asker)
  const addresses = found ?? (HOST_NAMES.includes(name) ? zone.hostAddresses(asker) : undefined)
  if (addresses === undefined) return isOurs ? NXDOMAIN : 'forward'
  if (String(question.type) === 'ANY') return REFUSED
  const family = question.type === 'A' ? 4 : question.type === 'AAAA' ? 6 : 0
  // The name is there, if not with what was asked for: no data. NXDOMAIN would make clients give the name up.
  return addresses
    .filter(address => address.family === family)
    .map(address => ({
      type: address.family === 4 ? 'A' : 'AAAA',
      name: question.name,
      ttl: TTL_SECONDS,
      data: formatAddress(address)
    }))
}

/** Whether an answer says more than that there is nothing. */
export function hasRecords(answer: Uint8Array): boolean {
  return viewOf(answer).getUint16(6) > 0
}

/** Round robin without a memory: each order of an answer's records, which are all of one size, is as likely as any other. */
export function shuffleRecords(answer: Uint8Array): void {
  const view = viewOf(answer)
  const count = view.getUint16(6)
  if (count < 2) return
  const first = (endOfName(answer) ?? HEADER) + TYPE_AND_CLASS
  const length = (endOfName(answer, first) ?? first) + BEFORE_LENGTH
  const size = length + 2 + view.getUint16(length) - first
  for (let i = count - 1; i > 0; i -= 1) {
    const [a, b] = [first + i * size, first + randomInt(i + 1) * size]
    const record = Uint8Array.from(answer.subarray(a, a + size))
    answer.copyWithin(a, b, b + size)
    answer.set(record, b)
  }
}

/** The address that `5.0.4.10.in-addr.arpa` or the nibbles of ip6.arpa stand for. */
function reversedAddress(name: string): IpAddress | undefined {
  if (name.endsWith('.in-addr.arpa')) {
    const parts = name.slice(0, -'.in-addr.arpa'.length).split('.')
    return parts.length === 4 ? parseAddress(parts.reverse().join('.')) : undefined
  }
  if (!name.endsWith('.ip6.arpa')) return undefined
  const digits = name.slice(0, -'.ip6.arpa'.length).split('.').reverse()
  if (digits.length !== 32 || !digits.every(digit => /^[0-9a-f]$/.test(digit))) return undefined
  return parseAddress((digits.join('').match(/.{4}/g) ?? []).join(':'))
}

function optionsOf({ packet }: Asked): OptAnswer | undefined {
  return packet.additionals?.find(one => one.type === 'OPT')
}

function encodeAnswer(asked: Asked, code: number, answers: readonly Answer[], transport: Transport): Uint8Array {
  const options = optionsOf(asked)
  const flags = ((asked.packet.flags ?? 0) & RECURSION_DESIRED) | RECURSION_AVAILABLE | AUTHORITATIVE_ANSWER
  const additionals = options === undefined ? [] : [ownOptions(code >> 4)]
  const response: Packet = { type: 'response', id: asked.packet.id ?? 0, flags: flags | (code & 15), additionals }
  const bytes = withQuestion(encode({ ...response, answers: [...answers] }), asked.bytes)
  shuffleRecords(bytes)
  const room = options === undefined ? PLAIN_BYTES : Math.min(Math.max(options.udpPayloadSize, PLAIN_BYTES), EDNS_BYTES)
  if (transport === 'tcp' || bytes.length <= room) return bytes
  return withQuestion(encode({ ...response, flags: flags | TRUNCATED_RESPONSE }), asked.bytes)
}

/** Byte for byte as it came: bytes that are no text, too, are what the asker compares. */
function withQuestion(response: Uint8Array, question: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(response.length + question.length)
  bytes.set(response.subarray(0, HEADER))
  bytes.set(question, HEADER)
  bytes.set(response.subarray(HEADER), HEADER + question.length)
  viewOf(bytes).setUint16(4, 1)
  return bytes
}

function ownOptions(extendedRcode: number): OptAnswer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: EDNS_BYTES,
    flags: 0,
    options: [],
    extendedRcode,
    ednsVersion: 0,
    flag_do: false
  }
}

/** The header alone, for what could not be read further. */
function bareAnswer(bytes: Uint8Array, code: number): Uint8Array {
  const header = new Uint8Array(HEADER)
  header.set(bytes.subarray(0, 4))
  header[2] = ((header[2] ?? 0) & 0x79) | 0x80
  header[3] = 0x80 | code
  return header
}
