/**
 * A host's container networks as one document: what `patchbay map --json` prints, and what every drawing, table and check
 * is made from. docs/view.schema.json describes the same for other programs.
 *
 * Texts are as the kernel and the files have them. Containers choose many of them: whoever shows one makes it harmless
 * first (visible.ts for terminals).
 */

export interface View {
  /** Of this form. It changes when a field changes its meaning or goes; new fields come without. */
  readonly version: 1
  readonly host: string
  /** ISO 8601 */
  readonly readAt: string
  /** The host's own first, then by name. */
  readonly namespaces: readonly NamespaceView[]
  /** By name; also those that are only known by what is left of their containers. */
  readonly networks: readonly NetworkView[]
  /** By name; those that the agent of this host knows, none where there is no agent. */
  readonly services: readonly ServiceView[]
  /** All hosts, where a registry that knows them was asked. */
  readonly cluster?: readonly ClusterHostView[]
  /** What could not be read, a sentence each. */
  readonly problems: readonly string[]
}

export interface NamespaceView {
  /** Its inode number in decimal digits. */
  readonly id: string
  readonly isHost: boolean
  /** What people call it: the container's name, else the namespace's, else the container's id, else its first process. */
  readonly name: string
  /** Where it can be opened: mount points, then `/proc/PID/ns/net` of its first process. */
  readonly paths: readonly string[]
  readonly processes: ProcessesView
  /** '' when nothing tells it. */
  readonly containerId: string
  /** Who runs it: `docker`, `containerd`, `cri-o`, `podman`; '' when nothing tells it. */
  readonly runtime: string
  /** Why `links` and `routes` are empty: `EPERM` without root; '' when they were read. */
  readonly problem: string
  readonly links: readonly LinkView[]
  /** Of table main. */
  readonly routes: readonly RouteView[]
}

export interface ProcessesView {
  readonly count: number
  /** The one with the lowest number; 0 when there is none. */
  readonly pid: number
  /** Its name, at most 15 bytes. */
  readonly command: string
}

export interface LinkView {
  readonly index: number
  readonly name: string
  readonly altNames: readonly string[]
  readonly alias: string
  /** As `ip -d link` shows it; '' for lo and physical interfaces. */
  readonly kind: string
  /** '' on links without one. */
  readonly mac: string
  /** bytes */
  readonly mtu: number
  /** Set up by its administrator. */
  readonly isUp: boolean
  /** As RFC 2863 has it: `up`, `down`, `lower-layer-down`, `unknown`. */
  readonly state: string
  /** The bridge, bond or VRF that it is a port of: an index of the same namespace; 0 = none. */
  readonly master: number
  /** As a port of a bridge: no frames to other such ports. */
  readonly isIsolated: boolean
  /** veth: the other end. macvlan, ipvlan, vlan: the link below. Absent when it is not known where that is. */
  readonly peer?: LinkPlace
  /** `10.5.0.2/24` */
  readonly addresses: readonly string[]
  readonly vxlan?: VxlanView
  /** Of a link of kind vlan; 0 = none. */
  readonly vlan: number
  readonly counters: CountersView
  /** Whose it is, as far as records tell. */
  readonly owner?: OwnerView
}

export interface LinkPlace {
  readonly namespace: string
  readonly index: number
}

export interface VxlanView {
  readonly id: number
  /** '' when it is not fixed. */
  readonly local: string
  readonly group: string
  readonly port: number
}

/** Since the link was made, as the link sees it: what a container receives is what its host's end sends. */
export interface CountersView {
  readonly rxBytes: number
  readonly rxPackets: number
  readonly rxErrors: number
  readonly rxDropped: number
  readonly txBytes: number
  readonly txPackets: number
  readonly txErrors: number
  readonly txDropped: number
}

export const NO_COUNTERS: CountersView = {
  rxBytes: 0,
  rxPackets: 0,
  rxErrors: 0,
  rxDropped: 0,
  txBytes: 0,
  txPackets: 0,
  txErrors: 0,
  txDropped: 0
}

export interface OwnerView {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

export interface RouteView {
  /** `default` or a prefix. */
  readonly dst: string
  readonly family: 4 | 6
  /** '' = none */
  readonly gateway: string
  /** The link's name; '' for those that drop or have several ways. */
  readonly link: string
  readonly metric: number
  /** `unicast`, `blackhole`, `unreachable` ... */
  readonly type: string
}

export interface NetworkView {
  readonly name: string
  /** The plugin that makes the interfaces; '' when the network is not configured here. */
  readonly driver: string
  readonly plugins: readonly string[]
  /** The file; '' when it is not configured here. */
  readonly path: string
  readonly subnets: readonly SubnetView[]
  readonly attachments: readonly AttachmentView[]
  readonly leases: readonly LeaseView[]
}

interface SubnetView {
  readonly subnet: string
  /** '' where the configuration leaves it open. */
  readonly gateway: string
}

export interface AttachmentView {
  readonly containerId: string
  readonly ifName: string
  /** Its id; '' when the namespace is gone, or not known. */
  readonly namespace: string
  readonly addresses: readonly string[]
  readonly ports: readonly PortView[]
  /** By which the name service finds it, its own first. */
  readonly names: readonly string[]
  /** The host's interface that was made for it; '' when there is none. */
  readonly hostLink: string
  /** Who remembers it. */
  readonly recordedBy: readonly RecordKind[]
}

/** `cache`: libcni's result cache. `journal`: what a plugin of ours wrote down. */
export type RecordKind = 'cache' | 'journal'

export interface PortView {
  readonly protocol: string
  /** '' = any */
  readonly hostAddress: string
  readonly hostPort: number
  /** How many ports in a row; 1 most often. */
  readonly count: number
  readonly containerPort: number
}

/** An address that host-local has given away. */
export interface LeaseView {
  readonly address: string
  readonly containerId: string
  readonly ifName: string
}

/** One name for several containers of a network. */
export interface ServiceView {
  readonly name: string
  readonly network: string
  /** Whoever is called so on the network is a member. */
  readonly alias: string
  /** `vip`: it has addresses of its own; `dnsrr`: the name stands for the members' addresses. */
  readonly mode: 'vip' | 'dnsrr'
  readonly addresses: readonly string[]
  /** A source stays with its member. */
  readonly isSticky: boolean
  /** Ports of every host. */
  readonly ports: readonly ServicePortView[]
  /** On all hosts. */
  readonly members: readonly ServiceMemberView[]
}

export interface ServicePortView {
  readonly protocol: string
  readonly hostPort: number
  /** The members'. */
  readonly containerPort: number
}

export interface ServiceMemberView {
  readonly host: string
  readonly containerId: string
  readonly name: string
  readonly addresses: readonly string[]
  /** Its host has not been heard of: it gets no new connections. */
  readonly isAway: boolean
}

/** A host as the registry of a cluster knows it. */
export interface ClusterHostView {
  readonly name: string
  /** Its agent is there. */
  readonly isPresent: boolean
  readonly endpoints: readonly EndpointView[]
}

/** A container on an overlay network. */
export interface EndpointView {
  readonly network: string
  readonly vni: number
  readonly containerId: string
  readonly ifName: string
  /** '' where the network is routed. */
  readonly mac: string
  readonly addresses: readonly string[]
  /** The address of its host that tunnels lead to. */
  readonly underlay: string
  readonly names: readonly string[]
}
