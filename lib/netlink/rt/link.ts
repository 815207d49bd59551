/**
 * Links: RTM_NEWLINK, RTM_GETLINK, RTM_SETLINK, RTM_DELLINK.
 *
 * @source linux/rtnetlink.h struct ifinfomsg; linux/if_link.h enum IFLA_*; types by net/core/rtnetlink.c ifla_policy
 */
import type { Attribute } from '../reader.ts'
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
import { encodeRows, nest, type Rows, readingRows } from './rows.ts'

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
  readonly groupId?: number | undefined
  /** Of a request: the namespace to make the link in or to move it to. */
  readonly netnsFd?: number | undefined
  readonly extMask?: number | undefined
  readonly promiscuity?: number | undefined
  readonly linkNetnsId?: number | undefined
  readonly properties?: LinkProperties | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** IFLA_LINKINFO; `kind` selects what `info` is, `slaveKind` what `port` is. */
export interface LinkInfoAttribute {
  readonly kind?: string | undefined
  readonly info?: KindInfo | undefined
  readonly slaveKind?: string | undefined
  /** When slaveKind is `bridge`. */
  readonly port?: BridgePort | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export type KindInfo =
  | BridgeInfo
  | VxlanInfo
  | MacvlanInfo
  | IpvlanInfo
  | VlanInfo
  | VrfInfo
  | TunInfo
  | VethInfo
  | OtherInfo

/** IFLA_PROP_LIST */
export interface LinkProperties {
  readonly altNames: readonly string[]
  readonly unknown?: readonly Attribute[] | undefined
}

const IFNAMSIZ = 16
const ALTIFNAMSIZ = 128

/** Nothing set: the start of a request. */
export const EMPTY_LINK: LinkMessage = { family: AF_UNSPEC, deviceType: 0, index: 0, flags: 0, change: 0 }

export function linkRows(rows: Rows, link: LinkMessage): LinkMessage {
  const family = rows.fixedU8('ifi_family', link.family)
  rows.fixedU8('__ifi_pad', 0)
  return {
    family,
    deviceType: rows.fixedU16('ifi_type', link.deviceType),
    index: rows.fixedI32('ifi_index', link.index),
    flags: rows.fixedU32('ifi_flags', link.flags),
    change: rows.fixedU32('ifi_change', link.change),
    mac: rows.bytes(1, 'IFLA_ADDRESS', link.mac),
    broadcast: rows.bytes(2, 'IFLA_BROADCAST', link.broadcast),
    name: rows.text(3, 'IFLA_IFNAME', link.name, IFNAMSIZ),
    mtu: rows.u32(4, 'IFLA_MTU', link.mtu),
    parentIndex: rows.u32(5, 'IFLA_LINK', link.parentIndex),
    masterIndex: rows.u32(10, 'IFLA_MASTER', link.masterIndex),
    txQueueLength: rows.u32(13, 'IFLA_TXQLEN', link.txQueueLength),
    operState: rows.u8(16, 'IFLA_OPERSTATE', link.operState),
    linkInfo: nest(rows, 18, 'IFLA_LINKINFO', link.linkInfo, {}, linkInfoRows),
    alias: rows.plainText(20, 'IFLA_IFALIAS', link.alias),
    groupId: rows.u32(27, 'IFLA_GROUP', link.groupId),
    netnsFd: rows.u32(28, 'IFLA_NET_NS_FD', link.netnsFd),
    extMask: rows.u32(29, 'IFLA_EXT_MASK', link.extMask),
    promiscuity: rows.u32(30, 'IFLA_PROMISCUITY', link.promiscuity),
    linkNetnsId: rows.i32(37, 'IFLA_LINK_NETNSID', link.linkNetnsId),
    properties: nest(rows, 52, 'IFLA_PROP_LIST', link.properties, { altNames: [] }, propertyRows),
    unknown: rows.unknown(link.unknown)
  }
}

function linkInfoRows(rows: Rows, value: LinkInfoAttribute): LinkInfoAttribute {
  const kind = rows.text(1, 'IFLA_INFO_KIND', value.kind, 64)
  const info = kind === undefined ? undefined : kindRows(rows, kind, value.info)
  const slaveKind = rows.text(4, 'IFLA_INFO_SLAVE_KIND', value.slaveKind, 64)
  const port = slaveKind === 'bridge' ? value.port : undefined
  return {
    kind,
    info,
    slaveKind,
    port: slaveKind === 'bridge' ? nest(rows, 5, 'IFLA_INFO_SLAVE_DATA', port, {}, bridgePortRows) : undefined,
    unknown: rows.unknown(value.unknown)
  }
}

/** The sub-message whose form the kind selects. */
function kindRows(rows: Rows, kind: string, info: KindInfo | undefined): KindInfo | undefined {
  const symbol = 'IFLA_INFO_DATA'
  switch (kind) {
    case 'bridge':
      return nest(rows, 2, symbol, info?.kind === 'bridge' ? info : undefined, { kind: 'bridge' }, bridgeRows)
    case 'vxlan':
      return nest(rows, 2, symbol, info?.kind === 'vxlan' ? info : undefined, { kind: 'vxlan' }, vxlanRows)
    case 'macvlan':
      return nest(rows, 2, symbol, info?.kind === 'macvlan' ? info : undefined, { kind: 'macvlan' }, macvlanRows)
    case 'ipvlan':
      return nest(rows, 2, symbol, info?.kind === 'ipvlan' ? info : undefined, { kind: 'ipvlan' }, ipvlanRows)
    case 'vlan':
      return nest(rows, 2, symbol, info?.kind === 'vlan' ? info : undefined, { kind: 'vlan' }, vlanRows)
    case 'vrf':
      return nest(rows, 2, symbol, info?.kind === 'vrf' ? info : undefined, { kind: 'vrf' }, vrfRows)
    case 'tun':
      return nest(rows, 2, symbol, info?.kind === 'tun' ? info : undefined, { kind: 'tun' }, tunRows)
    case 'veth':
      return nest(rows, 2, symbol, info?.kind === 'veth' ? info : undefined, { kind: 'veth' }, vethRows)
    default:
      return nest(rows, 2, symbol, info?.kind === 'other' ? info : undefined, { kind: 'other' }, otherRows)
  }
}

function propertyRows(rows: Rows, properties: LinkProperties): LinkProperties {
  return {
    altNames: rows.texts(53, 'IFLA_ALT_IFNAME', properties.altNames, ALTIFNAMSIZ),
    unknown: rows.unknown(properties.unknown)
  }
}

/** @throws {EncodeError} for a name of 16 bytes and more, and for numbers out of range */
export function encodeLink(link: LinkMessage): Uint8Array {
  return encodeRows('ifinfomsg', link, linkRows)
}

/** @throws {DecodeError} */
export function decodeLink(bytes: Uint8Array): LinkMessage {
  return linkRows(readingRows(bytes, 'ifinfomsg'), EMPTY_LINK)
}
