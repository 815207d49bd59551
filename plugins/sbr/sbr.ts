/**
 * Source-based routing: what a container sends from the address of an interface leaves by that interface, also when
 * another one has the default route.
 *
 *     container
 *     +--------------------------------------------------------------+
 *     | rule: from 10.1.0.5 lookup 100      table 100: default via   |
 *     | rule: from 10.2.0.9 lookup 101        10.1.0.1 dev eth0      |---> eth0
 *     |                                     table 101: default via   |
 *     |                                       10.2.0.1 dev net1      |---> net1
 *     +--------------------------------------------------------------+
 */
import { isOwnNamespace, withNetns } from '../../lib/attach/attachment.ts'
import { inJournal, nothing } from '../../lib/attach/attachment-plugin.ts'
import { chainedPlugin } from '../../lib/attach/chained-plugin.ts'
import type { Session } from '../../lib/attach/session.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin } from '../../lib/cni/plugin.ts'
import type { IpConfig, Result } from '../../lib/cni/result.ts'
import type { Json } from '../../lib/config/json.ts'
import { addressesEqual, formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { prefixesEqual } from '../../lib/ip/prefix.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { hasGateway } from '../../lib/net/route-match.ts'
import type { Route } from '../../lib/net/routes.ts'
import type { Rule } from '../../lib/net/rules.ts'
import { besideLink, throughLink } from '../../lib/net/shared-route.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { checkSources } from './check.ts'
import { readConfig, type SbrConfig, sourceIps } from './config.ts'
import { entryOf, type RecordedSource, sourcesIn } from './entry.ts'
import { freeTables, hintRoutes, movedRoutes, type SourceTable, sourceRule, tableRoutes } from './plan.ts'

export function sbr(kernel: Kernel): Plugin {
  return chainedPlugin(kernel, {
    name: 'sbr',
    since: '0.1.0',
    isExclusive: false,
    records: inJournal,
    add,
    check,
    remove,
    collectStrays: nothing,
    status
  })
}

function add(session: Session): Result {
  const config = readConfig(session.request.config)
  const result = requiredPrevResult(session.request)
  const ips = sourceIps(session.request, result)
  // Two ADDs for one container would find the same tables free.
  session.container().withLock(() => addSources(session, config, ips))
  return result
}

function addSources(session: Session, config: SbrConfig, ips: readonly IpConfig[]): void {
  const { table } = config
  const container = session.container()
  const link = container.links.get(session.request.ifName)
  const sources = table === undefined ? findTables(container, ips) : ips.map(ip => ({ ip, table }))
  session.record(withNetns(session, entryOf(sources, table === undefined)))
  if (table === undefined) moveRoutes(session, link.index, sources, config)
  for (const source of sources) ensureRule(session, sourceRule(source.ip.address.address, source.table))
}

function findTables(container: Net, ips: readonly IpConfig[]): readonly SourceTable[] {
  const rules = container.rules.list(4).concat(container.rules.list(6))
  return freeTables(ips, rules, container.routes.list({ table: 0 }))
}

/** The tables are filled before the rules lead there, and emptied of their routes is the main one last. */
function moveRoutes(session: Session, index: number, sources: readonly SourceTable[], config: SbrConfig): void {
  const { undo } = session
  const container = session.container()
  const ips = sources.map(source => source.ip)
  const listed = routesOf(container, index)
  const main = listed.map(route => throughLink(route, index))
  for (const source of sources) {
    for (const route of tableRoutes(source, { index, main, ips }, config)) {
      undo.push(routeName(route), () => removeRoute(container, route))
      container.routes.replace(route)
    }
  }
  for (const route of config.addSourceHints ? hintRoutes(ips, main, index) : []) {
    const before = main.find(other => isSameDestination(other, route))
    undo.push(routeName(route), () => restoreRoute(container, route, before))
    container.routes.replace(route)
  }
  for (const route of movedRoutes(listed, config)) takeOut(session, route, besideLink(route, index))
}

/** @param rest what other interfaces have of the route, such as their share of a default route */
function takeOut(session: Session, route: Route, rest: Route | undefined): void {
  const container = session.container()
  if (rest === undefined) {
    session.undo.push(routeName(route), () => container.routes.ensure([route]))
    removeRoute(container, route)
  } else {
    session.undo.push(routeName(route), () => container.routes.replace(route))
    container.routes.replace(rest)
  }
}

function isSameDestination(a: Route, b: Route): boolean {
  return a.dst !== undefined && b.dst !== undefined && !hasGateway(a) && prefixesEqual(a.dst, b.dst)
}

function routeName(route: Route): string {
  return `route to ${route.dst === undefined ? 'default' : formatAddress(route.dst.address)}`
}

function removeRoute(container: Net, route: Route): void {
  container.routes.remove(route)
}

function restoreRoute(container: Net, route: Route, before: Route | undefined): void {
  if (before === undefined) container.routes.remove(route)
  else container.routes.replace(before)
}

/** The routes of the main table through this link. */
function routesOf(container: Net, index: number): readonly Route[] {
  return container.routes.list({}).filter(route => leadsThrough(route, index))
}

function leadsThrough(route: Route, index: number): boolean {
  return route.index === index || (route.nextHops ?? []).some(hop => hop.index === index)
}

/** The very same rule may be there: in a fixed table, from a container that had the address before. */
function ensureRule(session: Session, rule: Rule): void {
  const container = session.container()
  try {
    container.rules.add(rule)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    throw error
  }
  session.undo.push(`rule for table ${String(rule.table ?? 0)}`, () => removeRule(container, rule))
}

function removeRule(container: Net, rule: Rule): void {
  container.rules.remove(rule)
}

function check(session: Session): readonly string[] {
  const { request, journal } = session
  const config = readConfig(request.config)
  const ips = sourceIps(request, requiredPrevResult(request))
  return checkSources(session, config, ips, sourcesIn(journal.read(request)))
}

/** Rules before routes: a rule that leads to an empty table does no harm, but is of no use either. All goes with the namespace. */
function remove(session: Session, entry: Json | undefined): void {
  const container = session.findContainer(entry)
  if (container === undefined || !isOwnNamespace(session, container, entry)) return
  const recorded = sourcesIn(entry)
  const sources = recorded.length > 0 ? recorded : foreignSources(session, container)
  for (const { address, table } of sources) {
    session.attempt(() => removeRule(container, sourceRule(address, table)))
  }
  for (const { table, ownsTable } of sources) {
    if (ownsTable) session.attempt(() => emptyTable(container, table))
  }
}

/** Of an ADD by the reference plugin, which writes nothing down: the rules for addresses that the interface has. */
function foreignSources(session: Session, container: Net): readonly RecordedSource[] {
  const { request } = session
  const link = container.links.find(request.ifName)
  if (link === undefined) return []
  const fixed = request.config.integer('table', 1, 4_294_967_295)
  const sources: RecordedSource[] = []
  for (const { prefix } of container.addresses.list(link.index)) {
    for (const rule of container.rules.list(prefix.address.family)) {
      if (rule.table === undefined || !isFrom(rule, prefix.address)) continue
      if (fixed === undefined || fixed === rule.table) {
        sources.push({ address: prefix.address, table: rule.table, ownsTable: false })
      }
    }
  }
  return sources
}

function isFrom(rule: Rule, address: IpAddress): boolean {
  return rule.from !== undefined && addressesEqual(rule.from.address, address)
}

function emptyTable(container: Net, table: number): void {
  for (const route of container.routes.list({ table })) container.routes.remove(route)
}

/** Nothing but its own configuration can keep an ADD from working. */
function status(session: Session): void {
  readConfig(session.request.config)
}
