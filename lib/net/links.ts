/**
 * `ip link`, and `bridge link` for what a port of a bridge has of its own. In what is passed in, an absent field means "leave
 * it alone" or "the kernel's default".
 */
import type { BridgeInfo } from '../netlink/rt/kinds/bridge.ts'
import type { BridgePort } from '../netlink/rt/kinds/bridge-port.ts'
import type { IpvlanFlag, IpvlanInfo, IpvlanMode } from '../netlink/rt/kinds/ipvlan.ts'
import type { MacvlanInfo, MacvlanMode } from '../netlink/rt/kinds/macvlan.ts'
import type { OtherInfo } from '../netlink/rt/kinds/other.ts'
import type { TunInfo } from '../netlink/rt/kinds/tun.ts'
import type { VlanInfo } from '../netlink/rt/kinds/vlan.ts'
import type { VrfInfo } from '../netlink/rt/kinds/vrf.ts'
import type { VxlanInfo } from '../netlink/rt/kinds/vxlan.ts'

import type { Namespace } from './namespace.ts'

export type { BridgeInfo } from '../netlink/rt/kinds/bridge.ts'
export type { BridgePort } from '../netlink/rt/kinds/bridge-port.ts'
export type { IpvlanFlag, IpvlanMode } from '../netlink/rt/kinds/ipvlan.ts'
export type { MacvlanInfo, MacvlanMode } from '../netlink/rt/kinds/macvlan.ts'
export type { OtherInfo } from '../netlink/rt/kinds/other.ts'

export type { VxlanInfo } from '../netlink/rt/kinds/vxlan.ts'

/** An interface as the kernel describes it. */
export interface Link {
  readonly index: number
  readonly name: string
  /** IFF_* of linux/if.h */
  readonly flags: number
  /** Set up by its administrator; whether it carries traffic is `operState`. */
  readonly isUp: boolean
  /** bytes */
  readonly mtu: number
  /** undefined on links without one, such as tun */
  readonly mac: Uint8Array | undefined
  /** The bridge, bond or VRF it is a port of. */
  readonly masterIndex: number | undefined
  /** The link below (macvlan, vlan) or the other end (veth); an index of `linkNetnsId`'s namespace when that is set. */
  readonly parentIndex: number | undefined
  /** This namespace's number for the namespace that `parentIndex` belongs to, when that is another one. */
  readonly linkNetnsId: number | undefined
  readonly alias: string | undefined
  readonly altNames: readonly string[]
  /** Its sysctls of IPv4 and IPv6, as `trustsOf` reads them; undefined = nothing is known. */
  readonly families: Uint8Array | undefined
  /** The address that a physical device was built with; undefined where the kernel knows none, as of virtual links. */
  readonly permanentMac: Uint8Array | undefined
  /** packets */
  readonly txQueueLength: number
  /** How many times promiscuous mode was asked for, whoever asked. */
  readonly promiscuity: number
  /** As `ip link set promisc on` sets it. */
  readonly isPromiscuous: boolean
  readonly isAllMulticast: boolean
  readonly groupId: number
  readonly operState: OperState
  /** As `ip -d link` shows it: `veth`, `bridge`; undefined for lo and physical interfaces. */
  readonly kind: string | undefined
  readonly info: LinkInfo
  /** Set when the link is a port of a bridge. */
  readonly port: BridgePort | undefined
}

export type OperState = 'unknown' | 'not-present' | 'down' | 'lower-layer-down' | 'testing' | 'dormant' | 'up'

/** What is particular to the link's kind; `other` for kinds without any or unknown here. */
export type LinkInfo = BridgeInfo | VxlanInfo | MacvlanInfo | IpvlanInfo | VlanInfo | VrfInfo | TunInfo | OtherInfo

