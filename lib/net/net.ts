/**
 * A network namespace in the words of `ip`, `bridge`, `tc` and `sysctl`: what plugins are written against.
 *
 *     container.links.find('eth0')
 *     container.addresses.ensure(link.index, [{ prefix }])
 *
 * A Net is an open namespace. Host and container are two of them, passed as arguments; no call changes the
 * namespace of its caller. Verbs: `add` fails when it is there, `ensure` accepts exactly this one, `remove` says
 * whether there was one, `find` gives a value or undefined, `get` a value or an error, `list` everything.
 */
import type { Addresses, NewAddress } from './addresses.ts'
import type { Links } from './links.ts'
import { Namespace } from './namespace.ts'
import type { Fdb, Neighbours } from './neighbours.ts'
import type { Filters, Qdiscs } from './qdiscs.ts'
import type { Route, Routes } from './routes.ts'
import type { Rules } from './rules.ts'
import type { Sysctls } from './sysctls.ts'
import type { Vlans } from './vlans.ts'

/** What a namespace holds, each under the word that `ip` has for it. */
export interface Nouns {
  readonly links: Links
  readonly vlans: Vlans
  readonly addresses: Addresses
  readonly routes: Routes
  readonly neighbours: Neighbours
  readonly fdb: Fdb
  readonly rules: Rules
  readonly qdiscs: Qdiscs
  readonly filters: Filters
  readonly sysctls: Sysctls
}

/** What a link is to have when it comes up. */
export interface BringUp {
  readonly addresses: readonly NewAddress[]
  readonly alias: string | undefined
  /** Each through the link, in the order in which one leads to the gateway of another. */
  readonly routes: readonly Route[]
}

export abstract class Net extends Namespace {
  readonly links: Links
  readonly vlans: Vlans
  readonly addresses: Addresses
  readonly routes: Routes
  readonly neighbours: Neighbours
  readonly fdb: Fdb
  readonly rules: Rules
  readonly qdiscs: Qdiscs
  readonly filters: Filters
  readonly sysctls: Sysctls

  constructor(nouns: Nouns) {
    super()
    this.links = nouns.links
    this.vlans = nouns.vlans
    this.addresses = nouns.addresses
    this.routes = nouns.routes
    this.neighbours = nouns.neighbours
    this.fdb = nouns.fdb
    this.rules = nouns.rules
    this.qdiscs = nouns.qdiscs
    this.filters = nouns.filters
    this.sysctls = nouns.sysctls
  }

  /**
   * Gives a link its addresses, sets it up, and adds its routes, in this order and in one go: each step alone would be a question
   * and an answer. The kernel goes on after a step that it refuses.
   *
   * @returns false when the place of a route is taken, perhaps by the same one: see Routes.ensure
   * @throws {KernelError} of the first step that was refused otherwise
   */
  abstract bringUp(index: number, setup: BringUp): boolean
  /** This namespace's number for the other one, which `Link.linkNetnsId` uses; undefined when it has none. */
  abstract findNetnsId(other: Namespace): number | undefined
  /**
   * Runs `work` while no other process that asks for the same holds this namespace, whatever path it was opened by: for
   * what has to be looked up and taken in one go, such as a free routing table. Others may be made to wait for no reason;
   * asking for a second namespace meanwhile may wait for oneself.
   *
   * @param patience milliseconds; as long as a holder may need, where it is left out
   * @throws {SysError} EAGAIN when it takes too long
   */
  abstract withLock(work: () => void, patience?: number): void
}
