/**
 * The connection table: which entries a filter means, and how an entry reads.
 *
 *     conntrack -D -p udp --orig-port-dst 53 --orig-dst 192.0.2.1
 *     conntrack -D -p udp --reply-src 10.4.0.5
 *     conntrack -L --orig-dst 10.4.0.100 --reply-src 10.4.0.5
 *
 * @source linux/netfilter/nfnetlink_conntrack.h enum cntl_msg_types, enum ctattr_type, enum ctattr_tuple, enum
 *   ctattr_ip, enum ctattr_l4proto, enum ctattr_filter; net/netfilter/nf_conntrack_netlink.c CTA_FILTER_F_*
 */
import type { IpAddress } from '../../ip/address.ts'
import { encodeRows, nest, type Rows } from '../rows.ts'
import { headerRows, NFPROTO_IPV4, NFPROTO_IPV6, readingNfRows } from './nfnetlink.ts'

export const IPCTNL_MSG_CT_GET = 1
export const IPCTNL_MSG_CT_DELETE = 2

const CTA_FILTER_F_IP_SRC = 1
const CTA_FILTER_F_IP_DST = 2
const CTA_FILTER_F_PROTO_NUM = 8
const CTA_FILTER_F_PROTO_SRC_PORT = 16
const CTA_FILTER_F_PROTO_DST_PORT = 32

/** A request without this version lets the kernel overlook its family, and with it the filter's addresses. */
const NFGENMSG_WITH_FAMILY = 1

/** Every field given must match. */
export interface ConntrackFilter {
  readonly family: 4 | 6
  /** IPPROTO_*; undefined = any */
  readonly protocol: number | undefined
  /** Where the first packet was sent to, before any translation. */
  readonly port: number | undefined
  /** The end of a range of ports, included; the kernel itself only knows single ports. */
  readonly lastPort: number | undefined
  readonly address: IpAddress | undefined
  /** Who answers: after a DNAT its new destination. */
  readonly replySource: IpAddress | undefined
  /** By which port; needs the protocol. */
  readonly replyPort?: number | undefined
}

/** One direction of an entry. */
export interface ConntrackTuple {
  readonly source: IpAddress | undefined
  readonly destination: IpAddress | undefined
  readonly protocol: number
  readonly sourcePort: number
  readonly destinationPort: number
}

export interface ConntrackEntry {
  readonly original: ConntrackTuple
  readonly reply: ConntrackTuple
  /** IPS_* */
  readonly status: number
}

/** Of an entry's status: the other side has answered. */
export const IPS_SEEN_REPLY = 2

/** struct nfgenmsg and the attributes of an entry or of a filter. */
interface ConntrackMessage {
  readonly family: number
  readonly original?: TupleFields | undefined
  readonly reply?: TupleFields | undefined
  readonly status?: number | undefined
  readonly filter?: FilterFlags | undefined
}

/** CTA_TUPLE_* */
interface TupleFields {
  readonly addresses?: TupleAddresses | undefined
  readonly protocol?: TupleProtocol | undefined
}

interface TupleAddresses {
  readonly source?: IpAddress | undefined
  readonly destination?: IpAddress | undefined
}

interface TupleProtocol {
  readonly number?: number | undefined
  readonly sourcePort?: number | undefined
  readonly destinationPort?: number | undefined
}

/** CTA_FILTER: which fields of each tuple count, CTA_FILTER_F_* */
interface FilterFlags {
  readonly original: number | undefined
  readonly reply: number | undefined
}

function conntrackRows(rows: Rows, message: ConntrackMessage): ConntrackMessage {
  return {
    family: headerRows(rows, message.family, NFGENMSG_WITH_FAMILY, 0),
    original: nest(rows.at(1, 'CTA_TUPLE_ORIG'), message.original, {}, tupleRows),
    reply: nest(rows.at(2, 'CTA_TUPLE_REPLY'), message.reply, {}, tupleRows),
    status: rows.u32be(3, 'CTA_STATUS', message.status),
    filter: nest(rows.at(25, 'CTA_FILTER'), message.filter, { original: 0, reply: 0 }, filterRows)
  }
}

function tupleRows(rows: Rows, tuple: TupleFields): TupleFields {
  return {
    addresses: nest(rows.at(1, 'CTA_TUPLE_IP'), tuple.addresses, {}, addressRows),
    protocol: nest(rows.at(2, 'CTA_TUPLE_PROTO'), tuple.protocol, {}, protocolRows)
  }
}

