/** What else changes with a link: its other end, its bridge, its addresses and routes. For tests; see fake-kernel.ts. */

import { networkOf } from '../../ip/prefix.ts'
import type { NewAddress } from '../../net/addresses.ts'
import type { LinkChange } from '../../net/links.ts'
import { sameDestination } from '../../net/route-match.ts'
import { PROTOCOL_KERNEL, type Route, SCOPE_GLOBAL, SCOPE_LINK } from '../../net/routes.ts'
import type { FakeLink, FakeNamespace, FakeRoute } from './fake-namespace.ts'
import { type FakeWorld, linkAt } from './fake-place.ts'
/** A link goes: its veth peer with it, what stands on it, its ports set free, and its routes. */
export function unlink(world: FakeWorld, link: FakeLink): void {
  const { home, peer } = link
  const at = home.links.indexOf(link)
  if (at < 0) return
  home.links.splice(at, 1)
  forget(link)
  if (link.master !== undefined) adjustMtu(link.master)
  for (const one of home.links) if (one.master === link) one.master = undefined
  if (peer !== undefined) unlink(world, peer)
  for (const one of world.namespaces.flatMap(namespace => namespace.links)) {
    if (one.parent === link) unlink(world, one)
  }
}

/** What a namespace knows of a link that leaves it. */
function forget(link: FakeLink): void {
  removeRoutes(link.home, one => one.link === link)
  for (const path of [...link.home.sysctls.keys()]) {
    if (path.split('/')[2] === link.name) link.home.sysctls.delete(path)
  }
}

export function move(link: FakeLink, home: FakeNamespace): void {
  forget(link)
  link.home.links.splice(link.home.links.indexOf(link), 1)
  link.home = home
  link.isUp = false
  link.master = undefined
  link.addresses = []
  if (home.links.some(one => one.index === link.index)) link.index = home.nextIndex
  home.nextIndex = Math.max(home.nextIndex, link.index + 1)
  home.links.push(link)
}

export function setMtu(link: FakeLink, mtu: number): void {
  link.mtu = mtu
  link.isMtuSet = true
  if (link.master !== undefined) adjustMtu(link.master)
}

/** A bridge whose MTU nobody changed has the smallest of its ports'. */
function adjustMtu(bridge: FakeLink): void {
  if (bridge.kind !== 'bridge' || bridge.isMtuSet) return
  const ports = bridge.home.links.filter(link => link.master === bridge)
  bridge.mtu = ports.length === 0 ? 1500 : Math.min(...ports.map(port => port.mtu))
}

export function setMaster(link: FakeLink, masterIndex: number): void {
  const former = link.master
  link.master = masterIndex === 0 ? undefined : linkAt(link.home, masterIndex)
  if (former !== undefined) adjustMtu(former)
  link.port = {}
  link.vlans = []
  if (link.master !== undefined) joinBridge(link)
}

/** What every new port has. */
export function joinBridge(link: FakeLink): void {
  const bridge = link.master
  if (bridge?.info.kind !== 'bridge') return
  adjustMtu(bridge)
  link.port = { learning: true, flood: true }
  const pvid = bridge.info.vlanDefaultPvid ?? 1
  if (bridge.info.vlanFiltering === true && pvid !== 0) link.vlans = [{ vid: pvid, pvid: true, untagged: true }]
}

export function setBridgeOptions(link: FakeLink, change: LinkChange): void {
  if (link.info.kind !== 'bridge') return
  const vlanFiltering = change.vlanFiltering ?? link.info.vlanFiltering
  const vlanDefaultPvid = change.vlanDefaultPvid ?? link.info.vlanDefaultPvid
  link.info = { ...link.info, vlanFiltering, vlanDefaultPvid }
}

export function setUp(link: FakeLink, up: boolean): void {
  const was = link.isUp
  link.isUp = up
  if (up && !was) for (const address of link.addresses) addPrefixRoute(link, address)
  if (up || !was) return
  removeRoutes(link.home, one => one.link === link)
  link.addresses = link.addresses.filter(address => address.prefix.address.family === 4)
}

export function giveAddress(link: FakeLink, address: NewAddress): void {
  link.addresses.push(address)
  if (link.isUp) addPrefixRoute(link, address)
}

/** The route that the kernel adds to an address's prefix; none for a single address. */
function addPrefixRoute(link: FakeLink, address: NewAddress): void {
  const prefix = address.peer ?? address.prefix
  const { family } = prefix.address
  if (address.noPrefixRoute === true || (family === 4 && prefix.length === 32 && address.peer === undefined)) return
  const dst = networkOf(prefix)
  if (link.home.routes.some(one => one.link === link && sameDestination(one.route.dst, dst))) return
  const route: Route = {
    family,
    dst,
    type: 'unicast',
    protocol: PROTOCOL_KERNEL,
    scope: family === 4 ? SCOPE_LINK : SCOPE_GLOBAL,
    source: family === 4 ? address.prefix.address : undefined,
    metric: family === 4 ? undefined : 256
  }
  link.home.routes.push({ route, link })
}

/** @returns whether there was one */
export function removeRoutes(namespace: FakeNamespace, isMeant: (one: FakeRoute) => boolean): boolean {
  const left = namespace.routes.filter(one => !isMeant(one))
  const removed = left.length < namespace.routes.length
  namespace.routes.splice(0, namespace.routes.length, ...left)
  return removed
}
