/**
 * The routes of a container's interface as the kernel wants them, and in which order of preference they stand to those
 * of the container's other interfaces.
 */
import { type IpAddress, isLinkLocal } from '../ip/address.ts'
import { formatPrefix, type IpPrefix, networkOf } from '../ip/prefix.ts'
import { errnoOf } from '../sys/errors.ts'
import type { Net } from './net.ts'
import { byPlace, familyOf, hasGateway, isAsWanted, metricOf, placeOf, sameGateway } from './route-match.ts'
import type { NextHop, Route } from './routes.ts'

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

/** Others may add routes between the look and the send: how often it is looked again. */
const ATTEMPTS = 3

/**
 * Adds the routes; one whose place another interface's has goes behind it, with a higher metric.
 *
 * A container on two networks gets a default route from each. The first network keeps its traffic, whatever is attached
 * later, and the others stand by.
 */
export function ensureInterfaceRoutes(net: Net, routes: readonly Route[]): void {
  let wanted = routes
  for (let attempt = 1; ; attempt += 1) {
    try {
      net.routes.ensure(wanted)
      return
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || attempt > ATTEMPTS) throw error
      wanted = behindOthers(net.routes.list({ table: 0 }), routes)
    }
  }
}

/** The routes, each with the first metric at which there is no other one for its destination. */
function behindOthers(present: readonly Route[], routes: readonly Route[]): readonly Route[] {
  const places = byPlace(present)
  return routes.map(route => {
    const first = firstMetric(route)
    for (let metric = first; metric < first + RIVALS; metric += 1) {
      const candidate: Route = metric === first ? route : { ...route, metric }
      const rivals = places.get(placeOf(candidate)) ?? []
      if (rivals.length === 0 || rivals.some(rival => isAsWanted(rival, candidate))) return candidate
    }
    return route
  })
}

function firstMetric(route: Route): number {
  return metricOf(route, familyOf(route))
}

/** Whether a route has the metric as configured, or is behind other networks' routes (see ensureInterfaceRoutes). */
export function hasMetric(present: Route, expected: Route): boolean {
  const behind = firstMetric(present) - firstMetric(expected)
  return expected.metric === undefined || (behind >= 0 && behind < RIVALS)
}

/**
 * The addresses whose own prefixes the kernel shall add a route to: not where one of the setup's has its place. (With
 * IPv6 they differ in their metric and stay apart.)
 */
export function withPrefixRoute(setup: InterfaceSetup): readonly IpPrefix[] {
  if (setup.noPrefixRoutes === true) return []
  const places = new Set<string>()
  for (const route of setup.routes) places.add(placeOf(route))
  return setup.addresses.filter(prefix => prefix.address.family === 6 || !places.has(placeOf({ dst: prefix })))
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
 * @param routed what `withPrefixRoute` says of the setup
 * @param index of the interface, which they all lead through
 */
export function routesOf(setup: InterfaceSetup, routed: readonly IpPrefix[], index: number): readonly Route[] {
  const onLink = onLinkPrefixes(setup, routed)
  const routes: Route[] = []
  for (const group of groupsOf(setup.routes)) {
    const first = group[0]
    if (first === undefined) continue
    if (group.length > 1) routes.push(multipath(first, group, onLink))
    else routes.push(first.gateway === undefined ? first : { ...first, onlink: !onLink.reaches(first.gateway) })
  }
  // A route to a gateway has to be there before the routes through it.
  const ordered = routes.filter(route => !hasGateway(route)).concat(routes.filter(hasGateway))
  return ordered.map(route => withLink(route, index))
}

/** The routes that share a place in the kernel's table, each gateway once. */
function groupsOf(routes: readonly Route[]): readonly Route[][] {
  const byPlace = new Map<string, Route[]>()
  const groups: Route[][] = []
  for (const route of routes) {
    const place = placeOf(route)
    const group = byPlace.get(place)
    if (group === undefined) {
      const made = [route]
      byPlace.set(place, made)
      groups.push(made)
    } else if (!hasGatewayOf(group, route)) group.push(route)
  }
  return groups
}

function hasGatewayOf(group: readonly Route[], route: Route): boolean {
  return group.some(other => sameGateway(other.gateway, route.gateway))
}

function multipath(first: Route, group: readonly Route[], onLink: OnLink): Route {
  const nextHops: NextHop[] = group.map(route => ({
    gateway: route.gateway,
    index: 0,
    weight: 1,
    onlink: route.gateway !== undefined && !onLink.reaches(route.gateway)
  }))
  return { ...first, gateway: undefined, nextHops }
}

/** Which gateways are the interface's neighbours. Thousands of routes ask; the prefixes are looked up by their length. */
class OnLink {
  readonly #everything: boolean
  readonly #prefixes = new Set<string>()
  readonly #lengths: number[] = []

  constructor(everything: boolean) {
    this.#everything = everything
  }

  add(prefix: IpPrefix): void {
    this.#prefixes.add(formatPrefix(networkOf(prefix)))
    if (!this.#lengths.some(length => length === prefix.length)) this.#lengths.push(prefix.length)
  }

  reaches(gateway: IpAddress): boolean {
    if (this.#everything || (gateway.family === 6 && isLinkLocal(gateway))) return true
    const longest = gateway.family === 4 ? 32 : 128
    for (const length of this.#lengths) {
      if (length > longest) continue
      if (this.#prefixes.has(formatPrefix(networkOf({ address: gateway, length })))) return true
    }
    return false
  }
}

function onLinkPrefixes(setup: InterfaceSetup, routed: readonly IpPrefix[]): OnLink {
  // Where even the neighbours are behind a gateway, another gateway is nobody's neighbour: the kernel shall say so.
  const onLink = new OnLink(setup.noPrefixRoutes === true)
  for (const prefix of routed) onLink.add(prefix)
  for (const route of setup.routes) if (route.gateway === undefined && route.dst !== undefined) onLink.add(route.dst)
  return onLink
}
