/** Links of a fake namespace. For tests; see fake-kernel.ts. */

import {
  type BridgePort,
  type IpvlanMode,
  type Link,
  type LinkChange,
  type LinkInfo,
  type LinkPair,
  Links,
  type MacvlanMode,
  type NewLink,
  type NewTap
} from '../../net/links.ts'
import type { Namespace } from '../../net/namespace.ts'
import type { FakeLink, FakeNamespace } from './fake-namespace.ts'
import { FakePlace, type FakeWorld, linkAt, refuse } from './fake-place.ts'
import { joinBridge, move, setBridgeOptions, setMaster, setMtu, setUp, unlink } from './link-changes.ts'

const IFF_UP = 1
const IFF_PROMISC = 0x100
const IFF_ALLMULTI = 0x200
const VXLAN_OVERHEAD = 50

export class FakeLinks extends Links {
  readonly #place: FakePlace

  constructor(place: FakePlace) {
    super()
    this.#place = place
  }

  override list(): readonly Link[] {
    return this.#place.namespace.links.map(link => show(this.#place, link))
  }

  override find(name: string): Link | undefined {
    const link = this.#place.namespace.links.find(one => one.name === name)
    return link === undefined ? undefined : show(this.#place, link)
  }

  override get(name: string): Link {
    return this.find(name) ?? refuse('get link', JSON.stringify(name), 'ENODEV', 'No such device')
  }

  override raiseLoopback(): boolean {
    const lo = this.get('lo')
    if (!lo.isUp) this.set(lo.index, { up: true })
    return !lo.isUp
  }

  override findByIndex(index: number): Link | undefined {
    const link = this.#place.namespace.links.find(one => one.index === index)
    return link === undefined ? undefined : show(this.#place, link)
  }

  override add(link: NewLink): Link {
    const made = this.#make(link, this.#place.namespace)
    return show(this.#place, made)
  }

  override addPair(link: NewLink): LinkPair {
    const first = this.#make(link, this.#place.namespace)
    const { peer } = first
    const place = peer === undefined ? undefined : new FakePlace(this.#place.world, peer.home)
    return {
      first: show(this.#place, first),
      peer: peer === undefined || place === undefined ? undefined : show(place, peer)
    }
  }

  override addIn(netns: Namespace, link: NewLink): void {
    this.#make(link, this.#place.namespaceOf(netns))
  }

  override addTap(tap: NewTap): Link {
    const what = JSON.stringify(tap.name)
    this.#place.step('add tap', what)
    if (isTaken(this.#place.namespace, tap.name)) refuse('add tap', what, 'EBUSY', 'Device or resource busy')
    const { owner, group, multiQueue } = tap
    const info: LinkInfo = { kind: 'tun', type: 'tap', owner, group, multiQueue: multiQueue ?? false, persist: true }
    const made = newLink(this.#place.world, this.#place.namespace, { name: tap.name, kind: 'tun', info })
    this.#place.namespace.links.push(made)
    return show(this.#place, made)
  }

  override set(index: number, change: LinkChange): void {
    this.#place.step('set', `link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    const home = change.netns === undefined ? link.home : this.#place.namespaceOf(change.netns)
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

  override setPort(index: number, port: BridgePort): void {
    this.#place.step('set bridge port', `link ${index}`)
    const link = linkAt(this.#place.namespace, index)
    if (link.master === undefined) refuse('set bridge port', `link ${index}`, 'EOPNOTSUPP', 'Operation not supported')
    link.port = merged(link.port, port)
  }

  override remove(name: string): boolean {
    this.#place.step('remove link', JSON.stringify(name))
    return this.#unlink(this.#place.namespace.links.find(one => one.name === name))
  }

  override removeByIndex(index: number): boolean {
    this.#place.step('remove', `link ${index}`)
    return this.#unlink(this.#place.namespace.links.find(one => one.index === index))
  }

  override removeTogether(indices: readonly number[]): void {
    this.#place.step('remove', `links ${indices.join(', ')}`)
    for (const index of indices) this.#unlink(this.#place.namespace.links.find(one => one.index === index))
  }

  #make(link: NewLink, home: FakeNamespace): FakeLink {
    const what = JSON.stringify(link.name)
    this.#place.step('add link', what)
    if (isTaken(home, link.name)) refuse('add link', what, 'EEXIST', 'File exists')
    const parent = this.#parentOf(link)
    const made = newLink(this.#place.world, home, { name: link.name, kind: link.kind.kind, info: infoOf(link) })
    made.parent = parent
    const isAway = link.kind.kind === 'vxlan' && home !== this.#place.namespace
    made.through = isAway ? this.#place.namespace : undefined
    made.mac = link.mac ?? (link.kind.kind === 'ipvlan' ? parent?.mac : made.mac)
    made.mtu = link.mtu ?? defaultMtu(link, parent)
    made.master = link.masterIndex === undefined ? undefined : linkAt(home, link.masterIndex)
    made.txQueueLength = link.txQueueLength ?? 1000
    made.groupId = link.groupId ?? 0
    made.isUp = link.up ?? false
    if (link.kind.kind === 'veth') this.#addPeer(link, made)
    home.links.push(made)
    if (made.master !== undefined) joinBridge(made)
    return made
  }

  #parentOf(link: NewLink): FakeLink | undefined {
    const { kind, parentIndex } = link.kind
    if (kind === 'macvlan' || kind === 'ipvlan' || kind === 'vlan')
      return linkAt(this.#place.namespace, parentIndex ?? 0)
    return kind === 'vxlan' && parentIndex !== undefined ? linkAt(this.#place.namespace, parentIndex) : undefined
  }

  #addPeer(link: NewLink, made: FakeLink): void {
    const { peer } = link.kind
    if (peer === undefined) refuse('add link', JSON.stringify(link.name), 'EINVAL', 'kind "veth" needs peer')
    const home = peer.netns === undefined ? made.home : this.#place.namespaceOf(peer.netns)
    if (isTaken(home, peer.name) || (home === made.home && peer.name === made.name)) {
      refuse('add link', JSON.stringify(link.name), 'EEXIST', 'File exists')
    }
    const far = newLink(this.#place.world, home, { name: peer.name, kind: 'veth', info: { kind: 'other' } })
    far.mac = peer.mac ?? far.mac
    far.mtu = peer.mtu ?? far.mtu
    far.peer = made
    made.peer = far
    home.links.push(far)
  }

  #unlink(link: FakeLink | undefined): boolean {
    if (link === undefined) return false
    unlink(this.#place.world, link)
    return true
  }
}

function show(place: FakePlace, link: FakeLink): Link {
  const far = link.peer ?? link.parent
  const other = link.through ?? far?.home
  const isAway = other !== undefined && other !== place.namespace
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
    linkNetnsId: isAway ? place.world.namespaces.indexOf(other) : undefined,
    alias: link.alias,
    altNames: [],
    families: undefined,
    permanentMac: undefined,
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

export function newLink(
  world: FakeWorld,
  home: FakeNamespace,
  { name, kind, info }: Pick<FakeLink, 'name' | 'kind' | 'info'>
): FakeLink {
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
    through: undefined,
    alias: undefined,
    txQueueLength: 1000,
    groupId: 0,
    isPromiscuous: false,
    isAllMulticast: false,
    port: {},
    vlans: [],
    addresses: [],
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

/** `base` with what `change` says; what it leaves undefined stays. */
function merged(base: BridgePort, change: BridgePort): BridgePort {
  const given = Object.entries(change).filter(([, value]) => value !== undefined)
  return { ...base, ...Object.fromEntries(given) }
}
