/**
 * VLANs of bridge ports. They are set by link messages of family AF_BRIDGE (RTM_SETLINK, RTM_DELLINK) and listed
 * by RTM_GETVLAN, the only request that lists one port's.
 *
 * @source linux/if_bridge.h enum IFLA_BRIDGE_*, struct bridge_vlan_info, struct br_vlan_msg, enum
 *   BRIDGE_VLANDB_ENTRY_*; types by net/bridge/br_vlan.c br_vlan_db_policy
 */
import { Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { type Attribute, encodeRows, nest, nestList, type Rows, readingRows } from '../rows.ts'

export const RTM_GETVLAN = 114

/** Of `BridgeLinkSpec.flags`: act on the device itself, not on the bridge that it is a port of. */
export const BRIDGE_FLAGS_SELF = 2

/** Of `VlanEntry.flags`. */
export const BRIDGE_VLAN_INFO_PVID = 2
export const BRIDGE_VLAN_INFO_UNTAGGED = 4
export const BRIDGE_VLAN_INFO_RANGE_BEGIN = 8
export const BRIDGE_VLAN_INFO_RANGE_END = 16

/** struct bridge_vlan_info. */
export interface VlanEntry {
  /** BRIDGE_VLAN_INFO_* */
  readonly flags: number
  readonly vid: number
}

/** struct ifinfomsg of family AF_BRIDGE with what bridge requests carry. */
export interface BridgeLinkMessage {
  readonly family: number
  readonly index: number
  readonly spec?: BridgeLinkSpec | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** IFLA_AF_SPEC of family AF_BRIDGE. A range is two entries, one marked as its beginning, one as its end. */
interface BridgeLinkSpec {
  readonly flags?: number | undefined
  readonly vlans: readonly VlanEntry[]
  readonly unknown?: readonly Attribute[] | undefined
}

function bridgeLinkRows(rows: Rows, link: BridgeLinkMessage): BridgeLinkMessage {
  const family = rows.fixedU8('ifi_family', link.family)
  rows.fixedU8('__ifi_pad', 0)
  rows.fixedU16('ifi_type', 0)
  const index = rows.fixedI32('ifi_index', link.index)
  rows.fixedU32('ifi_flags', 0)
  rows.fixedU32('ifi_change', 0)
  return {
    family,
    index,
    spec: nest(rows.at(26, 'IFLA_AF_SPEC'), link.spec, { vlans: [] }, specRows),
    unknown: rows.unknown(link.unknown)
  }
}

function specRows(rows: Rows, spec: BridgeLinkSpec): BridgeLinkSpec {
  return {
    flags: rows.u16(0, 'IFLA_BRIDGE_FLAGS', spec.flags),
    vlans: rows.bytesList(2, 'IFLA_BRIDGE_VLAN_INFO', spec.vlans.map(encodeEntry), 4).map(decodeEntry),
    unknown: rows.unknown(spec.unknown)
  }
}

/** struct br_vlan_msg and its attributes: a request for, or a list of, one link's VLANs. */
export interface VlanMessage {
  readonly family: number
  readonly index: number
  readonly entries: readonly VlanDbEntry[]
  readonly unknown?: readonly Attribute[] | undefined
}

/** BRIDGE_VLANDB_ENTRY */
export interface VlanDbEntry {
  readonly info?: VlanEntry | undefined
  /** The last VLAN of a range that begins with `info`. */
  readonly lastVid?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

function vlanMessageRows(rows: Rows, message: VlanMessage): VlanMessage {
  const family = rows.fixedU8('family', message.family)
  rows.fixedU8('reserved1', 0)
  rows.fixedU16('reserved2', 0)
  return {
    family,
    index: rows.fixedU32('ifindex', message.index),
    entries: nestList(rows.at(1, 'BRIDGE_VLANDB_ENTRY'), message.entries, {}, dbEntryRows),
    unknown: rows.unknown(message.unknown)
  }
}

function dbEntryRows(rows: Rows, entry: VlanDbEntry): VlanDbEntry {
  const given = entry.info === undefined ? undefined : encodeEntry(entry.info)
  const info = rows.bytes(1, 'BRIDGE_VLANDB_ENTRY_INFO', given, 4)
  return {
    info: info === undefined ? undefined : decodeEntry(info),
    lastVid: rows.u16(2, 'BRIDGE_VLANDB_ENTRY_RANGE', entry.lastVid),
    unknown: rows.unknown(entry.unknown)
  }
}

function encodeEntry(entry: VlanEntry): Uint8Array {
  return new Writer().u16(entry.flags).u16(entry.vid).finish()
}

function decodeEntry(bytes: Uint8Array): VlanEntry {
  const reader = new Reader(bytes, 'bridge_vlan_info')
  return { flags: reader.u16(), vid: reader.u16() }
}

/** @throws {EncodeError} */
export function encodeBridgeLink(link: BridgeLinkMessage): Uint8Array {
  return encodeRows(link, bridgeLinkRows)
}

/** @throws {DecodeError} */
export function decodeBridgeLink(bytes: Uint8Array): BridgeLinkMessage {
  return bridgeLinkRows(readingRows(bytes, 'ifinfomsg'), { family: 0, index: 0 })
}

/** @throws {EncodeError} */
export function encodeVlanMessage(message: VlanMessage): Uint8Array {
  return encodeRows(message, vlanMessageRows)
}

/** @throws {DecodeError} */
export function decodeVlanMessage(bytes: Uint8Array): VlanMessage {
  return vlanMessageRows(readingRows(bytes, 'br_vlan_msg'), { family: 0, index: 0, entries: [] })
}
