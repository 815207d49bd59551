/** VRFs and their members, in the container's namespace. */
import type { Session } from '../../lib/attach/session.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { prefixesEqual } from '../../lib/ip/prefix.ts'
import type { Address } from '../../lib/net/addresses.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { hasGateway } from '../../lib/net/route-match.ts'
import { type Route, SCOPE_GLOBAL, TABLE_DEFAULT, TABLE_LOCAL } from '../../lib/net/routes.ts'
import { besideLink, throughLink } from '../../lib/net/shared-route.ts'
import { errnoOf } from '../../lib/sys/errors.ts'

/** Made by the kernel itself (linux/rtnetlink.h RTPROT_KERNEL): it makes them again in the VRF's table. */
const PROTOCOL_KERNEL = 2

/**
 * The VRF of that name.
 *
 * @throws CniError code 7 when the name is another link's
 */
export function findVrf(container: Net, name: string): Link | undefined {
  const link = container.links.find(name)
  if (link === undefined || link.info.kind === 'vrf') return link
  const message = `use VRF ${JSON.stringify(name)}: the link is of kind ${JSON.stringify(link.kind ?? 'device')}`
  throw new CniError(INVALID_CONFIG, message, 'configure another vrfname')
}

export function isTableOf(link: Link, table: number): boolean {
  return link.info.kind === 'vrf' && link.info.table === table
}

/** The lowest table that no VRF has, no rule looks up and no route is in. */
export function freeTable(container: Net): number {
  const used: number[] = []
  for (const link of container.links.list()) if (link.info.kind === 'vrf') used.push(link.info.table ?? 0)
  for (const route of container.routes.list({ table: 0 })) used.push(route.table ?? 0)
  for (const rule of container.rules.list(4).concat(container.rules.list(6))) used.push(rule.table ?? 0)
  let table = 1
  while ((table >= TABLE_DEFAULT && table <= TABLE_LOCAL) || used.some(other => other === table)) table += 1
  return table
}

/**
 * Makes the link a member. The kernel takes it down and up for that: its IPv6 addresses and all routes but those to its
 * own networks are lost, so they are put in place again, the routes in the VRF's table.
 */
export function enslave(session: Session, link: Link, master: Link): void {
  const container = session.container()
  const addresses = globalAddresses(container, link)
  const routes = addedRoutes(container, link)
  const table = master.info.kind === 'vrf' ? master.info.table : undefined
  const { index } = link
  session.undo.push(`link ${JSON.stringify(link.name)}`, () => leave(container, link, addresses, routes))
  container.links.set(index, { masterIndex: master.index })
  restoreAddresses(container, link, addresses)
  for (const route of routes) {
    const rest = besideLink(route, index)
    if (rest !== undefined) container.routes.replace(rest)
    const own = throughLink(route, index)
    container.routes.replace({ ...own, table })
  }
}

/** Out of the VRF, with addresses and routes as they were. */
function leave(container: Net, link: Link, addresses: readonly Address[], routes: readonly Route[]): void {
  container.links.set(link.index, { masterIndex: 0 })
  restoreAddresses(container, link, addresses)
  for (const route of routes) {
    if (besideLink(route, link.index) === undefined) container.routes.ensure([route])
    else container.routes.replace(route)
  }
}

function globalAddresses(container: Net, link: Link): readonly Address[] {
  return container.addresses.list(link.index).filter(isGlobal6)
}

function isGlobal6(address: Address): boolean {
  return address.prefix.address.family === 6 && address.scope === SCOPE_GLOBAL
}

/** The routes of the main table that somebody added; those to gateways after those to neighbours. */
function addedRoutes(container: Net, link: Link): readonly Route[] {
  const added = container.routes.list({ index: link.index }).filter(isAdded)
  return added.filter(route => !hasGateway(route)).concat(added.filter(hasGateway))
}

function isAdded(route: Route): boolean {
  return route.protocol !== PROTOCOL_KERNEL
}

function restoreAddresses(container: Net, link: Link, addresses: readonly Address[]): void {
  const present = container.addresses.list(link.index)
  for (const { prefix } of addresses) {
    if (present.some(other => prefixesEqual(other.prefix, prefix))) continue
    // Nobody else has got the address in the meantime: detecting duplicates again would only cost a second.
    container.addresses.add(link.index, { prefix, noDad: true })
  }
}

/**
 * Takes the interface out of the VRF and removes the VRF when that leaves it empty. What is gone already is no error.
 *
 * @param mayBeEmpty whether a VRF that is empty without our doing is ours to remove: the interface went first
 */
export function release(container: Net, ifName: string, vrfName: string, mayBeEmpty: boolean): void {
  const master = vrfName === '' ? undefined : container.links.find(vrfName)
  if (master === undefined || master.info.kind !== 'vrf') return
  const link = container.links.find(ifName)
  const isMember = link !== undefined && link.masterIndex === master.index
  if (link !== undefined && isMember) removeMember(container, link.index)
  if (!isMember && !mayBeEmpty) return
  if (!container.links.list().some(other => other.masterIndex === master.index)) {
    container.links.removeByIndex(master.index)
  }
}

function removeMember(container: Net, index: number): void {
  try {
    container.links.set(index, { masterIndex: 0 })
  } catch (error) {
    if (errnoOf(error) !== 'ENODEV') throw error
  }
}
