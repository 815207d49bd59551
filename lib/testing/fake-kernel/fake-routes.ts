/** Routes of a fake namespace. For tests; see fake-kernel.ts. */

import { addressesEqual, type IpAddress } from '../../ip/address.ts'
import { type IpPrefix, networkOf, prefixContains } from '../../ip/prefix.ts'
import { describeRoute, familyOf, isAsWanted, metricOf, sameDestination } from '../../net/route-match.ts'
import {
  PROTOCOL_BOOT,
  type Route,
  type RouteFilter,
  Routes,
  SCOPE_GLOBAL,
  SCOPE_LINK,
  TABLE_MAIN
} from '../../net/routes.ts'
import type { FakeLink } from './fake-namespace.ts'
import { type FakePlace, linkAt, refuse } from './fake-place.ts'
import { removeRoutes } from './link-changes.ts'
export class FakeRoutes extends Routes {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override list(filter: RouteFilter): readonly Route[] {
    const table = filter.table ?? TABLE_MAIN
    return this.#place.namespace.routes
      .map(one => ({ ...one.route, index: one.link?.index }))
      .filter(
        route =>
          (filter.family === undefined || familyOf(route) === filter.family) &&
          (table === 0 || (route.table ?? TABLE_MAIN) === table) &&
          (filter.index === undefined || route.index === filter.index) &&
          (filter.dst === undefined || isSameFamilyDestination(route, filter.dst))
      )
  }

  override lookup(address: IpAddress): Route | undefined {
    const leading = this.list({ family: address.family }).filter(
      ({ dst }) => dst === undefined || prefixContains(dst, address)
    )
    return leading.sort((a, b) => (b.dst?.length ?? 0) - (a.dst?.length ?? 0))[0]
  }

  override add(route: Route): void {
    this.#place.step('add route', describeRoute(route))
    if (this.#rivals(route).length > 0) refuse('add route', describeRoute(route), 'EEXIST', 'File exists')
    this.#insert(route)
  }

  override ensure(routes: readonly Route[]): void {
    if (routes.length === 0) return
    this.#place.step('add route', routes.map(describeRoute).join(', '))
    for (const route of routes) {
      const rivals = this.#rivals(route)
      if (rivals.length === 0) this.#insert(route)
      else if (!rivals.some(rival => isAsWanted(rival, route))) {
        refuse('add route', describeRoute(route), 'EEXIST', `there as ${rivals.map(describeRoute).join(', ')}`)
      }
    }
  }

  override replace(route: Route): void {
    this.#place.step('replace route', describeRoute(route))
    this.#removeRoutesLike({ ...route, gateway: undefined, index: undefined })
    this.#insert(route)
  }

  override remove(route: Route): boolean {
    this.#place.step('remove route', describeRoute(route))
    return this.#removeRoutesLike(route)
  }

  #rivals(route: Route): readonly Route[] {
    const family = familyOf(route)
    return this.list({ family, table: route.table }).filter(
      one => sameDestination(one.dst, route.dst) && metricOf(one, family) === metricOf(route, family)
    )
  }

  #insert(route: Route): void {
    const link = this.#linkFor(route)
    const type = route.type ?? 'unicast'
    const scope = route.scope ?? (route.gateway === undefined && familyOf(route) === 4 ? SCOPE_LINK : SCOPE_GLOBAL)
    const protocol = route.protocol ?? PROTOCOL_BOOT
    this.#place.namespace.routes.push({ route: { ...route, type, scope, protocol, family: familyOf(route) }, link })
  }

  /** The link that a route leads through; its gateway must be reachable without a further gateway. */
  #linkFor(route: Route): FakeLink | undefined {
    const { gateway, index } = route
    if (gateway === undefined || route.onlink === true) {
      const link = index === undefined ? undefined : linkAt(this.#place.namespace, index)
      if (link?.isUp === false) refuse('add route', describeRoute(route), 'ENETDOWN', 'Network is down')
      return link
    }
    const way = this.#place.namespace.routes.find(
      one =>
        one.route.gateway === undefined &&
        one.route.dst !== undefined &&
        prefixContains(networkOf(one.route.dst), gateway) &&
        (index === undefined || one.link?.index === index)
    )
    if (way === undefined) refuse('add route', describeRoute(route), 'ENETUNREACH', 'Nexthop has invalid gateway')
    return way.link
  }

  #removeRoutesLike(route: Route): boolean {
    const family = familyOf(route)
    return removeRoutes(
      this.#place.namespace,
      one =>
        familyOf(one.route) === family &&
        sameDestination(one.route.dst, route.dst) &&
        (one.route.table ?? TABLE_MAIN) === (route.table ?? TABLE_MAIN) &&
        (route.metric === undefined || metricOf(one.route, family) === metricOf(route, family)) &&
        (route.index === undefined || one.link?.index === route.index) &&
        (route.gateway === undefined ||
          (one.route.gateway !== undefined && addressesEqual(one.route.gateway, route.gateway)))
    )
  }
}

function isSameFamilyDestination(route: Route, dst: IpPrefix): boolean {
  return familyOf(route) === dst.address.family && sameDestination(route.dst, dst)
}
