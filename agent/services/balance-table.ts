/**
 * One table of nf_tables that spreads connections over members, kept as it is wanted: one map says which chain a destination
 * leads to, another which member stands at which place.
 *
 *     map services { 10.4.0.100 comment "web" : goto turn-10.4.0.100 }
 *     map members-36 { 10.4.0.100 . 0 : 10.4.0.5, 10.4.0.100 . 1 : 10.4.0.6 }
 *     chain turn-10.4.0.100 { dnat ip to ip daddr . numgen inc mod 2 map @members-36 }
 *
 * What else there is, and what a destination is, the layout says (client-rules.ts, host-rules.ts). Each change is one
 * transaction of the elements that differ; a packet is looked up as often however many services and members there are.
 *
 * A member that a service has no longer is remembered until somebody has seen to the connections that there are with it
 * (connections.ts); until then what they carry is counted.
 *
 * What is in the table is never read back but for counters: a container can have put anything there. An agent that starts makes it
 * anew, in one transaction.
 */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { hex } from '../../lib/ip/mac.ts'
import type { NfCounter } from '../../lib/netlink/nf/set-element.ts'
import {
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
import { hostOrder, translateToOneOf } from '../../lib/nft/rule.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { type Balanced, type Entry, type Layout, RECEIVED, SENT, SERVICES, type Traffic, type Way } from './layout.ts'
import { slotsOf, turnsOf } from './placement.ts'

/**
 * For each element that a map gets the kernel looks at each rule that uses the map: with all in one, a client with four times the
 * services took sixteen times as long.
 *
 * @source linux net/netfilter/nf_tables_api.c nft_add_set_elem, set->bindings
 */
const MAPS = 64

/** As it is in the kernel. */
interface Present {
  /** What it was made of: the same object again means the same again. */
  readonly of: Balanced
  /** '' for one without members. */
  readonly chain: string
  /** Addresses as texts, by their places. */
  readonly places: readonly string[]
}

/** What changes, collected over all services: few large messages instead of many small ones. */
interface Changes {
  readonly removed: Map<string, NftElement[]>
  readonly added: Map<string, NftElement[]>
  readonly chainsToRemove: string[]
  readonly chainsToAdd: string[]
  readonly chainsToFlush: string[]
  readonly rules: Present[]
  /** Where their members are. */
  readonly maps: Set<string>
}

function noChanges(): Changes {
  return {
    removed: new Map(),
    added: new Map(),
    chainsToRemove: [],
    chainsToAdd: [],
    chainsToFlush: [],
    rules: [],
    maps: new Set()
  }
}

const NOTHING: NfCounter = { packets: 0, bytes: 0 }
/** What an element with its counter takes in a message, in bytes, at most; and how many more than ways there may be. */
const ELEMENT_BYTES = 128
const MORE_ELEMENTS = 512

export class BalanceTable {
  readonly #nft: Nft
  readonly #family: NftFamily
  readonly #layout: Layout
  /** Where turns begin here. */
  readonly #turn: number
  #present = new Map<string, Present>()
  /** Ways that there are no longer and nobody has seen to, by `textOfWay`. */
  readonly #former = new Map<string, Way>()
  /** Whether the kernel has the table, and it is ours. */
  #isThere = false
  /** Nothing is known yet of what an agent before us has left. */
  #isFresh = true
  /** Whether there are no connections but those that have been counted. */
  #countsAll = false

  constructor(nft: Nft, family: 4 | 6, layout: Layout, turn: number) {
    this.#nft = nft
    this.#family = nftFamily(family)
    this.#layout = layout
    this.#turn = turn
  }

  /**
   * Makes the table be as wanted, by one transaction; nothing is sent when it is.
   *
   * @throws {KernelError} when the kernel has no nf_tables, or not what this needs of it
   */
  apply(wanted: readonly Balanced[]): void {
    const next = this.#placed(wanted)
    if (!this.#isThere) {
      const isLeft = this.#isFresh && this.#nft.findTable(this.#family, this.#layout.table) !== undefined
      if (next.size > 0) this.#make(next)
      else if (isLeft) this.#drop()
      if (isLeft) this.#findFormer()
      this.#countsAll = !isLeft && this.#former.size === 0
      this.#isFresh = false
      return
    }
    const gone = this.#goneIn(next)
    if (next.size === 0) this.#drop()
    else this.#change(next)
    for (const [text, way] of this.#former) if (this.#has(way)) this.#former.delete(text)
    for (const way of gone) this.#former.set(textOfWay(way), way)
  }

  /** Ways that there are no longer: until they are forgotten, or there again. */
  former(): readonly Way[] {
    return [...this.#former.values()]
  }

  /** Which of these ways packets may have gone: most clients ask few services. */
  used(ways: readonly Way[]): readonly Way[] {
    if (!this.#countsAll || ways.length === 0) return ways
    return this.#trafficOn(ways).filter(({ sent, received }) => sent.packets + received.packets > 0)
  }

  /** @returns what went these ways, which is counted no more */
  forget(ways: readonly Way[]): readonly Traffic[] {
    for (const way of ways) this.#former.delete(textOfWay(way))
    if (!this.#isThere || ways.length === 0) return []
    const last = this.#trafficOn(ways)
    const { table, way } = this.#layout
    const elements = ways.map(one => keyElement(way(one), ''))
    const batch = new NftBatch()
    for (const set of [SENT, RECEIVED]) {
      // What no packet has brought is made, so that it can be removed.
      batch.addElements(this.#family, table, set, elements)
      batch.removeElements(this.#family, table, set, elements)
    }
    try {
      this.#nft.commit(batch, undefined)
    } catch (error) {
      // Somebody else has been at the table: there is nothing to forget.
      if (errnoOf(error) !== 'ENOENT') throw error
    }
    return last
  }

  /** Makes it anew when somebody has taken it away. @returns whether that was so */
  repair(): boolean {
    if (!this.#isThere || this.#nft.findTable(this.#family, this.#layout.table) !== undefined) return false
    this.#make(this.#present)
    this.#countsAll = false
    return true
  }

  /** Whatever has been counted, of a service or of all. */
  traffic(service?: string): readonly Traffic[] {
    if (service === undefined) return this.#trafficOfAll()
    const present = [...this.#present.values()].filter(one => one.of.service === service)
    return this.#trafficOn([...present.flatMap(waysOf), ...this.former().filter(one => one.of.service === service)])
  }

  #trafficOn(ways: readonly Way[]): readonly Traffic[] {
    const { table, way } = this.#layout
    const keys = ways.map(way)
    const sent = this.#nft.findElements(this.#family, table, SENT, keys)
    const received = this.#nft.findElements(this.#family, table, RECEIVED, keys)
    return ways.flatMap((one, i) => trafficOf(one, sent[i]?.counter, received[i]?.counter))
  }

  /** As much work as there is traffic, however many services there are. */
  #trafficOfAll(): readonly Traffic[] {
    if (!this.#isThere) return []
    const sent = this.#counted(SENT)
    const received = this.#counted(RECEIVED)
    const ways = new Map([...received, ...sent].map(([text, { way }]) => [text, way]))
    return [...ways].flatMap(([text, way]) => trafficOf(way, sent.get(text)?.counter, received.get(text)?.counter))
  }

  /** By `textOfWay`. What a container has put there beyond what can be ours is not waited for. */
  #counted(set: string): ReadonlyMap<string, { readonly way: Way; readonly counter: NfCounter | undefined }> {
    const { table, wayIn } = this.#layout
    const places = [...this.#present.values()].reduce((sum, one) => sum + one.places.length, this.#former.size)
    const mostBytes = ELEMENT_BYTES * (places + MORE_ELEMENTS)
    const counted = new Map<string, { readonly way: Way; readonly counter: NfCounter | undefined }>()
    for (const { key, counter } of this.#nft.listSomeElements(this.#family, table, set, mostBytes)) {
      const found = wayIn(key)
      const present = found === undefined ? undefined : this.#present.get(found.name)
      if (found === undefined) continue
      const text = `${found.name} ${formatAddress(found.member)}`
      const way = present === undefined ? undefined : { of: present.of, member: found.member }
      if (way !== undefined && this.#has(way)) counted.set(text, { way, counter })
      const former = this.#former.get(text)
      if (former !== undefined) counted.set(text, { way: former, counter })
    }
    return counted
  }

  #has({ of, member }: Way): boolean {
    return this.#present.get(of.name)?.places.includes(formatAddress(member)) === true
  }

  /** An agent before may have ended between a change and what follows from it: connections to what is no member now. */
  #findFormer(): void {
    for (const { original, reply } of this.#nft.listConntrack(this.#family === 'ip' ? 4 : 6)) {
      if (original.destination === undefined || reply.source === undefined) continue
      const present = this.#present.get(formatAddress(original.destination))
      if (present === undefined) continue
      const way = { of: present.of, member: reply.source }
      if (!this.#has(way)) this.#former.set(textOfWay(way), way)
    }
  }

  #placed(wanted: readonly Balanced[]): Map<string, Present> {
    const next = new Map<string, Present>()
    for (const one of wanted) {
      const before = this.#present.get(one.name)
      next.set(one.name, before?.of === one ? before : this.#place(one, before))
    }
    return next
  }

  #place(one: Balanced, before: Present | undefined): Present {
    const texts = [...membersOf(one).keys()]
    const known = before?.of.isSticky === one.isSticky ? before.places : []
    const places = one.isSticky ? slotsOf(texts) : turnsOf(known, texts, this.#turn)
    const chain = places.length === 0 ? '' : `${one.isSticky ? 'stick' : 'turn'}-${one.name}`
    return { of: one, chain, places }
  }

  #goneIn(next: ReadonlyMap<string, Present>): readonly Way[] {
    return [...this.#present].flatMap(([key, before]) => {
      const after = next.get(key)
      if (before === after) return []
      const kept = new Set(after?.places ?? [])
      return waysOf(before).filter(way => !kept.has(formatAddress(way.member)))
    })
  }

  #drop(): void {
    const { table } = this.#layout
    const batch = new NftBatch()
    // Whoever has taken it away already has done what is wanted.
    batch.addTable(this.#family, table)
    batch.removeTable(this.#family, table)
    this.#nft.commit(batch, undefined)
    this.#present = new Map()
    this.#isThere = false
    this.#countsAll = false
  }

  #change(next: Map<string, Present>): void {
    const changes = noChanges()
    for (const [key, before] of this.#present)
      if (next.get(key) !== before) this.#compare(changes, before, next.get(key))
    for (const [key, after] of next) if (!this.#present.has(key)) this.#compare(changes, undefined, after)
    if (changes.removed.size + changes.added.size === 0) {
      this.#present = next
      return
    }
    const batch = new NftBatch()
    this.#write(batch, changes)
    try {
      this.#nft.commit(batch, undefined)
      this.#present = next
    } catch (error) {
      // Somebody else has been at the table.
      if (!['ENOENT', 'EEXIST', 'EBUSY'].includes(errnoOf(error))) throw error
      this.#make(next)
      this.#countsAll = false
    }
  }

  #make(next: Map<string, Present>): void {
    const { table, key, addBase } = this.#layout
    const family = this.#family
    const changes = noChanges()
    for (const after of next.values()) this.#compare(changes, undefined, after)
    const batch = new NftBatch()
    // What is there is made, so that it can be removed, and made anew, in one transaction.
    batch.addTable(family, table)
    batch.removeTable(family, table)
    batch.addTable(family, table)
    batch.addSet(family, table, { name: SERVICES, key: key(family), data: [], isInterval: false })
    addBase(batch, family)
    this.#write(batch, changes)
    this.#nft.commit(batch, undefined)
    this.#present = next
    this.#isThere = true
  }

  #compare(changes: Changes, before: Present | undefined, after: Present | undefined): void {
    this.#compareEntries(changes, before, after)
    const [old = '', now = ''] = [before?.chain, after?.chain]
    if (old !== '' && old !== now) changes.chainsToRemove.push(old)
    if (after === undefined || now === '') return
    changes.maps.add(mapOf(after.of))
    if (old !== now) changes.chainsToAdd.push(now)
    else if (before?.places.length !== after.places.length) changes.chainsToFlush.push(now)
    else return
    changes.rules.push(after)
  }

  #compareEntries(changes: Changes, before: Present | undefined, after: Present | undefined): void {
    const was = before === undefined ? [] : this.#entriesOf(before)
    const is = after === undefined ? [] : this.#entriesOf(after)
    const counters = after === undefined ? [] : waysOf(after).flatMap(this.#layout.counters)
    // Nothing to look for among nothing: a client that joins has all of them to add.
    const known = new Set(is.length === 0 ? [] : was.map(textOf))
    const wanted = new Set(was.length === 0 ? [] : is.map(textOf))
    for (const one of was)
      if (wanted.size === 0 || !wanted.has(textOf(one))) listOf(changes.removed, one[0]).push(one[1])
    for (const one of is) if (known.size === 0 || !known.has(textOf(one))) listOf(changes.added, one[0]).push(one[1])
    // Those that are there are left as they are.
    for (const one of counters) listOf(changes.added, one[0]).push(one[1])
  }

  /** All its elements but counters. */
  #entriesOf(one: Present): readonly Entry[] {
    const { more, data, comment, refusal } = this.#layout
    const { of, chain, places } = one
    const key = of.key.length === 1 ? (of.key[0] ?? new Uint8Array(0)) : concatenate(of.key)
    if (chain === '') return [refusal(key, comment(of))]
    const ways = waysOf(one)
    const byText = new Map(ways.map(each => [formatAddress(each.member), data(each)]))
    return [
      [SERVICES, gotoElement(key, chain, comment(of))],
      ...places.map((text, place): Entry => {
        const element = keyElement(concatenate([...of.key, hostOrder(place)]), '')
        return [mapOf(of), { ...element, data: byText.get(text) }]
      }),
      ...ways.flatMap(more)
    ]
  }

  #write(batch: NftBatch, changes: Changes): void {
    const family = this.#family
    const { table, packet, hasPort, key } = this.#layout
    const address: NftField = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
    const data: readonly NftField[] = hasPort ? [address, 'inet_service'] : [address]
    for (const name of changes.maps)
      batch.addSet(family, table, { name, key: [...key(family), 'mark'], data, isInterval: false })
    for (const [set, elements] of changes.removed) batch.removeElements(family, table, set, elements)
    for (const chain of changes.chainsToRemove) batch.removeChain(family, table, chain)
    for (const chain of changes.chainsToFlush) batch.removeRule(family, table, chain, 0)
    for (const chain of changes.chainsToAdd) batch.addChain(family, table, chain, undefined)
    for (const { chain, of, places } of changes.rules) {
      const choice = { by: of.isSticky ? ('jhash saddr' as const) : ('numgen inc' as const), count: places.length }
      batch.addRule(family, table, chain, translateToOneOf(family, packet, choice, { map: mapOf(of), hasPort }))
    }
    for (const [set, elements] of changes.added) batch.addElements(family, table, set, elements)
  }
}

/** Addresses next to each other, and ports, are in maps next to each other. */
function mapOf({ key }: Balanced): string {
  return `members-${(key.at(-1)?.at(-1) ?? 0) % MAPS}`
}

function waysOf({ of, places }: Present): readonly Way[] {
  const members = membersOf(of)
  return [...new Set(places)].flatMap(text => {
    const member = members.get(text)
    return member === undefined ? [] : [{ of, member }]
  })
}

/** By their texts: clients are given the same objects, and each of them asks. */
function membersOf(of: Balanced): ReadonlyMap<string, IpAddress> {
  const known = MEMBERS_BY_TEXT.get(of)
  if (known !== undefined) return known
  const made = new Map(of.members.map(member => [formatAddress(member), member]))
  MEMBERS_BY_TEXT.set(of, made)
  return made
}

const MEMBERS_BY_TEXT = new WeakMap<Balanced, ReadonlyMap<string, IpAddress>>()

function textOfWay({ of, member }: Way): string {
  return `${of.name} ${formatAddress(member)}`
}

/** Nothing where nothing has been counted. */
function trafficOf(way: Way, sent: NfCounter | undefined, received: NfCounter | undefined): readonly Traffic[] {
  if (sent === undefined && received === undefined) return []
  return [{ ...way, sent: sent ?? NOTHING, received: received ?? NOTHING }]
}

function textOf([set, { key, data, verdict, comment }]: Entry): string {
  return `${set} ${hex(key)} ${data === undefined ? '' : hex(data)} ${verdict?.chain ?? ''} ${comment}`
}

function listOf<K, T>(lists: Map<K, T[]>, key: K): T[] {
  const list = lists.get(key)
  if (list !== undefined) return list
  const made: T[] = []
  lists.set(key, made)
  return made
}
