/**
 * One table of nf_tables that spreads connections over members, kept as it is wanted: one map says which chain a destination
 * leads to, another which member stands at which place.
 *
 *     map services { 10.4.0.100 comment "web" : goto turn-10.4.0.100 }
 *     map members { 10.4.0.100 . 0 : 10.4.0.5, 10.4.0.100 . 1 : 10.4.0.6 }
 *     set empty { 10.4.0.101 }
 *     chain turn-10.4.0.100 { dnat ip to ip daddr . numgen inc mod 2 map @members }
 *
 * What else there is, and what a destination is, the layout says (client-rules.ts, host-rules.ts). Each change is one
 * transaction of the elements that differ; a packet is looked up as often however many services and members there are.
 *
 * What is in the table is never read back but for counters: a container can have put anything there. An agent that starts makes it
 * anew, in one transaction.
 */
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
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
import { hostOrder, type PacketField, translateToOneOf } from '../../lib/nft/rule.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { slotsOf, turnsOf } from './placement.ts'

export const SERVICES = 'services'
const MEMBERS = 'members'
export const EMPTY = 'empty'
export const SENT = 'sent'
export const RECEIVED = 'received'

/** Where connections of one family go to. */
export interface Balanced {
  readonly service: string
  readonly family: 4 | 6
  /** Tells it from others in the table; the chain is named after it. */
  readonly name: string
  /** What packets are sent to: the fields of the key. */
  readonly key: readonly Uint8Array[]
  /** The service's address; undefined of a published port. */
  readonly vip: IpAddress | undefined
  /** IPPROTO_* and number of a published port. */
  readonly port: { readonly protocol: number; readonly number: number } | undefined
  readonly members: readonly IpAddress[]
  /** The members' port; undefined keeps it. */
  readonly target: number | undefined
  /** Whose address connections get; undefined: their own, or that of the interface they leave by. */
  readonly source: IpAddress | undefined
  /** A source stays with a member as long as that is there. */
  readonly isSticky: boolean
}

/** A member that connections go to. */
export interface Way {
  readonly of: Balanced
  readonly member: IpAddress
}

/** What went a way, in both directions. */
export interface Traffic extends Way {
  readonly sent: NfCounter
  readonly received: NfCounter
}

/** An element of a set of the table. */
export type Entry = readonly [set: string, element: NftElement]

/** What makes one kind of table. */
export interface Layout {
  readonly table: string
  /** Of `Balanced.key`, in the table's family and in packets. */
  readonly key: (family: NftFamily) => readonly NftField[]
  readonly packet: readonly PacketField[]
  /** A member's address and, with `hasPort`, its port. */
  readonly hasPort: boolean
  /** Everything but the sets named above: `SENT` and `RECEIVED` among it, whose keys `way` makes. */
  readonly addBase: (batch: NftBatch, family: NftFamily) => void
  readonly way: (way: Way) => Uint8Array
  /** More elements of a way. */
  readonly more: (way: Way) => readonly Entry[]
  /** Whose an element is, for people and other programs. */
  readonly comment: (of: Balanced) => string
  /** A member as the map's data. */
  readonly data: (way: Way) => Uint8Array
}

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
}

function noChanges(): Changes {
  return {
    removed: new Map(),
    added: new Map(),
    chainsToRemove: [],
    chainsToAdd: [],
    chainsToFlush: [],
    rules: []
  }
}

const NOTHING: NfCounter = { packets: 0, bytes: 0 }

export class BalanceTable {
  readonly #nft: Nft
  readonly #family: NftFamily
  readonly #layout: Layout
  /** Where turns begin here. */
  readonly #turn: number
  #present = new Map<string, Present>()
  /** Whether the kernel has the table, and it is ours. */
  #isThere = false
  /** Nothing is known yet of what an agent before us has left. */
  #isFresh = true

