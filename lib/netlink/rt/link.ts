/**
 * Links: RTM_NEWLINK, RTM_GETLINK, RTM_SETLINK, RTM_DELLINK.
 *
 * @source linux/rtnetlink.h struct ifinfomsg; linux/if_link.h enum IFLA_*; types by net/core/rtnetlink.c ifla_policy
 */

import { type Attribute, encodeRows, nest, type Rows, readingRows } from '../rows.ts'
import { type BridgeInfo, bridgeRows } from './kinds/bridge.ts'
import { type BridgePort, bridgePortRows } from './kinds/bridge-port.ts'
import { type IpvlanInfo, ipvlanRows } from './kinds/ipvlan.ts'
import { type MacvlanInfo, macvlanRows } from './kinds/macvlan.ts'
import { type OtherInfo, otherRows } from './kinds/other.ts'
import { type TunInfo, tunRows } from './kinds/tun.ts'
import { type VethInfo, vethRows } from './kinds/veth.ts'
import { type VlanInfo, vlanRows } from './kinds/vlan.ts'
import { type VrfInfo, vrfRows } from './kinds/vrf.ts'
import { type VxlanInfo, vxlanRows } from './kinds/vxlan.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18
export const RTM_SETLINK = 19

export const AF_UNSPEC = 0
export const AF_INET = 2
export const AF_BRIDGE = 7
export const AF_INET6 = 10

/** linux/if.h */
export const IFF_UP = 0x1
export const IFF_PROMISC = 0x100
export const IFF_ALLMULTI = 0x200

/** Of `extMask`: leave the counters out, most of an answer's bytes. */
export const RTEXT_FILTER_SKIP_STATS = 8

