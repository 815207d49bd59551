/**
 * The routes of a container's interface as the kernel wants them, and in which order of preference they stand to those
 * of the container's other interfaces.
 */
import { addressesEqual, type IpAddress, isLinkLocal } from '../ip/address.ts'
import { type IpPrefix, networkOf, prefixContains, prefixesEqual } from '../ip/prefix.ts'
import { errnoOf } from '../sys/errors.ts'
import type { Net } from './net.ts'
import { type NextHop, type Route, TABLE_MAIN } from './routes.ts'

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

/** How many networks of one container may each bring a route to the same destination. */
const RIVALS = 16

/**
 * Adds the routes; one whose place another interface's has goes behind it, with a higher metric.
 *
 * A container on two networks gets a default route from each. The first network keeps its traffic, whatever is attached
 * later, and the others stand by.
 */
export function ensureWays(net: Net, routes: readonly Route[]): void {
  try {
    net.routes.ensure(routes)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    for (const route of routes) ensureBehind(net, route)
  }
}

function ensureBehind(net: Net, route: Route): void {
  const first = firstMetric(route)
  for (let metric = first; ; metric += 1) {
    try {
      net.routes.ensure([metric === first ? route : { ...route, metric }])
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

/** Whether a route has the metric as configured, or is behind other networks' routes (see ensureWays). */
export function hasMetric(present: Route, expected: Route): boolean {
  const behind = firstMetric(present) - firstMetric(expected)
  return expected.metric === undefined || (behind >= 0 && behind < RIVALS)
}

/**
 * Whether the kernel shall add the route to the address's own prefix: not where one of the setup's has its place. (With
 * IPv6 they differ in their metric and stay apart.)
 */
export function bringsPrefixRoute(prefix: IpPrefix, setup: InterfaceSetup): boolean {
  if (setup.noPrefixRoutes === true) return false
  const own: Route = { dst: prefix }
  return prefix.address.family === 6 || !setup.routes.some(route => sharesPlace(route, own))
}

function withLink(route: Route, index: number): Route {
  const hops: NextHop[] = []
  for (const { gateway, weight, onlink } of route.nextHops ?? []) hops.push({ gateway, index, weight, onlink })
  return { ...route, index, nextHops: hops.length === 0 ? undefined : hops }
}

/**
 * The routes as the kernel wants them: each once, several gateways of one destination as one route with several next
 * hops, and gateways that no prefix of the interface covers marked as being neighbours all the same.
 *
 * @param index of the interface, which they all lead through
 */
export function waysOf(setup: InterfaceSetup, index: number): readonly Route[] {
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
  const ordered = routes.filter(route => !hasGateway(route)).concat(routes.filter(hasGateway))
  return ordered.map(route => withLink(route, index))
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

export function familyOf(route: Route): 4 | 6 | undefined {
  return route.dst?.address.family ?? route.family ?? route.gateway?.family
}

export function sameDestination(a: IpPrefix | undefined, b: IpPrefix | undefined): boolean {
  const left = a === undefined || a.length === 0 ? undefined : a
  const right = b === undefined || b.length === 0 ? undefined : b
  if (left === undefined || right === undefined) return left === right
  return prefixesEqual(networkOf(left), networkOf(right))
}
