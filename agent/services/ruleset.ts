/**
 * Services in a client's own nf_tables: what it sends to a service's address goes to one of the members. One table for
 * each family:
 *
 *     table ip patchbay-services {
 *       map services { type ipv4_addr : verdict; elements = { 10.4.0.100 comment "web" : goto turn-10.4.0.100 } }
 *       map members { type ipv4_addr . mark : ipv4_addr
 *                     elements = { 10.4.0.100 . 0 : 10.4.0.5, 10.4.0.100 . 1 : 10.4.0.6 } }
 *       set empty { type ipv4_addr; elements = { 10.4.0.101 } }
 *       set sent { type ipv4_addr . ipv4_addr; counter; elements = { 10.4.0.100 . 10.4.0.5, … } }
 *       set received …
 *       chain output { type nat hook output priority -100; ip daddr vmap @services }
 *       chain turn-10.4.0.100 { dnat ip to ip daddr . numgen inc mod 2 map @members }
 *       chain filter { type filter hook output priority 0
 *         ct status dnat ct original ip daddr . ip daddr @sent accept
 *         ip daddr @empty meta l4proto tcp reject with tcp reset; ip daddr @empty reject }
 *       chain input { type filter hook input priority 0; ct status dnat ct original ip daddr . ip saddr @received }
 *     }
 *
 * A packet costs two lookups, a connection's first one three, however many services and members there are. (`mark` is nft's
 * name for a number of four bytes in the host's order, which is what numgen gives.)
 *
 * What is in the table is never read back: the container can have put anything there. An agent that starts makes it anew, in
 * one transaction.
 */
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import type { NfCounter } from '../../lib/netlink/nf/set-element.ts'
import {
  addressField,
  concatenate,
  gotoElement,
  keyElement,
  type Nft,
  NftBatch,
  type NftElement,
  type NftFamily,
  type NftField,
  nftFamily
} from '../../lib/nft/nft.ts'
import {
  hostOrder,
  matchProtocol,
  matchSet,
  matchTranslatedDestination,
  rejectUnreachable,
  rejectWithReset,
  rule,
  translateToOneOf,
  verdict,
  verdictFrom
} from '../../lib/nft/rule.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { slotsOf, turnsOf } from './placement.ts'

const TABLE = 'patchbay-services'
const SERVICES = 'services'
const MEMBERS = 'members'
const EMPTY = 'empty'
const SENT = 'sent'
const RECEIVED = 'received'
const OUTPUT = 'output'
const FILTER = 'filter'
const INPUT = 'input'
const DNAT_PRIORITY = -100
const IPPROTO_TCP = 6

/** A service of one family, as a client is to see it. */
export interface Balanced {
  readonly service: string
  readonly vip: IpAddress
  readonly members: readonly IpAddress[]
  /** A source stays with a member as long as that is there. */
  readonly isSticky: boolean
}

/** A member that a service has no longer. */
export interface Way {
  readonly service: string
  readonly vip: IpAddress
  readonly member: IpAddress
}

/** What went a way, in both directions. */
export interface Traffic extends Way {
  readonly sent: NfCounter
  readonly received: NfCounter
}

/** As it is in the kernel. */
interface Present {
  /** What it was made of: the same object again means the same again. */
  readonly of: Balanced
  readonly service: string
  readonly vip: IpAddress
  readonly isSticky: boolean
  /** Addresses as texts, by their places; none: refused. */
  readonly places: readonly string[]
}

/** What changes, collected over all services: few large messages instead of many small ones. */
class Changes {
  readonly removed = new Map<string, NftElement[]>()
  readonly added = new Map<string, NftElement[]>()
  readonly chainsToRemove: string[] = []
  readonly chainsToFlush: string[] = []
  readonly chainsToAdd: string[] = []
  readonly rules: { readonly chain: string; readonly isSticky: boolean; readonly count: number }[] = []

  remove(set: string, element: NftElement): void {
    listOf(this.removed, set).push(element)
  }

