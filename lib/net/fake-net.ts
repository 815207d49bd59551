/**
 * A kernel without a kernel, for tests without root. It behaves like the real one where plugins depend on that:
 * names that are taken, the veth's other end, what goes away with a link, routes that come and go with addresses and
 * with the up flag. It makes no IPv6 link-local addresses and forwards no packets. Its state prints as text:
 *
 *     const kernel = new FakeKernel()
 *     const container = kernel.addNamespace('/run/netns/blue')
 *     const before = kernel.toText()
 *     kernel.failAt(3) // the third change from here is refused
 *     ...
 *     assert.is(kernel.toText(), before)
 */
import { addressesEqual, formatAddress, type IpAddress } from '../ip/address.ts'
import { formatMac } from '../ip/mac.ts'
import { formatPrefix, type IpPrefix, networkOf, prefixContains, prefixesEqual } from '../ip/prefix.ts'
import { KernelError, NetnsError } from './errors.ts'
import { type FakeLink, type FakeNamespace, type FakeRoute, hasAddress, namespaceText } from './fake-namespace.ts'
import { FakeNft } from './fake-nft.ts'
import { Kernel } from './kernel.ts'
import {
  type Address,
  type BridgePort,
  type BridgeVlan,
  type FdbEntry,
  type Filter,
  type FilterHook,
  type IpvlanMode,
  type Link,
  type LinkChange,
  type LinkInfo,
  type MacvlanMode,
  type Neighbour,
  Net,
  type NewAddress,
  type NewLink,
  type NewNeighbour,
  type NewQdisc,
  type NewTap,
  PROTOCOL_BOOT,
  PROTOCOL_KERNEL,
  type Qdisc,
  type RedirectFilter,
  type Route,
  type RouteFilter,
  type Rule,
  SCOPE_GLOBAL,
  SCOPE_LINK,
  TABLE_MAIN
} from './net.ts'
import { describeRoute, familyOf, isAsWanted, metricOf, sameDestination } from './route-match.ts'
import { sysctlPath } from './sysctl.ts'

const IFF_UP = 1
const IFF_PROMISC = 0x100
const IFF_ALLMULTI = 0x200
const VXLAN_OVERHEAD = 50
const INGRESS_HANDLE = 0xffff0000
const ROOT_PARENT = 0xffffffff
const INGRESS_PARENT = 0xfffffff1

/** What a FakeKernel and its FakeNets share: all namespaces, and the count down to a failure. */
interface World {
  readonly namespaces: FakeNamespace[]
  steps: number
  failingStep: number
  failingErrno: string
  macs: number
}

export class FakeKernel extends Kernel {
  readonly #world: World

