/** CHECK of sbr: rules and routes as ADD has left them. */
import type { Session } from '../../lib/attach/session.ts'
import type { IpConfig } from '../../lib/cni/result.ts'
import { addressesEqual, formatAddress } from '../../lib/ip/address.ts'
import { formatPrefix, networkOf, prefixesEqual } from '../../lib/ip/prefix.ts'
import type { Net } from '../../lib/net/net.ts'
import { familyOf } from '../../lib/net/route-match.ts'
import { type Route, TABLE_MAIN } from '../../lib/net/routes.ts'
import type { Rule } from '../../lib/net/rules.ts'
import type { SbrConfig } from './config.ts'
import type { RecordedSource } from './entry.ts'
import { gatewayOf, isDefault } from './plan.ts'

/** What is not as it should be, as sentences. */
export function checkSources(
  session: Session,
  config: SbrConfig,
  ips: readonly IpConfig[],
  recorded: readonly RecordedSource[]
): readonly string[] {
  const container = session.container()
  const { ifName } = session.request
  const link = container.links.find(ifName)
  if (link === undefined) return [`link ${JSON.stringify(ifName)} is missing`]
  const problems: string[] = []
  for (const ip of ips) {
    const wanted = config.table ?? recorded.find(one => addressesEqual(one.address, ip.address.address))?.table
    const rule = findRule(container, ip, wanted)
    if (rule === undefined) problems.push(ruleProblem(ip, wanted))
    else if (config.table === undefined)
      problems.push(...routeProblems(container, { ip, rule, index: link.index }, config))
  }
  return problems
}

/** The rule for the address: to this table, or, when nobody has written down which, to any but the kernel's own. */
function findRule(container: Net, ip: IpConfig, table: number | undefined): Rule | undefined {
  const { address } = ip.address
  return container.rules.list(address.family).find(rule => isRuleFor(rule, ip, table))
}

function isRuleFor(rule: Rule, ip: IpConfig, table: number | undefined): boolean {
  const { address } = ip.address
  if (rule.from === undefined || !addressesEqual(rule.from.address, address)) return false
  if (rule.from.length !== (address.family === 4 ? 32 : 128) || rule.table === undefined) return false
  return table === undefined ? rule.table !== TABLE_MAIN : rule.table === table
}

function ruleProblem(ip: IpConfig, table: number | undefined): string {
  const to = table === undefined ? '' : ` to table ${String(table)}`
  return `rule from ${formatAddress(ip.address.address)}${to} is missing`
}

/** An address of a link, and the rule for what comes from it. */
interface RuledSource {
  readonly ip: IpConfig
  readonly rule: Rule
  readonly index: number
}

function routeProblems(container: Net, source: RuledSource, config: SbrConfig): readonly string[] {
  const { ip, rule, index } = source
  const table = rule.table ?? TABLE_MAIN
  const routes = container.routes.list({ table }).filter(route => familyOf(route) === ip.address.address.family)
  const problems: string[] = []
  const gateway = gatewayOf(ip, config)
  const hasDefault = routes.some(
    route =>
      isDefault(route) &&
      route.index === index &&
      gateway !== undefined &&
      route.gateway !== undefined &&
      addressesEqual(route.gateway, gateway)
  )
  if (gateway !== undefined && !hasDefault) {
    problems.push(`route default via ${formatAddress(gateway)} is missing from table ${String(table)}`)
  }
  const network = networkOf(ip.address)
  // A single address has no network of its own to be reached directly.
  const isAlone = ip.address.length === (ip.address.address.family === 4 ? 32 : 128)
  if (!isAlone && !routes.some(route => isNetworkRoute(route, ip, index))) {
    problems.push(`route ${formatPrefix(network)} is missing from table ${String(table)}`)
  }
  if (config.addSourceHints && !isAlone && !hasHint(container, ip, index)) {
    problems.push(
      `route ${formatPrefix(network)} with source ${formatAddress(ip.address.address)} is missing from main`
    )
  }
  return problems
}

function isNetworkRoute(route: Route, ip: IpConfig, index: number): boolean {
  return route.index === index && route.dst !== undefined && prefixesEqual(route.dst, networkOf(ip.address))
}

function hasHint(container: Net, ip: IpConfig, index: number): boolean {
  return container.routes.list({}).some(route => isHint(route, ip, index))
}

function isHint(route: Route, ip: IpConfig, index: number): boolean {
  const { source } = route
  return isNetworkRoute(route, ip, index) && source !== undefined && addressesEqual(source, ip.address.address)
}
