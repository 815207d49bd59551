/**
 * A network namespace in the words of `ip`, `bridge` and `tc`: what plugins are written against.
 *
 * A Net is an open namespace. Host and container are two of them, passed as arguments; no call changes the
 * namespace of its caller. Verbs: `addX` fails when X is there, `ensureX` accepts exactly this X, `removeX` says
 * whether there was one, `findX` gives a value or undefined, `getX` a value or an error, `listX` everything.
 * In what a plugin passes in, an absent field means "leave it alone" or "the kernel's default".
 */
import type { IpAddress } from '../ip/address.ts'
import type { IpPrefix } from '../ip/prefix.ts'
import type { BridgeInfo } from '../netlink/rt/kinds/bridge.ts'
import type { BridgePort } from '../netlink/rt/kinds/bridge-port.ts'
import type { IpvlanFlag, IpvlanInfo, IpvlanMode } from '../netlink/rt/kinds/ipvlan.ts'
import type { MacvlanInfo, MacvlanMode } from '../netlink/rt/kinds/macvlan.ts'
import type { OtherInfo } from '../netlink/rt/kinds/other.ts'
import type { TunInfo } from '../netlink/rt/kinds/tun.ts'
import type { VlanInfo } from '../netlink/rt/kinds/vlan.ts'
import type { VrfInfo } from '../netlink/rt/kinds/vrf.ts'
import type { VxlanInfo } from '../netlink/rt/kinds/vxlan.ts'

import type { Nft } from './nft.ts'

export type { BridgeInfo } from '../netlink/rt/kinds/bridge.ts'
export type { BridgePort } from '../netlink/rt/kinds/bridge-port.ts'
export type { IpvlanFlag, IpvlanInfo, IpvlanMode } from '../netlink/rt/kinds/ipvlan.ts'
export type { MacvlanInfo, MacvlanMode } from '../netlink/rt/kinds/macvlan.ts'
export type { OtherInfo } from '../netlink/rt/kinds/other.ts'
export type { TunInfo } from '../netlink/rt/kinds/tun.ts'
export type { VlanInfo } from '../netlink/rt/kinds/vlan.ts'
export type { VrfInfo } from '../netlink/rt/kinds/vrf.ts'
export type { VxlanDf, VxlanInfo } from '../netlink/rt/kinds/vxlan.ts'

/** Route and address scopes (linux/rtnetlink.h RT_SCOPE_*). */
export const SCOPE_GLOBAL = 0
export const SCOPE_SITE = 200
export const SCOPE_LINK = 253
export const SCOPE_HOST = 254
export const SCOPE_NOWHERE = 255

/** Routing tables (linux/rtnetlink.h RT_TABLE_*). */
export const TABLE_DEFAULT = 253
export const TABLE_MAIN = 254
export const TABLE_LOCAL = 255

/** Who made a route (linux/rtnetlink.h RTPROT_*). */
export const PROTOCOL_KERNEL = 2
export const PROTOCOL_BOOT = 3
export const PROTOCOL_STATIC = 4

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
  /** The namespace to make it in; `parentIndex` and `peer` are still counted from the Net that is asked. */
  readonly netns?: Net | undefined
  readonly txQueueLength?: number | undefined
  readonly groupId?: number | undefined
}

/** What `ip link add … type` names. */
export type LinkKindName = 'veth' | 'bridge' | 'macvlan' | 'ipvlan' | 'vlan' | 'vxlan' | 'vrf' | 'dummy' | 'ifb'

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