  constructor(nft: Nft, family: 4 | 6, layout: Layout, turn: number) {
    this.#nft = nft
    this.#family = nftFamily(family)
    this.#layout = layout
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
      else if (this.#isFresh && this.#nft.findTable(this.#family, this.#layout.table) !== undefined) this.#drop()
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
    if (!this.#isThere || this.#nft.findTable(this.#family, this.#layout.table) !== undefined) return false
    this.#make(this.#present)
    return true
  }

  /** Everything of a service, or of all. */
  traffic(service?: string): readonly Traffic[] {
    const wanted = [...this.#present.values()].filter(one => service === undefined || one.of.service === service)
    return this.#trafficOn(wanted.flatMap(waysOf))
  }

  /** What went the ways that `wanted` has no longer: to be asked before they are taken away. */
  trafficBefore(wanted: readonly Balanced[]): readonly Traffic[] {
    return this.#isThere ? this.#trafficOn(this.#goneIn(this.#placed(wanted))) : []
  }

  #trafficOn(ways: readonly Way[]): readonly Traffic[] {
    const { table, way } = this.#layout
    const keys = ways.map(way)
    const sent = this.#nft.findElements(this.#family, table, SENT, keys)
    const received = this.#nft.findElements(this.#family, table, RECEIVED, keys)
    return ways.map((one, i) => ({
      ...one,
      sent: sent[i]?.counter ?? NOTHING,
      received: received[i]?.counter ?? NOTHING
    }))
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
    const texts = [...new Set(one.members.map(formatAddress))]
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
    }
  }

  #make(next: Map<string, Present>): void {
    const { table, key, hasPort, addBase } = this.#layout
    const family = this.#family
    const address: NftField = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
    const fields = key(family)
    const data: readonly NftField[] = hasPort ? [address, 'inet_service'] : [address]
    const changes = noChanges()
    for (const after of next.values()) this.#compare(changes, undefined, after)
    const batch = new NftBatch()
    // What is there is made, so that it can be removed, and made anew, in one transaction.
    batch.addTable(family, table)
    batch.removeTable(family, table)
    batch.addTable(family, table)
    batch.addSet(family, table, { name: SERVICES, key: fields, data: [], isInterval: false })
    batch.addSet(family, table, { name: MEMBERS, key: [...fields, 'mark'], data, isInterval: false })
    batch.addSet(family, table, { name: EMPTY, key: fields, data: undefined, isInterval: false })
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
    if (old !== now) changes.chainsToAdd.push(now)
    else if (before?.places.length !== after.places.length) changes.chainsToFlush.push(now)
    else return
    changes.rules.push(after)
  }

  #compareEntries(changes: Changes, before: Present | undefined, after: Present | undefined): void {
    const was = before === undefined ? [] : this.#entriesOf(before)
    const is = after === undefined ? [] : this.#entriesOf(after)
    // Nothing to look for among nothing: a client that joins has all of them to add.
    const known = new Set(is.length === 0 ? [] : was.map(textOf))
    const wanted = new Set(was.length === 0 ? [] : is.map(textOf))
    for (const one of was)
      if (wanted.size === 0 || !wanted.has(textOf(one))) listOf(changes.removed, one[0]).push(one[1])
    for (const one of is) if (known.size === 0 || !known.has(textOf(one))) listOf(changes.added, one[0]).push(one[1])
  }

  /** All its elements. */
  #entriesOf(one: Present): readonly Entry[] {
    const { way, more, data, comment } = this.#layout
    const { of, chain, places } = one
    const key = of.key.length === 1 ? (of.key[0] ?? new Uint8Array(0)) : concatenate(of.key)
    if (chain === '') return [[EMPTY, keyElement(key, comment(of))]]
    const ways = waysOf(one)
    const byText = new Map(ways.map(each => [formatAddress(each.member), data(each)]))
    return [
      [SERVICES, gotoElement(key, chain, comment(of))],
      ...places.map((text, place): Entry => {
        const element = keyElement(concatenate([...of.key, hostOrder(place)]), '')
        return [MEMBERS, { ...element, data: byText.get(text) }]
      }),
      ...ways.flatMap(each => [
        [SENT, keyElement(way(each), '')] as const,
        [RECEIVED, keyElement(way(each), '')] as const,
        ...more(each)
      ])
    ]
  }

  #write(batch: NftBatch, changes: Changes): void {
    const family = this.#family
    const { table, packet, hasPort } = this.#layout
    for (const [set, elements] of changes.removed) batch.removeElements(family, table, set, elements)
    for (const chain of changes.chainsToRemove) batch.removeChain(family, table, chain)
    for (const chain of changes.chainsToFlush) batch.removeRule(family, table, chain, 0)
    for (const chain of changes.chainsToAdd) batch.addChain(family, table, chain, undefined)
    for (const { chain, of, places } of changes.rules) {
      const choice = { by: of.isSticky ? ('jhash saddr' as const) : ('numgen inc' as const), count: places.length }
      batch.addRule(family, table, chain, translateToOneOf(family, packet, choice, { map: MEMBERS, hasPort }))
    }
    for (const [set, elements] of changes.added) batch.addElements(family, table, set, elements)
  }
}

function waysOf({ of, places }: Present): readonly Way[] {
  return [...new Set(places)].flatMap(text => {
    const member = parseAddress(text)
    return member === undefined ? [] : [{ of, member }]
  })
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