  add(set: string, element: NftElement): void {
    listOf(this.added, set).push(element)
  }

  isEmpty(): boolean {
    return this.removed.size === 0 && this.added.size === 0 && this.rules.length === 0
  }
}

export class ServiceTable {
  readonly #nft: Nft
  readonly #family: NftFamily
  /** Where this client's turns begin. */
  readonly #turn: number
  #present = new Map<string, Present>()
  /** Whether the kernel has the table, and it is ours. */
  #isThere = false
  /** Nothing is known yet of what an agent before us has left. */
  #isFresh = true

  constructor(nft: Nft, family: 4 | 6, turn: number) {
    this.#nft = nft
    this.#family = nftFamily(family)
    this.#turn = turn
  }

  /**
   * Makes the table be as wanted, by one transaction; nothing is sent when it is.
   *
   * @returns the ways that there are no longer
   * @throws {KernelError} when the kernel has no nf_tables, or not what this needs of it
   */
  apply(wanted: readonly Balanced[]): readonly Way[] {
    const next = this.#placed(wanted)
    if (!this.#isThere) {
      if (next.size > 0) this.#make(next)
      else if (this.#isFresh) this.#dropLeft()
      this.#isFresh = false
      return []
    }
    const gone = this.#goneIn(next)
    if (next.size === 0) this.#drop()
    else this.#change(next)
    return gone
  }

  /** Makes it anew when somebody has taken it away. @returns whether that was so */
  repair(): boolean {
    if (!this.#isThere || this.#nft.findTable(this.#family, TABLE) !== undefined) return false
    this.#make(this.#present)
    return true
  }

  /** Everything of a service, or of all. */
  traffic(service?: string): readonly Traffic[] {
    const ways = this.#ways(this.#present).filter(way => service === undefined || way.service === service)
    return this.#trafficOn(ways)
  }

  /** Of some that are there now. */
  #trafficOn(ways: readonly Way[]): readonly Traffic[] {
    const keys = ways.map(way => wayKey(way))
    const sent = this.#nft.findElements(this.#family, TABLE, SENT, keys)
    const received = this.#nft.findElements(this.#family, TABLE, RECEIVED, keys)
    return ways.map((way, i) => ({
      ...way,
      sent: sent[i]?.counter ?? NOTHING,
      received: received[i]?.counter ?? NOTHING
    }))
  }

  /** What went the ways that `wanted` has no longer: to be asked before they are taken away. */
  trafficBefore(wanted: readonly Balanced[]): readonly Traffic[] {
    return this.#isThere ? this.#trafficOn(this.#goneIn(this.#placed(wanted))) : []
  }

  #placed(wanted: readonly Balanced[]): Map<string, Present> {
    const next = new Map<string, Present>()
    for (const one of wanted) {
      const { service, vip, members, isSticky } = one
      const key = formatAddress(vip)
      const before = this.#present.get(key)
      if (before?.of === one) {
        next.set(key, before)
        continue
      }
      const texts = [...new Set(members.map(formatAddress))]
      const known = before?.isSticky === isSticky ? before.places : []
      const places = isSticky ? slotsOf(texts) : turnsOf(known, texts, this.#turn)
      next.set(key, { of: one, service, vip, isSticky, places })
    }
    return next
  }

  #ways(present: ReadonlyMap<string, Present>): readonly Way[] {
    return [...present.values()].flatMap(waysOf)
  }

