/**
 * Neighbours (ARP, neighbour discovery) and, with family AF_BRIDGE, forwarding databases: RTM_NEWNEIGH,
 * RTM_GETNEIGH, RTM_DELNEIGH.
 *
 * @source linux/neighbour.h struct ndmsg, enum NDA_*; types by net/core/neighbour.c nda_policy
 */
import type { IpAddress } from '../../ip/address.ts'
import { type Attribute, encodeRows, type Rows, readingRows } from '../rows.ts'

export const RTM_NEWNEIGH = 28
export const RTM_DELNEIGH = 29
export const RTM_GETNEIGH = 30

export const NTF_SELF = 0x02
export const NTF_MASTER = 0x04
export const NTF_PROXY = 0x08
export const NTF_EXT_LEARNED = 0x10
export const NTF_ROUTER = 0x80

export const NUD_REACHABLE = 0x02
export const NUD_NOARP = 0x40
export const NUD_PERMANENT = 0x80

/** struct ndmsg and its attributes. */
export interface NeighbourMessage {
  readonly family: number
  readonly index: number
  /** NUD_* */
  readonly state: number
  /** NTF_* */
  readonly flags: number
  /** RTN_* */
  readonly type: number
  readonly dst?: IpAddress | undefined
  readonly mac?: Uint8Array | undefined
  readonly vlan?: number | undefined
  readonly port?: number | undefined
  readonly vni?: number | undefined
  readonly viaIndex?: number | undefined
  readonly masterIndex?: number | undefined
  readonly linkNetnsId?: number | undefined
  readonly sourceVni?: number | undefined
  /** RTPROT_* */
  readonly protocol?: number | undefined
  readonly nextHopId?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export const EMPTY_NEIGHBOUR: NeighbourMessage = { family: 0, index: 0, state: 0, flags: 0, type: 0 }

function neighbourRows(rows: Rows, n: NeighbourMessage): NeighbourMessage {
  const family = rows.fixedU8('ndm_family', n.family)
  rows.fixedU8('ndm_pad1', 0)
  rows.fixedU16('ndm_pad2', 0)
  return {
    family,
    index: rows.fixedI32('ndm_ifindex', n.index),
    state: rows.fixedU16('ndm_state', n.state),
    flags: rows.fixedU8('ndm_flags', n.flags),
    type: rows.fixedU8('ndm_type', n.type),
    dst: rows.address(1, 'NDA_DST', n.dst),
    mac: rows.bytes(2, 'NDA_LLADDR', n.mac),
    vlan: rows.u16(5, 'NDA_VLAN', n.vlan),
    port: rows.u16be(6, 'NDA_PORT', n.port),
    vni: rows.u32(7, 'NDA_VNI', n.vni),
    viaIndex: rows.u32(8, 'NDA_IFINDEX', n.viaIndex),
    masterIndex: rows.u32(9, 'NDA_MASTER', n.masterIndex),
    linkNetnsId: rows.i32(10, 'NDA_LINK_NETNSID', n.linkNetnsId),
    sourceVni: rows.u32(11, 'NDA_SRC_VNI', n.sourceVni),
    protocol: rows.u8(12, 'NDA_PROTOCOL', n.protocol),
    nextHopId: rows.u32(13, 'NDA_NH_ID', n.nextHopId),
    unknown: rows.unknown(n.unknown)
  }
}

/** @throws {EncodeError} */
export function encodeNeighbour(neighbour: NeighbourMessage): Uint8Array {
  return encodeRows(neighbour, neighbourRows)
}

/** @throws {DecodeError} */
export function decodeNeighbour(bytes: Uint8Array): NeighbourMessage {
  return neighbourRows(readingRows(bytes, 'ndmsg'), EMPTY_NEIGHBOUR)
}
