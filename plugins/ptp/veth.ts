/** The two ends of ptp's veth pair: their addresses and the routes that make every packet go through the host. */
import { refuseRouters } from '../../lib/attach/connected.ts'
import { withGateways } from '../../lib/attach/gateway.ts'
import type { Session } from '../../lib/attach/session.ts'
import { findHostEnd, hostEndName } from '../../lib/attach/veth.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { IpConfig } from '../../lib/cni/result.ts'
import { addressesEqual, type IpAddress } from '../../lib/ip/address.ts'
import { formatPrefix, hostPrefix, networkOf } from '../../lib/ip/prefix.ts'
import { enableIpv6 } from '../../lib/net/configure-interface.ts'
import { ensureForwarding } from '../../lib/net/forwarding.ts'
import { checkInterface } from '../../lib/net/interface-check.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { type Route, SCOPE_LINK } from '../../lib/net/routes.ts'
import { distrustNeighbours } from '../../lib/net/trust.ts'
import { asError, errnoOf } from '../../lib/sys/errors.ts'

/**
 * Every address with the gateway that the host's end will have: IPAM's, else the first address of the network.
 *
 * @throws CniError code 7 when there is none: the container could reach nobody
 */
export function requireGateways(ips: readonly IpConfig[]): readonly IpConfig[] {
  const complete = withGateways(ips)
  for (const { address, gateway } of complete) {
    if (gateway !== undefined) continue
    const message = `find gateway of ${formatPrefix(address)}: IPAM names none, and the network has no address for one`
    throw new CniError(INVALID_CONFIG, message, 'configure a gateway in ipam')
  }
  return complete
}

/** To the gateway directly, to the rest of the network through it. */
export function containerRoutes(ips: readonly IpConfig[]): readonly Route[] {
  const routes: Route[] = []
  for (const ip of ips) {
    const gateway = ip.gateway
    if (gateway === undefined) continue
    routes.push({ dst: hostPrefix(gateway), scope: gateway.family === 4 ? SCOPE_LINK : undefined })
    if (ip.address.length < ip.address.address.bytes.length * 8 && gateway.family === ip.address.address.family) {
      routes.push({ dst: networkOf(ip.address), gateway, source: ip.address.address })
    }
  }
  return routes
}

/** The host's side: gateway addresses as single ones, a route to each of the container's addresses, forwarding. */
export function setUpHostEnd(host: Net, link: Link, ips: readonly IpConfig[]): void {
  const gateways = gatewaysOf(ips)
  refuseRouters(host, gateways.concat(ips.map(ip => ip.address.address)))
  distrustNeighbours(host, link)
  if (gateways.some(gateway => gateway.family === 6)) enableIpv6(host, link.name, false)
  host.addresses.ensure(
    link.index,
    gateways.map(gateway => ({ prefix: hostPrefix(gateway), noDad: gateway.family === 6 }))
  )
  host.links.set(link.index, { up: true })
  addHostRoutes(host, ips, link.index)
  if (gateways.some(gateway => gateway.family === 4)) ensureForwarding(host, 4)
  if (gateways.some(gateway => gateway.family === 6)) ensureForwarding(host, 6)
}

/** Each gateway once: two addresses of one network share theirs. */
function gatewaysOf(ips: readonly IpConfig[]): readonly IpAddress[] {
  const gateways: IpAddress[] = []
  for (const ip of ips) {
    const gateway = ip.gateway
    if (gateway !== undefined && !gateways.some(one => addressesEqual(one, gateway))) gateways.push(gateway)
  }
  return gateways
}

/** @throws CniError code 7 when the host knows another way to one of the addresses: another container has it */
function addHostRoutes(host: Net, ips: readonly IpConfig[], index: number): void {
  try {
    host.routes.ensure(ips.map(ip => hostRoute(ip, index)))
  } catch (error) {
    const known = asError(error)
    if (errnoOf(known) !== 'EEXIST') throw known
    const hint = 'give every container an address of its own: let ipam choose, or correct the one that is configured'
    throw new CniError(INVALID_CONFIG, `${known.message}: the address is another container's`, hint)
  }
}

function hostRoute(ip: IpConfig, index: number): Route {
  const address = ip.address.address
  return { dst: hostPrefix(address), index, scope: address.family === 4 ? SCOPE_LINK : undefined }
}

/** CHECK of the host's side; every difference as a sentence. */
export function hostProblems(session: Session, ips: readonly IpConfig[]): readonly string[] {
  const { host } = session
  const link = findHostEnd(session)
  if (link === undefined) return [`link ${JSON.stringify(hostEndName(session.request))} is missing on the host`]
  const problems: string[] = checkInterface(host, {
    name: link.name,
    kind: 'veth',
    addresses: gatewaysOf(ips).map(hostPrefix),
    routes: ips.map(ip => ({ dst: hostPrefix(ip.address.address) }))
  }).slice(0)
  if (!isForwarding(host, ips, 4)) problems.push('the host does not forward IPv4')
  if (!isForwarding(host, ips, 6)) problems.push('the host does not forward IPv6')
  return problems
}

function isForwarding(host: Net, ips: readonly IpConfig[], family: 4 | 6): boolean {
  if (!ips.some(ip => ip.address.address.family === family)) return true
  return host.sysctls.read(family === 4 ? 'ipv4/ip_forward' : 'ipv6/conf/all/forwarding') === '1'
}