/** A link to be made, by one request to the kernel: all of it exists afterwards or nothing does. */
export interface NewLink {
  /** 1 to 15 bytes */
  readonly name: string
  readonly kind: LinkKind
  /** bytes; the kernel's default for the kind when absent */
  readonly mtu?: number | undefined
  readonly mac?: Uint8Array | undefined
  readonly masterIndex?: number | undefined
  readonly up?: boolean | undefined
  readonly txQueueLength?: number | undefined
  readonly groupId?: number | undefined
}

/** What `ip link add … type` names. */
type LinkKindName = 'veth' | 'bridge' | 'macvlan' | 'ipvlan' | 'vlan' | 'vxlan' | 'vrf' | 'dummy' | 'ifb' | 'wireguard'

/**
 * The kind of a link to be made and its options, as `ip link add … type KIND OPTIONS` takes them; an option of
 * another kind is not sent.
 *
 * One record and not a union of one per kind: the native compiler tells the members of a union apart by their fields
 * alone, and `{ kind: 'bridge' }` and `{ kind: 'dummy' }` have the same.
 */
export interface LinkKind {
  readonly kind: LinkKindName

  /** veth, needed. */
  readonly peer?: VethPeer | undefined

  /** macvlan, ipvlan, vlan: needed. vxlan: the link to send by; by route when absent. */
  readonly parentIndex?: number | undefined
  /** macvlan, ipvlan: needed. */
  readonly mode?: MacvlanMode | IpvlanMode | undefined
  /** ipvlan; bridge when absent. */
  readonly flag?: IpvlanFlag | undefined
  /** macvlan: packets; the length of the queue for broadcasts. */
  readonly bcQueueLength?: number | undefined
  /** macvlan: the senders that mode `source` lets in. */
  readonly macs?: readonly Uint8Array[] | undefined

  /** vlan: 0 to 4094. vxlan: the network identifier, 24 bits. Needed by both. */
  readonly id?: number | undefined
  /** vrf, needed. */
  readonly table?: number | undefined

  // bridge
  readonly forwardDelay?: BridgeInfo['forwardDelay']
  readonly ageingTime?: BridgeInfo['ageingTime']
  readonly stp?: BridgeInfo['stp']
  readonly priority?: BridgeInfo['priority']
  readonly vlanFiltering?: BridgeInfo['vlanFiltering']
  readonly vlanDefaultPvid?: BridgeInfo['vlanDefaultPvid']
  readonly groupForwardMask?: BridgeInfo['groupForwardMask']
  readonly multicastSnooping?: BridgeInfo['multicastSnooping']

  // vxlan
  readonly group?: VxlanInfo['group']
  readonly local?: VxlanInfo['local']
  readonly ttl?: VxlanInfo['ttl']
  readonly tos?: VxlanInfo['tos']
  readonly learning?: VxlanInfo['learning']
  readonly ageing?: VxlanInfo['ageing']
  readonly limit?: VxlanInfo['limit']
  readonly sourcePorts?: VxlanInfo['sourcePorts']
  readonly proxy?: VxlanInfo['proxy']
  readonly routeShortCircuit?: VxlanInfo['routeShortCircuit']
  readonly l2miss?: VxlanInfo['l2miss']
  readonly l3miss?: VxlanInfo['l3miss']
  readonly port?: VxlanInfo['port']
  readonly udpChecksum?: VxlanInfo['udpChecksum']
  readonly udpZeroChecksum6Tx?: VxlanInfo['udpZeroChecksum6Tx']
  readonly udpZeroChecksum6Rx?: VxlanInfo['udpZeroChecksum6Rx']
  readonly gbp?: VxlanInfo['gbp']
  readonly collectMetadata?: VxlanInfo['collectMetadata']
  readonly label?: VxlanInfo['label']
  readonly df?: VxlanInfo['df']
}

/** The other end of a veth pair. It comes down: the kernel ties the two together only after configuring it. */
export interface VethPeer {
  readonly name: string
  /** The namespace to make it in; that of the first end when absent. */
  readonly netns?: Namespace | undefined
  readonly mtu?: number | undefined
  readonly mac?: Uint8Array | undefined
}