/** The other end of a veth pair. */
export interface VethPeer {
  readonly name: string
  /** The namespace to make it in; that of the first end when absent. */
  readonly netns?: Net | undefined
  readonly mtu?: number | undefined
  readonly mac?: Uint8Array | undefined
  readonly up?: boolean | undefined
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
  readonly netns?: Net | undefined
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

/** One or a range of VLANs on a bridge port. */
export interface BridgeVlan {
  /** 1 to 4094 */
  readonly vid: number
  /** The end of a range, included. */
  readonly lastVid?: number | undefined
  /** Untagged frames that come in get this VLAN. Not for ranges. */
  readonly pvid?: boolean | undefined
  /** Frames of this VLAN go out without a tag. */
  readonly untagged?: boolean | undefined
  /** On the bridge interface itself instead of on a port. */
  readonly self?: boolean | undefined
}

/** An address as the kernel describes it. */
export interface Address {
  readonly index: number
  readonly prefix: IpPrefix
  /** The far end of a point-to-point address. */
  readonly peer: IpPrefix | undefined
  readonly broadcast: IpAddress | undefined
  /** RT_SCOPE_* */
  readonly scope: number
  /** IFA_F_* of linux/if_addr.h */
  readonly flags: number
  readonly label: string | undefined
  readonly isPermanent: boolean
  /** Duplicate address detection is still going on. */
  readonly isTentative: boolean
  /** Duplicate address detection found another owner. */
  readonly isDuplicate: boolean
  readonly lifetime: Lifetime | undefined
}

export interface NewAddress {
  readonly prefix: IpPrefix
  readonly peer?: IpPrefix | undefined
  readonly broadcast?: IpAddress | undefined
  readonly scope?: number | undefined
  readonly label?: string | undefined
  /** IPv6: usable at once, without duplicate address detection. */
  readonly noDad?: boolean | undefined
  /** Without the route to the prefix. */
  readonly noPrefixRoute?: boolean | undefined
  readonly lifetime?: Lifetime | undefined
}

/** Seconds; undefined = for ever. */
export interface Lifetime {
  readonly preferred: number | undefined
  readonly valid: number | undefined
}

export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'
  | 'nat'

/** A route, as listed and as to be added: what `listRoutes` gives can be passed to `addRoute` again. */
export interface Route {
  /** Needed only where neither `dst` nor `gateway` tells it. */
  readonly family?: 4 | 6 | undefined
  /** undefined = default */
  readonly dst: IpPrefix | undefined
  /** May be of the other family (IPv4 via IPv6). */
  readonly gateway?: IpAddress | undefined
  readonly index?: number | undefined
  /** The preferred source address. */
  readonly source?: IpAddress | undefined
  /** Also called priority: the lowest wins. */
  readonly metric?: number | undefined
  /** bytes */
  readonly mtu?: number | undefined
  /** bytes */
  readonly advmss?: number | undefined
  /** main (254) when absent */
  readonly table?: number | undefined
  /** RT_SCOPE_*; as `ip route` chooses when absent */
  readonly scope?: number | undefined
  /** RTPROT_*; boot when absent, as `ip route` has it */
  readonly protocol?: number | undefined
  /** Take the gateway for a neighbour even where no prefix says so. */
  readonly onlink?: boolean | undefined
  readonly type?: RouteType | undefined
  /** Several ways instead of `gateway` and `index`. */
  readonly nextHops?: readonly NextHop[] | undefined
}

export interface NextHop {
  readonly gateway: IpAddress | undefined
  readonly index: number
  /** 1 to 256 */
  readonly weight: number
  readonly onlink: boolean
}

/** Every field given must match. */
export interface RouteFilter {
  readonly family?: 4 | 6 | undefined
  /** main (254) when absent; 0 = every table */
  readonly table?: number | undefined
  readonly index?: number | undefined
  /** The very prefix, not what it contains. */
  readonly dst?: IpPrefix | undefined
}

export type NeighbourState =
  | 'none'
  | 'incomplete'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'noarp'
  | 'permanent'

/** An entry of the ARP or neighbour discovery table. */
export interface Neighbour {
  readonly index: number
  readonly address: IpAddress
  readonly mac: Uint8Array | undefined
  readonly state: NeighbourState
  readonly proxy: boolean
  readonly router: boolean
  readonly extLearn: boolean
}

export interface NewNeighbour {
  readonly address: IpAddress
  /** Not for proxy entries. */
  readonly mac?: Uint8Array | undefined
  /** permanent when absent */
  readonly state?: NeighbourState | undefined
  readonly proxy?: boolean | undefined
  /** Made by a control plane, which also removes it. */
  readonly extLearn?: boolean | undefined
}

/** An entry of a forwarding database, as listed and as to be added. */
export interface FdbEntry {
  readonly mac: Uint8Array
  /** VXLAN: the host behind which `mac` is. */
  readonly dst?: IpAddress | undefined
  readonly vlan?: number | undefined
  /** In the device's own table; the default when neither is set. */
  readonly self?: boolean | undefined
  /** In the table of the bridge that the device is a port of. */
  readonly master?: boolean | undefined
  /** Never expires; the default when adding. */
  readonly permanent?: boolean | undefined
  /** In a bridge's table: an address of the host, not of what is behind the port. */
  readonly local?: boolean | undefined
  readonly extLearn?: boolean | undefined
  /** VXLAN: another network identifier than the device's. */
  readonly vni?: number | undefined
  /** VXLAN: another UDP port than the device's. */
  readonly port?: number | undefined
  /** VXLAN: the link to send by. */
  readonly viaIndex?: number | undefined
}

export type RuleAction = 'table' | 'goto' | 'nop' | 'blackhole' | 'unreachable' | 'prohibit'

/** A routing policy rule, as listed and as to be added. */
export interface Rule {
  readonly family: 4 | 6
  /** Rules are tried in this order; chosen by the kernel when absent. */
  readonly priority?: number | undefined
  readonly from?: IpPrefix | undefined
  readonly to?: IpPrefix | undefined
  readonly table?: number | undefined
  readonly iifName?: string | undefined
  readonly oifName?: string | undefined
  readonly mark?: number | undefined
  readonly mask?: number | undefined
  readonly suppressPrefixLength?: number | undefined
  readonly protocol?: number | undefined
  readonly invert?: boolean | undefined
  /** The master's table is looked up (VRF). */
  readonly l3mdev?: boolean | undefined
  /** The priority of the rule to go on with; for action `goto`. */
  readonly goto?: number | undefined
  readonly action?: RuleAction | undefined
}

/** A queueing discipline, as listed. Handles and parents are numbers `major * 65536 + minor`. */
export interface Qdisc {
  readonly index: number
  /** `tbf`, `ingress`, `clsact`, `noqueue` … */
  readonly kind: string
  readonly handle: number
  readonly parent: number
  /** Set when kind is `tbf`. */
  readonly tbf: Tbf | undefined
}

export type NewQdisc = TbfQdisc | { readonly kind: 'ingress' } | { readonly kind: 'clsact' }

/** A token bucket filter as the root queue of a link. */
export interface TbfQdisc {
  readonly kind: 'tbf'
  readonly tbf: Tbf
}

export interface Tbf {
  /** bytes per second; above 2^32 too */
  readonly rate: number
  /** bytes that may go at once */
  readonly burst: number
  /** bytes that may wait; `limitForLatency` computes it */
  readonly limit: number
}

/** Where the filters of a link hang: on its ingress qdisc, or on either hook of clsact. */
export type FilterHook = 'ingress' | 'clsact-ingress' | 'clsact-egress'

/** A filter that sends every packet out of another link (u32 match-all, action mirred egress redirect). */
export interface RedirectFilter {
  readonly hook: FilterHook
  /** 1 to 65535: filters are tried in this order */
  readonly priority: number
  readonly redirectIndex: number
}

/** A filter, as listed. */
export interface Filter {
  readonly kind: string
  readonly priority: number
  /** ETH_P_*, 3 = all */
  readonly protocol: number
  /** undefined when its action is another one */
  readonly redirectIndex: number | undefined
}

/** @throws {KernelError} by every verb, for whatever the kernel refuses; the codes named are the ones to tell apart */
export abstract class Net {
  /** The path it was opened by; `''` for the host's. */
  abstract path(): string
  /** For calls that take a namespace; valid until `close`. */
  abstract namespaceFd(): number
  /** Whether both are the same namespace, however they were opened. */
  abstract isSameAs(other: Net): boolean
  /** This namespace's number for the other one, which `Link.linkNetnsId` uses; undefined when it has none. */
  abstract findNetnsId(other: Net): number | undefined
  abstract close(): void
  /**
   * Runs `work` while no other process that asks for the same holds this namespace: for what has to be looked up and
   * taken in one go, such as a free routing table. The lock is on the namespace's own file, whatever path it was opened
   * by; the reference's sbr locks the same.
   */
  abstract exclusively(work: () => void): void
  /** The packet filter of this namespace, opened on first use and closed with the Net. */
  abstract nft(): Nft

