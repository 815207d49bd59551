/**
 * The container's side of an attachment: giving an interface its addresses and routes, and looking whether it still
 * has them. What makes the interface is each plugin's own business.
 */
import { addressesEqual, formatAddress, type IpAddress, isLinkLocal } from '../ip/address.ts'
import { formatMac } from '../ip/mac.ts'
import { formatPrefix, type IpPrefix, lastAddress, networkOf, prefixContains, prefixesEqual } from '../ip/prefix.ts'
import { sleepMilliseconds } from '../sys/stdio.ts'
import { errnoOf, KernelError } from './errors.ts'
import {
  type Address,
  type Link,
  type Net,
  type NewAddress,
  type NextHop,
  type Route,
  TABLE_LOCAL,
  TABLE_MAIN
} from './net.ts'

/** What an interface is to have. */
export interface InterfaceSetup {
  /** In this order: the first of a family is the source of what the container sends. */
  readonly addresses: readonly IpPrefix[]
  /** Without `index`: they all lead through this interface. Several gateways of one destination share the load. */
  readonly routes: readonly Route[]
  /** Ask the network for another owner of each IPv6 address first, which takes a second or two. */
  readonly detectDuplicates?: boolean | undefined
  /** Whether routers may give it further IPv6 addresses and routes; the kernel's default (they may) when absent. */
  readonly acceptRouterAdvertisements?: boolean | undefined
  /** Without the routes to the addresses' own prefixes, where everything goes through a gateway. */
  readonly noPrefixRoutes?: boolean | undefined
  /** Who the interface belongs to, for `ip link` to show and for removing it by. */
  readonly alias?: string | undefined
}

/** Duplicate address detection sends its question once and waits a second; RFC 4862 section 5.1 names the defaults. */
const DETECTION_TIMEOUT_MS = 5000
const DETECTION_POLL_MS = 20

/**
 * Sets an interface up with its addresses and routes.
 *
 * The addresses come before the link is up: the kernel then announces them (gratuitous ARP, unsolicited neighbour
 * advertisement) at the moment the link comes up. Added later they would stay unannounced, and neighbours that
 * remember the address's former owner would send to that one's MAC until their entry expires.
 *
 * Addresses are usable at once, without duplicate address detection, since whoever allocates them sees to it that
 * they are unique.
 *
 * @throws {KernelError} EAFNOSUPPORT for an IPv6 address on a kernel without IPv6, EADDRINUSE for a duplicate,
 *   ENETUNREACH and EEXIST for routes, whatever else the kernel refuses
 */
export function configureInterface(net: Net, link: Link, setup: InterfaceSetup): void {
  const detect = setup.detectDuplicates === true
  const hasIpv6 = setup.addresses.some(prefix => prefix.address.family === 6)
  announceWhenUp(net, link.name)
  if (hasIpv6) enableIpv6(net, link.name, detect)
  // Before the link is up: an advertisement may follow at once, and what it brought would stay.
  const acceptRa = setup.acceptRouterAdvertisements
  if (acceptRa !== undefined) writeIfPresent(net, `ipv6/conf/${link.name}/accept_ra`, acceptRa ? '1' : '0')
  net.ensureAddresses(
    link.index,
    setup.addresses.map(prefix => newAddress(prefix, setup))
  )
  net.setLink(link.index, { up: true, alias: setup.alias })
  if (hasIpv6 && detect) awaitDetection(net, link)
  ensureWays(
    net,
    waysOf(setup).map(route => withLink(route, link.index))
  )
}

/** How many networks of one container may each bring a route to the same destination. */
const RIVALS = 16

/**
 * Adds the routes; one whose place another interface's has goes behind it, with a higher metric.
 *
 * A container on two networks gets a default route from each. The first network keeps its traffic, whatever is attached
 * later, and the others stand by.
 */
function ensureWays(net: Net, routes: readonly Route[]): void {
  try {
    net.ensureRoutes(routes)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    for (const route of routes) ensureBehind(net, route)
  }
}

function ensureBehind(net: Net, route: Route): void {
  const first = firstMetric(route)
  for (let metric = first; ; metric += 1) {
    try {
      net.ensureRoute(metric === first ? route : { ...route, metric })
      return
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || metric === first + RIVALS - 1) throw error
    }
  }
}

