/** The network's gateway address on the host: on the bridge itself, or in the port's VLAN. */
import { createHash } from 'node:crypto'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { IpConfig, Route } from '../../lib/cni/result.ts'
import { addressesEqual, addToAddress, type IpAddress, isLinkLocal } from '../../lib/ip/address.ts'
import { hex } from '../../lib/ip/mac.ts'
import { formatPrefix, type IpPrefix, networkOf, prefixesEqual, prefixesOverlap } from '../../lib/ip/prefix.ts'
import { errnoOf } from '../../lib/net/errors.ts'
import type { Link, Net, VethKind } from '../../lib/net/net.ts'
import { type BridgeConfig, gatewayName } from './config.ts'
import { ignoreRouterAdvertisements } from './device.ts'

/** IPAM's gateway, or the network's first address where the bridge is to be the gateway and IPAM names none. */
export function withGateways(ips: readonly IpConfig[], config: BridgeConfig): readonly IpConfig[] {
  if (!config.isGateway) return ips
  return ips.map(withGateway)
}

function withGateway(ip: IpConfig): IpConfig {
  if (ip.gateway !== undefined) return ip
  return { interface: ip.interface, address: ip.address, gateway: firstAddress(ip.address) }
}

function firstAddress(prefix: IpPrefix): IpAddress | undefined {
  return addToAddress(networkOf(prefix).address, 1)
}

/**
 * Puts the gateway addresses of `ips` on the gateway interface and lets the host forward between networks.
 *
 * @returns the gateway interface: the bridge, or the one in the VLAN
 */
export function ensureGateway(host: Net, bridge: Link, ips: readonly IpConfig[], config: BridgeConfig): Link {
  const link = config.vlan === 0 ? bridge : ensureVlanInterface(host, bridge, config)
  const wanted: IpPrefix[] = []
  for (const ip of ips) {
    if (ip.gateway !== undefined) wanted.push({ address: ip.gateway, length: ip.address.length })
  }
  refuseOthers(host, link, wanted, config)
  for (const prefix of wanted) host.ensureAddress(link.index, { prefix, noDad: true })
  enableForwarding(host, wanted)
  return link
}

/**
 * A veth pair inside the host: one end a port of the bridge in the VLAN, the other the gateway interface.
 *
 * The bridge's own interface cannot do it: it takes part in its default VLAN only.
 */
function ensureVlanInterface(host: Net, bridge: Link, config: BridgeConfig): Link {
  const name = gatewayName(config)
  const existing = host.findLink(name)
  if (existing !== undefined) return existing
  // The name's own 15 bytes are taken by bridge and VLAN: the port is called by its hash.
  const portName = `vgw${hex(createHash('sha256').update(name).digest()).slice(0, 8)}`
  try {
    const kind: VethKind = { kind: 'veth', peer: { name, mtu: config.mtu, up: true } }
    const port = host.addLink({ name: portName, kind, mtu: config.mtu, masterIndex: bridge.index, up: true })
    for (const vlan of host.listBridgeVlans(port.index)) host.removeBridgeVlan(port.index, vlan)
    host.addBridgeVlan(port.index, { vid: config.vlan, pvid: true, untagged: true })
    ignoreRouterAdvertisements(host, name)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  return host.getLink(name)
}

/**
 * Another IPv4 address on the bridge, or an IPv6 one of an overlapping network, is most often the trace of a
 * network that changed: containers of both would send to a gateway that half of them cannot reach.
 */
function refuseOthers(host: Net, link: Link, wanted: readonly IpPrefix[], config: BridgeConfig): void {
  for (const { prefix } of host.listAddresses(link.index)) {
    if (isLinkLocal(prefix.address) || !disagrees(prefix, wanted)) continue
    if (!config.forceAddress) throw otherAddress(link.name, prefix, wanted)
    host.removeAddress(link.index, prefix)
  }
}

function disagrees(present: IpPrefix, wanted: readonly IpPrefix[]): boolean {
  const family = present.address.family
  const ofFamily = wanted.filter(prefix => prefix.address.family === family)
  if (ofFamily.some(prefix => prefixesEqual(prefix, present))) return false
  if (family === 4) return ofFamily.length > 0
  return ofFamily.some(prefix => prefixesOverlap(prefix, present) && !addressesEqual(prefix.address, present.address))
}

function otherAddress(name: string, present: IpPrefix, wanted: readonly IpPrefix[]): CniError {
  const wish = wanted.filter(prefix => prefix.address.family === present.address.family)
  return new CniError(
    INVALID_CONFIG,
    `add address ${wish.map(formatPrefix).join(', ')} to ${JSON.stringify(name)}: it has ${formatPrefix(present)}, an address different from this network's gateway`,
    `set "forceAddress": true to replace it, use another bridge, or remove it: ip address del ${formatPrefix(present)} dev ${name}`
  )
}

/** @throws {KernelError} when the host refuses to forward: containers would have a gateway that leads nowhere */
export function enableForwarding(host: Net, prefixes: readonly IpPrefix[]): void {
  if (prefixes.some(prefix => prefix.address.family === 4)) enable(host, 'ipv4/ip_forward')
  if (prefixes.some(prefix => prefix.address.family === 6)) enable(host, 'ipv6/conf/all/forwarding')
}

/** Reads first: a write of the same value would make the kernel walk over every interface. */
function enable(host: Net, path: string): void {
  if (host.readSysctl(path) !== '1') host.writeSysctl(path, '1')
}

/** Default routes of `isDefaultGateway`: one per family, unless IPAM gives one. */
export function defaultRoutes(ips: readonly IpConfig[], present: readonly Route[]): readonly Route[] {
  const routes: Route[] = []
  for (const ip of ips) {
    const gw = ip.gateway
    if (gw === undefined || hasDefault(present, gw.family) || hasDefault(routes, gw.family)) continue
    const dst: IpPrefix = { address: { family: gw.family, bytes: new Uint8Array(gw.bytes.length) }, length: 0 }
    const route: Route = { dst, gw }
    routes.push(route)
  }
  return routes
}

function hasDefault(routes: readonly Route[], family: 4 | 6): boolean {
  return routes.some(route => route.dst.length === 0 && route.dst.address.family === family)
}