/** struct ifinfomsg and its attributes. */
export interface LinkMessage {
  readonly family: number
  /** ARPHRD_* */
  readonly deviceType: number
  /** 0 = none given */
  readonly index: number
  /** IFF_* */
  readonly flags: number
  /** Which of `flags` are meant. */
  readonly change: number
  readonly mac?: Uint8Array | undefined
  readonly broadcast?: Uint8Array | undefined
  readonly name?: string | undefined
  readonly mtu?: number | undefined
  readonly parentIndex?: number | undefined
  readonly masterIndex?: number | undefined
  readonly txQueueLength?: number | undefined
  /** IF_OPER_* */
  readonly operState?: number | undefined
  readonly linkInfo?: LinkInfoAttribute | undefined
  readonly alias?: string | undefined
  /** As decodeFamilies reads it. */
  readonly families?: Uint8Array | undefined
  readonly groupId?: number | undefined
  /** Of a request: the namespace to make the link in or to move it to. */
  readonly netnsFd?: number | undefined
  readonly extMask?: number | undefined
  readonly promiscuity?: number | undefined
  readonly linkNetnsId?: number | undefined
  readonly properties?: LinkProperties | undefined
  /** Of a request: any of the link's names, in place of `name` where that is longer than a first name can be. */
  readonly altName?: string | undefined
  /** The MAC address that the device was built with. */
  readonly permanentMac?: Uint8Array | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/**
 * IFLA_LINKINFO. `kind` selects which of the fields below it IFLA_INFO_DATA is, `slaveKind` likewise `port`; one
 * that is not selected is not encoded.
 */
export interface LinkInfoAttribute {
  readonly kind?: string | undefined
  readonly bridge?: BridgeInfo | undefined
  readonly vxlan?: VxlanInfo | undefined
  readonly macvlan?: MacvlanInfo | undefined
  readonly ipvlan?: IpvlanInfo | undefined
  readonly vlan?: VlanInfo | undefined
  readonly vrf?: VrfInfo | undefined
  readonly tun?: TunInfo | undefined
  readonly veth?: VethInfo | undefined
  /** Of any other kind: its attributes as they came. */
  readonly other?: OtherInfo | undefined
  readonly slaveKind?: string | undefined
  readonly port?: BridgePort | undefined
  /** Of any other slave kind. */
  readonly otherPort?: OtherInfo | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** IFLA_PROP_LIST */
interface LinkProperties {
  readonly altNames: readonly string[]
  readonly unknown?: readonly Attribute[] | undefined
}

/** Sizes of names, with the NUL. @source linux/if.h */
export const IFNAMSIZ = 16
export const ALTIFNAMSIZ = 128

/** Nothing set: the start of a request. */
export const EMPTY_LINK: LinkMessage = { family: AF_UNSPEC, deviceType: 0, index: 0, flags: 0, change: 0 }

/** All that a question about a link says: one attribute in ten, and questions are most of what is sent. */
function questionRows(rows: Rows, link: LinkMessage): LinkMessage {
  const family = rows.fixedU8('ifi_family', link.family)
  rows.fixedU8('__ifi_pad', 0)
  return {
    family,
    deviceType: rows.fixedU16('ifi_type', link.deviceType),
    index: rows.fixedI32('ifi_index', link.index),
    flags: rows.fixedU32('ifi_flags', link.flags),
    change: rows.fixedU32('ifi_change', link.change),
    name: rows.text(3, 'IFLA_IFNAME', link.name, IFNAMSIZ),
    extMask: rows.u32(29, 'IFLA_EXT_MASK', link.extMask),
    altName: rows.text(53, 'IFLA_ALT_IFNAME', link.altName, ALTIFNAMSIZ)
  }
}

function linkRows(rows: Rows, link: LinkMessage): LinkMessage {
  const { family, deviceType, index, flags, change, name, extMask, altName } = questionRows(rows, link)
  return {
    family,
    deviceType,
    index,
    flags,
    change,
    mac: rows.bytes(1, 'IFLA_ADDRESS', link.mac),
    broadcast: rows.bytes(2, 'IFLA_BROADCAST', link.broadcast),
    name,
    mtu: rows.u32(4, 'IFLA_MTU', link.mtu),
    parentIndex: rows.u32(5, 'IFLA_LINK', link.parentIndex),
    masterIndex: rows.u32(10, 'IFLA_MASTER', link.masterIndex),
    txQueueLength: rows.u32(13, 'IFLA_TXQLEN', link.txQueueLength),
    operState: rows.u8(16, 'IFLA_OPERSTATE', link.operState),
    linkInfo: nest(rows.at(18, 'IFLA_LINKINFO'), link.linkInfo, {}, linkInfoRows),
    alias: rows.plainText(20, 'IFLA_IFALIAS', link.alias),
    families: rows.bytes(26, 'IFLA_AF_SPEC', link.families),
    groupId: rows.u32(27, 'IFLA_GROUP', link.groupId),
    netnsFd: rows.u32(28, 'IFLA_NET_NS_FD', link.netnsFd),
    extMask,
    promiscuity: rows.u32(30, 'IFLA_PROMISCUITY', link.promiscuity),
    linkNetnsId: rows.i32(37, 'IFLA_LINK_NETNSID', link.linkNetnsId),
    properties: nest(rows.at(52, 'IFLA_PROP_LIST'), link.properties, { altNames: [] }, propertyRows),
    altName,
    permanentMac: rows.bytes(54, 'IFLA_PERM_ADDRESS', link.permanentMac),
    unknown: rows.unknown(link.unknown)
  }
}

/** The attribute's value as far as IFLA_INFO_DATA goes, of which `kind` tells the shape. */
function dataRows(rows: Rows, kind: string | undefined, v: LinkInfoAttribute): LinkInfoAttribute {
  const data = 'IFLA_INFO_DATA'
  if (kind === undefined) return {}
  if (kind === 'bridge') return { bridge: nest(rows.at(2, data), v.bridge, { kind: 'bridge' }, bridgeRows) }
  if (kind === 'vxlan') return { vxlan: nest(rows.at(2, data), v.vxlan, { kind: 'vxlan' }, vxlanRows) }
  if (kind === 'macvlan') return { macvlan: nest(rows.at(2, data), v.macvlan, { kind: 'macvlan' }, macvlanRows) }
  if (kind === 'ipvlan') return { ipvlan: nest(rows.at(2, data), v.ipvlan, { kind: 'ipvlan' }, ipvlanRows) }
  if (kind === 'vlan') return { vlan: nest(rows.at(2, data), v.vlan, { kind: 'vlan' }, vlanRows) }
  if (kind === 'vrf') return { vrf: nest(rows.at(2, data), v.vrf, { kind: 'vrf' }, vrfRows) }
  if (kind === 'tun') return { tun: nest(rows.at(2, data), v.tun, { kind: 'tun' }, tunRows) }
  if (kind === 'veth') return { veth: nest(rows.at(2, data), v.veth, { kind: 'veth' }, vethRows) }
  return { other: nest(rows.at(2, data), v.other, { kind: 'other' }, otherRows) }
}

function linkInfoRows(rows: Rows, v: LinkInfoAttribute): LinkInfoAttribute {
  const slaveData = 'IFLA_INFO_SLAVE_DATA'
  const kind = rows.text(1, 'IFLA_INFO_KIND', v.kind, 64)
  const info = dataRows(rows, kind, v)
  const slaveKind = rows.text(4, 'IFLA_INFO_SLAVE_KIND', v.slaveKind, 64)
  const isOtherPort = slaveKind !== undefined && slaveKind !== 'bridge'
  const port = slaveKind === 'bridge' ? nest(rows.at(5, slaveData), v.port, {}, bridgePortRows) : undefined
  const otherPort = isOtherPort ? nest(rows.at(5, slaveData), v.otherPort, { kind: 'other' }, otherRows) : undefined
  return { ...info, kind, slaveKind, port, otherPort, unknown: rows.unknown(v.unknown) }
}

function propertyRows(rows: Rows, properties: LinkProperties): LinkProperties {
  return {
    altNames: rows.texts(53, 'IFLA_ALT_IFNAME', properties.altNames, ALTIFNAMSIZ),
    unknown: rows.unknown(properties.unknown)
  }
}

/** The same for a question, of which nothing but index, names and extMask is said. */
export function questionAbout(link: LinkMessage): Uint8Array {
  return encodeRows(link, questionRows)
}

/** @throws {EncodeError} for a name of 16 bytes and more, and for numbers out of range */
export function encodeLink(link: LinkMessage): Uint8Array {
  return encodeRows(link, linkRows)
}

/**
 * @param keepsUnknown whether attributes that LinkMessage has no field for are wanted
 * @throws {DecodeError}
 */
export function decodeLink(bytes: Uint8Array, keepsUnknown = true): LinkMessage {
  return linkRows(readingRows(bytes, 'ifinfomsg', keepsUnknown), EMPTY_LINK)
}