/** linux/ipv6_route.h IP6_RT_PRIO_USER: what "no metric" means to IPv6; to IPv4 it is 0. */
function firstMetric(route: Route): number {
  const metric = route.metric ?? 0
  return metric === 0 && familyOf(route) === 6 ? 1024 : metric
}

function newAddress(prefix: IpPrefix, setup: InterfaceSetup): NewAddress {
  const isIpv4 = prefix.address.family === 4
  return {
    prefix,
    // RFC 3021: the addresses of a /31 are both hosts'.
    broadcast: isIpv4 && prefix.length < 31 ? lastAddress(prefix) : undefined,
    noDad: !isIpv4 && setup.detectDuplicates !== true,
    noPrefixRoute: !bringsPrefixRoute(prefix, setup)
  }
}

/**
 * Whether the kernel shall add the route to the address's own prefix: not where one of the setup's has its place. (With
 * IPv6 they differ in their metric and stay apart.)
 */
function bringsPrefixRoute(prefix: IpPrefix, setup: InterfaceSetup): boolean {
  if (setup.noPrefixRoutes === true) return false
  const own: Route = { dst: prefix }
  return prefix.address.family === 6 || !setup.routes.some(route => sharesPlace(route, own))
}

/**
 * Makes the kernel announce the interface's addresses whenever the interface comes up or changes its MAC.
 *
 * @source linux Documentation/networking/ip-sysctl.rst, arp_notify and ndisc_notify
 */
export function announceWhenUp(net: Net, name: string): void {
  writeIfPresent(net, `ipv4/conf/${name}/arp_notify`, '1')
  writeIfPresent(net, `ipv6/conf/${name}/ndisc_notify`, '1')
}

/**
 * Switches IPv6 on for an interface whose namespace has it off, as is the rule where the host has it off, and for
 * `lo`, by way of which a container reaches its own addresses.
 *
 * @param detect whether duplicate address detection is wanted
 * @throws {KernelError} EAFNOSUPPORT when the kernel has no IPv6
 */
export function enableIpv6(net: Net, name: string, detect: boolean): void {
  const disabled = net.readSysctl(`ipv6/conf/${name}/disable_ipv6`)
  if (disabled === undefined) {
    throw new KernelError('enable IPv6 on', JSON.stringify(name), 'EAFNOSUPPORT', 'the kernel has no IPv6', '')
  }
  // A link-local address that is still being checked cannot be the source of anything yet.
  writeIfPresent(net, `ipv6/conf/${name}/accept_dad`, detect ? '1' : '0')
  if (detect) writeIfPresent(net, `ipv6/conf/${name}/enhanced_dad`, '1')
  if (disabled !== '0') net.writeSysctl(`ipv6/conf/${name}/disable_ipv6`, '0')
  if (net.readSysctl('ipv6/conf/lo/disable_ipv6') === '1') net.writeSysctl('ipv6/conf/lo/disable_ipv6', '0')
  // IPv6 addresses would be gone after `ip link set down` and up again, while IPv4's stay.
  writeIfPresent(net, `ipv6/conf/${name}/keep_addr_on_down`, '1')
}

/**
 * Writes a sysctl that makes things better but that nothing depends on: a kernel may lack it, and where /proc/sys is
 * read-only (a runtime in a container) the attachment works without, as with the reference plugins.
 */
export function writeIfPresent(net: Net, path: string, value: string): void {
  try {
    net.writeSysctl(path, value)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno !== 'ENOENT' && errno !== 'EROFS') throw error
  }
}

function awaitDetection(net: Net, link: Link): void {
  for (let waited = 0; ; waited += DETECTION_POLL_MS) {
    const addresses = net.listAddresses(link.index)
    const duplicate = addresses.find(address => address.isDuplicate)
    if (duplicate !== undefined) {
      const object = `${formatPrefix(duplicate.prefix)} to ${JSON.stringify(link.name)}`
      throw new KernelError('add address', object, 'EADDRINUSE', 'another host of this network has it', '')
    }
    if (!addresses.some(address => address.isTentative) || waited >= DETECTION_TIMEOUT_MS) return
    sleepMilliseconds(DETECTION_POLL_MS)
  }
}

