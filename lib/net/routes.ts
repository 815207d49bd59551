/** `ip route`. */
import type { IpAddress } from '../ip/address.ts'
import type { IpPrefix } from '../ip/prefix.ts'

/** Route and address scopes (linux/rtnetlink.h RT_SCOPE_*). */
export const SCOPE_GLOBAL = 0
export const SCOPE_LINK = 253
export const SCOPE_HOST = 254
export const SCOPE_NOWHERE = 255

/** Routing tables (linux/rtnetlink.h RT_TABLE_*). */
export const TABLE_DEFAULT = 253
export const TABLE_MAIN = 254
export const TABLE_LOCAL = 255

/** Who made a route (linux/rtnetlink.h RTPROT_*). */
export const PROTOCOL_KERNEL = 2
export const PROTOCOL_BOOT = 3

export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'
  | 'nat'

/** A route, as listed and as to be added: what `list` gives can be passed to `add` again. */
export interface Route {
  /** Needed only where neither `dst` nor `gateway` tells it. */
  readonly family?: 4 | 6 | undefined
  /** undefined = default */
  readonly dst: IpPrefix | undefined
  /** May be of the other family (IPv4 via IPv6). */
  readonly gateway?: IpAddress | undefined
  readonly index?: number | undefined
  /** The preferred source address. */
  readonly source?: IpAddress | undefined
  /** Also called priority: the lowest wins. */
  readonly metric?: number | undefined
  /** bytes */
  readonly mtu?: number | undefined
  /** bytes */
  readonly advmss?: number | undefined
  /** main (254) when absent */
  readonly table?: number | undefined
  /** RT_SCOPE_*; as `ip route` chooses when absent */
  readonly scope?: number | undefined
  /** RTPROT_*; boot when absent, as `ip route` has it */
  readonly protocol?: number | undefined
  /** Take the gateway for a neighbour even where no prefix says so. */
  readonly onlink?: boolean | undefined
  readonly type?: RouteType | undefined
  /** Several ways instead of `gateway` and `index`. */
  readonly nextHops?: readonly NextHop[] | undefined
}

export interface NextHop {
  readonly gateway: IpAddress | undefined
  readonly index: number
  /** 1 to 256 */
  readonly weight: number
  readonly onlink: boolean
}

/** Every field given must match. */
export interface RouteFilter {
  readonly family?: 4 | 6 | undefined
  /** main (254) when absent; 0 = every table */
  readonly table?: number | undefined
  readonly index?: number | undefined
  /** The very prefix, not what it contains. */
  readonly dst?: IpPrefix | undefined
}

/** @throws {KernelError} by every verb, for whatever the kernel refuses; the codes named are the ones to tell apart */
export abstract class Routes {
  /** Of both families and table main where the filter says nothing else. */
  abstract list(filter: RouteFilter): readonly Route[]
  /** `ip route get`: the way to an address; undefined when there is none. */
  abstract lookup(address: IpAddress): Route | undefined
  /** @throws {KernelError} EEXIST, ENETUNREACH when the gateway is no neighbour, ENODEV, ENETDOWN */
  abstract add(route: Route): void
  /**
   * Adds them in their order and in one go, or accepts those with the same destination, table, metric, gateway and link.
   *
   * @throws {KernelError} EEXIST when another has the place of one
   */
  abstract ensure(routes: readonly Route[]): void
  /** Adds it in place of the one with the same destination, table and metric, if there is one. */
  abstract replace(route: Route): void
  /** @returns false when there was none */
  abstract remove(route: Route): boolean
}
