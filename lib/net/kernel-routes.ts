/**
 * Routes by rtnetlink.
 *
 * @source linux/rtnetlink.h; net/ipv4/fib_frontend.c, net/ipv6/route.c
 */
import { formatAddress, type IpAddress } from '../ip/address.ts'
import { networkOf } from '../ip/prefix.ts'
import { type Answer, type Conn, type Request, refusal } from '../netlink/conn.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/message.ts'
import { AF_INET, AF_INET6 } from '../netlink/rt/link.ts'
import {
  decodeRoute,
  EMPTY_ROUTE,
  encodeRoute,
  type NextHopMessage,
  type RouteMessage,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTNH_F_ONLINK
} from '../netlink/rt/route.ts'
import { errnoOf } from '../sys/errors.ts'
import { byPlace, describeRoute, familyOf, isAsWanted, placeOf, sameDestination } from './route-match.ts'
import {
  type NextHop,
  PROTOCOL_BOOT,
  type Route,
  type RouteFilter,
  Routes,
  type RouteType,
  SCOPE_GLOBAL,
  SCOPE_HOST,
  SCOPE_LINK,
  SCOPE_NOWHERE,
  TABLE_MAIN
} from './routes.ts'

/** linux/rtnetlink.h RTN_*, by number */
export const ROUTE_TYPES: readonly (RouteType | 'unspec')[] = [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat'
]

/** What a lookup is refused with where nothing leads; the last three are routes that say so. */
const NO_WAY: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EACCES', 'EAGAIN']

/** As `ip route add` chooses: a gateway is global, a link's own destinations are link, an own address is host. */
function defaultScope(route: Route, family: 4 | 6): number {
  if (family === 6) return SCOPE_GLOBAL
  switch (route.type ?? 'unicast') {
    case 'local':
    case 'nat':
      return SCOPE_HOST
    case 'broadcast':
    case 'multicast':
    case 'anycast':
      return SCOPE_LINK
    case 'unicast':
      return route.gateway === undefined && route.nextHops === undefined ? SCOPE_LINK : SCOPE_GLOBAL
    default:
      return SCOPE_GLOBAL
  }
}

function routeMessage(route: Route): RouteMessage {
  const family = familyOf(route)
  const table = route.table ?? TABLE_MAIN
  const { gateway, mtu, advmss } = route
  const isVia = gateway !== undefined && gateway.family !== family
  return {
    ...EMPTY_ROUTE,
    family: family === 4 ? AF_INET : AF_INET6,
    dstLength: route.dst?.length ?? 0,
    shortTable: table < 256 ? table : 0,
    protocol: route.protocol ?? PROTOCOL_BOOT,
    scope: route.scope ?? defaultScope(route, family),
    type: ROUTE_TYPES.indexOf(route.type ?? 'unicast'),
    flags: route.onlink === true ? RTNH_F_ONLINK : 0,
    dst: route.dst === undefined ? undefined : networkOf(route.dst).address,
    index: route.index,
    gateway: isVia ? undefined : gateway,
    metric: route.metric,
    source: route.source,
    metrics: mtu === undefined && advmss === undefined ? undefined : { mtu, advmss },
    nextHops: route.nextHops?.map(hop => nextHopMessage(family, hop)),
    table: table < 256 ? undefined : table,
    via: isVia ? gateway : undefined
  }
}

function nextHopMessage(family: 4 | 6, hop: NextHop): NextHopMessage {
  const isVia = hop.gateway !== undefined && hop.gateway.family !== family
  return {
    flags: hop.onlink ? RTNH_F_ONLINK : 0,
    hops: hop.weight - 1,
    index: hop.index,
    gateway: isVia ? undefined : hop.gateway,
    via: isVia ? hop.gateway : undefined
  }
}

function routeOf(message: RouteMessage): Route {
  const family = message.family === AF_INET ? 4 : 6
  const type = ROUTE_TYPES[message.type] ?? 'unspec'
  return {
    family,
    dst: message.dst === undefined ? undefined : { address: message.dst, length: message.dstLength },
    gateway: message.gateway ?? message.via,
    index: message.index,
    source: message.source,
    metric: message.metric,
    mtu: message.metrics?.mtu,
    advmss: message.metrics?.advmss,
    table: message.table ?? message.shortTable,
    scope: message.scope,
    protocol: message.protocol,
    onlink: (message.flags & RTNH_F_ONLINK) !== 0,
    type: type === 'unspec' ? 'unicast' : type,
    nextHops: message.nextHops?.map(nextHopOf)
  }
}

function nextHopOf(hop: NextHopMessage): NextHop {
  return {
    gateway: hop.gateway ?? hop.via,
    index: hop.index,
    weight: hop.hops + 1,
    onlink: (hop.flags & RTNH_F_ONLINK) !== 0
  }
}

