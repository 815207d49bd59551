/**
 * The real thing: namespaces of this machine's kernel, by rtnetlink and /proc/sys/net.
 *
 * Each namespace is entered once, to open a socket there; the socket stays behind in it. What a verb does is in
 * the file named after its noun, beside this one.
 */
import { closeSync } from 'node:fs'
import type { IpAddress } from '../ip/address.ts'
import type { IpPrefix } from '../ip/prefix.ts'
import { withDescriptorLock } from '../sys/file-lock.ts'
import { inNamespace, openNetns, ownNetns, sameNetns } from '../sys/netns.ts'
import { createTap } from '../sys/tap.ts'
import { errnoOf, KernelError, NetnsError } from './errors.ts'
import { Kernel } from './kernel.ts'
import * as addresses from './kernel-addresses.ts'
import * as links from './kernel-links.ts'
import * as neighbours from './kernel-neighbours.ts'
import * as qdiscs from './kernel-qdiscs.ts'
import * as routes from './kernel-routes.ts'
import * as rules from './kernel-rules.ts'
import {
  type Address,
  type BridgePort,
  type BridgeVlan,
  type FdbEntry,
  type Filter,
  type FilterHook,
  type Link,
  type LinkChange,
  type Neighbour,
  Net,
  type NewAddress,
  type NewLink,
  type NewNeighbour,
  type NewQdisc,
  type NewTap,
  type Qdisc,
  type RedirectFilter,
  type Route,
  type RouteFilter,
  type Rule
} from './net.ts'
import { findNetnsId } from './netns-id.ts'
import type { Nft } from './nft.ts'
import { KernelNft } from './nft-kernel.ts'
import { RouteSocket, Rtnetlink } from './rtnetlink.ts'
import { readSysctl, writeSysctl } from './sysctl.ts'

export class LinuxKernel extends Kernel {
  override host(): Net {
    return new KernelNet('', -1)
  }

  override open(path: string): Net {
    return new KernelNet(path, openNetns(path))
  }

  override find(path: string): Net | undefined {
    try {
      return this.open(path)
    } catch (error) {
      if (error instanceof Error) {
        if (error instanceof NetnsError && error.reason !== 'unreadable') return undefined
      }
      throw error
    }
  }
}

export class KernelNet extends Net {
  readonly #path: string
  readonly #fd: number
  #socket: Rtnetlink | undefined = undefined
  #nft: KernelNft | undefined = undefined

  /** @param fd of the namespace, closed with this Net; -1 = the one the process was started in */
  constructor(path: string, fd: number) {
    super()
    this.#path = path
    this.#fd = fd
  }

  override path(): string {
    return this.#path
  }

  override namespaceFd(): number {
    return this.#fd < 0 ? ownNetns() : this.#fd
  }

  override isSameAs(other: Net): boolean {
    return sameNetns(this.namespaceFd(), other.namespaceFd())
  }

