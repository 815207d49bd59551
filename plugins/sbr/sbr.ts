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
import { attachContainer, checkContainer, visitContainer } from '../../lib/attach/container.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import { ownerMark } from '../../lib/attach/owner.ts'
import { netnsOf, recordAttachment } from '../../lib/attach/single-link.ts'
import { staleEntries } from '../../lib/attach/stale.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { IpConfig, Result } from '../../lib/cni/result.ts'
import { addressesEqual, formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { prefixesEqual } from '../../lib/ip/prefix.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Route } from '../../lib/net/routes.ts'
import type { Rule } from '../../lib/net/rules.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import type { Undo } from '../../lib/undo.ts'
import { checkSources } from './check.ts'
import { addressesOf, readConfig, type SbrConfig } from './config.ts'
import { entryOf, type RecordedSource, sourcesIn } from './entry.ts'
import { freeTables, hasGateway, hintRoutes, movedRoutes, type SourceTable, sourceRule, tableRoutes } from './plan.ts'

const NAME = 'sbr'

export function sbr(kernel: Kernel): Plugin {
  return {
    name: NAME,
    since: '0.1.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => del(kernel, request),
    gc: request => gc(kernel, request),
    status
  }
}

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request.config)
  request.config.finish()
  const result = requiredPrevResult(request)
  const ips = addressesOf(request, result)
  return attachContainer(kernel, request, (container, undo) => {
    // Two ADDs for one container would find the same tables free.
    container.exclusively(() => addSources(container, request, config, ips, undo))
    return result
  })
}

function addSources(container: Net, request: Request, config: SbrConfig, ips: readonly IpConfig[], undo: Undo): void {
  const { table } = config
  const link = container.links.get(request.ifName)
  const sources = table === undefined ? findTables(container, ips) : ips.map(ip => ({ ip, table }))
  recordAttachment(journalOf(request, NAME), request, entryOf(request.netns, sources, table === undefined), undo)
  if (table === undefined) moveRoutes(container, link.index, sources, config, undo)
  for (const source of sources) ensureRule(container, sourceRule(source.ip.address.address, source.table), undo)
}

function findTables(container: Net, ips: readonly IpConfig[]): readonly SourceTable[] {
  const rules = container.rules.list(4).concat(container.rules.list(6))
  return freeTables(ips, rules, container.routes.list({ table: 0 }))
}

/** The tables are filled before the rules lead there, and emptied of their routes is the main one last. */
function moveRoutes(
  container: Net,
  index: number,
  sources: readonly SourceTable[],
  config: SbrConfig,
  undo: Undo
): void {
  const ips = sources.map(source => source.ip)
  const main = routesOf(container, index)
  for (const source of sources) {
    for (const route of tableRoutes(source, main, ips, config, index)) {
      undo.push(routeName(route), () => removeRoute(container, route))
      container.routes.replace(route)
    }
  }
  for (const route of config.addSourceHints ? hintRoutes(ips, main, index) : []) {
    const before = main.find(other => isSameDestination(other, route))
    undo.push(routeName(route), () => restoreRoute(container, route, before))
    container.routes.replace(route)
  }
  for (const route of movedRoutes(main, config)) {
    undo.push(routeName(route), () => container.routes.ensure([route]))
    removeRoute(container, route)
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
function ensureRule(container: Net, rule: Rule, undo: Undo): void {
  try {
    container.rules.add(rule)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    throw error
  }
  undo.push(`rule for table ${String(rule.table ?? 0)}`, () => removeRule(container, rule))
}

function removeRule(container: Net, rule: Rule): void {
  container.rules.remove(rule)
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request.config)
  request.config.finish()
  const ips = addressesOf(request, requiredPrevResult(request))
  const recorded = sourcesIn(journalOf(request, NAME).read(request.containerId, request.ifName))
  checkContainer(kernel, request, container => checkSources(container, request.ifName, config, ips, recorded))
}

/** Rules before routes: a rule that leads to an empty table does no harm, but is of no use either. */
function del(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const entry = journal.readForRemoval(request.containerId, request.ifName)
  const steps = new Steps('DEL')
  visitContainer(kernel, request.netns, container => {
    const recorded = sourcesIn(entry)
    const sources = recorded.length > 0 ? recorded : foreignSources(container, request)
    removeSources(container, sources, steps)
  })
  if (entry !== undefined) steps.attempt(() => journal.remove(request.containerId, request.ifName))
  steps.finish()
}

/** Of an ADD by the reference plugin, which writes nothing down: the rules for addresses that the interface has. */
function foreignSources(container: Net, request: Request): readonly RecordedSource[] {
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

function removeSources(container: Net, sources: readonly RecordedSource[], steps: Steps): void {
  for (const { address, table } of sources) {
    steps.attempt(() => removeRule(container, sourceRule(address, table)))
  }
  for (const { table, ownsTable } of sources) {
    if (ownsTable) steps.attempt(() => emptyTable(container, table))
  }
}

function emptyTable(container: Net, table: number): void {
  for (const route of container.routes.list({ table })) container.routes.remove(route)
}

/** Rules and tables go with their namespace; where that is still there, what the journal tells of is removed from it. */
function gc(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const steps = new Steps('GC')
  for (const { containerId, ifName, entry } of staleEntries(journal, request)) {
    const mark = ownerMark(request.network, containerId, ifName)
    visitContainer(kernel, netnsOf(entry), container =>
      steps.attempt(() => removeAbandoned(container, ifName, mark, sourcesIn(entry), steps))
    )
    steps.attempt(() => journal.remove(containerId, ifName))
  }
  steps.finish()
}

/**
 * The path may lead to another container's namespace by now. If the interface bears the attachment's mark all is ours; if
 * not, rules for addresses that nobody has there are of no use to anybody.
 */
function removeAbandoned(
  container: Net,
  ifName: string,
  mark: string,
  sources: readonly RecordedSource[],
  steps: Steps
): void {
  const link = container.links.find(ifName)
  if (link !== undefined && link.alias === mark) {
    removeSources(container, sources, steps)
    return
  }
  const present = container.addresses.list()
  for (const source of sources) {
    if (present.some(one => addressesEqual(one.prefix.address, source.address))) continue
    removeRule(container, sourceRule(source.address, source.table))
  }
}

/** Nothing but its own configuration can keep an ADD from working. */
function status(request: Request): void {
  readConfig(request.config)
  request.config.finish()
}