  abstract listLinks(): readonly Link[]
  abstract findLink(name: string): Link | undefined
  /** @throws {KernelError} ENODEV */
  abstract getLink(name: string): Link
  abstract findLinkByIndex(index: number): Link | undefined
  /**
   * Makes a link, or a veth pair with both ends configured.
   *
   * @returns the link, in the namespace it was made in; of a pair the first end
   * @throws {KernelError} EEXIST when a name or index is taken (also the peer's), ENODEV without the parent,
   *   EOPNOTSUPP when the kernel lacks the kind, EBUSY when a passthru macvlan is in the way
   */
  abstract addLink(link: NewLink): Link
  /** @throws {KernelError} EBUSY when the name is taken, EPERM when owner or group may not be set */
  abstract addTap(tap: NewTap): Link
  /** @throws {KernelError} ENODEV, EEXIST for a name that is taken, EBUSY for a rename the kernel refuses */
  abstract setLink(index: number, change: LinkChange): void
  /** @throws {KernelError} ENODEV */
  abstract setLinkUp(name: string): void
  /** @returns false when there was none */
  abstract removeLink(name: string): boolean
  /** @returns false when there was none */
  abstract removeLinkByIndex(index: number): boolean

  /** @throws {KernelError} EOPNOTSUPP when the link has no master, EINVAL when that is no bridge */
  abstract setBridgePort(index: number, port: BridgePort): void
  /** @throws {KernelError} EOPNOTSUPP when the kernel lacks VLAN filtering */
  abstract addBridgeVlan(index: number, vlan: BridgeVlan): void
  /** Several, in one go. */
  abstract addBridgeVlans(index: number, vlans: readonly BridgeVlan[]): void
  /** Removes those that are there; the kernel does not say whether there were any. */
  abstract removeBridgeVlan(index: number, vlan: BridgeVlan): void
  /** The VLANs of a port, or of a bridge itself; ranges as the kernel compresses them, without `self`. */
  abstract listBridgeVlans(index: number): readonly BridgeVlan[]

