/**
 * This host's end of an overlay network: a bridge, and on it a VXLAN tunnel to the other hosts.
 *
 *     bridge br-vx42 --- vx42 ==== UDP 4789 ==== other hosts
 *       |
 *       +--- veth... of each container
 *
 * The plugin makes both; the agent makes them again when somebody has taken them away.
 *
 * An encrypted tunnel is made by way of a namespace of its own, the carrier, where the agent's WireGuard device is the only
 * way out: what the tunnel sends and receives is that namespace's traffic, wherever its interface is. There are no other
 * interfaces in it and no routes around the device, so nothing of it can ever leave this host, or come in, in clear.
 */

import { ensureBridgeDevice } from '../attach/bridge-device.ts'
import { sameBytes } from '../bytes/compare.ts'
import { CniError, INVALID_CONFIG, NOT_AVAILABLE } from '../cni/error.ts'
import type { IpConfig } from '../cni/result.ts'
import { addressesEqual, formatAddress, type IpAddress } from '../ip/address.ts'
import { stableMac } from '../ip/mac.ts'
import { ensureLinkFeature, TX_CHECKSUM } from '../net/ethtool.ts'
import type { BridgePort, Link, VxlanInfo } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { distrustNeighbours } from '../net/trust.ts'
import { errnoOf } from '../sys/errors.ts'

export interface Tunnel {
  /** The VXLAN interface. */
  readonly name: string
  readonly bridge: string
  /** The CNI network that it was made for. */
  readonly network: string
  readonly vni: number
  /** UDP */
  readonly port: number
  /** This host's address on the underlay. */
  readonly local: IpAddress
  /** The underlay interface to bind to, '' = by route. */
  readonly dev: string
  /** Where frames to many and to unknown go, instead of a list of peers. */
  readonly group: IpAddress | undefined
  /** The tunnel learns which host a MAC is behind. Off where the agent knows it. */
  readonly learning: boolean
  /** Path of the namespace that carries it encrypted; '' = it is not encrypted and the host's own carries it. */
  readonly carrier: string
  /** bytes, of bridge, tunnel and containers */
  readonly mtu: number
  /** The bridge is the network's gateway, with the same address and MAC on every host. */
  readonly isGateway: boolean
  /** Leave checksums of what enters the tunnel to the underlay's hardware. */
  readonly txChecksumOffload: boolean
  readonly follows: Follows
}

/** What of a tunnel goes with the underlay when that changes: whatever the configuration leaves open. */
interface Follows {
  /** The underlay's interface, as it was found. */
  readonly link: string
  readonly address: boolean
  readonly mtu: boolean
}

/** The namespaces that a tunnel has to do with. */
export interface TunnelPlace {
  /** Where bridge and tunnel are. */
  readonly host: Net
  /** Of an encrypted tunnel; undefined for others, and when it is gone. */
  readonly carrier: Net | undefined
}

/**
 * Runs `work` with the tunnel's namespaces open.
 *
 * @param find opens a namespace; undefined when it is gone
 */
export function inPlace<T>(
  host: Net,
  find: (path: string) => Net | undefined,
  tunnel: Tunnel,
  work: (place: TunnelPlace) => T
): T {
  const carrier = tunnel.carrier === '' ? undefined : find(tunnel.carrier)
  try {
    return work({ host, carrier })
  } finally {
    if (carrier !== undefined) carrier.close()
  }
}

/** Both devices, as the kernel has them. */
export interface TunnelDevices {
  readonly bridge: Link
  readonly link: Link
}

/** Bytes that a frame grows by: Ethernet 14, IPv4 20 or IPv6 40, UDP 8, VXLAN 8. @source RFC 7348 section 5 */
export function overheadOf(local: IpAddress): number {
  return local.family === 4 ? 50 : 70
}

/** The kernel has no IPv6 on an interface with less, and refuses addresses and neighbours with EINVAL. @source RFC 8200 section 5 */
export const LEAST_IPV6_MTU = 1280

/**
 * The group of links that ours are made in, with the request that makes them: whatever happens afterwards, they can be told
 * from what somebody else has made. The letters "pbov".
 *
 * @source linux/if_link.h IFLA_GROUP
 */
const OVERLAY_GROUP = 0x70626f76

/** The alias of ours: for a person, and to tell networks apart. */
function tunnelMark(network: string): string {
  return `patchbay overlay ${network}`
}

