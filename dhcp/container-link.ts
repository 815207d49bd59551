/** The interface that a lease is for, in its namespace, which is held open: it is there until the lease is given back. */
import { statSync } from 'node:fs'
import { kernelRoutes } from '../lib/attach/interface.ts'
import { resultFromJson } from '../lib/cni/result-json.ts'
import type { Json } from '../lib/config/json.ts'
import { isLinkLocal } from '../lib/ip/address.ts'
import { type IpPrefix, lastAddress } from '../lib/ip/prefix.ts'
import { enableIpv6 } from '../lib/net/configure-interface.ts'
import { routesOf, withPrefixRoute } from '../lib/net/interface-routes.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import type { Link } from '../lib/net/links.ts'
import type { Net } from '../lib/net/net.ts'
import type { Route } from '../lib/net/routes.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import { NoLease } from './acquisition.ts'
import type { Family } from './options-config.ts'
import { type DhcpSocket, openSocket } from './socket.ts'
import { pause } from './time.ts'
import { type DhcpSocket6, openSocket6 } from './v6/socket.ts'

/** linux/if.h: it is connected and its queue runs. */
const IFF_RUNNING = 0x40
const LOOK_AGAIN = 10
/** A bridge port that must wait for its bridge, a card that talks to its switch: the messages are repeated anyway. */
const LONGEST_COMING_UP = 1000

/** Device and inode of a namespace's path; '' when there is nothing. */
export function netnsIdOf(path: string): string {
  try {
    const { dev, ino } = statSync(path)
    return `${dev}:${ino}`
  } catch {
    return ''
  }
}

export class ContainerLink {
  readonly #net: Net
  readonly #name: string
  /** What went with the address. */
  #routes: readonly Route[] | undefined
  #isOpen = true

  /** @throws NetnsError when the path is no namespace */
  constructor(kernel: Kernel, netns: string, name: string) {
    this.#net = kernel.open(netns)
    this.#name = name
  }

  find(): Link | undefined {
    return this.#net.links.find(this.#name)
  }

  /** Sets it up and waits until it carries messages, for a second at most. @returns whether it was down */
  async bringUp(link: Link, families: readonly Family[], signal: AbortSignal): Promise<boolean> {
    if (families.includes(6)) enableIpv6(this.#net, link.name, false)
    if (!link.isUp) this.#net.links.set(link.index, { up: true })
    for (let waited = 0; waited < LONGEST_COMING_UP; waited += LOOK_AGAIN) {
      if (((this.find()?.flags ?? 0) & IFF_RUNNING) !== 0) break
      await pause(LOOK_AGAIN, signal)
    }
    return !link.isUp
  }

  takeDown(link: Link): void {
    this.#net.links.set(link.index, { up: false })
  }

  /** @throws SysError ENODEV when the interface is gone */
  openSocket(link: Link): DhcpSocket {
    return openSocket(this.#net.namespaceFd(), link.index, link.mac ?? new Uint8Array(6))
  }

  /** @throws NoLease when the kernel gives the interface no link-local address */
  async openSocket6(link: Link, duid: Uint8Array, signal: AbortSignal): Promise<DhcpSocket6> {
    for (let waited = 0; ; waited += LOOK_AGAIN) {
      const all = this.#net.addresses.list(link.index)
      const own = all.find(
        one => isLinkLocal(one.prefix.address) && one.prefix.address.family === 6 && !one.isTentative
      )
      if (own !== undefined) {
        const place = { index: link.index, mac: link.mac ?? new Uint8Array(6), from: own.prefix.address, duid }
        return openSocket6(this.#net.namespaceFd(), place)
      }
      if (waited >= LONGEST_COMING_UP) throw new NoLease('the interface has no IPv6 link-local address')
      await pause(LOOK_AGAIN, signal)
    }
  }

  /** Takes the address away, and with it the routes that the kernel ties to it. */
  removeAddress(address: IpPrefix): void {
    const link = this.find()
    if (link === undefined) return
    this.#routes = this.#net.routes.list({ family: address.address.family, index: link.index })
    this.#net.addresses.remove(link.index, address)
  }

  /** Gives address and routes back: those that were there, or the ones of the result when nobody knows any more. */
  restoreAddress(address: IpPrefix, result: Json): void {
    const link = this.find()
    if (link === undefined) return
    const isIpv6 = address.address.family === 6
    const broadcast = !isIpv6 && address.length < 31 ? lastAddress(address) : undefined
    this.#net.addresses.ensure(link.index, [{ prefix: address, broadcast, noDad: isIpv6 }])
    const setup = { addresses: [address], routes: kernelRoutes(resultFromJson(result, '1.1.0', 'lease')) }
    for (const route of this.#routes ?? routesOf(setup, withPrefixRoute(setup), link.index)) this.#restoreRoute(route)
    this.#routes = undefined
  }

  /** Another network's may have the place meanwhile. */
  #restoreRoute(route: Route): void {
    try {
      this.#net.routes.ensure([route])
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
  }

  close(): void {
    if (this.#isOpen) this.#net.close()
    this.#isOpen = false
  }
}
