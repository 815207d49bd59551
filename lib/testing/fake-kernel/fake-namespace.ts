/**
 * The state of a fake namespace and its text. For tests; see fake-net.ts.
 */
import { addressesEqual, formatAddress } from '../../ip/address.ts'
import { formatMac } from '../../ip/mac.ts'
import { formatPrefix } from '../../ip/prefix.ts'
import type { NewAddress } from '../../net/addresses.ts'
import type { BridgePort, LinkInfo } from '../../net/links.ts'
import type { FdbEntry } from '../../net/neighbours.ts'
import type { Qdisc, RedirectFilter } from '../../net/qdiscs.ts'
import { familyOf } from '../../net/route-match.ts'
import type { Route } from '../../net/routes.ts'
import type { Rule } from '../../net/rules.ts'
import type { BridgeVlan } from '../../net/vlans.ts'
import type { FakeNft } from './fake-nft.ts'

/** An interface; what it is tied to is held by reference, so that moving it between namespaces keeps the ties. */
export interface FakeLink {
  home: FakeNamespace
  index: number
  name: string
  kind: string | undefined
  info: LinkInfo
  isUp: boolean
  mtu: number
  /** Changed by hand: a bridge then no longer takes the smallest of its ports'. */
  isMtuSet: boolean
  mac: Uint8Array | undefined
  master: FakeLink | undefined
  /** macvlan, vlan, ipvlan, vxlan */
  parent: FakeLink | undefined
  /** veth */
  peer: FakeLink | undefined
  /** vxlan: the namespace that its packets go through, where it is not the link's own */
  through: FakeNamespace | undefined
  alias: string | undefined
  txQueueLength: number
  groupId: number
  isPromiscuous: boolean
  isAllMulticast: boolean
  port: BridgePort
  vlans: BridgeVlan[]
  addresses: NewAddress[]
  fdb: FdbEntry[]
  qdiscs: Qdisc[]
  filters: RedirectFilter[]
}

export interface FakeNamespace {
  readonly path: string
  readonly id: string
  readonly links: FakeLink[]
  /** Their `index` is not used: `link` is. */
  readonly routes: FakeRoute[]
  readonly rules: Rule[]
  /** What was written, by path. */
  readonly sysctls: Map<string, string>
  readonly nft: FakeNft
  nextIndex: number
  /** Somebody is in `withLock`. */
  isLocked: boolean
}

export interface FakeRoute {
  readonly route: Route
  readonly link: FakeLink | undefined
}

/** The namespace as lines of text, without numbers that differ from run to run. */
export function namespaceText(namespace: FakeNamespace): string {
  const lines: string[] = [namespace.path === '' ? 'host:' : `${namespace.path}:`]
  for (const link of namespace.links) {
    lines.push(`  ${linkText(link)}`)
    for (const detail of linkDetails(link)) lines.push(`    ${detail}`)
  }
  for (const one of namespace.routes) lines.push(`  route ${routeText(one)}`)
  for (const rule of namespace.rules) lines.push(`  rule ${ruleText(rule)}`)
  for (const [path, value] of [...namespace.sysctls].sort()) lines.push(`  sysctl ${path} = ${value}`)
  for (const line of namespace.nft.lines()) lines.push(`  ${line}`)
  return lines.join('\n')
}

function linkText(link: FakeLink): string {
  const words = [link.name, link.kind ?? 'device', link.isUp ? 'up' : 'down', `mtu ${link.mtu}`]
  if (link.mac !== undefined) words.push(`mac ${formatMac(link.mac)}`)
  if (link.master !== undefined) words.push(`master ${link.master.name}`)
  if (link.parent !== undefined) words.push(`on ${farName(link, link.parent)}`)
  if (link.peer !== undefined) words.push(`peer ${farName(link, link.peer)}`)
  if (link.through !== undefined) words.push(`through ${link.through.path}`)
  if (link.isPromiscuous) words.push('promisc')
  if (link.isAllMulticast) words.push('allmulti')
  if (link.txQueueLength !== 1000) words.push(`txqueuelen ${link.txQueueLength}`)
  if (link.groupId !== 0) words.push(`group ${link.groupId}`)
  if (link.alias !== undefined) words.push(`alias ${JSON.stringify(link.alias)}`)
  return words.concat(optionTexts(link.info), optionTexts(link.port)).join(' ')
}

function farName(link: FakeLink, far: FakeLink): string {
  if (far.home === link.home) return far.name
  return `${far.name}@${far.home.path === '' ? 'host' : far.home.path}`
}

/** Every option that is set, as `name value`; one that is true as its name alone, one that is false as `noname`. */
function optionTexts(options: LinkInfo | BridgePort): string[] {
  const texts: string[] = []
  for (const [name, value] of Object.entries(options)) {
    if (name === 'kind' || value === undefined) continue
    if (value === true) texts.push(name)
    else if (value === false) texts.push(`no${name}`)
    else if (typeof value === 'string' || typeof value === 'number') texts.push(`${name} ${value}`)
    else if (typeof value === 'object' && 'family' in value) texts.push(`${name} ${formatAddress(value)}`)
  }
  return texts
}

