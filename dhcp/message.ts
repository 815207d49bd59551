/**
 * DHCP messages as bytes.
 *
 *     0  op htype hlen hops | xid | secs flags | ciaddr yiaddr siaddr giaddr | chaddr (16) | sname (64) | file (128)
 *     236  magic cookie | options: code length value ... 255
 *
 * @source RFC 2131 section 2; RFC 2132 sections 2 and 9.3 (overload); RFC 3396 (long options)
 */
import { Reader } from '../lib/bytes/reader.ts'
import { Writer } from '../lib/bytes/writer.ts'
import type { IpAddress } from '../lib/ip/address.ts'

export const DISCOVER = 1
export const OFFER = 2
export const REQUEST = 3
export const DECLINE = 4
export const ACK = 5
export const NAK = 6
export const RELEASE = 7

/** Option codes. @source RFC 2132; 77: RFC 3004, 119: RFC 3397, 121: RFC 3442 */
const PAD = 0
export const SUBNET_MASK = 1
export const ROUTERS = 3
export const DNS_SERVERS = 6
export const HOST_NAME = 12
export const DOMAIN_NAME = 15
export const STATIC_ROUTES = 33
export const REQUESTED_ADDRESS = 50
export const LEASE_TIME = 51
export const OVERLOAD = 52
export const MESSAGE_TYPE = 53
export const SERVER_ID = 54
export const PARAMETER_LIST = 55
export const SERVER_MESSAGE = 56
export const MAXIMUM_SIZE = 57
export const RENEWAL_TIME = 58
export const REBINDING_TIME = 59
export const VENDOR_CLASS = 60
export const CLIENT_ID = 61
export const USER_CLASS = 77
export const DOMAIN_SEARCH = 119
export const CLASSLESS_ROUTES = 121
export const END = 255

const BOOTREQUEST = 1
const BOOTREPLY = 2
const HTYPE_ETHERNET = 1
const MAGIC = 0x63825363
const ETH_ALEN = 6
/** Bytes of the fields that are written here as zeros. */
const SIADDR = 4
const GIADDR = 4
const CHADDR = 16
const SNAME = 64
const FILE = 128
const OPTIONS_AT = 240
const BROADCAST_FLAG = 0x8000
/** What relays and servers of BOOTP's days expect at least. @source RFC 1542 section 2.1 */
const SMALLEST = 300

export const ANY_ADDRESS: IpAddress = { family: 4, bytes: new Uint8Array(4) }
export const EVERYBODY: IpAddress = { family: 4, bytes: new Uint8Array([255, 255, 255, 255]) }

/** The fields that a client writes or reads. Option values are raw; one code's pieces are joined. */
export interface Message {
  readonly isReply: boolean
  readonly xid: number
  /** Since the client began. */
  readonly seconds: number
  /** The answer shall come as a broadcast. */
  readonly broadcast: boolean
  readonly ciaddr: IpAddress
  readonly yiaddr: IpAddress
  /** 6 bytes. */
  readonly chaddr: Uint8Array
  readonly options: ReadonlyMap<number, Uint8Array>
}

/** The bytes are no DHCP message, or a value in it is none of its option. */
export class DhcpDecodeError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'DhcpDecodeError'
  }
}

export function encodeMessage(message: Message): Uint8Array {
  const writer = new Writer()
  writer
    .u8(message.isReply ? BOOTREPLY : BOOTREQUEST)
    .u8(HTYPE_ETHERNET)
    .u8(message.chaddr.length)
    .u8(0)
  writer.u32be(message.xid)
  writer.u16be(Math.min(message.seconds, 0xffff)).u16be(message.broadcast ? BROADCAST_FLAG : 0)
  writer
    .bytes(message.ciaddr.bytes)
    .bytes(message.yiaddr.bytes)
    .zeros(SIADDR + GIADDR)
  writer.bytes(message.chaddr).zeros(CHADDR - message.chaddr.length + SNAME + FILE)
  writer.u32be(MAGIC)
  encodeOptions(writer, message.options)
  return writer.zeros(Math.max(0, SMALLEST - writer.length())).finish()
}

