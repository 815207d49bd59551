/**
 * When two routes are the same one: pure comparisons, for the kernel's routes and the fake's.
 */
import { addressesEqual, formatAddress, type IpAddress } from '../ip/address.ts'
import { formatPrefix, type IpPrefix, networkOf, prefixesEqual } from '../ip/prefix.ts'
import { type Route, TABLE_MAIN } from './routes.ts'

/** What the kernel takes for "no metric" with IPv6 (IP6_RT_PRIO_USER). */
const METRIC6 = 1024

export function familyOf(route: Route): 4 | 6 {
  return route.dst?.address.family ?? route.family ?? route.gateway?.family ?? 4
}

/** Whether it leads to its destination by way of another host. */
export function hasGateway(route: Route): boolean {
  return route.gateway !== undefined || route.nextHops !== undefined
}

export function describeRoute(route: Route): string {
  const dst = route.dst === undefined ? `default (IPv${String(familyOf(route))})` : formatPrefix(route.dst)
  const via = route.gateway === undefined ? '' : ` via ${formatAddress(route.gateway)}`
  const dev = route.index === undefined ? '' : ` dev ${String(route.index)}`
  const metric = route.metric === undefined ? '' : ` metric ${String(route.metric)}`
  const table = route.table === undefined || route.table === TABLE_MAIN ? '' : ` table ${String(route.table)}`
  return dst + via + dev + metric + table
}

/** An absent destination is 0.0.0.0/0 or ::/0. */
export function sameDestination(a: IpPrefix | undefined, b: IpPrefix | undefined): boolean {
  if (a === undefined || b === undefined) return (a?.length ?? 0) === 0 && (b?.length ?? 0) === 0
  return prefixesEqual(networkOf(a), networkOf(b))
}

export function metricOf(route: Route, family: 4 | 6): number {
  const metric = route.metric ?? 0
  return metric === 0 && family === 6 ? METRIC6 : metric
}

/** As a key: an absent destination and one of length 0 are the same. */
export function destinationOf(route: Route): string {
  const { dst } = route
  return dst === undefined || dst.length === 0 ? `default ${String(familyOf(route))}` : formatPrefix(networkOf(dst))
}

/** The place that the kernel has for one route alone: destination, table and metric, as a key. */
export function placeOf(route: Route): string {
  return `${destinationOf(route)} ${String(route.table ?? TABLE_MAIN)} ${String(metricOf(route, familyOf(route)))}`
}

/** The routes under their places: one of IPv6 may be there once for each gateway. */
export function byPlace(routes: readonly Route[]): ReadonlyMap<string, readonly Route[]> {
  const places = new Map<string, Route[]>()
  for (const route of routes) {
    const place = placeOf(route)
    const known = places.get(place)
    if (known === undefined) places.set(place, [route])
    else known.push(route)
  }
  return places
}

export function isAsWanted(route: Route, wanted: Route): boolean {
  return (
    sameGateway(route.gateway, wanted.gateway) &&
    (wanted.index === undefined || route.index === wanted.index) &&
    (wanted.type ?? 'unicast') === route.type &&
    (wanted.mtu === undefined || route.mtu === wanted.mtu) &&
    (wanted.advmss === undefined || route.advmss === wanted.advmss) &&
    (wanted.scope === undefined || route.family === 6 || route.scope === wanted.scope) &&
    (wanted.nextHops ?? []).length === (route.nextHops ?? []).length
  )
}

export function sameGateway(a: IpAddress | undefined, b: IpAddress | undefined): boolean {
  if (a === undefined || b === undefined) return a === undefined && b === undefined
  return addressesEqual(a, b)
}