function withLink(route: Route, index: number): Route {
  const hops: NextHop[] = []
  for (const { gateway, weight, onlink } of route.nextHops ?? []) hops.push({ gateway, index, weight, onlink })
  return { ...route, index, nextHops: hops.length === 0 ? undefined : hops }
}

/**
 * The routes as the kernel wants them: each once, several gateways of one destination as one route with several next
 * hops, and gateways that no prefix of the interface covers marked as being neighbours all the same.
 */
function waysOf(setup: InterfaceSetup): readonly Route[] {
  const groups: Route[][] = []
  for (const route of setup.routes) {
    const group = groups.find(one => one.some(other => sharesPlace(other, route)))
    if (group === undefined) groups.push([route])
    else if (!hasSameGateway(group, route)) group.push(route)
  }
  const routes: Route[] = []
  for (const group of groups) {
    const first = group[0]
    if (first !== undefined) routes.push(group.length === 1 ? toWay(first, setup) : toWays(first, group, setup))
  }
  // A route to a gateway has to be there before the routes through it.
  return routes.filter(route => !hasGateway(route)).concat(routes.filter(hasGateway))
}

function hasSameGateway(group: readonly Route[], route: Route): boolean {
  return group.some(other => sharesGateway(other, route))
}

function hasGateway(route: Route): boolean {
  return route.gateway !== undefined || route.nextHops !== undefined
}

function toWay(route: Route, setup: InterfaceSetup): Route {
  return route.gateway === undefined ? route : { ...route, onlink: isOffLink(route.gateway, setup) }
}

function toWays(first: Route, group: readonly Route[], setup: InterfaceSetup): Route {
  const nextHops: NextHop[] = group.map(route => ({
    gateway: route.gateway,
    index: 0,
    weight: 1,
    onlink: route.gateway !== undefined && isOffLink(route.gateway, setup)
  }))
  return { ...first, gateway: undefined, nextHops }
}

function isOffLink(gateway: IpAddress, setup: InterfaceSetup): boolean {
  // Where even the neighbours are behind a gateway, another gateway is nobody's neighbour: the kernel shall say so.
  if (setup.noPrefixRoutes === true || (gateway.family === 6 && isLinkLocal(gateway))) return false
  if (setup.addresses.some(prefix => bringsPrefixRoute(prefix, setup) && prefixContains(prefix, gateway))) return false
  return !setup.routes.some(
    route => route.gateway === undefined && route.dst !== undefined && prefixContains(route.dst, gateway)
  )
}

/** Whether the kernel has room for only one of the two. */
function sharesPlace(a: Route, b: Route): boolean {
  return (
    familyOf(a) === familyOf(b) &&
    sameDestination(a.dst, b.dst) &&
    (a.table ?? TABLE_MAIN) === (b.table ?? TABLE_MAIN) &&
    (a.metric ?? 0) === (b.metric ?? 0)
  )
}

function sharesGateway(a: Route, b: Route): boolean {
  if (a.gateway === undefined || b.gateway === undefined) return a.gateway === b.gateway
  return addressesEqual(a.gateway, b.gateway)
}

function familyOf(route: Route): 4 | 6 | undefined {
  return route.dst?.address.family ?? route.family ?? route.gateway?.family
}

function sameDestination(a: IpPrefix | undefined, b: IpPrefix | undefined): boolean {
  const left = a === undefined || a.length === 0 ? undefined : a
  const right = b === undefined || b.length === 0 ? undefined : b
  if (left === undefined || right === undefined) return left === right
  return prefixesEqual(networkOf(left), networkOf(right))
}

/** What an interface should be. An absent field is not looked at. */
export interface ExpectedInterface {
  readonly name: string
  /** As `ip -d link` shows it. */
  readonly kind?: string | undefined
  readonly mac?: Uint8Array | undefined
  /** bytes */
  readonly mtu?: number | undefined
  readonly addresses: readonly IpPrefix[]
  /** Without `index`. Looked for in every table when `table` is absent: source-based routing moves routes. */
  readonly routes: readonly Route[]
}

