/**
 * Networks that the host is connected to itself. A gateway address in one of them makes the host keep what it should send
 * there: with the underlay's own subnet and its router's address as the gateway, the host's way out leads to itself.
 */
import { CniError, INVALID_CONFIG, NOT_AVAILABLE } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import type { Section } from '../config/section.ts'
import { addressesEqual, formatAddress, type IpAddress, isLinkLocal, parseAddress } from '../ip/address.ts'
import {
  firstAddress,
  formatPrefix,
  hostPrefix,
  type IpPrefix,
  networkOf,
  parsePrefix,
  prefixContains,
  prefixesEqual
} from '../ip/prefix.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'

/**
 * @param link the bridge that is to carry the gateway's address
 * @throws {CniError} code 7 naming the other interface and its address
 */
export function refuseConnected(host: Net, link: Link, gateway: IpPrefix): void {
  const found = findConnected(host, link.index, gateway)
  if (found !== '') throw connected(INVALID_CONFIG, gateway, found)
}

/**
 * STATUS: the same for the subnets that `ipam` names.
 *
 * @param bridge need not be there
 * @throws {CniError} code 50
 */
export function requireUnconnected(host: Net, bridge: string, request: Request): void {
  const link = host.links.find(bridge)
  for (const gateway of configuredGateways(request)) {
    const found = findConnected(host, link?.index, gateway)
    if (found !== '') throw connected(NOT_AVAILABLE, gateway, found)
  }
}

function connected(code: number, gateway: IpPrefix, found: string): CniError {
  const message = `use subnet ${formatPrefix(networkOf(gateway))} for containers: ${found}`
  const details =
    'choose another subnet; where that interface is to be a port of the bridge, move its address to the bridge'
  return new CniError(code, message, details)
}

/**
 * Another interface with an address of the very network, or of a larger one with a router within it. A network within a larger
 * one is otherwise no fault: the longer prefix wins, and a company may well have 10.0.0.0/8.
 *
 * @returns what was found, in words; '' nothing
 */
function findConnected(host: Net, own: number | undefined, gateway: IpPrefix): string {
  for (const { index, prefix } of host.addresses.list()) {
    const { length } = prefix
    const isSingle = length === 8 * prefix.address.bytes.length
    if (index === own || isSingle || length > gateway.length || !prefixContains(prefix, gateway.address)) continue
    // Another network of containers with the same gateway: whoever keeps two of one subnet apart knows why.
    if (addressesEqual(prefix.address, gateway.address)) continue
    const link = host.links.findByIndex(index)
    if (link === undefined || !link.isUp || isInVrf(host, link)) continue
    const where = `${JSON.stringify(link.name)} with ${formatPrefix(prefix)}`
    if (prefixesEqual(networkOf(prefix), networkOf(gateway))) return `the host is in it by ${where}`
    const router = routerWithin(host, index, gateway)
    if (router !== '') return `the host's router ${router} is in it, by ${where}`
  }
  return ''
}

/**
 * For addresses that become routes or addresses of the host for themselves alone, as ptp has them: within a network of the host
 * they may be (proxy ARP is made for that), but not its router.
 *
 * @throws {CniError} code 7 naming the interface by which the router is reached
 */
export function refuseRouters(host: Net, addresses: readonly IpAddress[]): void {
  for (const address of addresses) {
    if (isLinkLocal(address)) continue
    const way = host.routes.lookup(address)
    if (way?.index === undefined || way.gateway !== undefined || (way.type ?? 'unicast') !== 'unicast') continue
    if (routerWithin(host, way.index, hostPrefix(address)) === '') continue
    const link = host.links.findByIndex(way.index)?.name ?? ''
    const message = `use address ${formatAddress(address)}: it is that of the host's router, by ${JSON.stringify(link)}`
    throw new CniError(INVALID_CONFIG, message, 'choose another subnet, or another gateway')
  }
}

/** A VRF has routes of its own. */
function isInVrf(host: Net, link: Link): boolean {
  const master = link.masterIndex === undefined ? undefined : host.links.findByIndex(link.masterIndex)
  return master?.kind === 'vrf'
}

function routerWithin(host: Net, index: number, network: IpPrefix): string {
  for (const { gateway } of host.routes.list({ family: network.address.family, index })) {
    if (gateway !== undefined && prefixContains(network, gateway)) return formatAddress(gateway)
  }
  return ''
}

/** What host-local's keys say; of an IPAM plugin with other keys nothing can be told before ADD. */
function configuredGateways(request: Request): readonly IpPrefix[] {
  const ipam = request.config.section('ipam')
  if (ipam === undefined) return []
  const gateways: IpPrefix[] = []
  const ranges: Section[] = [ipam]
  for (const list of ipam.sectionLists('ranges')) for (const range of list) ranges.push(range)
  for (const range of ranges) {
    const subnet = parsePrefix(range.text('subnet') ?? '')
    if (subnet === undefined) continue
    const address = parseAddress(range.text('gateway') ?? '') ?? firstAddress(subnet)
    if (address !== undefined) gateways.push({ address, length: subnet.length })
  }
  return gateways
}
