/**
 * The real thing: namespaces of this machine's kernel, by rtnetlink and /proc/sys/net.
 *
 * Each namespace is entered once, to open a socket there; the socket stays behind in it. What a verb does is in
 * the file named after its noun, beside this one.
 */
import { type Conn, KernelConn, NetlinkSocket, refusal } from '../netlink/conn.ts'
import { KernelNft } from '../nft/kernel-nft.ts'
import type { Nft } from '../nft/nft.ts'
import { LOCK_DIRECTORY, withLock as withFileLock } from '../sys/file-lock.ts'
import { closeDescriptor } from '../sys/files.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '../sys/netlink-socket.ts'
import { NetnsError, netnsInode, netnsNumber, openNetns, ownNetns, sameNetns } from '../sys/netns.ts'
import { Kernel } from './kernel.ts'
import { addAddressRequest, KernelAddresses, requireAdded } from './kernel-addresses.ts'
import { KernelLinks, setLinkRequest } from './kernel-links.ts'
import { KernelFdb, KernelNeighbours } from './kernel-neighbours.ts'
import { KernelFilters, KernelQdiscs } from './kernel-qdiscs.ts'
import { addRouteRequest, KernelRoutes } from './kernel-routes.ts'
import { KernelRules } from './kernel-rules.ts'
import { KernelSysctls } from './kernel-sysctls.ts'
import { KernelVlans } from './kernel-vlans.ts'
import type { Namespace } from './namespace.ts'
import { type BringUp, Net, type Nouns } from './net.ts'
import { findNetnsId } from './netns-id.ts'

/** So many files are shared by all namespaces: one for each would have to be removed, and namespaces come and go. */
const NAMESPACE_LOCKS = 64

/** Opens a connection of a protocol (NETLINK_*) in a namespace; -1 = the one the process is in. */
export type Connect = (protocol: number, namespaceFd: number) => Conn

/** The connection that plugins have; it opens its socket when the first request is sent. */
export function connectToKernel(protocol: number, namespaceFd: number): Conn {
  return new KernelConn(new NetlinkSocket(protocol, namespaceFd))
}

export class LinuxKernel extends Kernel {
  readonly #connect: Connect

  /** @param connect a test's may refuse changes on their way to the kernel */
  constructor(connect: Connect = connectToKernel) {
    super()
    this.#connect = connect
  }

  override host(): Net {
    return this.#open('', -1)
  }

  override open(path: string): Net {
    return this.#open(path, openNetns(path))
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

  override nft(net: Net): Nft {
    const connect = this.#connect
    return new KernelNft(connect(NETLINK_NETFILTER, net.namespaceFd()))
  }

  /** @param fd of the namespace, closed with the Net; -1 = the one the process was started in */
  #open(path: string, fd: number): Net {
    const connect = this.#connect
    return new KernelNet(path, fd, connect(NETLINK_ROUTE, fd))
  }
}

class KernelNet extends Net {
  readonly #path: string
  readonly #fd: number
  readonly #route: Conn

  constructor(path: string, fd: number, route: Conn) {
    super(nounsOf(route, fd < 0 ? ownNetns() : fd))
    this.#path = path
    this.#fd = fd
    this.#route = route
  }

  override path(): string {
    return this.#path
  }

  override namespaceFd(): number {
    return this.#fd < 0 ? ownNetns() : this.#fd
  }

  override isSameAs(other: Namespace): boolean {
    return sameNetns(this.namespaceFd(), other.namespaceFd())
  }

  override bringUp(index: number, { addresses, alias, routes }: BringUp): boolean {
    const requests = addresses.map(address => addAddressRequest(index, address))
    requests.push(setLinkRequest(index, { up: true, alias }))
    const answers = this.#route.batch(requests.concat(routes.map(addRouteRequest)))
    requireAdded(addresses, answers, () => this.addresses.list(index))
    let areThere = true
    for (const answer of answers.slice(addresses.length)) {
      if (answer.errno === 'EEXIST') areThere = false
      else if (answer.errno !== '' && areThere) throw refusal(answer)
    }
    return areThere
  }

  override findNetnsId(other: Namespace): number | undefined {
    return findNetnsId(this.#route, other.namespaceFd())
  }

  override id(): string {
    return netnsInode(this.namespaceFd())
  }

  override close(): void {
    this.#route.close()
    if (this.#fd >= 0) closeDescriptor(this.#fd)
  }

  override withLock(work: () => void, patience?: number): void {
    const lock = netnsNumber(this.namespaceFd()) % NAMESPACE_LOCKS
    withFileLock(`${LOCK_DIRECTORY}/netns-${String(lock)}`, 0o600, work, patience)
  }
}

function nounsOf(conn: Conn, namespaceFd: number): Nouns {
  return {
    links: new KernelLinks(conn, namespaceFd),
    vlans: new KernelVlans(conn),
    addresses: new KernelAddresses(conn),
    routes: new KernelRoutes(conn),
    neighbours: new KernelNeighbours(conn),
    fdb: new KernelFdb(conn),
    rules: new KernelRules(conn),
    qdiscs: new KernelQdiscs(conn),
    filters: new KernelFilters(conn),
    sysctls: new KernelSysctls(namespaceFd)
  }
}
