/**
 * Routes that several interfaces share: an ECMP route has a next hop for each of them. The kernel makes one by itself where
 * somebody adds an IPv6 default route for a second interface at the metric of the first one's.
 */
import type { NextHop, Route } from './routes.ts'

/** What of a route that is listed for a link leads through that link. */
export function throughLink(route: Route, index: number): Route {
  return route.nextHops === undefined ? route : withHops(route, hopsBy(route, index, true))
}

/** What of it leads elsewhere, and is to stay when the link's part goes; undefined when nothing does. */
export function besideLink(route: Route, index: number): Route | undefined {
  const others = hopsBy(route, index, false)
  return others.length === 0 ? undefined : withHops(route, others)
}

function hopsBy(route: Route, index: number, isWanted: boolean): readonly NextHop[] {
  return (route.nextHops ?? []).filter(hop => (hop.index === index) === isWanted)
}

function withHops(route: Route, hops: readonly NextHop[]): Route {
  const [only] = hops
  if (hops.length > 1 || only === undefined) return { ...route, gateway: undefined, index: undefined, nextHops: hops }
  return { ...route, gateway: only.gateway, index: only.index, onlink: only.onlink, nextHops: undefined }
}