/** Made by us for this network; an ADD that was killed right then has not set the alias. */
function isOurs(link: Link, kind: string, network: string): boolean {
  return (
    link.kind === kind && link.groupId === OVERLAY_GROUP && (link.alias ?? tunnelMark(network)) === tunnelMark(network)
  )
}

/** Made for this network: ADD may make it anew. */
export function isOwnTunnel(link: Link, tunnel: Tunnel): boolean {
  return isOurs(link, 'vxlan', tunnel.network)
}

/**
 * The bridge's MAC address. As gateway it is the same on every host, so that a container that moves keeps a valid entry
 * for it. Otherwise every host has its own: two bridges with one address in a layer-2 network would take each other's
 * neighbour discovery for their own.
 */
export function bridgeMac(tunnel: Tunnel): Uint8Array {
  const seed = `overlay ${String(tunnel.vni)}`
  return stableMac(tunnel.isGateway ? `${seed} gateway` : `${seed} bridge ${formatAddress(tunnel.local)}`)
}

/**
 * The tunnel's MAC address. It follows from the underlay address, and the kernel marks it as set by somebody: udev and
 * NetworkManager replace only what the kernel made up.
 */
export function tunnelMac(tunnel: Tunnel): Uint8Array {
  return stableMac(`overlay ${String(tunnel.vni)} tunnel ${formatAddress(tunnel.local)}`)
}

/**
 * The MAC address of a container's interface, which follows from its first address: wherever an address turns up, in a
 * container that has moved or in a new one, it has the same MAC.
 *
 * Sequence prevented: a container goes, its address is given to another one; others still have the former MAC for it, and
 * the announcement of the new one does not reach them, because the bridges answer for known addresses themselves.
 *
 * @returns undefined without an address
 */
export function endpointMac(tunnel: Tunnel, ips: readonly IpConfig[]): Uint8Array | undefined {
  const first = ips[0]
  if (first === undefined) return undefined
  return stableMac(`overlay ${String(tunnel.vni)} endpoint ${formatAddress(first.address.address)}`)
}

/**
 * Makes bridge and tunnel, or brings those that are there in line. The caller holds the bridge's lock.
 *
 * @returns both
 * @throws {CniError} code 7 naming the field in which an existing device differs, when it is not this network's own
 */
export function ensureTunnel(place: TunnelPlace, tunnel: Tunnel): TunnelDevices {
  const { host } = place
  requireCarrier(place, tunnel)
  const bridge = ensureOverlayBridge(host, tunnel)
  const existing = host.links.find(tunnel.name)
  if (existing === undefined) return { bridge, link: configure(host, addTunnel(place, tunnel, bridge), tunnel, true) }
  const differences = fixedDifferences(place, existing, tunnel)
  if (differences.length === 0) return { bridge, link: reconcile(host, existing, tunnel, bridge) }
  if (!isOurs(existing, 'vxlan', tunnel.network)) {
    throw new CniError(
      INVALID_CONFIG,
      `use link ${JSON.stringify(tunnel.name)}: ${differences.join('; ')}`,
      `name another link in the key "tunnel", correct the configuration, or remove it: ip link del ${tunnel.name}`
    )
  }
  // Our own of an older configuration, or of an address that this host had before: the kernel cannot change these.
  host.links.removeByIndex(existing.index)
  return { bridge, link: configure(host, addTunnel(place, tunnel, bridge), tunnel, true) }
}

/** Before anything is made, and before an existing device is taken away. */
function requireCarrier({ carrier }: TunnelPlace, tunnel: Tunnel): void {
  if (tunnel.carrier === '' || carrier !== undefined) return
  throw new CniError(
    NOT_AVAILABLE,
    `encrypt tunnel ${JSON.stringify(tunnel.name)}: namespace ${JSON.stringify(tunnel.carrier)} is gone`,
    'the agent makes it again; does it run, and do its mounts reach the host?'
  )
}

function ensureOverlayBridge(host: Net, tunnel: Tunnel): Link {
  const mac = bridgeMac(tunnel)
  const made = (bridge: Link): void => {
    host.links.set(bridge.index, { alias: tunnelMark(tunnel.network) })
  }
  const wanted = {
    name: tunnel.bridge,
    mac,
    mtu: tunnel.mtu,
    vlanFiltering: false,
    promiscuous: false,
    groupId: OVERLAY_GROUP,
    made
  }
  const bridge = ensureBridgeDevice(host, wanted)
  if (!tunnel.isGateway || sameBytes(bridge.mac, mac)) return bridge
  host.links.set(bridge.index, { mac })
  return host.links.get(tunnel.bridge)
}