/**
 * Compares an interface with what it should be: there, up, of that kind, with that MAC, MTU, addresses and routes.
 * What it has besides is no fault.
 *
 * @returns every difference as a sentence; empty when there is none
 */
export function checkInterface(net: Net, expected: ExpectedInterface): readonly string[] {
  const name = JSON.stringify(expected.name)
  const link = net.findLink(expected.name)
  if (link === undefined) return [`link ${name} is missing`]
  const problems: string[] = []
  if (!link.isUp) problems.push(`link ${name} is down`)
  if (expected.kind !== undefined && link.kind !== expected.kind) {
    problems.push(
      `link ${name} is of kind ${JSON.stringify(link.kind ?? 'device')}, not ${JSON.stringify(expected.kind)}`
    )
  }
  if (expected.mtu !== undefined && link.mtu !== expected.mtu) {
    problems.push(`link ${name} has MTU ${String(link.mtu)}, not ${String(expected.mtu)}`)
  }
  if (expected.mac !== undefined && macText(link.mac) !== macText(expected.mac)) {
    problems.push(`link ${name} has MAC ${macText(link.mac)}, not ${macText(expected.mac)}`)
  }
  return problems.concat(missingAddresses(net, link, expected.addresses), missingRoutes(net, link, expected.routes))
}

function macText(mac: Uint8Array | undefined): string {
  return mac === undefined ? 'none' : formatMac(mac)
}

function missingAddresses(net: Net, link: Link, expected: readonly IpPrefix[]): readonly string[] {
  if (expected.length === 0) return []
  const present: readonly Address[] = net.listAddresses(link.index)
  return expected
    .filter(prefix => !present.some(address => prefixesEqual(address.prefix, prefix)))
    .map(prefix => `address ${formatPrefix(prefix)} is missing from ${JSON.stringify(link.name)}`)
}

function missingRoutes(net: Net, link: Link, expected: readonly Route[]): readonly string[] {
  if (expected.length === 0) return []
  const present = net.listRoutes({ table: 0 })
  return expected
    .filter(route => !present.some(one => isThisRoute(one, route, link.index)))
    .map(route => `route ${routeText(route)} is missing from ${JSON.stringify(link.name)}`)
}

/** IPv6 has no scopes of routes: the kernel shows all as global. */
function isThisRoute(present: Route, expected: Route, index: number): boolean {
  const table = present.table ?? TABLE_MAIN
  if (expected.table === undefined ? table === TABLE_LOCAL : table !== expected.table) return false
  return (
    familyOf(present) === familyOf(expected) &&
    sameDestination(present.dst, expected.dst) &&
    leadsThrough(present, expected.gateway, index) &&
    hasMetric(present, expected) &&
    (expected.scope === undefined || expected.scope === present.scope || familyOf(present) === 6) &&
    (expected.mtu === undefined || expected.mtu === present.mtu) &&
    (expected.advmss === undefined || expected.advmss === present.advmss)
  )
}

/** As configured, or behind other networks' routes (see ensureWays). */
function hasMetric(present: Route, expected: Route): boolean {
  const behind = firstMetric(present) - firstMetric(expected)
  return expected.metric === undefined || (behind >= 0 && behind < RIVALS)
}

function leadsThrough(route: Route, gateway: IpAddress | undefined, index: number): boolean {
  if (route.nextHops !== undefined) {
    return route.nextHops.some(hop => hop.index === index && sameGateway(hop.gateway, gateway))
  }
  return route.index === index && sameGateway(route.gateway, gateway)
}

function sameGateway(present: IpAddress | undefined, expected: IpAddress | undefined): boolean {
  if (present === undefined || expected === undefined) return present === expected
  return addressesEqual(present, expected)
}

function routeText(route: Route): string {
  const dst = route.dst === undefined ? 'default' : formatPrefix(route.dst)
  const via = route.gateway === undefined ? '' : ` via ${formatAddress(route.gateway)}`
  const metric = route.metric === undefined ? '' : ` metric ${String(route.metric)}`
  const table = route.table === undefined ? '' : ` table ${String(route.table)}`
  return `${dst}${via}${metric}${table}`
}