  constructor() {
    super()
    this.#world = { namespaces: [], steps: 0, failingStep: 0, failingErrno: 'EIO', macs: 0 }
    addNamespace(this.#world, '')
  }

  override host(): FakeNet {
    return this.open('')
  }

  override open(path: string): FakeNet {
    const namespace = this.#world.namespaces.find(one => one.path === path)
    if (namespace === undefined) throw new NetnsError(path, 'absent', 'no such file')
    return new FakeNet(this.#world, namespace)
  }

  override find(path: string): FakeNet | undefined {
    return this.#world.namespaces.some(one => one.path === path) ? this.open(path) : undefined
  }

  /** Makes a namespace with lo in it, down. */
  addNamespace(path: string): FakeNet {
    addNamespace(this.#world, path)
    return this.open(path)
  }

  /** The namespace dies, and with it its links and the other ends of its veth pairs. */
  removeNamespace(path: string): void {
    const at = this.#world.namespaces.findIndex(one => one.path === path)
    const namespace = this.#world.namespaces[at]
    if (namespace === undefined) return
    for (const link of [...namespace.links]) unlink(this.#world, link)
    this.#world.namespaces.splice(at, 1)
  }

  /** The step-th change from now on (1 = the next) is refused, once; 0 = none. Counting begins anew. */
  failAt(step: number, errno = 'EIO'): void {
    this.#world.steps = 0
    this.#world.failingStep = step
    this.#world.failingErrno = errno
  }

  /** How many changes were tried since `failAt`. */
  steps(): number {
    return this.#world.steps
  }

  /** All namespaces with all that is in them. */
  toText(): string {
    return this.#world.namespaces.map(namespaceText).join('\n')
  }
}

export class FakeNet extends Net {
  readonly #world: World
  readonly #namespace: FakeNamespace

  /** Use FakeKernel. */
  constructor(world: World, namespace: FakeNamespace) {
    super()
    this.#world = world
    this.#namespace = namespace
  }

  override path(): string {
    return this.#namespace.path
  }

  /** Not a descriptor: the namespace's place in the kernel. */
  override namespaceFd(): number {
    return this.#world.namespaces.indexOf(this.#namespace)
  }

  override isSameAs(other: Net): boolean {
    return other.path() === this.path()
  }

  override findNetnsId(other: Net): number | undefined {
    const far = this.#namespaceOf(other)
    const known = this.#namespace.links.some(
      link => (link.peer ?? link.parent)?.home === far && far !== this.#namespace
    )
    return known ? other.namespaceFd() : undefined
  }

  override close(): void {
    // Nothing is open.
  }

  override exclusively(work: () => void): void {
    work()
  }

  override nft(): FakeNft {
    return this.#namespace.nft
  }

  override listLinks(): readonly Link[] {
    return this.#namespace.links.map(link => this.#show(link))
  }

  override findLink(name: string): Link | undefined {
    const link = this.#namespace.links.find(one => one.name === name)
    return link === undefined ? undefined : this.#show(link)
  }

  override getLink(name: string): Link {
    return this.findLink(name) ?? refuse('get link', JSON.stringify(name), 'ENODEV', 'No such device')
  }

  override findLinkByIndex(index: number): Link | undefined {
    const link = this.#namespace.links.find(one => one.index === index)
    return link === undefined ? undefined : this.#show(link)
  }

  override addLink(link: NewLink): Link {
    const what = JSON.stringify(link.name)
    this.#step('add link', what)
    const home = link.netns === undefined ? this.#namespace : this.#namespaceOf(link.netns)
    if (isTaken(home, link.name)) refuse('add link', what, 'EEXIST', 'File exists')
    const parent = this.#parentOf(link)
    const made = newLink(this.#world, home, link.name, link.kind.kind, infoOf(link))
    made.parent = parent
    made.mac = link.mac ?? (link.kind.kind === 'ipvlan' ? parent?.mac : made.mac)
    made.mtu = link.mtu ?? defaultMtu(link, parent)
    made.master = link.masterIndex === undefined ? undefined : linkAt(home, link.masterIndex)
    made.txQueueLength = link.txQueueLength ?? 1000
    made.groupId = link.groupId ?? 0
    made.isUp = link.up ?? false
    if (link.kind.kind === 'veth') this.#addPeer(link, made)
    home.links.push(made)
    if (made.master !== undefined) joinBridge(made)
    return new FakeNet(this.#world, home).#show(made)
  }

  override addTap(tap: NewTap): Link {
    const what = JSON.stringify(tap.name)
    this.#step('add tap', what)
    if (isTaken(this.#namespace, tap.name)) refuse('add tap', what, 'EBUSY', 'Device or resource busy')
    const { owner, group, multiQueue } = tap
    const info: LinkInfo = { kind: 'tun', type: 'tap', owner, group, multiQueue: multiQueue ?? false, persist: true }
    const made = newLink(this.#world, this.#namespace, tap.name, 'tun', info)
    this.#namespace.links.push(made)
    return this.#show(made)
  }

  override setLinkUp(name: string): void {
    this.#step('set up link', JSON.stringify(name))
    setUp(linkAt(this.#namespace, this.getLink(name).index), true)
  }

  override setLink(index: number, change: LinkChange): void {
    this.#step('set', `link ${index}`)
    const link = linkAt(this.#namespace, index)
    const home = change.netns === undefined ? link.home : this.#namespaceOf(change.netns)
    const name = change.name ?? link.name
    if ((home !== link.home || name !== link.name) && isTaken(home, name)) {
      refuse('set', `link ${index}`, 'EEXIST', 'File exists')
    }
    if (home !== link.home) move(link, home)
    link.name = name
    if (change.mtu !== undefined) setMtu(link, change.mtu)
    link.mac = change.mac ?? link.mac
    link.txQueueLength = change.txQueueLength ?? link.txQueueLength
    link.groupId = change.groupId ?? link.groupId
    link.isPromiscuous = change.promiscuous ?? link.isPromiscuous
    link.isAllMulticast = change.allMulticast ?? link.isAllMulticast
    if (change.alias !== undefined) link.alias = change.alias === '' ? undefined : change.alias
    if (change.masterIndex !== undefined) setMaster(link, change.masterIndex)
    setBridgeOptions(link, change)
    if (change.up !== undefined) setUp(link, change.up)
  }

  override removeLink(name: string): boolean {
    this.#step('remove link', JSON.stringify(name))
    return this.#remove(this.#namespace.links.find(one => one.name === name))
  }

  override removeLinkByIndex(index: number): boolean {
    this.#step('remove', `link ${index}`)
    return this.#remove(this.#namespace.links.find(one => one.index === index))
  }

  override setBridgePort(index: number, port: BridgePort): void {
    this.#step('set bridge port', `link ${index}`)
    const link = linkAt(this.#namespace, index)
    if (link.master === undefined) refuse('set bridge port', `link ${index}`, 'EOPNOTSUPP', 'Operation not supported')
    link.port = merged(link.port, port)
  }

  override addBridgeVlan(index: number, vlan: BridgeVlan): void {
    this.addBridgeVlans(index, [vlan])
  }

  override addBridgeVlans(index: number, vlans: readonly BridgeVlan[]): void {
    if (vlans.length === 0) return
    this.#step('add bridge vlan', `link ${index}`)
    const link = linkAt(this.#namespace, index)
    for (const vlan of vlans) addVlan(link, vlan)
  }

  override removeBridgeVlan(index: number, vlan: BridgeVlan): void {
    this.#step('remove bridge vlan', `${vlan.vid} of link ${index}`)
    const link = linkAt(this.#namespace, index)
    link.vlans = link.vlans.filter(one => one.vid < vlan.vid || one.vid > (vlan.lastVid ?? vlan.vid))
  }

  override listBridgeVlans(index: number): readonly BridgeVlan[] {
    return [...linkAt(this.#namespace, index).vlans]
  }

  override listAddresses(index?: number): readonly Address[] {
    const links = this.#namespace.links.filter(link => index === undefined || link.index === index)
    return links.flatMap(link => link.addresses.map(address => showAddress(link, address)))
  }

  override addAddress(index: number, address: NewAddress): void {
    const what = `${formatPrefix(address.prefix)} to link ${index}`
    this.#step('add address', what)
    const link = linkAt(this.#namespace, index)
    if (hasAddress(link, address) !== undefined) refuse('add address', what, 'EEXIST', 'File exists')
    giveAddress(link, address)
  }

  override ensureAddress(index: number, address: NewAddress): void {
    this.ensureAddresses(index, [address])
  }

  override ensureAddresses(index: number, addresses: readonly NewAddress[]): void {
    if (addresses.length === 0) return
    this.#step('add address', `to link ${index}`)
    const link = linkAt(this.#namespace, index)
    for (const address of addresses) {
      const present = hasAddress(link, address)
      if (present === undefined) giveAddress(link, address)
      else if (!prefixesEqual(present.prefix, address.prefix)) {
        const what = `${formatPrefix(address.prefix)} to link ${index}`
        refuse('add address', what, 'EEXIST', `there as ${formatPrefix(present.prefix)}`)
      }
    }
  }

  override removeAddress(index: number, prefix: IpPrefix): boolean {
    this.#step('remove address', `${formatPrefix(prefix)} from link ${index}`)
    const link = linkAt(this.#namespace, index)
    const at = link.addresses.findIndex(one => prefixesEqual(one.prefix, prefix))
    if (at < 0) return false
    link.addresses.splice(at, 1)
    const network = networkOf(prefix)
    removeRoutes(
      link.home,
      one => one.link === link && one.route.protocol === PROTOCOL_KERNEL && sameDestination(one.route.dst, network)
    )
    return true
  }

  override listRoutes(filter: RouteFilter): readonly Route[] {
    const table = filter.table ?? TABLE_MAIN
    return this.#namespace.routes
      .map(one => ({ ...one.route, index: one.link?.index }))
      .filter(
        route =>
          (filter.family === undefined || familyOf(route) === filter.family) &&
          (table === 0 || (route.table ?? TABLE_MAIN) === table) &&
          (filter.index === undefined || route.index === filter.index) &&
          (filter.dst === undefined || isSameFamilyDestination(route, filter.dst))
      )
  }

  override addRoute(route: Route): void {
    this.#step('add route', describeRoute(route))
    if (this.#rivals(route).length > 0) refuse('add route', describeRoute(route), 'EEXIST', 'File exists')
    this.#insert(route)
  }

  override ensureRoute(route: Route): void {
    this.ensureRoutes([route])
  }

  override ensureRoutes(routes: readonly Route[]): void {
    if (routes.length === 0) return
    this.#step('add route', routes.map(describeRoute).join(', '))
    for (const route of routes) {
      const rivals = this.#rivals(route)
      if (rivals.length === 0) this.#insert(route)
      else if (!rivals.some(rival => isAsWanted(rival, route))) {
        refuse('add route', describeRoute(route), 'EEXIST', `there as ${rivals.map(describeRoute).join(', ')}`)
      }
    }
  }

  override replaceRoute(route: Route): void {
    this.#step('replace route', describeRoute(route))
    this.#removeRoutesLike({ ...route, gateway: undefined, index: undefined })
    this.#insert(route)
  }

  override removeRoute(route: Route): boolean {
    this.#step('remove route', describeRoute(route))
    return this.#removeRoutesLike(route)
  }

  override listNeighbours(index?: number): readonly Neighbour[] {
    const links = this.#namespace.links.filter(link => index === undefined || link.index === index)
    return links.flatMap(link => link.neighbours.map(one => showNeighbour(link, one)))
  }

  override setNeighbour(index: number, neighbour: NewNeighbour): void {
    this.#step('set neighbour', `${formatAddress(neighbour.address)} of link ${index}`)
    const link = linkAt(this.#namespace, index)
    link.neighbours = link.neighbours.filter(one => !isNeighbour(one, neighbour.address, neighbour.proxy ?? false))
    link.neighbours.push(neighbour)
  }

  override removeNeighbour(index: number, address: IpAddress, proxy?: boolean): boolean {
    this.#step('remove neighbour', `${formatAddress(address)} of link ${index}`)
    const link = linkAt(this.#namespace, index)
    const left = link.neighbours.filter(one => !isNeighbour(one, address, proxy ?? false))
    const removed = left.length < link.neighbours.length
    link.neighbours = left
    return removed
  }

  override listFdb(index: number): readonly FdbEntry[] {
    return linkAt(this.#namespace, index).fdb.map(entry => ({ ...entry, permanent: entry.permanent ?? true }))
  }

  override setFdb(index: number, entry: FdbEntry): void {
    this.#step('set fdb entry', `${formatMac(entry.mac)} of link ${index}`)
    const link = linkAt(this.#namespace, index)
    link.fdb = link.fdb.filter(one => !isFdbKey(one, entry))
    link.fdb.push(entry)
  }

  override addFdb(index: number, entry: FdbEntry): void {
    const what = `${formatMac(entry.mac)} of link ${index}`
    this.#step('add fdb entry', what)
    const link = linkAt(this.#namespace, index)
    if (link.fdb.some(one => isFdbKey(one, entry))) refuse('add fdb entry', what, 'EEXIST', 'File exists')
    link.fdb.push(entry)
  }

  override appendFdb(index: number, entry: FdbEntry): void {
    this.#step('append fdb entry', `${formatMac(entry.mac)} of link ${index}`)
    const link = linkAt(this.#namespace, index)
    if (!link.fdb.some(one => isFdbKey(one, entry) && sameDst(one, entry))) link.fdb.push(entry)
  }

  override removeFdb(index: number, entry: FdbEntry): boolean {
    this.#step('remove fdb entry', `${formatMac(entry.mac)} of link ${index}`)
    const link = linkAt(this.#namespace, index)
    const left = link.fdb.filter(one => !isFdbKey(one, entry) || (entry.dst !== undefined && !sameDst(one, entry)))
    const removed = left.length < link.fdb.length
    link.fdb = left
    return removed
  }

  override listRules(family: 4 | 6): readonly Rule[] {
    return this.#namespace.rules.filter(rule => rule.family === family)
  }

  override addRule(rule: Rule): void {
    this.#step('add rule', `IPv${rule.family}`)
    if (this.#namespace.rules.some(one => ruleKey(one) === ruleKey(rule))) {
      refuse('add rule', `IPv${rule.family}`, 'EEXIST', 'File exists')
    }
    this.#namespace.rules.push(rule)
  }

  override removeRule(rule: Rule): boolean {
    this.#step('remove rule', `IPv${rule.family}`)
    const at = this.#namespace.rules.findIndex(one => ruleKey(one) === ruleKey(rule))
    if (at >= 0) this.#namespace.rules.splice(at, 1)
    return at >= 0
  }

  override listQdiscs(index: number): readonly Qdisc[] {
    return [...linkAt(this.#namespace, index).qdiscs]
  }

  override replaceQdisc(index: number, qdisc: NewQdisc): void {
    this.#step('add qdisc', `"${qdisc.kind}" to link ${index}`)
    const link = linkAt(this.#namespace, index)
    const isRoot = qdisc.kind === 'tbf'
    const parent = isRoot ? ROOT_PARENT : INGRESS_PARENT
    const handle = isRoot ? 0x10000 : INGRESS_HANDLE
    const tbf = qdisc.kind === 'tbf' ? qdisc.tbf : undefined
    link.qdiscs = link.qdiscs.filter(one => one.parent !== parent)
    link.qdiscs.push({ index, kind: qdisc.kind, handle, parent, tbf })
  }

  override removeQdisc(index: number, kind: 'tbf' | 'ingress' | 'clsact'): boolean {
    this.#step('remove qdisc', `"${kind}" from link ${index}`)
    const link = linkAt(this.#namespace, index)
    const left = link.qdiscs.filter(one => one.kind !== kind)
    const removed = left.length < link.qdiscs.length
    link.qdiscs = left
    if (removed && kind !== 'tbf') link.filters = []
    return removed
  }

  override listFilters(index: number, hook: FilterHook): readonly Filter[] {
    const filters = linkAt(this.#namespace, index).filters.filter(one => one.hook === hook)
    return filters.map(one => ({ kind: 'u32', priority: one.priority, protocol: 3, redirectIndex: one.redirectIndex }))
  }

  override addFilter(index: number, filter: RedirectFilter): void {
    this.#step('add filter', `to link ${index}`)
    const link = linkAt(this.#namespace, index)
    if (!link.qdiscs.some(one => one.parent === INGRESS_PARENT)) {
      refuse('add filter', `to link ${index}`, 'EINVAL', "Parent Qdisc doesn't exists")
    }
    link.filters.push(filter)
  }

  override removeFilters(index: number, hook: FilterHook): void {
    this.#step('remove filters', `from link ${index}`)
    const link = linkAt(this.#namespace, index)
    link.filters = link.filters.filter(one => one.hook !== hook)
  }

  override readSysctl(path: string): string | undefined {
    sysctlPath(path)
    if (!this.#hasSysctl(path)) return undefined
    return this.#namespace.sysctls.get(path) ?? '0'
  }

  override writeSysctl(path: string, value: string): void {
    const what = `${JSON.stringify(path)} = ${JSON.stringify(value)}`
    sysctlPath(path)
    this.#step('write sysctl', what)
    if (!this.#hasSysctl(path)) refuse('write sysctl', what, 'ENOENT', '')
    this.#namespace.sysctls.set(path, value)
  }

  /** Files named after a link exist while it does. */
  #hasSysctl(path: string): boolean {
    const parts = path.split('/')
    const name = parts[2]
    if ((parts[1] !== 'conf' && parts[1] !== 'neigh') || name === undefined) return true
    return name === 'all' || name === 'default' || this.#namespace.links.some(link => link.name === name)
  }

  #step(operation: string, object: string): void {
    countStep(this.#world, operation, object)
  }

  #namespaceOf(net: Net): FakeNamespace {
    const namespace = this.#world.namespaces[net.namespaceFd()]
    return namespace ?? refuse('open', 'namespace', 'EINVAL', 'Invalid argument')
  }

  #parentOf(link: NewLink): FakeLink | undefined {
    const { kind, parentIndex } = link.kind
    if (kind === 'macvlan' || kind === 'ipvlan' || kind === 'vlan') return linkAt(this.#namespace, parentIndex ?? 0)
    return kind === 'vxlan' && parentIndex !== undefined ? linkAt(this.#namespace, parentIndex) : undefined
  }

  #addPeer(link: NewLink, made: FakeLink): void {
    const { peer } = link.kind
    if (peer === undefined) refuse('add link', JSON.stringify(link.name), 'EINVAL', 'kind "veth" needs peer')
    const home = peer.netns === undefined ? made.home : this.#namespaceOf(peer.netns)
    if (isTaken(home, peer.name) || (home === made.home && peer.name === made.name)) {
      refuse('add link', JSON.stringify(link.name), 'EEXIST', 'File exists')
    }
    const far = newLink(this.#world, home, peer.name, 'veth', { kind: 'other' })
    far.mac = peer.mac ?? far.mac
    far.mtu = peer.mtu ?? far.mtu
    far.isUp = peer.up ?? false
    far.peer = made
    made.peer = far
    home.links.push(far)
  }

  #remove(link: FakeLink | undefined): boolean {
    if (link === undefined) return false
    unlink(this.#world, link)
    return true
  }

  #rivals(route: Route): readonly Route[] {
    const family = familyOf(route)
    return this.listRoutes({ family, table: route.table }).filter(
      one => sameDestination(one.dst, route.dst) && metricOf(one, family) === metricOf(route, family)
    )
  }

  #insert(route: Route): void {
    const link = this.#linkFor(route)
    const type = route.type ?? 'unicast'
    const scope = route.scope ?? (route.gateway === undefined && familyOf(route) === 4 ? SCOPE_LINK : SCOPE_GLOBAL)
    const protocol = route.protocol ?? PROTOCOL_BOOT
    this.#namespace.routes.push({ route: { ...route, type, scope, protocol, family: familyOf(route) }, link })
  }

  /** The link that a route leads through; its gateway must be reachable without a further gateway. */
  #linkFor(route: Route): FakeLink | undefined {
    const { gateway, index } = route
    if (gateway === undefined || route.onlink === true) {
      const link = index === undefined ? undefined : linkAt(this.#namespace, index)
      if (link?.isUp === false) refuse('add route', describeRoute(route), 'ENETDOWN', 'Network is down')
      return link
    }
    const way = this.#namespace.routes.find(
      one =>
        one.route.gateway === undefined &&
        one.route.dst !== undefined &&
        prefixContains(networkOf(one.route.dst), gateway) &&
        (index === undefined || one.link?.index === index)
    )
    if (way === undefined) refuse('add route', describeRoute(route), 'ENETUNREACH', 'Nexthop has invalid gateway')
    return way.link
  }

  #removeRoutesLike(route: Route): boolean {
    const family = familyOf(route)
    return removeRoutes(
      this.#namespace,
      one =>
        familyOf(one.route) === family &&
        sameDestination(one.route.dst, route.dst) &&
        (one.route.table ?? TABLE_MAIN) === (route.table ?? TABLE_MAIN) &&
        (route.metric === undefined || metricOf(one.route, family) === metricOf(route, family)) &&
        (route.index === undefined || one.link?.index === route.index) &&
        (route.gateway === undefined ||
          (one.route.gateway !== undefined && addressesEqual(one.route.gateway, route.gateway)))
    )
  }

  #show(link: FakeLink): Link {
    const far = link.peer ?? link.parent
    const isAway = far !== undefined && far.home !== this.#namespace
    const flags =
      (link.isUp ? IFF_UP : 0) | (link.isPromiscuous ? IFF_PROMISC : 0) | (link.isAllMulticast ? IFF_ALLMULTI : 0)
    return {
      index: link.index,
      name: link.name,
      flags,
      isUp: link.isUp,
      mtu: link.mtu,
      mac: link.mac,
      masterIndex: link.master?.index,
      parentIndex: far?.index,
      linkNetnsId: isAway ? this.#world.namespaces.indexOf(far.home) : undefined,
      alias: link.alias,
      altNames: [],
      txQueueLength: link.txQueueLength,
      promiscuity: (link.isPromiscuous ? 1 : 0) + (link.master === undefined ? 0 : 1),
      isPromiscuous: link.isPromiscuous,
      isAllMulticast: link.isAllMulticast,
      groupId: link.groupId,
      operState: link.isUp && (link.peer === undefined || link.peer.isUp) ? 'up' : 'down',
      kind: link.kind,
      info: link.info,
      port: link.master?.kind === 'bridge' ? link.port : undefined
    }
  }
}

function countStep(world: World, operation: string, object: string): void {
  world.steps += 1
  if (world.steps === world.failingStep) refuse(operation, object, world.failingErrno, 'as the test asked for')
}

function addNamespace(world: World, path: string): void {
  if (world.namespaces.some(one => one.path === path)) throw new Error(`add namespace ${JSON.stringify(path)}: exists`)
  const nft = new FakeNft(() => countStep(world, 'commit', 'nft batch'))
  const namespace: FakeNamespace = { path, links: [], routes: [], rules: [], sysctls: new Map(), nft, nextIndex: 1 }
  const lo = newLink(world, namespace, 'lo', undefined, { kind: 'other' })
  lo.mac = new Uint8Array(6)
  lo.mtu = 65536
  namespace.links.push(lo)
  world.namespaces.push(namespace)
}

function refuse(operation: string, object: string, errno: string, explanation: string): never {
  throw new KernelError(operation, object, errno, explanation, '')
}

function newLink(world: World, home: FakeNamespace, name: string, kind: string | undefined, info: LinkInfo): FakeLink {
  world.macs += 1
  const index = home.nextIndex
  home.nextIndex += 1
  return {
    home,
    index,
    name,
    kind,
    info,
    isUp: false,
    mtu: 1500,
    isMtuSet: false,
    mac: new Uint8Array([2, 0, 0, 0, world.macs >> 8, world.macs & 255]),
    master: undefined,
    parent: undefined,
    peer: undefined,
    alias: undefined,
    txQueueLength: 1000,
    groupId: 0,
    isPromiscuous: false,
    isAllMulticast: false,
    port: {},
    vlans: [],
    addresses: [],
    neighbours: [],
    fdb: [],
    qdiscs: [],
    filters: []
  }
}

function infoOf(link: NewLink): LinkInfo {
  const { kind, peer: _peer, mode, flag, parentIndex: _parentIndex, ...options } = link.kind
  switch (kind) {
    case 'bridge':
      return { vlanFiltering: false, vlanDefaultPvid: 1, ...options, kind }
    case 'vxlan':
      return { learning: true, port: 8472, ...options, kind }
    case 'vrf':
      return { ...options, kind }
    case 'macvlan':
      return { ...options, kind, mode: mode as MacvlanMode }
    case 'ipvlan':
      return { kind, mode: mode as IpvlanMode, flag: flag ?? 'bridge' }
    case 'vlan':
      return { kind, id: options.id }
    default:
      return { kind: 'other' }
  }
}

function defaultMtu(link: NewLink, parent: FakeLink | undefined): number {
  if (parent === undefined) return 1500
  return link.kind.kind === 'vxlan' ? parent.mtu - VXLAN_OVERHEAD : parent.mtu
}

function isTaken(namespace: FakeNamespace, name: string): boolean {
  return namespace.links.some(link => link.name === name)
}

function linkAt(namespace: FakeNamespace, index: number): FakeLink {
  const link = namespace.links.find(one => one.index === index)
  return link ?? refuse('find', `link ${index}`, 'ENODEV', 'No such device')
}

/** A link goes: its veth peer with it, what stands on it, its ports set free, and its routes. */
function unlink(world: World, link: FakeLink): void {
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

function move(link: FakeLink, home: FakeNamespace): void {
  forget(link)
  link.home.links.splice(link.home.links.indexOf(link), 1)
  link.home = home
  link.isUp = false
  link.master = undefined
  link.addresses = []
  link.neighbours = []
  if (home.links.some(one => one.index === link.index)) link.index = home.nextIndex
  home.nextIndex = Math.max(home.nextIndex, link.index + 1)
  home.links.push(link)
}

function setMtu(link: FakeLink, mtu: number): void {
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

function setMaster(link: FakeLink, masterIndex: number): void {
  const former = link.master
  link.master = masterIndex === 0 ? undefined : linkAt(link.home, masterIndex)
  if (former !== undefined) adjustMtu(former)
  link.port = {}
  link.vlans = []
  if (link.master !== undefined) joinBridge(link)
}

/** What every new port has. */
function joinBridge(link: FakeLink): void {
  const bridge = link.master
  if (bridge?.info.kind !== 'bridge') return
  adjustMtu(bridge)
  link.port = { learning: true, flood: true }
  const pvid = bridge.info.vlanDefaultPvid ?? 1
  if (bridge.info.vlanFiltering === true && pvid !== 0) link.vlans = [{ vid: pvid, pvid: true, untagged: true }]
}

function setBridgeOptions(link: FakeLink, change: LinkChange): void {
  if (link.info.kind !== 'bridge') return
  const vlanFiltering = change.vlanFiltering ?? link.info.vlanFiltering
  const vlanDefaultPvid = change.vlanDefaultPvid ?? link.info.vlanDefaultPvid
  link.info = { ...link.info, vlanFiltering, vlanDefaultPvid }
}

function setUp(link: FakeLink, up: boolean): void {
  const was = link.isUp
  link.isUp = up
  if (up && !was) for (const address of link.addresses) addPrefixRoute(link, address)
  if (up || !was) return
  removeRoutes(link.home, one => one.link === link)
  link.addresses = link.addresses.filter(address => address.prefix.address.family === 4)
}

function giveAddress(link: FakeLink, address: NewAddress): void {
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
function removeRoutes(namespace: FakeNamespace, isMeant: (one: FakeRoute) => boolean): boolean {
  const left = namespace.routes.filter(one => !isMeant(one))
  const removed = left.length < namespace.routes.length
  namespace.routes.splice(0, namespace.routes.length, ...left)
  return removed
}

function isSameFamilyDestination(route: Route, dst: IpPrefix): boolean {
  return familyOf(route) === dst.address.family && sameDestination(route.dst, dst)
}

function addVlan(link: FakeLink, vlan: BridgeVlan): void {
  const { self: _self, ...plain } = vlan
  link.vlans = link.vlans
    .filter(one => one.vid !== vlan.vid)
    .map(one => (vlan.pvid === true ? { ...one, pvid: false } : one))
  link.vlans.push(plain)
}

/** `base` with what `change` says; what it leaves undefined stays. */
function merged(base: BridgePort, change: BridgePort): BridgePort {
  const given = Object.entries(change).filter(([, value]) => value !== undefined)
  return { ...base, ...Object.fromEntries(given) }
}

function showAddress(link: FakeLink, address: NewAddress): Address {
  return {
    index: link.index,
    prefix: address.prefix,
    peer: address.peer,
    broadcast: address.broadcast,
    scope: address.scope ?? SCOPE_GLOBAL,
    flags: 0x80,
    label: address.label,
    isPermanent: true,
    isTentative: false,
    isDuplicate: false,
    lifetime: address.lifetime
  }
}

function showNeighbour(link: FakeLink, neighbour: NewNeighbour): Neighbour {
  return {
    index: link.index,
    address: neighbour.address,
    mac: neighbour.mac,
    state: neighbour.state ?? 'permanent',
    proxy: neighbour.proxy ?? false,
    router: false,
    extLearn: neighbour.extLearn ?? false
  }
}

function isNeighbour(one: NewNeighbour, address: IpAddress, proxy: boolean): boolean {
  return addressesEqual(one.address, address) && (one.proxy ?? false) === proxy
}

function isFdbKey(a: FdbEntry, b: FdbEntry): boolean {
  return formatMac(a.mac) === formatMac(b.mac) && a.vlan === b.vlan && a.vni === b.vni && a.master === b.master
}

function sameDst(a: FdbEntry, b: FdbEntry): boolean {
  if (a.dst === undefined || b.dst === undefined) return a.dst === b.dst
  return addressesEqual(a.dst, b.dst)
}

function ruleKey(rule: Rule): string {
  const from = rule.from === undefined ? '' : formatPrefix(networkOf(rule.from))
  const to = rule.to === undefined ? '' : formatPrefix(networkOf(rule.to))
  const { family, priority, table, iifName, oifName, mark, action } = rule
  return JSON.stringify([family, priority, from, to, table, iifName, oifName, mark, action ?? 'table'])
}
