/**
 * 127.0.0.1:port leads to the container: packets from a loopback address must be allowed to leave by its interface, which
 * is `route_localnet`. The same setting lets packets in that come by that interface for 127.0.0.1, so that neighbours
 * could reach services which listen there and nowhere else. A guard takes that back, with every backend:
 *
 *     table ip patchbay-localhost {
 *       map containers { type ipv4_addr : verdict; elements = { 10.4.0.5 comment "net id eth0" : goto opened-br1 } }
 *       chain guard { type filter hook prerouting priority -300;
 *         iifname != "lo" ip daddr 127.0.0.0/8 drop; iifname != "lo" ip saddr 127.0.0.0/8 drop }
 *       chain opened-br1 { }
 *     }
 *
 * No packet is looked up in the map: it counts who needs which interface. The guard is there before the interface is
 * opened; the last container of an interface closes it before the guard goes. Where somebody else had opened it already
 * (the chain is `kept-br1` then) it stays open, and so the guard stays.
 *
 * Services that are published need the same of their bridge, and keep account of it in a table of their own
 * (lib/nft/service-ports.ts): the last one of both closes the interface.
 *
 * Whatever is done here is done under the lock of the namespace: else a DEL might close what an ADD has just opened.
 */
import type { Session } from '../../lib/attach/session.ts'
import type { Result } from '../../lib/cni/result.ts'
import { type IpAddress, isLoopback } from '../../lib/ip/address.ts'
import { prefixContains } from '../../lib/ip/prefix.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Route } from '../../lib/net/routes.ts'
import { type FoundMember, type Group, type GroupTable, type Member, nothingMore } from '../../lib/nft/groups.ts'
import { addressField, gotoElement, type Nft, type NftBatch, type NftElement } from '../../lib/nft/nft.ts'
import { matchAddress, matchName, rule, verdict } from '../../lib/nft/rule.ts'
import { isOpenForServices } from '../../lib/nft/service-ports.ts'
import { specificAddress } from './mapping.ts'
import type { Published } from './published.ts'
import { loopbackPrefix } from './table.ts'

const TABLE = 'patchbay-localhost'
const CONTAINERS = 'containers'
const GUARD = 'guard'
const OPENED = 'opened-'
const KEPT = 'kept-'
const SIDES: readonly ('daddr' | 'saddr')[] = ['daddr', 'saddr']
/** Before the connection table. */
const RAW_PRIORITY = -300

/**
 * The chain that stands for the host's interface towards the container; '' where 127.0.0.1 need not lead there. There is
 * no such setting for IPv6.
 */
export function localhostChain(session: Session, result: Result, published: Published): string {
  const target = fourOf(published)
  if (target === undefined || !needsLocalhost(published)) return ''
  const link = linkTowards(session, result, target)
  if (link === undefined) return ''
  const opened = `${OPENED}${link.name}`
  if (session.nft().findChain('ip', TABLE, opened) !== undefined) return opened
  const isOpen = session.host.sysctls.read(settingOf(link.name)) === '1' && !isOpenForServices(session.nft(), link.name)
  return isOpen ? `${KEPT}${link.name}` : opened
}

/** Whether a port at 127.0.0.1 is to lead to the container. */
export function needsLocalhost(published: Published): boolean {
  if (published.sources === 'none' || fourOf(published) === undefined) return false
  return published.mappings.some(mapping => {
    const specific = specificAddress(mapping)
    return mapping.hostAddress?.family !== 6 && (specific === undefined || isLoopback(specific))
  })
}

/** What must be in the kernel before `openLocalhost`. */
export function localhostMembers(published: Published, chain: string): readonly Member[] {
  const target = fourOf(published)
  if (chain === '' || target === undefined) return []
  const element = gotoElement(addressField(target), chain, published.comment)
  return [{ table: GUARDED, group: groupOf(chain, 0), element, addMore: nothingMore }]
}

/** Whether the guard is missing, whatever became of it. */
export function isUnguarded(nft: Nft): boolean {
  return nft.findTable('ip', TABLE) === undefined
}

export function openLocalhost(session: Session, chain: string): void {
  if (chain.startsWith(OPENED)) setTo(session, chain.slice(OPENED.length), '1')
}

/**
 * Closes the interfaces that nobody needs any more. Their guard, which `leaving` is part of, must go after that.
 *
 * @param recorded the chain that ADD wrote down: a flush of the ruleset takes map and guard, and not the setting; '' = none
 */
export function closeLocalhost(session: Session, leaving: readonly FoundMember[], recorded: string): void {
  const chains = [recorded]
  for (const { group } of leaving) if (!chains.some(one => one === group.chain)) chains.push(group.chain)
  for (const chain of chains) {
    if (!chain.startsWith(OPENED)) continue
    const users = session.nft().findChain('ip', TABLE, chain)?.use ?? 0
    if (users > leaving.filter(one => one.group.chain === chain).length) continue
    // The agent closes it when services need it no longer.
    if (isOpenForServices(session.nft(), chain.slice(OPENED.length))) continue
    setTo(session, chain.slice(OPENED.length), '0')
  }
}

