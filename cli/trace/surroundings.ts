/** What a namespace would do with a packet: routes as its kernel chooses them, neighbours, forwarding, filters by return path. */
import { readFileSync } from 'node:fs'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { connectToKernel } from '../../lib/net/kernel-net.ts'
import { ROUTE_TYPES } from '../../lib/net/kernel-routes.ts'
import type { NeighbourState } from '../../lib/net/neighbours.ts'
import type { Net } from '../../lib/net/net.ts'
import { AF_INET, AF_INET6 } from '../../lib/netlink/rt/link.ts'
import { decodeRoute, EMPTY_ROUTE, encodeRoute, RTM_GETROUTE } from '../../lib/netlink/rt/route.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { NETLINK_ROUTE } from '../../lib/sys/netlink-socket.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import type { LinkView, NamespaceView, View } from '../../lib/view/model.ts'

/** Which way a packet goes, or why it goes none. */
export interface Way {
  /** RTN_* in words; '' when there is none. */
  readonly type: string
  readonly link: LinkView | undefined
  readonly gateway: IpAddress | undefined
  /** The source address that a program here gets. */
  readonly source: IpAddress | undefined
  /** Why the kernel refuses: ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL; '' when it does not. */
  readonly errno: string
}

/** A packet that has come in: from where, and by which interface. */
interface Incoming {
  readonly source: IpAddress
  readonly link: LinkView
}

/** A socket that waits for packets, of any address when `address` is unspecified. */
export interface Listener {
  readonly address: IpAddress
  readonly port: number
}

export class Surroundings {
  readonly view: NamespaceView
  readonly #net: Net

  /** @param net open, for the caller to close */
  constructor(view: NamespaceView, net: Net) {
    this.view = view
    this.#net = net
  }

  get namespaceFd(): number {
    return this.#net.namespaceFd()
  }

  /** `ip route get DESTINATION`, with `from SOURCE iif LINK` for what has come in. */
  wayTo(destination: IpAddress, incoming?: Incoming): Way {
    const bits = destination.bytes.length * 8
    const payload = encodeRoute({
      ...EMPTY_ROUTE,
      family: destination.family === 4 ? AF_INET : AF_INET6,
      dst: destination,
      dstLength: bits,
      src: incoming?.source,
      srcLength: incoming === undefined ? 0 : bits,
      inputIndex: incoming?.link.index
    })
    const conn = connectToKernel(NETLINK_ROUTE, this.namespaceFd)
    try {
      const object = formatAddress(destination)
      const answer = conn.attempt({
        operation: 'look up route',
        object,
        type: RTM_GETROUTE,
        flags: 0,
        payload,
        answer: 'message'
      })
      const [bytes] = answer.payloads
      if (answer.errno !== '' || bytes === undefined) return { ...NO_WAY, errno: answer.errno }
      const { type, index, gateway, via, source } = decodeRoute(bytes)
      const link = this.view.links.find(one => one.index === index)
      return { type: ROUTE_TYPES[type] ?? String(type), link, gateway: gateway ?? via, source, errno: '' }
    } finally {
      conn.close()
    }
  }

  neighbour(
    link: LinkView,
    address: IpAddress
  ): { readonly state: NeighbourState; readonly mac: Uint8Array | undefined } {
    const wanted = formatAddress(address)
    const found = this.#net.neighbours.list(link.index).find(one => formatAddress(one.address) === wanted)
    return { state: found?.state ?? 'none', mac: found?.mac }
  }

  /** Of /proc/sys/net; '' where there is no such file. */
  sysctl(path: string): string {
    return this.#net.sysctls.read(path) ?? ''
  }

  forwards(family: 4 | 6, by: LinkView): boolean {
    return this.sysctl(family === 4 ? `ipv4/conf/${by.name}/forwarding` : 'ipv6/conf/all/forwarding') !== '0'
  }

  /** Of IPv4: 0 = none, 1 = strict, 2 = loose: the higher of the interface's and of all. */
  returnPathFilter(link: LinkView): number {
    return Math.max(...['all', link.name].map(name => Number(this.sysctl(`ipv4/conf/${name}/rp_filter`))))
  }

  has(address: IpAddress): boolean {
    return addressesOf(this.view).includes(formatAddress(address)) || this.wayTo(address).type === 'local'
  }

  /** @source man 5 proc, /proc/net/tcp: hexadecimal, addresses in words of the machine's order; state 0A listens */
  listeners(protocol: 'tcp' | 'udp', port: number): readonly Listener[] {
    return ['', '6']
      .flatMap(suffix => this.#socketLines(`${protocol}${suffix}`))
      .flatMap(line => {
        const [, local = '', , state] = line.trim().split(/\s+/)
        const [hex = '', portHex = ''] = local.split(':')
        if (Number.parseInt(portHex, 16) !== port || (protocol === 'tcp' && state !== '0A')) return []
        return [{ address: addressIn(hex), port }]
      })
  }

  #socketLines(file: string): readonly string[] {
    try {
      return inNamespace(this.namespaceFd, () => readFileSync(`/proc/thread-self/net/${file}`, 'utf8'))
        .split('\n')
        .slice(1)
    } catch (error) {
      if (errnoOf(error) === '') throw error
      return [] // no IPv6
    }
  }
}

const NO_WAY: Way = { type: '', link: undefined, gateway: undefined, source: undefined, errno: '' }

function addressIn(hex: string): IpAddress {
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse()
  return { family: bytes.length === 4 ? 4 : 6, bytes }
}

/** Without prefix lengths. */
function addressesOf({ links }: NamespaceView): readonly string[] {
  return links.flatMap(link => link.addresses.map(address => address.split('/')[0] ?? ''))
}

/** Who has an address, loopbacks aside: several where it is there twice, or on networks that do not know each other. */
export function ownersOf(view: View, address: IpAddress): readonly NamespaceView[] {
  const text = formatAddress(address)
  return view.namespaces.filter(one =>
    one.links.some(link => link.name !== 'lo' && link.addresses.some(own => own.split('/')[0] === text))
  )
}

/** The link of a namespace that has an address. */
export function linkWith(namespace: NamespaceView, address: IpAddress): LinkView | undefined {
  const text = formatAddress(address)
  return namespace.links.find(link => link.addresses.some(own => own.split('/')[0] === text))
}

/** Addresses that a person may name, in the order in which one is chosen: of interfaces, IPv4 first. */
export function candidatesOf(namespace: NamespaceView): readonly IpAddress[] {
  const all = namespace.links
    .filter(link => link.name !== 'lo')
    .flatMap(link => link.addresses.map(one => parseAddress(one.split('/')[0] ?? '') ?? []))
    .flat()
    .filter(one => !formatAddress(one).startsWith('fe80:'))
  return [...all.filter(one => one.family === 4), ...all.filter(one => one.family === 6)]
}

/** The view without namespaces that no wire leads to from any of these, over whatever lies between. */
export function connectedTo(view: View, starts: readonly (NamespaceView | undefined)[]): View {
  const next = new Map<string, string[]>(view.namespaces.map(one => [one.id, []]))
  for (const { id, links } of view.namespaces) {
    for (const { peer } of links) {
      if (peer === undefined || !next.has(peer.namespace)) continue
      next.get(id)?.push(peer.namespace)
      next.get(peer.namespace)?.push(id)
    }
  }
  const reached = new Set(starts.flatMap(one => one?.id ?? []))
  for (const id of reached) for (const other of next.get(id) ?? []) reached.add(other)
  return { ...view, namespaces: view.namespaces.filter(one => reached.has(one.id)) }
}
