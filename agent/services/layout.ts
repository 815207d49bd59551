/** What a table that spreads connections (balance-table.ts) is told: where they go to, and how its keys are made. */
import type { IpAddress } from '../../lib/ip/address.ts'
import type { NfCounter } from '../../lib/netlink/nf/set-element.ts'
import type { NftBatch, NftElement, NftFamily, NftField } from '../../lib/nft/nft.ts'
import type { PacketField } from '../../lib/nft/rule.ts'

export const SERVICES = 'services'
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
  /** Everything but the maps named above: `SENT` and `RECEIVED` among it, whose keys `way` makes. */
  readonly addBase: (batch: NftBatch, family: NftFamily) => void
  readonly way: (way: Way) => Uint8Array
  /** `way` backwards: a `Balanced.name` and a member; undefined of what it has not made. */
  readonly wayIn: (key: Uint8Array) => { readonly name: string; readonly member: IpAddress } | undefined
  /** More elements of a way. */
  readonly more: (way: Way) => readonly Entry[]
  /** Elements of `SENT` and `RECEIVED`, where packets do not bring them. */
  readonly counters: (way: Way) => readonly Entry[]
  /** What refuses connections where there are no members. */
  readonly refusal: (key: Uint8Array, comment: string) => Entry
  /** Whose an element is, for people and other programs. */
  readonly comment: (of: Balanced) => string
  /** A member as the map's data. */
  readonly data: (way: Way) => Uint8Array
}