function linkDetails(link: FakeLink): string[] {
  const lines: string[] = []
  for (const vlan of link.vlans) lines.push(vlanText(vlan))
  for (const address of link.addresses) lines.push(addressText(address))
  for (const entry of link.fdb) lines.push(fdbText(entry))
  for (const qdisc of link.qdiscs) lines.push(qdiscText(qdisc))
  for (const filter of link.filters) lines.push(filterText(link, filter))
  return lines
}

function vlanText(vlan: BridgeVlan): string {
  const range = vlan.lastVid === undefined ? `${vlan.vid}` : `${vlan.vid}-${vlan.lastVid}`
  return `vlan ${range}${vlan.pvid === true ? ' pvid' : ''}${vlan.untagged === true ? ' untagged' : ''}`
}

function addressText(address: NewAddress): string {
  const words = [`address ${formatPrefix(address.prefix)}`]
  if (address.peer !== undefined) words.push(`peer ${formatPrefix(address.peer)}`)
  if (address.broadcast !== undefined) words.push(`broadcast ${formatAddress(address.broadcast)}`)
  if (address.label !== undefined) words.push(`label ${address.label}`)
  if (address.noDad === true) words.push('nodad')
  if (address.noPrefixRoute === true) words.push('noprefixroute')
  return words.join(' ')
}

function fdbText(entry: FdbEntry): string {
  const words = [`fdb ${formatMac(entry.mac)}`]
  if (entry.dst !== undefined) words.push(`dst ${formatAddress(entry.dst)}`)
  if (entry.vlan !== undefined) words.push(`vlan ${entry.vlan}`)
  if (entry.vni !== undefined) words.push(`vni ${entry.vni}`)
  words.push(entry.master === true ? 'master' : 'self')
  return words.join(' ')
}

function qdiscText(qdisc: Qdisc): string {
  const { tbf } = qdisc
  return tbf === undefined ? `qdisc ${qdisc.kind}` : `qdisc tbf rate ${tbf.rate} burst ${tbf.burst} limit ${tbf.limit}`
}

function filterText(link: FakeLink, filter: RedirectFilter): string {
  const target = link.home.links.find(one => one.index === filter.redirectIndex)
  return `filter ${filter.hook} priority ${filter.priority} redirect ${target?.name ?? 'nowhere'}`
}

function routeText(one: FakeRoute): string {
  const { route } = one
  const words = [
    route.dst === undefined || route.dst.length === 0 ? `default IPv${familyOf(route)}` : formatPrefix(route.dst)
  ]
  if (route.type !== undefined && route.type !== 'unicast') words.unshift(route.type)
  if (route.gateway !== undefined) words.push(`via ${formatAddress(route.gateway)}`)
  if (one.link !== undefined) words.push(`dev ${one.link.name}`)
  if (route.source !== undefined) words.push(`src ${formatAddress(route.source)}`)
  if (route.metric !== undefined) words.push(`metric ${route.metric}`)
  if (route.mtu !== undefined) words.push(`mtu ${route.mtu}`)
  if (route.advmss !== undefined) words.push(`advmss ${route.advmss}`)
  if (route.table !== undefined && route.table !== 254) words.push(`table ${route.table}`)
  if (route.onlink === true) words.push('onlink')
  for (const hop of route.nextHops ?? []) {
    words.push(`nexthop${hop.gateway === undefined ? '' : ` via ${formatAddress(hop.gateway)}`} weight ${hop.weight}`)
  }
  return words.join(' ')
}

function ruleText(rule: Rule): string {
  const words = [`IPv${rule.family}`]
  if (rule.priority !== undefined) words.push(`priority ${rule.priority}`)
  words.push(`from ${rule.from === undefined ? 'all' : formatPrefix(rule.from)}`)
  if (rule.to !== undefined) words.push(`to ${formatPrefix(rule.to)}`)
  if (rule.iifName !== undefined) words.push(`iif ${rule.iifName}`)
  if (rule.oifName !== undefined) words.push(`oif ${rule.oifName}`)
  if (rule.mark !== undefined) words.push(`fwmark ${rule.mark}`)
  if (rule.table !== undefined) words.push(`table ${rule.table}`)
  if (rule.action !== undefined && rule.action !== 'table') words.push(rule.action)
  return words.join(' ')
}

/** Whether a link has the address, whatever its prefix length. */
export function hasAddress(link: FakeLink, address: NewAddress): NewAddress | undefined {
  const { prefix } = address
  return link.addresses.find(
    one =>
      addressesEqual(one.prefix.address, prefix.address) &&
      (prefix.address.family === 6 || one.prefix.length === prefix.length)
  )
}