function addTunnel({ host, carrier }: TunnelPlace, tunnel: Tunnel, bridge: Link): Link {
  const parent = tunnel.dev === '' ? undefined : host.links.get(tunnel.dev)
  const kind: VxlanInfo = {
    kind: 'vxlan',
    id: tunnel.vni,
    group: tunnel.group,
    parentIndex: parent?.index,
    local: tunnel.local,
    learning: tunnel.learning,
    port: tunnel.port,
    // With a zero checksum, older kernels' NAT writes a wrong one into packets whose inner checksum is still open.
    udpChecksum: true
  }
  const wanted = {
    name: tunnel.name,
    kind,
    mac: tunnelMac(tunnel),
    mtu: tunnel.mtu,
    masterIndex: bridge.index,
    groupId: OVERLAY_GROUP,
    up: true
  }
  try {
    if (carrier === undefined) return host.links.add(wanted)
    carrier.links.addIn(host, wanted)
    return host.links.get(tunnel.name)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw vniTaken(host, tunnel)
  }
}

/** The kernel has one device for each VNI, port and kind of underlay; its EEXIST does not say which. */
function vniTaken(host: Net, tunnel: Tunnel): CniError {
  const owner = host.links
    .list()
    .find(link => link.info.kind === 'vxlan' && link.info.id === tunnel.vni && link.name !== tunnel.name)
  const name = owner === undefined ? 'another link' : `link ${JSON.stringify(owner.name)}`
  return new CniError(
    INVALID_CONFIG,
    `add link ${JSON.stringify(tunnel.name)}: ${name} has VNI ${String(tunnel.vni)} on UDP port ${String(tunnel.port)} already`,
    'give this network another "vni", or name that link in the key "tunnel"'
  )
}

/** What the kernel lets nobody change on an existing device; each difference as a sentence that names the field. */
export function fixedDifferences(place: TunnelPlace, link: Link, tunnel: Tunnel): readonly string[] {
  const { info } = link
  if (info.kind !== 'vxlan') {
    return [`it is of kind ${JSON.stringify(link.kind ?? 'device')}, not "vxlan"`]
  }
  const differences = carrierDifferences(place, link, tunnel).slice(0)
  const compare = (field: string, present: string, wanted: string): void => {
    if (present !== wanted) differences.push(`${field} is ${present}, not ${wanted}`)
  }
  compare('vni', String(info.id ?? 0), String(tunnel.vni))
  compare('port', String(info.port ?? 0), String(tunnel.port))
  compare('local', addressText(info.local), addressText(tunnel.local))
  compare('group', addressText(info.group), addressText(tunnel.group))
  compare('learning', onOff(info.learning === true), onOff(tunnel.learning))
  if (tunnel.dev !== '') compare('dev', linkName(place.host, info.parentIndex), tunnel.dev)
  return differences
}

/** The kernel numbers the namespace that a tunnel's packets go through, unless it is that of its interface. */
function carrierDifferences({ host, carrier }: TunnelPlace, link: Link, tunnel: Tunnel): readonly string[] {
  if (tunnel.carrier === '') return link.linkNetnsId === undefined ? [] : ['it goes through another namespace']
  if (link.linkNetnsId === undefined) return ['it is not encrypted']
  const isRight = carrier !== undefined && host.findNetnsId(carrier) === link.linkNetnsId
  return isRight ? [] : [`it does not go through namespace ${tunnel.carrier}`]
}

function addressText(address: IpAddress | undefined): string {
  return address === undefined ? 'none' : formatAddress(address)
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off'
}

function linkName(host: Net, index: number | undefined): string {
  if (index === undefined || index === 0) return 'none'
  return host.links.findByIndex(index)?.name ?? 'none'
}

/** Sets what can be set: a port of the bridge, up, MTU, MAC. */
function reconcile(host: Net, link: Link, tunnel: Tunnel, bridge: Link): Link {
  const mac = tunnelMac(tunnel)
  const isRight = link.isUp && link.mtu === tunnel.mtu && link.masterIndex === bridge.index && sameBytes(link.mac, mac)
  if (!isRight) host.links.set(link.index, { up: true, mtu: tunnel.mtu, masterIndex: bridge.index, mac })
  return configure(host, isRight ? link : host.links.get(tunnel.name), tunnel, false)
}