  #goneIn(next: ReadonlyMap<string, Present>): readonly Way[] {
    return [...this.#present].flatMap(([key, before]) => {
      const after = next.get(key)
      if (before === after) return []
      const kept = new Set(after?.places ?? [])
      return waysOf(before).filter(way => !kept.has(formatAddress(way.member)))
    })
  }

  #dropLeft(): void {
    if (this.#nft.findTable(this.#family, TABLE) !== undefined) this.#drop()
  }

  #drop(): void {
    const batch = new NftBatch()
    // Whoever has taken it away already has done what is wanted.
    batch.addTable(this.#family, TABLE)
    batch.removeTable(this.#family, TABLE)
    this.#nft.commit(batch, undefined)
    this.#present = new Map()
    this.#isThere = false
  }

  #change(next: Map<string, Present>): void {
    const changes = new Changes()
    for (const [key, before] of this.#present) if (next.get(key) !== before) compare(changes, before, next.get(key))
    for (const [key, after] of next) if (!this.#present.has(key)) compare(changes, undefined, after)
    if (changes.isEmpty()) {
      this.#present = next
      return
    }
    const batch = new NftBatch()
    this.#write(batch, changes)
    try {
      this.#nft.commit(batch, undefined)
      this.#present = next
    } catch (error) {
      // Somebody in the container has been at the table.
      if (!['ENOENT', 'EEXIST', 'EBUSY'].includes(errnoOf(error))) throw error
      this.#make(next)
    }
  }

  #make(next: Map<string, Present>): void {
    const changes = new Changes()
    for (const after of next.values()) compare(changes, undefined, after)
    const batch = new NftBatch()
    // What is there is made, so that it can be removed, and made anew, in one transaction.
    batch.addTable(this.#family, TABLE)
    batch.removeTable(this.#family, TABLE)
    batch.addTable(this.#family, TABLE)
    addBase(batch, this.#family)
    this.#write(batch, changes)
    this.#nft.commit(batch, undefined)
    this.#present = next
    this.#isThere = true
  }

  #write(batch: NftBatch, changes: Changes): void {
    const family = this.#family
    for (const [set, elements] of changes.removed) batch.removeElements(family, TABLE, set, elements)
    for (const chain of changes.chainsToRemove) batch.removeChain(family, TABLE, chain)
    for (const chain of changes.chainsToFlush) batch.removeRule(family, TABLE, chain, 0)
    for (const chain of changes.chainsToAdd) batch.addChain(family, TABLE, chain, undefined)
    for (const { chain, isSticky, count } of changes.rules) {
      const choice = { by: isSticky ? ('jhash saddr' as const) : ('numgen inc' as const), count }
      batch.addRule(family, TABLE, chain, translateToOneOf(family, ['daddr'], choice, { map: MEMBERS, hasPort: false }))
    }
    for (const [set, elements] of changes.added) batch.addElements(family, TABLE, set, elements)
  }
}

const NOTHING: NfCounter = { packets: 0, bytes: 0 }

function compare(changes: Changes, before: Present | undefined, after: Present | undefined): void {
  compareWays(changes, before, after)
  const isSame = before !== undefined && after !== undefined && chainOf(before) === chainOf(after)
  if (!isSame || before.service !== after.service) {
    if (before !== undefined) leave(changes, before, !isSame)
    if (after !== undefined) enter(changes, after, !isSame)
  }
  const was = before?.places ?? []
  const is = after?.places ?? []
  const vip = (after ?? before)?.vip
  if (vip === undefined) return
  for (let i = 0; i < Math.max(was.length, is.length); i += 1) {
    if (isSame && was[i] === is[i]) continue
    if (was[i] !== undefined) changes.remove(MEMBERS, keyElement(placeKey(vip, i), ''))
    const member = is[i] === undefined ? undefined : parseAddress(is[i] ?? '')
    if (member !== undefined) changes.add(MEMBERS, placeElement(vip, i, member))
  }
  if (isSame && was.length !== is.length && after.places.length > 0) {
    changes.chainsToFlush.push(chainOf(after))
    changes.rules.push({ chain: chainOf(after), isSticky: after.isSticky, count: is.length })
  }
}

/** What leads to a service: its chain, or that it is refused. */
function enter(changes: Changes, one: Present, isNew: boolean): void {
  const chain = chainOf(one)
  if (chain === '') {
    changes.add(EMPTY, keyElement(addressField(one.vip), one.service))
    return
  }
  changes.add(SERVICES, gotoElement(addressField(one.vip), chain, one.service))
  if (!isNew) return
  changes.chainsToAdd.push(chain)
  changes.rules.push({ chain, isSticky: one.isSticky, count: one.places.length })
}

function leave(changes: Changes, one: Present, isOver: boolean): void {
  const chain = chainOf(one)
  if (chain === '') {
    changes.remove(EMPTY, keyElement(addressField(one.vip), ''))
    return
  }
  changes.remove(SERVICES, gotoElement(addressField(one.vip), chain, ''))
  if (isOver) changes.chainsToRemove.push(chain)
}

function compareWays(changes: Changes, before: Present | undefined, after: Present | undefined): void {
  const was = before === undefined ? [] : waysOf(before)
  const is = after === undefined ? [] : waysOf(after)
  const known = new Set(was.map(way => formatAddress(way.member)))
  const wanted = new Set(is.map(way => formatAddress(way.member)))
  for (const set of [SENT, RECEIVED]) {
    for (const way of was) if (!wanted.has(formatAddress(way.member))) changes.remove(set, keyElement(wayKey(way), ''))
    for (const way of is) if (!known.has(formatAddress(way.member))) changes.add(set, keyElement(wayKey(way), ''))
  }
}

/** '' for a service without members. */
function chainOf(one: Present): string {
  if (one.places.length === 0) return ''
  return `${one.isSticky ? 'stick' : 'turn'}-${formatAddress(one.vip)}`
}

function waysOf({ service, vip, places }: Present): readonly Way[] {
  return [...new Set(places)].flatMap(text => {
    const member = parseAddress(text)
    return member === undefined ? [] : [{ service, vip, member }]
  })
}

function wayKey({ vip, member }: Way): Uint8Array {
  return concatenate([addressField(vip), addressField(member)])
}

function placeKey(vip: IpAddress, place: number): Uint8Array {
  return concatenate([addressField(vip), hostOrder(place)])
}

function placeElement(vip: IpAddress, place: number, member: IpAddress): NftElement {
  return { ...keyElement(placeKey(vip, place), ''), data: addressField(member) }
}

function addBase(batch: NftBatch, family: NftFamily): void {
  const address: NftField = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  batch.addSet(family, TABLE, { name: SERVICES, key: [address], data: [], isInterval: false })
  batch.addSet(family, TABLE, { name: MEMBERS, key: [address, 'mark'], data: [address], isInterval: false })
  batch.addSet(family, TABLE, { name: EMPTY, key: [address], data: undefined, isInterval: false })
  for (const name of [SENT, RECEIVED])
    batch.addSet(family, TABLE, { name, key: [address, address], data: undefined, isInterval: false, counts: true })
  batch.addChain(family, TABLE, OUTPUT, { type: 'nat', hook: 'output', priority: DNAT_PRIORITY, policy: undefined })
  batch.addChain(family, TABLE, FILTER, { type: 'filter', hook: 'output', priority: 0, policy: undefined })
  batch.addChain(family, TABLE, INPUT, { type: 'filter', hook: 'input', priority: 0, policy: undefined })
  const translated = matchTranslatedDestination()
  const sent = matchSet(family, ['ct original daddr', 'daddr'], SENT)
  const received = matchSet(family, ['ct original daddr', 'saddr'], RECEIVED)
  const empty = matchSet(family, ['daddr'], EMPTY)
  batch.addRule(family, TABLE, OUTPUT, verdictFrom(family, ['daddr'], SERVICES))
  batch.addRule(family, TABLE, FILTER, rule([translated, sent, verdict('accept')]))
  batch.addRule(family, TABLE, FILTER, rule([empty, matchProtocol(IPPROTO_TCP), rejectWithReset()]))
  batch.addRule(family, TABLE, FILTER, rule([empty, rejectUnreachable(family)]))
  batch.addRule(family, TABLE, INPUT, rule([translated, received]))
}

function listOf<K, T>(lists: Map<K, T[]>, key: K): T[] {
  const list = lists.get(key)
  if (list !== undefined) return list
  const made: T[] = []
  lists.set(key, made)
  return made
}
