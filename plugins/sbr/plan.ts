/**
 * What source-based routing makes of an interface's routes. Pure: from what is there and what is asked to what has to be
 * added and removed.
 */
import type { IpConfig } from '../../lib/cni/result.ts'
import { addressesEqual, type IpAddress, isLinkLocal } from '../../lib/ip/address.ts'
import { hostPrefix, networkOf, prefixContains, prefixesEqual } from '../../lib/ip/prefix.ts'
import { familyOf, hasGateway } from '../../lib/net/route-match.ts'
import { type Route, SCOPE_LINK, TABLE_MAIN } from '../../lib/net/routes.ts'
import type { Rule } from '../../lib/net/rules.ts'
import type { SbrConfig } from './config.ts'

/** The first table that is tried, as the reference plugin has it. */
const FIRST_TABLE = 100

/** Default, main and local. */
const LAST_RESERVED = 255
const FIRST_RESERVED = 253

/** One address and the table of its own. */
export interface SourceTable {
  readonly ip: IpConfig
  readonly table: number
}

/** An interface as it is before. */
export interface RoutedLink {
  readonly index: number
  /** Its routes in the main table. */
  readonly main: readonly Route[]
  /** All its addresses; a route that none of them claims is everybody's. */
  readonly ips: readonly IpConfig[]
}

/**
 * As many tables as there are addresses, that no rule looks up and no route is in. A container with NET_ADMIN may have taken a
 * hundred thousand of them: all are looked through once.
 */
export function freeTables(ips: readonly IpConfig[], rules: readonly Rule[], routes: readonly Route[]): SourceTable[] {
  const used: number[] = []
  for (const rule of rules) used.push(rule.table ?? 0)
  for (const route of routes) used.push(route.table ?? TABLE_MAIN)
  used.sort((a, b) => a - b)
  const tables: SourceTable[] = []
  let at = 0
  for (let table = FIRST_TABLE; tables.length < ips.length; table += 1) {
    while ((used[at] ?? table) < table) at += 1
    const ip = ips[tables.length]
    const isReserved = table >= FIRST_RESERVED && table <= LAST_RESERVED
    if (ip !== undefined && !isReserved && used[at] !== table) tables.push({ ip, table })
  }
  return tables
}

/** The rule that sends what has this source address to the table. */
export function sourceRule(address: IpAddress, table: number): Rule {
  return { family: address.family, from: hostPrefix(address), table }
}

/** The gateway of an address: the configuration's for its family, else the result's. */
export function gatewayOf(ip: IpConfig, config: SbrConfig): IpAddress | undefined {
  return config.gateways.find(gateway => gateway.family === ip.address.address.family) ?? ip.gateway
}

/**
 * The routes of an address's own table: those of the interface in the main table that concern it, and a default route
 * through its gateway. Routes to neighbours first: the kernel accepts no gateway that it cannot reach.
 */
export function tableRoutes(one: SourceTable, link: RoutedLink, config: SbrConfig): readonly Route[] {
  const { main, ips, index } = link
  const family = one.ip.address.address.family
  const gateway = gatewayOf(one.ip, config)
  const routes: Route[] = []
  for (const route of main) {
    if (familyOf(route) !== family || (gateway !== undefined && isDefault(route))) continue
    if (concerns(route, one.ip) || !ips.some(other => concerns(route, other))) {
      routes.push({ ...route, table: one.table })
    }
  }
  if (gateway !== undefined) {
    const isNear = prefixContains(one.ip.address, gateway) || (gateway.family === 6 && isLinkLocal(gateway))
    // Without a route to it, as where an earlier attachment took the routes along, the kernel takes no gateway for a neighbour.
    const isNeighbour = isNear && routes.some(route => !hasGateway(route) && leadsTo(route, gateway))
    routes.push({ family, dst: undefined, gateway, index, table: one.table, onlink: !isNeighbour })
  }
  return neighboursFirst(routes)
}

function leadsTo(route: Route, gateway: IpAddress): boolean {
  return route.dst !== undefined && prefixContains(route.dst, gateway)
}

function neighboursFirst(routes: readonly Route[]): readonly Route[] {
  return routes.filter(route => !hasGateway(route)).concat(routes.filter(hasGateway))
}

/**
 * The routes to be taken out of the main table, gateways first, so that putting them back in reverse order works.
 *
 * Left there is what holds the link together whatever the source: the link-local prefix, from which the interface speaks
 * to its neighbours, and, with source hints, the routes to the interface's own networks.
 */
export function movedRoutes(main: readonly Route[], config: SbrConfig): readonly Route[] {
  const moved = main.filter(route => !isLinkLocalRoute(route) && !(config.addSourceHints && !hasGateway(route)))
  return moved.filter(hasGateway).concat(moved.filter(route => !hasGateway(route)))
}

/** The routes to the networks of the addresses, each with the address as the source to be preferred. */
export function hintRoutes(ips: readonly IpConfig[], main: readonly Route[], index: number): readonly Route[] {
  return ips.map(ip => hintRoute(ip, main, index))
}

function hintRoute(ip: IpConfig, main: readonly Route[], index: number): Route {
  const dst = networkOf(ip.address)
  const source = ip.address.address
  const present = main.find(route => route.dst !== undefined && !hasGateway(route) && prefixesEqual(route.dst, dst))
  if (present !== undefined) return { ...present, source }
  return { dst, index, source, scope: source.family === 4 ? SCOPE_LINK : undefined, table: TABLE_MAIN }
}

export function isDefault(route: Route): boolean {
  return route.dst === undefined || route.dst.length === 0
}

function isLinkLocalRoute(route: Route): boolean {
  return route.dst !== undefined && route.dst.address.family === 6 && isLinkLocal(route.dst.address)
}

/** Whether the route is of this address's network: its gateway or its preferred source lies there. */
function concerns(route: Route, ip: IpConfig): boolean {
  if (route.gateway !== undefined) return prefixContains(ip.address, route.gateway)
  if (route.source !== undefined) return addressesEqual(route.source, ip.address.address)
  return route.dst !== undefined && prefixesEqual(route.dst, networkOf(ip.address))
}
