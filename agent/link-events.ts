/**
 * What happens to links, neighbours, addresses and default routes in this namespace. The socket cannot be waited for together with Node's own, so it
 * is looked into ten times a second, which costs one system call each.
 */

import { DecodeError } from '../lib/bytes/reader.ts'
import { KernelEvents } from '../lib/netlink/events.ts'
import { decodeAddress, RTM_DELADDR, RTM_NEWADDR } from '../lib/netlink/rt/address.ts'
import { decodeLink, RTM_DELLINK, RTM_NEWLINK } from '../lib/netlink/rt/link.ts'
import { decodeNeighbour, type NeighbourMessage, RTM_DELNEIGH } from '../lib/netlink/rt/neighbour.ts'
import { decodeRoute, RTM_DELROUTE, RTM_NEWROUTE } from '../lib/netlink/rt/route.ts'
import { SysError } from '../lib/sys/errors.ts'
import { NETLINK_ROUTE } from '../lib/sys/netlink-socket.ts'

const RTNLGRP_LINK = 1
const RTNLGRP_NEIGH = 3
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV4_ROUTE = 7
const RTNLGRP_IPV6_IFADDR = 9
const RTNLGRP_IPV6_ROUTE = 11
const POLL_MS = 100
const BUFFER = 4 * 1024 * 1024

export interface EventListener {
  readonly linkChanged: (index: number, name: string, isGone: boolean) => void
  readonly neighbourGone: (entry: NeighbourMessage) => void
  /** A link lost an address. */
  readonly addressGone: (index: number) => void
  /** What the underlay is chosen by may be another: addresses, MTUs, default routes. */
  readonly underlayChanged: () => void
  /** Events were lost: everything has to be looked at. */
  readonly lost: () => void
}

export class LinkEvents {
  readonly #events: KernelEvents
  readonly #listener: EventListener
  readonly #timer: NodeJS.Timeout
  readonly #mtus = new Map<number, number>()

  constructor(listener: EventListener) {
    this.#listener = listener
    const groups = [RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
    groups.push(RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE)
    this.#events = new KernelEvents(NETLINK_ROUTE, groups, BUFFER)
    this.#timer = setInterval(() => this.#drain(), POLL_MS)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#events.close()
  }

  #drain(): void {
    for (;;) {
      try {
        const messages = this.#events.take()
        if (messages === undefined) return
        for (const { type, payload } of messages) this.#tell(type, payload)
      } catch (error) {
        // A newer kernel may tell in another form; then looking at everything is what is left.
        const isLost = error instanceof DecodeError || (error instanceof SysError && error.errno === 'ENOBUFS')
        if (!isLost) throw error
        this.#listener.lost()
      }
    }
  }

  #tell(type: number, payload: Uint8Array): void {
    if (type === RTM_NEWLINK || type === RTM_DELLINK) {
      const link = decodeLink(payload)
      // A bridge tells of its ports in messages of another family, also when a port only leaves it.
      const isGone = type === RTM_DELLINK && link.family === 0
      this.#listener.linkChanged(link.index, link.name ?? '', isGone)
      if (this.#hasOtherMtu(link.index, isGone ? undefined : link.mtu)) this.#listener.underlayChanged()
    }
    if (type === RTM_DELNEIGH) this.#listener.neighbourGone(decodeNeighbour(payload))
    if (type === RTM_DELADDR) this.#listener.addressGone(decodeAddress(payload).index)
    if (type === RTM_DELADDR || type === RTM_NEWADDR) this.#listener.underlayChanged()
    if ((type === RTM_NEWROUTE || type === RTM_DELROUTE) && decodeRoute(payload).dstLength === 0)
      this.#listener.underlayChanged()
  }

  /** Than was told last. */
  #hasOtherMtu(index: number, mtu: number | undefined): boolean {
    const before = this.#mtus.get(index)
    if (mtu === undefined) this.#mtus.delete(index)
    else this.#mtus.set(index, mtu)
    return mtu !== undefined && before !== mtu
  }
}