/** At the addresses of one container, its own. */
export function findLocalhost(session: Session, published: Published): readonly FoundMember[] {
  const target = fourOf(published)
  if (target === undefined) return []
  const element = session.nft().findElement('ip', TABLE, CONTAINERS, addressField(target))
  return element === undefined || element.comment !== published.comment ? [] : [foundMember(session, element)]
}

/** Whose the address is, as far as this table tells. */
export function ownerInLocalhost(nft: Nft, target: IpAddress | undefined): string | undefined {
  if (target === undefined || target.family !== 4) return undefined
  return nft.findElement('ip', TABLE, CONTAINERS, addressField(target))?.comment
}

/** In the whole map. */
export function findAllLocalhost(session: Session, isWanted: (comment: string) => boolean): readonly FoundMember[] {
  const elements = session.nft().listElements('ip', TABLE, CONTAINERS)
  return elements.filter(one => isWanted(one.comment)).map(one => foundMember(session, one))
}

/** What is not as it must be, as sentences. */
export function localhostProblems(session: Session, published: Published, chain: string): readonly string[] {
  if (chain === '') return []
  const problems: string[] = []
  const isThere = findLocalhost(session, published).some(one => one.group.chain === chain)
  if (!isThere || session.nft().listRules('ip', TABLE, GUARD).length !== SIDES.length) {
    problems.push(`table ip ${TABLE}, which keeps neighbours from 127.0.0.1, is not complete`)
  }
  const name = chain.slice(chain.indexOf('-') + 1)
  if (session.host.sysctls.read(settingOf(name)) !== '1') problems.push(`sysctl net/${settingOf(name)} is not 1`)
  return problems
}

function fourOf(published: Published): IpAddress | undefined {
  return published.addresses.find(one => one.address.family === 4)?.address
}

function settingOf(name: string): string {
  return `ipv4/conf/${name}/route_localnet`
}

function setTo(session: Session, name: string, value: string): void {
  const path = settingOf(name)
  const present = session.host.sysctls.read(path)
  if (present !== undefined && present !== value) session.host.sysctls.write(path, value)
}

function foundMember(session: Session, element: NftElement): FoundMember {
  const chain = element.verdict?.chain ?? ''
  // A chain seems to be in use, and its table with it, for as long as what it guards is open.
  const isOpen = chain.startsWith(KEPT) && session.host.sysctls.read(settingOf(chain.slice(KEPT.length))) === '1'
  return { table: GUARDED, element, group: groupOf(chain, isOpen ? 1 : 0), removeMore: nothingMore }
}

function groupOf(chain: string, rules: number): Group {
  return { chain, rules: rules === 0 ? [] : [[]], addMore: nothingMore, removeMore: nothingMore }
}

const GUARDED: GroupTable = { family: 'ip', table: TABLE, map: CONTAINERS, baseUse: 2, addBase }

function addBase(batch: NftBatch): void {
  batch.addSet('ip', TABLE, { name: CONTAINERS, key: ['ipv4_addr'], data: [], isInterval: false })
  const hook = { type: 'filter', hook: 'prerouting', priority: RAW_PRIORITY, policy: undefined } as const
  batch.addChain('ip', TABLE, GUARD, hook)
  for (const side of SIDES) {
    // iifname != "lo" ip daddr 127.0.0.0/8 drop
    const parts = [matchName('iifname', 'lo', true), matchAddress(side, loopbackPrefix()), verdict('drop')]
    batch.addRule('ip', TABLE, GUARD, rule(parts))
  }
}

/** Among the attachment's own interfaces first: a host may have more routes than one wants to read. */
function linkTowards(session: Session, result: Result, target: IpAddress): Link | undefined {
  for (const one of result.interfaces) {
    if ((one.sandbox ?? '') !== '') continue
    const link = session.host.links.find(one.name)
    if (link === undefined) continue
    const routes = session.host.routes.list({ family: 4, index: link.index })
    if (routes.some(route => leadsTo(route, target))) return link
  }
  let best: Route | undefined
  for (const route of session.host.routes.list({ family: 4 })) {
    if (leadsTo(route, target) && (route.dst?.length ?? 0) > (best?.dst?.length ?? 0)) best = route
  }
  return best?.index === undefined ? undefined : session.host.links.findByIndex(best.index)
}

/** Whether the route is to a net that the address is in, and not to everywhere. */
export function leadsTo(route: Route, target: IpAddress): boolean {
  return route.dst !== undefined && prefixContains(route.dst, target)
}
