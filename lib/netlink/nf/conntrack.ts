/**
 * The connection table: which entries a filter means, and how an entry reads.
 *
 *     conntrack -D -p udp --orig-port-dst 53 --orig-dst 192.0.2.1
 *     conntrack -D -p udp --reply-src 10.4.0.5
 *
 * @source linux/netfilter/nfnetlink_conntrack.h enum cntl_msg_types, enum ctattr_type, enum ctattr_tuple, enum
 *   ctattr_ip, enum ctattr_l4proto, enum ctattr_filter; net/netfilter/nf_conntrack_netlink.c CTA_FILTER_F_*
 */
import type { IpAddress } from '../../ip/address.ts'
import { type Attribute, attributes, readU8, readU16be } from '../reader.ts'
import { Writer } from '../writer.ts'
import { decodeNfMessage, NFPROTO_IPV4, NFPROTO_IPV6 } from './nfnetlink.ts'

export const IPCTNL_MSG_CT_NEW = 0
export const IPCTNL_MSG_CT_GET = 1
export const IPCTNL_MSG_CT_DELETE = 2

const CTA_TUPLE_ORIG = 1
const CTA_TUPLE_REPLY = 2
const CTA_FILTER = 25

const CTA_TUPLE_IP = 1
const CTA_TUPLE_PROTO = 2
const CTA_IP_V4_SRC = 1
const CTA_IP_V4_DST = 2
const CTA_IP_V6_SRC = 3
const CTA_IP_V6_DST = 4
const CTA_PROTO_NUM = 1
const CTA_PROTO_SRC_PORT = 2
const CTA_PROTO_DST_PORT = 3

const CTA_FILTER_ORIG_FLAGS = 1
const CTA_FILTER_REPLY_FLAGS = 2
const CTA_FILTER_F_IP_SRC = 1
const CTA_FILTER_F_IP_DST = 2
const CTA_FILTER_F_PROTO_NUM = 8
const CTA_FILTER_F_PROTO_DST_PORT = 32

/** A request without this version lets the kernel overlook its family, and with it the filter's addresses. */
const NFGENMSG_WITH_FAMILY = 1

/** Every field given must match. */
export interface ConntrackFilter {
  readonly family: 4 | 6
  /** IPPROTO_* */
  readonly protocol: number
  /** Where the first packet was sent to, before any translation. */
  readonly port: number | undefined
  /** The end of a range of ports, included; the kernel itself only knows single ports. */
  readonly lastPort: number | undefined
  readonly address: IpAddress | undefined
  /** Who answers: after a DNAT its new destination. */
  readonly replySource: IpAddress | undefined
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
}

/** For CT_DELETE of all that match (since Linux 6.8; older kernels say EINVAL). */
export function encodeConntrackFilter(filter: ConntrackFilter): Uint8Array {
  const writer = header(filter.family)
  let original = CTA_FILTER_F_PROTO_NUM
  if (filter.port !== undefined) original |= CTA_FILTER_F_PROTO_DST_PORT
  if (filter.address !== undefined) original |= CTA_FILTER_F_IP_DST
  writer.nested(CTA_TUPLE_ORIG, () => {
    const { address } = filter
    if (address !== undefined) writeIp(writer, undefined, address)
    writer.nested(CTA_TUPLE_PROTO, () => {
      writer.attrU8(CTA_PROTO_NUM, filter.protocol)
      if (filter.port !== undefined) writer.attrU16be(CTA_PROTO_DST_PORT, filter.port)
    })
  })
  const { replySource } = filter
  if (replySource !== undefined) {
    writer.nested(CTA_TUPLE_REPLY, () => {
      writeIp(writer, replySource, undefined)
    })
  }
  writer.nested(CTA_FILTER, () => {
    writer.attrU32(CTA_FILTER_ORIG_FLAGS, original)
    writer.attrU32(CTA_FILTER_REPLY_FLAGS, replySource === undefined ? 0 : CTA_FILTER_F_IP_SRC)
  })
  return writer.finish()
}

function header(family: 4 | 6): Writer {
  return new Writer()
    .u8(family === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6)
    .u8(NFGENMSG_WITH_FAMILY)
    .u16be(0)
}

/** For CT_DELETE of one entry, and for CT_GET of a family (no entry: all of it). */
export function encodeConntrackEntry(family: 4 | 6, original: ConntrackTuple | undefined): Uint8Array {
  const writer = header(family)
  if (original === undefined) return writer.finish()
  writer.nested(CTA_TUPLE_ORIG, () => {
    writeIp(writer, original.source, original.destination)
    writer.nested(CTA_TUPLE_PROTO, () => {
      writer.attrU8(CTA_PROTO_NUM, original.protocol)
      writer.attrU16be(CTA_PROTO_SRC_PORT, original.sourcePort)
      writer.attrU16be(CTA_PROTO_DST_PORT, original.destinationPort)
    })
  })
  return writer.finish()
}

function writeIp(writer: Writer, source: IpAddress | undefined, destination: IpAddress | undefined): void {
  writer.nested(CTA_TUPLE_IP, () => {
    if (source !== undefined) writer.attr(source.family === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, source.bytes)
    if (destination !== undefined) {
      writer.attr(destination.family === 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, destination.bytes)
    }
  })
}

export function decodeConntrackEntry(payload: Uint8Array): ConntrackEntry {
  let original = NO_TUPLE
  let reply = NO_TUPLE
  for (const attribute of attributes(decodeNfMessage(payload).rest, 'CTA')) {
    if (attribute.type === CTA_TUPLE_ORIG) original = decodeTuple(attribute)
    if (attribute.type === CTA_TUPLE_REPLY) reply = decodeTuple(attribute)
  }
  return { original, reply }
}

const NO_TUPLE: ConntrackTuple = {
  source: undefined,
  destination: undefined,
  protocol: 0,
  sourcePort: 0,
  destinationPort: 0
}

function decodeTuple(tuple: Attribute): ConntrackTuple {
  let source: IpAddress | undefined
  let destination: IpAddress | undefined
  let protocol = 0
  let sourcePort = 0
  let destinationPort = 0
  for (const part of attributes(tuple.value, 'CTA_TUPLE')) {
    for (const one of attributes(part.value, 'CTA_TUPLE')) {
      if (part.type === CTA_TUPLE_IP) {
        if (one.type === CTA_IP_V4_SRC) source = { family: 4, bytes: one.value.slice(0) }
        if (one.type === CTA_IP_V4_DST) destination = { family: 4, bytes: one.value.slice(0) }
        if (one.type === CTA_IP_V6_SRC) source = { family: 6, bytes: one.value.slice(0) }
        if (one.type === CTA_IP_V6_DST) destination = { family: 6, bytes: one.value.slice(0) }
      }
      if (part.type === CTA_TUPLE_PROTO) {
        if (one.type === CTA_PROTO_NUM) protocol = readU8(one, 'CTA_PROTO_NUM')
        if (one.type === CTA_PROTO_SRC_PORT) sourcePort = readU16be(one, 'CTA_PROTO_SRC_PORT')
        if (one.type === CTA_PROTO_DST_PORT) destinationPort = readU16be(one, 'CTA_PROTO_DST_PORT')
      }
    }
  }
  return { source, destination, protocol, sourcePort, destinationPort }
}