function addressRows(rows: Rows, addresses: TupleAddresses): TupleAddresses {
  const source4 = rows.addressOf(4, 1, 'CTA_IP_V4_SRC', addresses.source)
  const destination4 = rows.addressOf(4, 2, 'CTA_IP_V4_DST', addresses.destination)
  const source6 = rows.addressOf(6, 3, 'CTA_IP_V6_SRC', addresses.source)
  const destination6 = rows.addressOf(6, 4, 'CTA_IP_V6_DST', addresses.destination)
  return { source: source4 ?? source6, destination: destination4 ?? destination6 }
}

function protocolRows(rows: Rows, protocol: TupleProtocol): TupleProtocol {
  return {
    number: rows.u8(1, 'CTA_PROTO_NUM', protocol.number),
    sourcePort: rows.u16be(2, 'CTA_PROTO_SRC_PORT', protocol.sourcePort),
    destinationPort: rows.u16be(3, 'CTA_PROTO_DST_PORT', protocol.destinationPort)
  }
}

function filterRows(rows: Rows, filter: FilterFlags): FilterFlags {
  return {
    original: rows.u32(1, 'CTA_FILTER_ORIG_FLAGS', filter.original),
    reply: rows.u32(2, 'CTA_FILTER_REPLY_FLAGS', filter.reply)
  }
}

function familyNumber(family: 4 | 6): number {
  return family === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6
}

/**
 * For CT_DELETE of all that match (since Linux 6.8; older kernels say EINVAL), and for CT_GET of them (since Linux 5.8; older
 * kernels list all).
 */
export function encodeConntrackFilter(filter: ConntrackFilter): Uint8Array {
  const { address, port, protocol, replySource, replyPort } = filter
  const flags =
    (protocol === undefined ? 0 : CTA_FILTER_F_PROTO_NUM) |
    (port === undefined ? 0 : CTA_FILTER_F_PROTO_DST_PORT) |
    (address === undefined ? 0 : CTA_FILTER_F_IP_DST)
  const replyFlags =
    (replySource === undefined ? 0 : CTA_FILTER_F_IP_SRC) |
    (replyPort === undefined ? 0 : CTA_FILTER_F_PROTO_NUM | CTA_FILTER_F_PROTO_SRC_PORT)
  const message: ConntrackMessage = {
    family: familyNumber(filter.family),
    original: {
      addresses: address === undefined ? undefined : { destination: address },
      protocol: protocol === undefined ? undefined : { number: protocol, destinationPort: port }
    },
    reply: replyFlags === 0 ? undefined : replyFields(filter),
    filter: { original: flags, reply: replyFlags }
  }
  return encodeRows(message, conntrackRows)
}

function replyFields({ protocol, replySource, replyPort }: ConntrackFilter): TupleFields {
  return {
    addresses: replySource === undefined ? undefined : { source: replySource },
    protocol: replyPort === undefined ? undefined : { number: protocol, sourcePort: replyPort }
  }
}

/** For CT_DELETE of one entry, and for CT_GET of a family (no entry: all of it). */
export function encodeConntrackEntry(family: 4 | 6, original: ConntrackTuple | undefined): Uint8Array {
  return encodeRows({ family: familyNumber(family), original: fieldsOf(original) }, conntrackRows)
}

function fieldsOf(tuple: ConntrackTuple | undefined): TupleFields | undefined {
  if (tuple === undefined) return undefined
  const { source, destination, sourcePort, destinationPort } = tuple
  return {
    addresses: { source, destination },
    protocol: { number: tuple.protocol, sourcePort, destinationPort }
  }
}

/** @throws {DecodeError} */
export function decodeConntrackEntry(payload: Uint8Array): ConntrackEntry {
  const message = conntrackRows(readingNfRows(payload), { family: 0 })
  return { original: tupleOf(message.original), reply: tupleOf(message.reply), status: message.status ?? 0 }
}

function tupleOf(fields: TupleFields | undefined): ConntrackTuple {
  const addresses = fields?.addresses
  const protocol = fields?.protocol
  return {
    source: addresses?.source,
    destination: addresses?.destination,
    protocol: protocol?.number ?? 0,
    sourcePort: protocol?.sourcePort ?? 0,
    destinationPort: protocol?.destinationPort ?? 0
  }
}