/** A value of more than 255 bytes goes into several options of the same code. */
function encodeOptions(writer: Writer, options: ReadonlyMap<number, Uint8Array>): void {
  for (const [code, value] of options) {
    let offset = 0
    do {
      const piece = value.subarray(offset, offset + 255)
      writer.u8(code).u8(piece.length).bytes(piece)
      offset += 255
    } while (offset < value.length)
  }
  writer.u8(END)
}

/** @throws {DhcpDecodeError} for anything else, wherever it ends */
export function decodeMessage(received: Uint8Array): Message {
  // A copy, and no Buffer: parts of a Buffer share its memory.
  const bytes = new Uint8Array(received)
  if (bytes.length < OPTIONS_AT) throw new DhcpDecodeError(`decode message: ${bytes.length} bytes are too few`)
  const reader = new Reader(bytes, 'DHCP message')
  const op = reader.u8()
  const isForEthernet = reader.u8() === HTYPE_ETHERNET && reader.u8() === ETH_ALEN
  if (new Reader(bytes.subarray(OPTIONS_AT - 4), 'DHCP cookie').u32be() !== MAGIC) {
    throw new DhcpDecodeError('decode message: the magic cookie is missing')
  }
  if (op !== BOOTREQUEST && op !== BOOTREPLY) throw new DhcpDecodeError(`decode message: op ${op}`)
  if (!isForEthernet) throw new DhcpDecodeError('decode message: not for Ethernet')
  reader.skip(1)
  const xid = reader.u32be()
  const seconds = reader.u16be()
  const broadcast = (reader.u16be() & BROADCAST_FLAG) !== 0
  const ciaddr: IpAddress = { family: 4, bytes: reader.bytes(4).slice() }
  const yiaddr: IpAddress = { family: 4, bytes: reader.bytes(4).slice() }
  reader.skip(SIADDR + GIADDR)
  const chaddr = reader.bytes(ETH_ALEN).slice()
  return { isReply: op === BOOTREPLY, xid, seconds, broadcast, ciaddr, yiaddr, chaddr, options: decodeOptions(bytes) }
}

function decodeOptions(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const pieces = new Map<number, Uint8Array[]>()
  readField(bytes.subarray(OPTIONS_AT), pieces, true)
  const overload = pieces.get(OVERLOAD)?.[0]?.[0] ?? 0
  // The order in which pieces are joined: options, file, sname.
  if ((overload & 1) !== 0) readField(bytes.subarray(108, 236), pieces, false)
  if ((overload & 2) !== 0) readField(bytes.subarray(44, 108), pieces, false)
  const options = new Map<number, Uint8Array>()
  for (const [code, parts] of pieces) options.set(code, Buffer.concat(parts))
  return options
}

/** @param needsEnd whether the field's own end is not enough: a message that was cut off must not pass for a whole one */
function readField(field: Uint8Array, pieces: Map<number, Uint8Array[]>, needsEnd: boolean): void {
  let at = 0
  while (at < field.length) {
    const code = field[at] ?? END
    if (code === END) return
    at += 1
    if (code === PAD) continue
    const length = field[at]
    const value = length === undefined ? undefined : field.slice(at + 1, at + 1 + length)
    if (length === undefined || value === undefined || value.length < length) {
      throw new DhcpDecodeError(`decode message: option ${code} is cut off`)
    }
    const known = pieces.get(code)
    if (known === undefined) pieces.set(code, [value])
    else known.push(value)
    at += 1 + length
  }
  if (needsEnd) throw new DhcpDecodeError('decode message: the options do not end')
}

/** What kind of message it is. @throws {DhcpDecodeError} when it does not say */
export function typeOf(message: Message): number {
  const value = message.options.get(MESSAGE_TYPE)
  if (value?.length !== 1) throw new DhcpDecodeError('decode message: option 53 (message type) must have one byte')
  return value[0] ?? 0
}
