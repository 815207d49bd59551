/**
 * Routes: RTM_NEWROUTE, RTM_GETROUTE, RTM_DELROUTE.
 *
 * @source linux/rtnetlink.h struct rtmsg, struct rtnexthop, struct rtvia, enum RTA_*, enum RTAX_*; types by
 *   net/ipv4/fib_frontend.c rtm_ipv4_policy, net/ipv6/route.c rtm_ipv6_policy
 */

import { DecodeError, Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import type { IpAddress } from '../../ip/address.ts'
import { EncodeError } from '../field.ts'
import { type Attribute, encodeRows, nest, type Rows, readingRows, writingRows } from '../rows.ts'

export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
export const RTM_GETROUTE = 26

export const RTNH_F_ONLINK = 4

/** struct rtmsg and its attributes. */
export interface RouteMessage {
  readonly family: number
  readonly dstLength: number
  readonly srcLength: number
  readonly tos: number
  /** Tables above 255 are in `table` only. */
  readonly shortTable: number
  /** RTPROT_* */
  readonly protocol: number
  /** RT_SCOPE_* */
  readonly scope: number
  /** RTN_* */
  readonly type: number
  /** RTM_F_*, RTNH_F_* */
  readonly flags: number
  readonly dst?: IpAddress | undefined
  readonly src?: IpAddress | undefined
  readonly inputIndex?: number | undefined
  readonly index?: number | undefined
  readonly gateway?: IpAddress | undefined
  readonly metric?: number | undefined
  readonly source?: IpAddress | undefined
  readonly metrics?: RouteMetrics | undefined
  readonly nextHops?: readonly NextHopMessage[] | undefined
  readonly table?: number | undefined
  readonly mark?: number | undefined
  /** A gateway of the other family. */
  readonly via?: IpAddress | undefined
  /** ICMPV6_ROUTER_PREF_* */
  readonly preference?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** RTA_METRICS */
interface RouteMetrics {
  /** Bit n: RTAX_n is not to be learned otherwise. */
  readonly lock?: number | undefined
  readonly mtu?: number | undefined
  readonly advmss?: number | undefined
  readonly hopLimit?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** struct rtnexthop and its attributes. */
export interface NextHopMessage {
  /** RTNH_F_* */
  readonly flags: number
  /** The weight less one. */
  readonly hops: number
  readonly index: number
  readonly gateway?: IpAddress | undefined
  readonly via?: IpAddress | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export const EMPTY_ROUTE: RouteMessage = {
  family: 0,
  dstLength: 0,
  srcLength: 0,
  tos: 0,
  shortTable: 0,
  protocol: 0,
  scope: 0,
  type: 0,
  flags: 0
}

function routeRows(rows: Rows, route: RouteMessage): RouteMessage {
  return {
    family: rows.fixedU8('rtm_family', route.family),
    dstLength: rows.fixedU8('rtm_dst_len', route.dstLength),
    srcLength: rows.fixedU8('rtm_src_len', route.srcLength),
    tos: rows.fixedU8('rtm_tos', route.tos),
    shortTable: rows.fixedU8('rtm_table', route.shortTable),
    protocol: rows.fixedU8('rtm_protocol', route.protocol),
    scope: rows.fixedU8('rtm_scope', route.scope),
    type: rows.fixedU8('rtm_type', route.type),
    flags: rows.fixedU32('rtm_flags', route.flags),
    dst: rows.address(1, 'RTA_DST', route.dst),
    src: rows.address(2, 'RTA_SRC', route.src),
    inputIndex: rows.u32(3, 'RTA_IIF', route.inputIndex),
    index: rows.u32(4, 'RTA_OIF', route.index),
    gateway: rows.address(5, 'RTA_GATEWAY', route.gateway),
    metric: rows.u32(6, 'RTA_PRIORITY', route.metric),
    source: rows.address(7, 'RTA_PREFSRC', route.source),
    metrics: nest(rows.at(8, 'RTA_METRICS'), route.metrics, {}, metricRows),
    nextHops: decodeNextHops(rows.bytes(9, 'RTA_MULTIPATH', encodeNextHops(route.nextHops))),
    table: rows.u32(15, 'RTA_TABLE', route.table),
    mark: rows.u32(16, 'RTA_MARK', route.mark),
    via: decodeVia(rows.bytes(18, 'RTA_VIA', encodeVia(route.via))),
    preference: rows.u8(20, 'RTA_PREF', route.preference),
    unknown: rows.unknown(route.unknown)
  }
}

function metricRows(rows: Rows, metrics: RouteMetrics): RouteMetrics {
  return {
    lock: rows.u32(1, 'RTAX_LOCK', metrics.lock),
    mtu: rows.u32(2, 'RTAX_MTU', metrics.mtu),
    advmss: rows.u32(8, 'RTAX_ADVMSS', metrics.advmss),
    hopLimit: rows.u32(10, 'RTAX_HOPLIMIT', metrics.hopLimit),
    unknown: rows.unknown(metrics.unknown)
  }
}

function nextHopRows(rows: Rows, hop: NextHopMessage): NextHopMessage {
  // rtnh_len covers the attributes too: it is set when they are written.
  rows.fixedU16('rtnh_len', 0)
  return {
    flags: rows.fixedU8('rtnh_flags', hop.flags),
    hops: rows.fixedU8('rtnh_hops', hop.hops),
    index: rows.fixedI32('rtnh_ifindex', hop.index),
    gateway: rows.address(5, 'RTA_GATEWAY', hop.gateway),
    via: decodeVia(rows.bytes(18, 'RTA_VIA', encodeVia(hop.via))),
    unknown: rows.unknown(hop.unknown)
  }
}

/** The array of struct rtnexthop. */
function encodeNextHops(hops: readonly NextHopMessage[] | undefined): Uint8Array | undefined {
  if (hops === undefined) return undefined
  const all = new Writer()
  for (const hop of hops) {
    const one = new Writer()
    nextHopRows(writingRows(one), hop)
    const bytes = one.finish()
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setUint16(0, bytes.length, true)
    all.bytes(bytes).align(4)
  }
  return all.finish()
}

function decodeNextHops(bytes: Uint8Array | undefined): readonly NextHopMessage[] | undefined {
  if (bytes === undefined) return undefined
  const hops: NextHopMessage[] = []
  const empty: NextHopMessage = { flags: 0, hops: 0, index: 0 }
  let offset = 0
  while (offset < bytes.length) {
    const length = new Reader(bytes.subarray(offset), 'RTA_MULTIPATH').u16()
    if (length < 8 || offset + length > bytes.length) {
      throw new DecodeError('RTA_MULTIPATH', `next hop claims ${String(length)} bytes`)
    }
    hops.push(nextHopRows(readingRows(bytes.subarray(offset, offset + length), 'rtnexthop'), empty))
    offset += (length + 3) & ~3
  }
  return hops
}

/** struct rtvia: a family in host order, then the address. */
function encodeVia(via: IpAddress | undefined): Uint8Array | undefined {
  if (via === undefined) return undefined
  return new Writer()
    .u16(via.family === 4 ? 2 : 10)
    .bytes(via.bytes)
    .finish()
}

function decodeVia(bytes: Uint8Array | undefined): IpAddress | undefined {
  if (bytes === undefined) return undefined
  const reader = new Reader(bytes, 'RTA_VIA')
  const family = reader.u16()
  const address = reader.rest()
  if (family === 2 && address.length === 4) return { family: 4, bytes: address }
  if (family === 10 && address.length === 16) return { family: 6, bytes: address }
  throw new DecodeError('RTA_VIA', `family ${String(family)} with ${String(address.length)} bytes of address`)
}

/** @throws {EncodeError} */
export function encodeRoute(route: RouteMessage): Uint8Array {
  if (route.nextHops !== undefined && route.nextHops.length === 0) throw new EncodeError('RTA_MULTIPATH', 'is empty')
  return encodeRows(route, routeRows)
}

/** @throws {DecodeError} */
export function decodeRoute(bytes: Uint8Array): RouteMessage {
  return routeRows(readingRows(bytes, 'rtmsg'), EMPTY_ROUTE)
}