  override findNetnsId(other: Net): number | undefined {
    return findNetnsId(this.#rt(), other.namespaceFd())
  }

  override close(): void {
    const socket = this.#socket
    this.#socket = undefined
    if (socket !== undefined) socket.close()
    const nft = this.#nft
    this.#nft = undefined
    if (nft !== undefined) nft.close()
    if (this.#fd >= 0) closeSync(this.#fd)
  }

  override nft(): Nft {
    const open = this.#nft ?? new KernelNft(this.#fd)
    this.#nft = open
    return open
  }

  override exclusively(work: () => void): void {
    withDescriptorLock(this.namespaceFd(), JSON.stringify(this.#path), work)
  }

  override listLinks(): readonly Link[] {
    return links.listLinks(this.#rt())
  }

  override findLink(name: string): Link | undefined {
    return links.findLink(this.#rt(), name)
  }

  override getLink(name: string): Link {
    return links.getLink(this.#rt(), name)
  }

  override findLinkByIndex(index: number): Link | undefined {
    return links.findLinkByIndex(this.#rt(), index)
  }

  override addLink(link: NewLink): Link {
    const added = links.addLink(this.#rt(), link)
    const home: Net = link.netns ?? this
    const peer = link.kind.kind === 'veth' ? link.kind.peer : undefined
    if (peer !== undefined && peer.up === true) {
      const far: Net = peer.netns ?? home
      try {
        far.setLinkUp(peer.name)
      } catch (error) {
        home.removeLink(link.name)
        throw error
      }
    }
    return added ?? home.getLink(link.name)
  }

  override setLinkUp(name: string): void {
    links.setUpByName(this.#rt(), name)
  }

  override addTap(tap: NewTap): Link {
    try {
      inNamespace(this.namespaceFd(), () =>
        createTap(tap.name, tap.owner ?? -1, tap.group ?? -1, tap.multiQueue ?? false)
      )
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === '') throw error
      throw new KernelError('add tap', JSON.stringify(tap.name), errno, '', '')
    }
    return this.getLink(tap.name)
  }

  override setLink(index: number, change: LinkChange): void {
    links.setLink(this.#rt(), index, change)
  }

  override removeLink(name: string): boolean {
    return links.removeLink(this.#rt(), name)
  }

  override removeLinkByIndex(index: number): boolean {
    return links.removeLinkByIndex(this.#rt(), index)
  }

  override setBridgePort(index: number, port: BridgePort): void {
    links.setBridgePort(this.#rt(), index, port)
  }

  override addBridgeVlan(index: number, vlan: BridgeVlan): void {
    links.addBridgeVlans(this.#rt(), index, [vlan])
  }

  override addBridgeVlans(index: number, vlans: readonly BridgeVlan[]): void {
    links.addBridgeVlans(this.#rt(), index, vlans)
  }

  override removeBridgeVlan(index: number, vlan: BridgeVlan): void {
    links.removeBridgeVlan(this.#rt(), index, vlan)
  }

  override listBridgeVlans(index: number): readonly BridgeVlan[] {
    return links.listBridgeVlans(this.#rt(), index)
  }

  override listAddresses(index?: number): readonly Address[] {
    return addresses.listAddresses(this.#rt(), index ?? 0)
  }

  override addAddress(index: number, address: NewAddress): void {
    addresses.addAddress(this.#rt(), index, address)
  }

  override ensureAddress(index: number, address: NewAddress): void {
    addresses.ensureAddresses(this.#rt(), index, [address])
  }

  override ensureAddresses(index: number, list: readonly NewAddress[]): void {
    addresses.ensureAddresses(this.#rt(), index, list)
  }

  override removeAddress(index: number, prefix: IpPrefix): boolean {
    return addresses.removeAddress(this.#rt(), index, prefix)
  }

  override listRoutes(filter: RouteFilter): readonly Route[] {
    return routes.listRoutes(this.#rt(), filter)
  }

  override addRoute(route: Route): void {
    routes.addRoute(this.#rt(), route)
  }

  override ensureRoute(route: Route): void {
    routes.ensureRoutes(this.#rt(), [route])
  }

  override ensureRoutes(list: readonly Route[]): void {
    routes.ensureRoutes(this.#rt(), list)
  }

  override replaceRoute(route: Route): void {
    routes.replaceRoute(this.#rt(), route)
  }

  override removeRoute(route: Route): boolean {
    return routes.removeRoute(this.#rt(), route)
  }

  override listNeighbours(index?: number): readonly Neighbour[] {
    return neighbours.listNeighbours(this.#rt(), index ?? 0)
  }

  override setNeighbour(index: number, neighbour: NewNeighbour): void {
    neighbours.setNeighbour(this.#rt(), index, neighbour)
  }

  override removeNeighbour(index: number, address: IpAddress, proxy?: boolean): boolean {
    return neighbours.removeNeighbour(this.#rt(), index, address, proxy ?? false)
  }

  override listFdb(index: number): readonly FdbEntry[] {
    return neighbours.listFdb(this.#rt(), index)
  }

  override setFdb(index: number, entry: FdbEntry): void {
    neighbours.setFdb(this.#rt(), index, entry)
  }

  override addFdb(index: number, entry: FdbEntry): void {
    neighbours.addFdb(this.#rt(), index, entry)
  }

  override appendFdb(index: number, entry: FdbEntry): void {
    neighbours.appendFdb(this.#rt(), index, entry)
  }

  override removeFdb(index: number, entry: FdbEntry): boolean {
    return neighbours.removeFdb(this.#rt(), index, entry)
  }

  override listRules(family: 4 | 6): readonly Rule[] {
    return rules.listRules(this.#rt(), family)
  }

  override addRule(rule: Rule): void {
    rules.addRule(this.#rt(), rule)
  }

  override removeRule(rule: Rule): boolean {
    return rules.removeRule(this.#rt(), rule)
  }

  override listQdiscs(index: number): readonly Qdisc[] {
    return qdiscs.listQdiscs(this.#rt(), index)
  }

  override replaceQdisc(index: number, qdisc: NewQdisc): void {
    qdiscs.replaceQdisc(this.#rt(), index, qdisc)
  }

  override removeQdisc(index: number, kind: 'tbf' | 'ingress' | 'clsact'): boolean {
    return qdiscs.removeQdisc(this.#rt(), index, kind)
  }

  override listFilters(index: number, hook: FilterHook): readonly Filter[] {
    return qdiscs.listFilters(this.#rt(), index, hook)
  }

  override addFilter(index: number, filter: RedirectFilter): void {
    qdiscs.addFilter(this.#rt(), index, filter)
  }

  override removeFilters(index: number, hook: FilterHook): void {
    qdiscs.removeFilters(this.#rt(), index, hook)
  }

  override readSysctl(path: string): string | undefined {
    return readSysctl(this.namespaceFd(), path)
  }

  override writeSysctl(path: string, value: string): void {
    writeSysctl(this.namespaceFd(), path, value)
  }

  /** The socket, opened by the first verb that needs it. */
  #rt(): Rtnetlink {
    const socket = this.#socket ?? new Rtnetlink(new RouteSocket(this.#fd))
    this.#socket = socket
    return socket
  }
}