/** Accepts the route that is there when it is what was asked for, and says what it is otherwise. */
function refuseOthers(rivals: readonly Route[], wanted: Route, answer: Answer): void {
  if (rivals.some(route => isAsWanted(route, wanted))) return
  const seen = rivals.length === 0 ? 'not listed' : `there as ${rivals.map(describeRoute).join(', ')}`
  throw new KernelError(answer.request.operation, answer.request.object, 'EEXIST', seen)
}

export class KernelRoutes extends Routes {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  override list(filter: RouteFilter): readonly Route[] {
    const family = filter.dst?.address.family ?? filter.family
    const families: readonly number[] = family === undefined ? [AF_INET, AF_INET6] : [family === 4 ? AF_INET : AF_INET6]
    const listed: Route[] = []
    for (const one of families) {
      for (const route of dumpRoutes(this.#conn, one, filter)) {
        if (matches(route, filter)) listed.push(route)
      }
    }
    return listed
  }

  override lookup(address: IpAddress): Route | undefined {
    const family = address.family === 4 ? AF_INET : AF_INET6
    const question = encodeRoute({ ...EMPTY_ROUTE, family, dst: address, dstLength: 8 * address.bytes.length })
    const [operation, object] = ['look up route', formatAddress(address)]
    const answer = this.#conn.attempt({
      operation,
      object,
      type: RTM_GETROUTE,
      flags: 0,
      payload: question,
      answer: 'message'
    })
    if (NO_WAY.some(errno => errno === answer.errno)) return undefined
    if (answer.errno !== '') throw refusal(answer)
    const [payload] = answer.payloads
    return payload === undefined ? undefined : routeOf(decodeRoute(payload))
  }

  override add(route: Route): void {
    this.#conn.execute(addRouteRequest(route))
  }

  /**
   * All in order, so that a route may use the one before it as the way to its gateway. Those that are there already are
   * compared afterwards, by one dump.
   */
  override ensure(routes: readonly Route[]): void {
    const answers = this.#conn.batch(routes.map(addRouteRequest))
    if (!answers.some(answer => answer.errno !== '')) return
    const present = byPlace(this.list({ table: 0 }))
    // In order: a route whose place is taken leaves the gateways unreachable that those after it lead through.
    for (let i = 0; i < routes.length; i += 1) {
      const answer = answers[i]
      const route = routes[i]
      if (answer === undefined || answer.errno === '' || route === undefined) continue
      if (answer.errno !== 'EEXIST') throw refusal(answer)
      refuseOthers(present.get(placeOf(route)) ?? [], route, answer)
    }
  }

  override replace(route: Route): void {
    this.#conn.execute(newRequest('replace route', NLM_F_CREATE | NLM_F_REPLACE, route))
  }

  override remove(route: Route): boolean {
    const message = routeMessage(route)
    const payload = encodeRoute({
      ...message,
      protocol: route.protocol ?? 0,
      scope: route.scope ?? SCOPE_NOWHERE,
      type: route.type === undefined ? 0 : message.type,
      // A route is found by where it leads; its metrics need not be told again.
      metrics: undefined
    })
    const object = describeRoute(route)
    const operation = 'remove route'
    const answer = this.#conn.attempt({
      operation,
      object,
      type: RTM_DELROUTE,
      flags: 0,
      payload,
      answer: 'acknowledgement'
    })
    if (answer.errno === '') return true
    // ENOENT: IPv6 has no such table.
    if (answer.errno === 'ESRCH' || answer.errno === 'ENOENT') return false
    throw refusal(answer)
  }
}

/** The kernel filters by table and link; a table that was never used does not exist. */
function dumpRoutes(conn: Conn, family: number, filter: RouteFilter): readonly Route[] {
  const table = filter.table ?? TABLE_MAIN
  const request: RouteMessage = {
    ...EMPTY_ROUTE,
    family,
    shortTable: table < 256 ? table : 0,
    index: filter.index,
    table: table < 256 ? undefined : table
  }
  try {
    return conn.dump('list', 'routes', RTM_GETROUTE, encodeRoute(request)).map(payload => routeOf(decodeRoute(payload)))
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'EOPNOTSUPP') return []
    throw error
  }
}

function matches(route: Route, filter: RouteFilter): boolean {
  const table = filter.table ?? TABLE_MAIN
  if (table !== 0 && route.table !== table) return false
  if (filter.index !== undefined && !uses(route, filter.index)) return false
  return filter.dst === undefined || sameDestination(route.dst, filter.dst)
}

function uses(route: Route, index: number): boolean {
  return route.index === index || (route.nextHops ?? []).some(hop => hop.index === index)
}

export function addRouteRequest(route: Route): Request {
  return newRequest('add route', NLM_F_CREATE | NLM_F_EXCL, route)
}

function newRequest(operation: string, flags: number, route: Route): Request {
  return {
    operation,
    object: describeRoute(route),
    type: RTM_NEWROUTE,
    flags,
    payload: encodeRoute(routeMessage(route)),
    answer: 'acknowledgement'
  }
}