/** What a tunnel has beside its own attributes: its port settings, no IPv6 of its own, the mark. */
function configure(host: Net, link: Link, tunnel: Tunnel, isNew: boolean): Link {
  if (isNew) {
    distrustNeighbours(host, link)
    // It only carries frames: a link-local address of its own would show up in the network.
    host.sysctls.writeIfPresent([{ path: `ipv6/conf/${link.name}/disable_ipv6`, value: '1' }])
    host.links.set(link.index, { alias: tunnelMark(tunnel.network) })
  }
  if (!hasPortSettings(link, tunnel)) host.links.setPort(link.index, portSettings(tunnel))
  if (!tunnel.txChecksumOffload) ensureLinkFeature(host, link.name, TX_CHECKSUM, false)
  return link
}

/** Where the agent knows every MAC, nothing is learned from frames and nothing unknown is sent everywhere. */
function portSettings(tunnel: Tunnel): BridgePort {
  return { learning: tunnel.learning, flood: tunnel.learning, neighbourSuppress: !tunnel.learning }
}

function hasPortSettings(link: Link, tunnel: Tunnel): boolean {
  const now = link.port
  if (now === undefined || now.learning !== tunnel.learning || now.flood !== tunnel.learning) return false
  return (now.neighbourSuppress ?? false) !== tunnel.learning
}

/** Everything in which the devices are not as they should be. */
export function tunnelProblems(place: TunnelPlace, tunnel: Tunnel): readonly string[] {
  const { host } = place
  const name = `link ${JSON.stringify(tunnel.name)}`
  const link = host.links.find(tunnel.name)
  const bridge = host.links.find(tunnel.bridge)
  const problems: string[] = []
  if (bridge === undefined) problems.push(`bridge ${JSON.stringify(tunnel.bridge)} is missing`)
  else if (!bridge.isUp) problems.push(`bridge ${JSON.stringify(tunnel.bridge)} is down`)
  if (bridge !== undefined && tunnel.isGateway && !sameBytes(bridge.mac, bridgeMac(tunnel))) {
    problems.push(`bridge ${JSON.stringify(tunnel.bridge)} has not the gateway's MAC address`)
  }
  if (link === undefined) return problems.concat([`${name} is missing`])
  for (const difference of fixedDifferences(place, link, tunnel)) problems.push(`${name}: ${difference}`)
  if (!link.isUp) problems.push(`${name} is down`)
  if (link.mtu !== tunnel.mtu) problems.push(`${name} has MTU ${String(link.mtu)}, not ${String(tunnel.mtu)}`)
  if (bridge !== undefined && link.masterIndex !== bridge.index) {
    problems.push(`${name} is not a port of ${JSON.stringify(tunnel.bridge)}`)
  } else if (bridge !== undefined && !hasPortSettings(link, tunnel)) {
    problems.push(`${name} has other port settings (learning, flood, neigh_suppress) than it was given`)
  }
  if (!sameBytes(link.mac, tunnelMac(tunnel))) problems.push(`${name} has another MAC address than it was given`)
  return problems
}

/** Takes tunnel and bridge away when they are ours and no container of any network is on the bridge. */
export function removeUnused(host: Net, tunnelName: string, bridgeName: string, network: string): void {
  const bridge = host.links.find(bridgeName)
  const link = host.links.find(tunnelName)
  const hasTunnel = link !== undefined && isOurs(link, 'vxlan', network)
  if (bridge === undefined) {
    if (hasTunnel) host.links.removeByIndex(link.index)
    return
  }
  const ports = host.links.list().filter(one => one.masterIndex === bridge.index && one.name !== tunnelName)
  if (ports.length > 0) return
  if (hasTunnel) host.links.removeByIndex(link.index)
  if (isOurs(bridge, 'bridge', network)) host.links.removeByIndex(bridge.index)
}

/** Whether both are the same devices; address and MTU may differ. */
export function sameDevices(a: Tunnel, b: Tunnel): boolean {
  return a.name === b.name && a.bridge === b.bridge && a.vni === b.vni && a.port === b.port
}

/** Whether both are the same tunnel to the kernel. */
export function sameTunnel(a: Tunnel, b: Tunnel): boolean {
  return sameDevices(a, b) && a.carrier === b.carrier && addressesEqual(a.local, b.local) && a.mtu === b.mtu
}