/** A veth pair, as it was made. */
export interface LinkPair {
  readonly first: Link
  /** Down yet. undefined where the kernel does not tell its number (Linux before 4.20, when both ends have the same). */
  readonly peer: Link | undefined
}

/** A tap interface. It lives until it is removed, whether a program holds it open or not. */
export interface NewTap {
  readonly name: string
  /** user id that may open it; any root when absent */
  readonly owner?: number | undefined
  /** group id that may open it */
  readonly group?: number | undefined
  readonly multiQueue?: boolean | undefined
}

/** Changes of one link, all in one request. */
export interface LinkChange {
  readonly up?: boolean | undefined
  readonly name?: string | undefined
  readonly mtu?: number | undefined
  readonly mac?: Uint8Array | undefined
  /** 0 takes it out of its bridge, bond or VRF. */
  readonly masterIndex?: number | undefined
  /** Moves it there, where its index may become another one. */
  readonly netns?: Namespace | undefined
  /** The empty string removes the alias. */
  readonly alias?: string | undefined
  readonly txQueueLength?: number | undefined
  readonly promiscuous?: boolean | undefined
  readonly allMulticast?: boolean | undefined
  readonly groupId?: number | undefined
  /** Of a bridge. */
  readonly vlanFiltering?: boolean | undefined
  /** Of a bridge; 0 = none. */
  readonly vlanDefaultPvid?: number | undefined
}

/** @throws {KernelError} by every verb, for whatever the kernel refuses; the codes named are the ones to tell apart */
export abstract class Links {
  abstract list(): readonly Link[]
  /**
   * @param name an alternative name too, up to 127 bytes; the link that comes back carries its first name
   * @returns undefined when there is none of this name
   */
  abstract find(name: string): Link | undefined
  /** As `find`. @throws {KernelError} ENODEV */
  abstract get(name: string): Link
  /** Sets `lo` up. @returns whether it was down */
  abstract raiseLoopback(): boolean
  abstract findByIndex(index: number): Link | undefined
  /**
   * Makes a link, or a veth pair with both ends configured.
   *
   * @returns the link; of a pair the first end
   * @throws {KernelError} EEXIST when a name or index is taken (also the peer's), ENODEV without the parent,
   *   EOPNOTSUPP when the kernel lacks the kind, EBUSY when a passthru macvlan is in the way
   */
  abstract add(link: NewLink): Link
  /**
   * The same for a veth pair. Its peer's namespace is not asked for the peer: it gets a MAC address from here unless one is
   * given, and the first end tells its number.
   *
   * @param link of kind veth
   */
  abstract addPair(link: NewLink): LinkPair
  /**
   * The same in another namespace, which is then asked for it: there is never a link here with a temporary name.
   * `parentIndex` and `peer` are still counted from this one.
   */
  abstract addIn(netns: Namespace, link: NewLink): void
  /** @throws {KernelError} EBUSY when the name is taken, EPERM when owner or group may not be set */
  abstract addTap(tap: NewTap): Link
  /** @throws {KernelError} ENODEV, EEXIST for a name that is taken, EBUSY for a rename the kernel refuses */
  abstract set(index: number, change: LinkChange): void
  /** @throws {KernelError} EOPNOTSUPP when the link has no master, EINVAL when that is no bridge */
  abstract setPort(index: number, port: BridgePort): void
  /** By its first name. @returns false when there was none */
  abstract remove(name: string): boolean
  /** @returns false when there was none */
  abstract removeByIndex(index: number): boolean
  /**
   * Removes all of them at once: the kernel takes 15 ms and more to let go of a link, or of as many as one request removes.
   * What is gone already is no failure.
   *
   * @throws {KernelError} EOPNOTSUPP when one of them cannot be removed; then none is
   */
  abstract removeTogether(indices: readonly number[]): void
}
