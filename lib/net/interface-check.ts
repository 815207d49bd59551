/** Whether an interface still has what it was given. */
import { formatAddress, type IpAddress } from '../ip/address.ts'
import { formatMac } from '../ip/mac.ts'
import { formatPrefix, type IpPrefix, prefixesEqual } from '../ip/prefix.ts'
import type { Address } from './addresses.ts'
import { hasMetric } from './interface-routes.ts'
import type { Link } from './links.ts'
import type { Net } from './net.ts'
import { destinationOf, familyOf, sameGateway } from './route-match.ts'
import { type Route, TABLE_LOCAL, TABLE_MAIN } from './routes.ts'

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
  /** Whether these routes may as well be without their gateway, on the link; in the places of `routes`. */
  readonly mayBeOnLink?: readonly boolean[] | undefined
}

/**
 * Compares an interface with what it should be: there, up, of that kind, with that MAC, MTU, addresses and routes.
 * What it has besides is no fault.
 *
 * @returns every difference as a sentence; empty when there is none
 */
export function checkInterface(net: Net, expected: ExpectedInterface): readonly string[] {
  const name = JSON.stringify(expected.name)
  const link = net.links.find(expected.name)
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
  return problems.concat(missingAddresses(net, link, expected.addresses), missingRoutes(net, link, expected))
}

function macText(mac: Uint8Array | undefined): string {
  return mac === undefined ? 'none' : formatMac(mac)
}

function missingAddresses(net: Net, link: Link, expected: readonly IpPrefix[]): readonly string[] {
  if (expected.length === 0) return []
  const present: readonly Address[] = net.addresses.list(link.index)
  return expected
    .filter(prefix => !present.some(address => prefixesEqual(address.prefix, prefix)))
    .map(prefix => `address ${formatPrefix(prefix)} is missing from ${JSON.stringify(link.name)}`)
}

function missingRoutes(net: Net, link: Link, { routes, mayBeOnLink }: ExpectedInterface): readonly string[] {
  if (routes.length === 0) return []
  const present = new Map<string, Route[]>()
  for (const route of net.routes.list({ table: 0 })) {
    const known = present.get(destinationOf(route))
    if (known === undefined) present.set(destinationOf(route), [route])
    else known.push(route)
  }
  const isThere = (route: Route): boolean =>
    (present.get(destinationOf(route)) ?? []).some(one => isThisRoute(one, route, link.index))
  return routes
    .filter((route, i) => !isThere(route) && !(mayBeOnLink?.[i] === true && isThere({ ...route, gateway: undefined })))
    .map(route => `route ${routeText(route)} is missing from ${JSON.stringify(link.name)}`)
}

/** Of routes to one destination. IPv6 has no scopes of routes: the kernel shows all as global. */
function isThisRoute(present: Route, expected: Route, index: number): boolean {
  const table = present.table ?? TABLE_MAIN
  if (expected.table === undefined ? table === TABLE_LOCAL : table !== expected.table) return false
  return (
    leadsThrough(present, expected.gateway, index) &&
    hasMetric(present, expected) &&
    (expected.scope === undefined || expected.scope === present.scope || familyOf(present) === 6) &&
    (expected.mtu === undefined || expected.mtu === present.mtu) &&
    (expected.advmss === undefined || expected.advmss === present.advmss)
  )
}

function leadsThrough(route: Route, gateway: IpAddress | undefined, index: number): boolean {
  if (route.nextHops !== undefined) {
    return route.nextHops.some(hop => hop.index === index && sameGateway(hop.gateway, gateway))
  }
  return route.index === index && sameGateway(route.gateway, gateway)
}

function routeText(route: Route): string {
  const dst = route.dst === undefined ? 'default' : formatPrefix(route.dst)
  const via = route.gateway === undefined ? '' : ` via ${formatAddress(route.gateway)}`
  const metric = route.metric === undefined ? '' : ` metric ${String(route.metric)}`
  const table = route.table === undefined ? '' : ` table ${String(route.table)}`
  return `${dst}${via}${metric}${table}`
}