  /** Of one link, or of all. */
  abstract listAddresses(index?: number): readonly Address[]
  /** @throws {KernelError} EEXIST when the link has the address, EACCES when IPv6 is switched off on the link */
  abstract addAddress(index: number, address: NewAddress): void
  /** Adds it, or accepts the same address with the same prefix length. @throws {KernelError} EEXIST when the length differs */
  abstract ensureAddress(index: number, address: NewAddress): void
  /** Several, in one go. */
  abstract ensureAddresses(index: number, addresses: readonly NewAddress[]): void
  /** @returns false when the link has no such address */
  abstract removeAddress(index: number, prefix: IpPrefix): boolean

  /** Of both families and table main where the filter says nothing else. */
  abstract listRoutes(filter: RouteFilter): readonly Route[]
  /** @throws {KernelError} EEXIST, ENETUNREACH when the gateway is no neighbour, ENODEV, ENETDOWN */
  abstract addRoute(route: Route): void
  /** Adds it, or accepts one with the same destination, table, metric, gateway and link. @throws {KernelError} EEXIST when another has its place */
  abstract ensureRoute(route: Route): void
  /** Several in their order, in one go. */
  abstract ensureRoutes(routes: readonly Route[]): void
  /** Adds it in place of the one with the same destination, table and metric, if there is one. */
  abstract replaceRoute(route: Route): void
  /** @returns false when there was none */
  abstract removeRoute(route: Route): boolean

  abstract listNeighbours(index?: number): readonly Neighbour[]
  /** Adds or overwrites. */
  abstract setNeighbour(index: number, neighbour: NewNeighbour): void
  /** @returns false when there was none */
  abstract removeNeighbour(index: number, address: IpAddress, proxy?: boolean): boolean

  /** The entries in the link's own table, and those in its bridge's table that lead out of it. */
  abstract listFdb(index: number): readonly FdbEntry[]
  /** Adds the entry or gives the one of this MAC a new destination. */
  abstract setFdb(index: number, entry: FdbEntry): void
  /** @throws {KernelError} EEXIST when the MAC has an entry */
  abstract addFdb(index: number, entry: FdbEntry): void
  /** One more destination for a MAC; VXLAN only (several for 00:00:00:00:00:00 flood). */
  abstract appendFdb(index: number, entry: FdbEntry): void
  /** @returns false when there was none; of a MAC with several destinations the kernel tells only whether it has any */
  abstract removeFdb(index: number, entry: FdbEntry): boolean

  abstract listRules(family: 4 | 6): readonly Rule[]
  /** @throws {KernelError} EEXIST when there is exactly this one */
  abstract addRule(rule: Rule): void
  /** @returns false when there was none */
  abstract removeRule(rule: Rule): boolean

  abstract listQdiscs(index: number): readonly Qdisc[]
  /** tbf as root, ingress and clsact at their own place; whatever is there is replaced. */
  abstract replaceQdisc(index: number, qdisc: NewQdisc): void
  /** @returns false when there was none of this kind */
  abstract removeQdisc(index: number, kind: 'tbf' | 'ingress' | 'clsact'): boolean
  abstract listFilters(index: number, hook: FilterHook): readonly Filter[]
  abstract addFilter(index: number, filter: RedirectFilter): void
  /** Removes all filters of the hook. */
  abstract removeFilters(index: number, hook: FilterHook): void

  /**
   * Reads a sysctl of this namespace.
   *
   * @param path below /proc/sys/net with slashes, so that names with dots are unambiguous: `ipv4/conf/eth0.5/arp_notify`
   * @returns without the line end; undefined when there is no such file (IPv6 switched off at boot, link gone)
   * @throws {KernelError} EINVAL for a path that leads outside
   */
  abstract readSysctl(path: string): string | undefined
  /** @throws {KernelError} ENOENT without such a file, EINVAL, EACCES, EROFS */
  abstract writeSysctl(path: string, value: string): void
}
