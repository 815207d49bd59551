/** A network's gateway address on the host, and the routes that lead containers to it. */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { IpConfig, Result, Route } from '../cni/result.ts'
import { addressesEqual, isLinkLocal } from '../ip/address.ts'
import { firstAddress, formatPrefix, type IpPrefix, prefixesEqual, prefixesOverlap } from '../ip/prefix.ts'
import { ensureForwarding } from '../net/forwarding.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { errnoOf, messageOf } from '../sys/errors.ts'
import { refuseConnected } from './connected.ts'
import { ipsOnInterface } from './interface.ts'
import { refuseNoHosts } from './no-hosts.ts'

/** What a network's configuration says about its gateway. */
export interface GatewayConfig {
  /** The host carries the network's gateway address. */
  readonly isGateway: boolean
  /** And containers get a default route to it. */
  readonly isDefaultGateway: boolean
}

/**
 * What IPAM gave, with the gateways and default routes that the configuration asks for.
 *
 * @param index the place of the container's interface in the result's `interfaces`
 */
export function withGatewayOf(config: GatewayConfig, leased: Result, index: number): Result {
  const ips = config.isGateway ? withGateways(leased.ips) : leased.ips
  const extra = config.isDefaultGateway ? defaultRoutes(ips, leased.routes) : []
  return { ...leased, ips: ipsOnInterface(ips, index), routes: leased.routes.concat(extra) }
}

/**
 * Every address with IPAM's gateway, or the network's first address where IPAM names none and the container has another.
 *
 * @throws {CniError} code 7 when IPAM gave the container an address that the host is to carry as the gateway, or either one that
 *   no host can have
 */
export function withGateways(ips: readonly IpConfig[]): readonly IpConfig[] {
  const all = ips.map(withGateway)
  for (const { address, gateway } of all) {
    if (gateway !== undefined) refuseNoHosts(gateway)
    if (all.some(one => one.gateway !== undefined && addressesEqual(one.gateway, address.address))) {
      throw gatewaysOwn(address)
    }
  }
  return all
}

/** Both ends would answer for it, and nothing that the container sends to its gateway would leave it. */
function gatewaysOwn(prefix: IpPrefix): CniError {
  return new CniError(
    INVALID_CONFIG,
    `use address ${formatPrefix(prefix)} of IPAM for the container: it is the gateway's own, which the host carries`,
    'exclude the gateway from the range that IPAM gives addresses of, or name another gateway'
  )
}

function withGateway(ip: IpConfig): IpConfig {
  if (ip.gateway !== undefined) return ip
  return { interface: ip.interface, address: ip.address, gateway: firstAddress(ip.address) }
}

/**
 * Puts the gateway addresses of `ips` on a link and lets the host forward between networks.
 *
 * @param force replaces an address of another network instead of refusing
 * @throws {CniError} code 7 when the link has an address that disagrees with these, or another link is in the same network
 */
export function ensureGatewayAddresses(host: Net, link: Link, ips: readonly IpConfig[], force: boolean): void {
  const wanted = gatewayPrefixes(ips)
  const present = refuseOthers(host, link, wanted, force)
  for (const prefix of wanted) {
    if (present.some(one => prefixesEqual(one, prefix))) continue
    refuseConnected(host, link, prefix)
    addGatewayAddress(host, link, prefix)
  }
  for (const prefix of wanted) ensureForwarding(host, prefix.address.family)
}

function addGatewayAddress(host: Net, link: Link, prefix: IpPrefix): void {
  const isIpv6 = prefix.address.family === 6
  try {
    host.addresses.ensure(link.index, [{ prefix, noDad: isIpv6 }])
  } catch (error) {
    // The kernel's "permission denied" here; switching IPv6 on is for whoever has switched it off.
    if (isIpv6 && errnoOf(error) === 'EACCES') throw ipv6IsOff(link, messageOf(error))
    throw error
  }
}

function ipv6IsOff(link: Link, message: string): CniError {
  const path = `net.ipv6.conf.${link.name.replace(/\./g, '/')}.disable_ipv6`
  return new CniError(INVALID_CONFIG, message, `leave out the IPv6 range, or switch IPv6 on: sysctl -w ${path}=0`)
}

/**
 * Another IPv4 address on the bridge, or an IPv6 one of an overlapping network, is most often the trace of a
 * network that changed: containers of both would send to a gateway that half of them cannot reach.
 *
 * @returns what the link had
 */
function refuseOthers(host: Net, link: Link, wanted: readonly IpPrefix[], force: boolean): readonly IpPrefix[] {
  const present: IpPrefix[] = []
  for (const { prefix } of host.addresses.list(link.index)) {
    present.push(prefix)
    if (isLinkLocal(prefix.address) || !disagrees(prefix, wanted)) continue
    if (!force) throw otherAddress(link.name, prefix, wanted)
    host.addresses.remove(link.index, prefix)
  }
  return present
}

function disagrees(present: IpPrefix, wanted: readonly IpPrefix[]): boolean {
  // An address of this host alone stands for no network.
  if (present.length === 8 * present.address.bytes.length) return false
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

/** CHECK: the gateway addresses of `ips` that the link lacks, each as a sentence. */
export function gatewayProblems(host: Net, link: Link, ips: readonly IpConfig[]): readonly string[] {
  const present = host.addresses.list(link.index).map(address => formatPrefix(address.prefix))
  const problems: string[] = []
  for (const wanted of gatewayPrefixes(ips).map(formatPrefix)) {
    if (present.some(text => text === wanted)) continue
    problems.push(`address ${wanted} is missing from ${JSON.stringify(link.name)}`)
  }
  return problems
}

/** The gateways as addresses of their link: as long as the networks that they are for. */
export function gatewayPrefixes(ips: readonly IpConfig[]): readonly IpPrefix[] {
  const prefixes: IpPrefix[] = []
  for (const ip of ips) {
    if (ip.gateway !== undefined) prefixes.push({ address: ip.gateway, length: ip.address.length })
  }
  return prefixes
}

/** Default routes of `isDefaultGateway`: one per family, unless IPAM gives one. */
function defaultRoutes(ips: readonly IpConfig[], present: readonly Route[]): readonly Route[] {
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
