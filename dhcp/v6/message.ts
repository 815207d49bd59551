/**
 * DHCPv6 messages as bytes.
 *
 *     msg-type (1) | transaction-id (3) | options: code (2) length (2) value ...
 *     IA_NA: IAID (4) T1 (4) T2 (4) options;   IAADDR in it: address (16) preferred (4) valid (4) options
 *
 * @source RFC 8415 sections 8, 21; RFC 3646 (name servers, search list); RFC 4704 (FQDN); RFC 6355 (DUID-UUID)
 */
import { Reader } from '../../lib/bytes/reader.ts'
import { Writer } from '../../lib/bytes/writer.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { DhcpDecodeError } from '../message.ts'

export const SOLICIT = 1
export const ADVERTISE = 2
export const REQUEST = 3
export const RENEW = 5
export const REBIND = 6
export const REPLY = 7
export const RELEASE = 8
export const DECLINE = 9

export const CLIENT_ID = 1
export const SERVER_ID = 2
export const IA_NA = 3
export const IA_ADDRESS = 5
export const REQUESTED = 6
export const PREFERENCE = 7
export const ELAPSED_TIME = 8
export const STATUS = 13
export const RAPID_COMMIT = 14
export const DNS_SERVERS = 23
export const DOMAIN_SEARCH = 24
export const FQDN = 39
/** How often to ask a network that has no server: asking for it is a duty. RFC 8415 section 18.2.1 */
export const SOL_MAX_RT = 82

export const SUCCESS = 0
export const NO_BINDING = 3

const HEADER = 4
const OPTION_HEADER = 4
const TRANSACTION_MASK = 0xffffff
const ADDRESS_BYTES = 16
const IA_FIELDS = 12
const IA_ADDRESS_FIELDS = 24

/** In their order; one code may come several times. */
export type Options = readonly (readonly [number, Uint8Array])[]

export interface Message {
  readonly type: number
  /** 24 bits. */
  readonly xid: number
  readonly options: Options
}

/** An association of addresses with an interface of the client. */
export interface Association {
  /** Chosen by the client, 32 bits. */
  readonly iaid: number
  /** Seconds after which to renew and to ask any server; 0: the client may choose. */
  readonly t1: number
  readonly t2: number
  readonly options: Options
}

/** An address in an association, with its lifetimes in seconds. */
export interface LeasedAddress {
  readonly address: IpAddress
  readonly preferred: number
  readonly valid: number
  readonly options: Options
}

export interface Status {
  readonly code: number
  /** What the server says to it; anything at all. */
  readonly text: string
}

export function encodeMessage({ type, xid, options }: Message): Uint8Array {
  const header = ((type << 24) | (xid & TRANSACTION_MASK)) >>> 0
  return new Writer().u32be(header).bytes(encodeOptions(options)).finish()
}

function encodeOptions(options: Options): Uint8Array {
  const writer = new Writer()
  for (const [code, value] of options) writer.u16be(code).u16be(value.length).bytes(value)
  return writer.finish()
}

/** @throws {DhcpDecodeError} for anything else, wherever it ends */
export function decodeMessage(received: Uint8Array): Message {
  // A copy, and no Buffer: parts of a Buffer share its memory.
  const bytes = new Uint8Array(received)
  if (bytes.length < HEADER) throw new DhcpDecodeError(`decode message: ${bytes.length} bytes are too few`)
  const header = new Reader(bytes, 'DHCPv6 message').u32be()
  return { type: header >>> 24, xid: header & TRANSACTION_MASK, options: decodeOptions(bytes.subarray(HEADER)) }
}

function decodeOptions(bytes: Uint8Array): Options {
  const options: (readonly [number, Uint8Array])[] = []
  const reader = new Reader(bytes, 'DHCPv6 options')
  let left = bytes.length
  while (left > 0) {
    if (left < OPTION_HEADER) throw new DhcpDecodeError('decode message: an option is cut off')
    const code = reader.u16be()
    const length = reader.u16be()
    left -= OPTION_HEADER + length
    if (left < 0) throw new DhcpDecodeError(`decode message: option ${code} is cut off`)
    options.push([code, reader.bytes(length).slice()])
  }
  return options
}

/** The first of that code. */
export function optionOf(options: Options, code: number): Uint8Array | undefined {
  return options.find(([one]) => one === code)?.[1]
}

/** @throws {DhcpDecodeError} when it is too short */
export function decodeAssociation(value: Uint8Array): Association {
  if (value.length < IA_FIELDS) throw wrong(IA_NA, 'an IAID and two times')
  const reader = new Reader(value, 'IA_NA')
  const [iaid, t1, t2] = [reader.u32be(), reader.u32be(), reader.u32be()]
  return { iaid, t1, t2, options: decodeOptions(value.subarray(IA_FIELDS)) }
}

export function encodeAssociation({ iaid, t1, t2, options }: Association): Uint8Array {
  return new Writer().u32be(iaid).u32be(t1).u32be(t2).bytes(encodeOptions(options)).finish()
}

/** @throws {DhcpDecodeError} when it is too short */
export function decodeAddress(value: Uint8Array): LeasedAddress {
  if (value.length < IA_ADDRESS_FIELDS) throw wrong(IA_ADDRESS, 'an address and two lifetimes')
  const reader = new Reader(value, 'IAADDR')
  const address: IpAddress = { family: 6, bytes: reader.bytes(ADDRESS_BYTES).slice() }
  const [preferred, valid] = [reader.u32be(), reader.u32be()]
  return { address, preferred, valid, options: decodeOptions(value.subarray(IA_ADDRESS_FIELDS)) }
}

export function encodeAddress({ address, preferred, valid, options }: LeasedAddress): Uint8Array {
  return new Writer().bytes(address.bytes).u32be(preferred).u32be(valid).bytes(encodeOptions(options)).finish()
}

/** Without the option all is well. @throws {DhcpDecodeError} when it is too short */
export function statusOf(options: Options): Status {
  const value = optionOf(options, STATUS)
  if (value === undefined) return { code: SUCCESS, text: '' }
  if (value.length < 2) throw wrong(STATUS, 'a code')
  const code = new Reader(value, 'status').u16be()
  return { code, text: Buffer.from(value.subarray(2)).toString('latin1').slice(0, 100) }
}

/** A list of addresses; empty when the option is absent. @throws {DhcpDecodeError} when the bytes are none */
export function addressesOf(options: Options, code: number): readonly IpAddress[] {
  const value = optionOf(options, code) ?? new Uint8Array()
  if (value.length % ADDRESS_BYTES !== 0) throw wrong(code, 'a list of addresses of 16 bytes')
  return Array.from({ length: value.length / ADDRESS_BYTES }, (_, i) => ({
    family: 6,
    bytes: value.slice(i * ADDRESS_BYTES, (i + 1) * ADDRESS_BYTES)
  }))
}

function wrong(code: number, expectation: string): DhcpDecodeError {
  return new DhcpDecodeError(`read option ${code}: it must hold ${expectation}`)
}
