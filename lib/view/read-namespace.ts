/** Links, addresses and routes of one namespace, over one netlink socket that is opened in it. */
import { formatAddress } from '../ip/address.ts'
import { formatMac } from '../ip/mac.ts'
import { formatPrefix } from '../ip/prefix.ts'
import type { Address } from '../net/addresses.ts'
import { KernelAddresses } from '../net/kernel-addresses.ts'
import { linkOf } from '../net/kernel-links.ts'
import { connectToKernel } from '../net/kernel-net.ts'
import { KernelRoutes } from '../net/kernel-routes.ts'
import type { Link } from '../net/links.ts'
import { findNetnsId } from '../net/netns-id.ts'
import type { Route } from '../net/routes.ts'
import type { Conn } from '../netlink/conn.ts'
import { EMPTY_LINK, encodeLink, RTM_GETLINK } from '../netlink/rt/link.ts'
import { closeDescriptor } from '../sys/files.ts'
import { NETLINK_ROUTE } from '../sys/netlink-socket.ts'
import { NetnsError, netnsNumber, openNetns, ownNetns, sameNetns } from '../sys/netns.ts'
import { countersOf } from './counters.ts'
import type { CountersView, LinkView, RouteView, VxlanView } from './model.ts'

/** A link before the namespace of its other end is known. */
export interface ReadLink {
  readonly view: LinkView
  /** The index of its other end or of the link below; 0 = none. */
  readonly peerIndex: number
  /** This namespace's number for the one that `peerIndex` is in; undefined = this one. */
  readonly peerNumber: number | undefined
}

export interface ReadNamespace {
  readonly id: string
  readonly links: readonly ReadLink[]
  readonly routes: readonly RouteView[]
  /** What this namespace calls other namespaces, their ids by its numbers, as far as asked. */
  readonly numbers: Map<number, string>
}

/** A namespace that is open: its links can be listed, and it can be asked for its numbers of others. */
export class OpenNamespace {
  readonly id: string
  readonly fd: number
  readonly #conn: Conn

  /** @throws {NetnsError} when the path leads to no namespace any more, or to another one */
  constructor(path: string, id: string) {
    this.fd = openNetns(path)
    this.id = id
    if (String(netnsNumber(this.fd)) !== id) {
      closeDescriptor(this.fd)
      throw new NetnsError(path, 'absent', 'it is another namespace by now')
    }
    // Without root a process may not enter its own namespace either.
    this.#conn = connectToKernel(NETLINK_ROUTE, sameNetns(this.fd, ownNetns()) ? ownNetns() : this.fd)
  }

  /** @throws {KernelError}; {SysError} EPERM without CAP_SYS_ADMIN, unless it is this process's own */
  links(): readonly ReadLink[] {
    const addresses = byIndex(new KernelAddresses(this.#conn).list())
    return this.#conn
      .dump('list', 'links', RTM_GETLINK, encodeLink(EMPTY_LINK))
      .map(payload => readLink(linkOf(payload), countersOf(payload), addresses))
  }

  /** @param links of this namespace */
  routes(links: readonly ReadLink[]): readonly RouteView[] {
    const names = new Map(links.map(({ view }) => [view.index, view.name]))
    return new KernelRoutes(this.#conn).list({}).map(route => routeView(route, names))
  }

  /** This namespace's number for another one; undefined when it has none. */
  numberOf(other: OpenNamespace): number | undefined {
    return findNetnsId(this.#conn, other.fd)
  }

  close(): void {
    this.#conn.close()
    closeDescriptor(this.fd)
  }
}

function byIndex(addresses: readonly Address[]): ReadonlyMap<number, readonly string[]> {
  const all = new Map<number, string[]>()
  for (const { index, prefix } of addresses) {
    const texts = all.get(index)
    if (texts === undefined) all.set(index, [formatPrefix(prefix)])
    else texts.push(formatPrefix(prefix))
  }
  return all
}

function readLink(link: Link, counters: CountersView, addresses: ReadonlyMap<number, readonly string[]>): ReadLink {
  const { info } = link
  const vxlan = vxlanOf(link)
  return {
    peerIndex: link.parentIndex ?? 0,
    peerNumber: link.linkNetnsId,
    view: {
      index: link.index,
      name: link.name,
      altNames: link.altNames,
      alias: link.alias ?? '',
      kind: link.kind ?? '',
      mac: link.mac === undefined ? '' : formatMac(link.mac),
      mtu: link.mtu,
      isUp: link.isUp,
      state: link.operState,
      master: link.masterIndex ?? 0,
      isIsolated: link.port?.isolated ?? false,
      addresses: addresses.get(link.index) ?? [],
      ...(vxlan === undefined ? {} : { vxlan }),
      vlan: info.kind === 'vlan' ? (info.id ?? 0) : 0,
      counters
    }
  }
}

function vxlanOf({ info }: Link): VxlanView | undefined {
  if (info.kind !== 'vxlan') return undefined
  return {
    id: info.id ?? 0,
    local: info.local === undefined ? '' : formatAddress(info.local),
    group: info.group === undefined ? '' : formatAddress(info.group),
    port: info.port ?? 0
  }
}

function routeView(route: Route, names: ReadonlyMap<number, string>): RouteView {
  return {
    dst: route.dst === undefined || route.dst.length === 0 ? 'default' : formatPrefix(route.dst),
    family: route.family ?? 4,
    gateway: route.gateway === undefined ? '' : formatAddress(route.gateway),
    link: names.get(route.index ?? 0) ?? '',
    metric: route.metric ?? 0,
    type: route.type ?? 'unicast'
  }
}
