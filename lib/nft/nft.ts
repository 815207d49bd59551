/**
 * nf_tables in the words of `nft`, on an open namespace.
 *
 * Changes are collected in an NftBatch and carried out as one transaction: all of it or nothing. Whatever can be asked
 * costs no transaction. A kernel without nf_tables answers every call with EPROTONOSUPPORT or EOPNOTSUPP.
 */

import type { IpAddress } from '../ip/address.ts'
import type { Refused } from '../netlink/conn.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import type { ConntrackEntry, ConntrackFilter } from '../netlink/nf/conntrack.ts'
import type { Expression } from '../netlink/nf/expression.ts'
import type { NfField } from '../netlink/nf/set.ts'
import type { NfElement } from '../netlink/nf/set-element.ts'

export type { ConntrackEntry, ConntrackFilter } from '../netlink/nf/conntrack.ts'
export type { Expression } from '../netlink/nf/expression.ts'

/** Which packets a table sees: IPv4, IPv6, or what a bridge forwards. */
export type NftFamily = 'ip' | 'ip6' | 'bridge'

/** The type of one field of a key or of data. */
export type NftField = NfField
export type NftElement = NfElement

export interface NftTable {
  readonly family: NftFamily
  readonly name: string
  /** How many chains and sets it has. */
  readonly use: number
}

export type NftHookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

/** Where the kernel calls a base chain: `type nat hook prerouting priority -100` */
export interface NftHook {
  readonly type: 'filter' | 'nat'
  readonly hook: NftHookName
  readonly priority: number
  /** What becomes of packets that no rule decides; accept when undefined. */
  readonly policy: 'accept' | 'drop' | undefined
}

export interface NftChain {
  readonly family: NftFamily
  readonly table: string
  readonly name: string
  readonly hook: NftHook | undefined
  /** Its rules and the jumps to it, from rules and from elements of maps. */
  readonly use: number
}

/** A set, or with `data` a map; data without fields are verdicts. */
export interface NftSet {
  readonly name: string
  readonly key: readonly NftField[]
  readonly data: readonly NftField[] | undefined
  /** Keys may be ranges. */
  readonly isInterval: boolean
  /** Each element counts what was found in it; since Linux 5.7. */
  readonly counts?: boolean
  /** Packets may bring elements: `countIn` of rule.ts. */
  readonly isDynamic?: boolean
}

export interface NftRule {
  readonly handle: number
  readonly expressions: readonly Expression[]
  readonly comment: string
}

/** One command of a batch. */
export interface NftStep {
  readonly operation: NftOperation
  readonly family: NftFamily
  readonly table: string
  /** The chain or set; the empty string for commands on the table. */
  readonly name: string
  /** Fail with EEXIST when it is there, instead of leaving it as it is. */
  readonly isExclusive: boolean
  readonly hook: NftHook | undefined
  readonly set: NftSet | undefined
  readonly elements: readonly NftElement[]
  readonly expressions: readonly Expression[]
  /** Of a rule to be removed; 0 = all rules of the chain. */
  readonly handle: number
}

type NftOperation =
  | 'add table'
  | 'remove table'
  | 'add chain'
  | 'remove chain'
  | 'add rule'
  | 'remove rule'
  | 'add set'
  | 'add element'
  | 'remove element'

/** An attribute holds 64 KiB: elements go in messages of so many. */
const ELEMENTS_PER_STEP = 256

/** Commands in their order. Later ones see the effect of earlier ones. */
export class NftBatch {
  readonly #steps: NftStep[] = []

  steps(): readonly NftStep[] {
    return this.#steps
  }

  /** How many commands there are so far. */
  length(): number {
    return this.#steps.length
  }

  /** Leaves the table as it is when it is there. */
  addTable(family: NftFamily, table: string): void {
    this.#push({ ...EMPTY_STEP, operation: 'add table', family, table })
  }

  /** EEXIST when it is there. */
  createTable(family: NftFamily, table: string): void {
    this.#push({ ...EMPTY_STEP, operation: 'add table', family, table, isExclusive: true })
  }

  /** With all that is in it. */
  removeTable(family: NftFamily, table: string): void {
    this.#push({ ...EMPTY_STEP, operation: 'remove table', family, table })
  }

  /**
   * Leaves the chain as it is when it is there.
   *
   * @param hook undefined for a chain that is only jumped to
   */
  addChain(family: NftFamily, table: string, name: string, hook: NftHook | undefined): void {
    this.#push({ ...EMPTY_STEP, operation: 'add chain', family, table, name, hook })
  }

  /** A chain that is only jumped to; EEXIST when it is there. */
  createChain(family: NftFamily, table: string, name: string): void {
    this.#push({ ...EMPTY_STEP, operation: 'add chain', family, table, name, isExclusive: true })
  }

  /** With its rules; EBUSY while anything else leads to it. */
  removeChain(family: NftFamily, table: string, name: string): void {
    this.#push({ ...EMPTY_STEP, operation: 'remove chain', family, table, name })
  }

  /** At the chain's end; the same rule twice is two rules. */
  addRule(family: NftFamily, table: string, chain: string, expressions: readonly Expression[]): void {
    this.#push({ ...EMPTY_STEP, operation: 'add rule', family, table, name: chain, expressions })
  }

  /** @param handle 0 = all rules of the chain */
  removeRule(family: NftFamily, table: string, chain: string, handle: number): void {
    this.#push({ ...EMPTY_STEP, operation: 'remove rule', family, table, name: chain, handle })
  }

  addSet(family: NftFamily, table: string, set: NftSet): void {
    this.#push({ ...EMPTY_STEP, operation: 'add set', family, table, name: set.name, set })
  }

  /** EEXIST when one of the keys is there with other data. */
  addElements(family: NftFamily, table: string, set: string, elements: readonly NftElement[]): void {
    this.#pushElements({ ...EMPTY_STEP, operation: 'add element', family, table, name: set }, elements)
  }

  /** EEXIST when one of the keys is there. */
  createElements(family: NftFamily, table: string, set: string, elements: readonly NftElement[]): void {
    const step: NftStep = { ...EMPTY_STEP, operation: 'add element', family, table, name: set, isExclusive: true }
    this.#pushElements(step, elements)
  }

  /** ENOENT when one of the keys is not there. */
  removeElements(family: NftFamily, table: string, set: string, elements: readonly NftElement[]): void {
    this.#pushElements({ ...EMPTY_STEP, operation: 'remove element', family, table, name: set }, elements)
  }

  #pushElements(step: NftStep, elements: readonly NftElement[]): void {
    for (let i = 0; i < elements.length; i += ELEMENTS_PER_STEP) {
      this.#push({ ...step, elements: elements.slice(i, i + ELEMENTS_PER_STEP) })
    }
  }

  #push(step: NftStep): void {
    this.#steps.push(step)
  }
}

const EMPTY_STEP: NftStep = {
  operation: 'add table',
  family: 'ip',
  table: '',
  name: '',
  isExclusive: false,
  hook: undefined,
  set: undefined,
  elements: [],
  expressions: [],
  handle: 0
}

/** A batch that the kernel refused: the first of its commands that failed, and that command's place in it. */
export class NftError extends KernelError {
  /** -1 when the batch as a whole was refused (ERESTART: the ruleset has another generation). */
  readonly step: number

  constructor(operation: string, object: string, refused: Refused) {
    super(operation, object, refused.errno, refused.explanation)
    this.name = 'NftError'
    this.step = refused.at
  }
}

/** @throws {KernelError} by every call, for whatever the kernel refuses */
export abstract class Nft {
  /**
   * Carries out a batch as one transaction.
   *
   * @param generation carry it out only while the ruleset still has this generation
   * @throws {NftError} ERESTART when it has another one; ENOENT, EEXIST, EBUSY of the command at `step`
   */
  abstract commit(batch: NftBatch, generation: number | undefined): void

  /** A number that every change of any table in this namespace raises. */
  abstract generation(): number
  abstract findTable(family: NftFamily, table: string): NftTable | undefined
  abstract findChain(family: NftFamily, table: string, chain: string): NftChain | undefined
  /** Every chain of the family, whoever made it. */
  abstract listChains(family: NftFamily): readonly NftChain[]
  /** In their order; none when chain or table is absent. */
  abstract listRules(family: NftFamily, table: string, chain: string): readonly NftRule[]
  /** The element with this key, or with an interval the one that contains it; undefined also without the set. */
  abstract findElement(family: NftFamily, table: string, set: string, key: Uint8Array): NftElement | undefined
  /** The elements with these keys, each in its place; undefined for what is not there. */
  findElements(
    family: NftFamily,
    table: string,
    set: string,
    keys: readonly Uint8Array[]
  ): readonly (NftElement | undefined)[] {
    return keys.map(key => this.findElement(family, table, set, key))
  }
  /** None when set or table is absent. */
  abstract listElements(family: NftFamily, table: string, set: string): readonly NftElement[]
  /** The first of them, up to so many bytes of messages: of a set that somebody else can fill. */
  abstract listSomeElements(family: NftFamily, table: string, set: string, mostBytes: number): readonly NftElement[]

  /** Removes entries from the connection table. For one port the kernel walks all of it: a millisecond and more on a large host. */
  abstract flushConntrack(filter: ConntrackFilter): void
  /** Removes these, as far as they are still there. */
  abstract removeConntrack(family: 4 | 6, entries: readonly ConntrackEntry[]): void
  /** All, or those that the filter means. */
  abstract listConntrack(family: 4 | 6, filter?: ConntrackFilter): readonly ConntrackEntry[]
  abstract close(): void
}

/** The table family for packets of an address's family. */
export function nftFamily(family: 4 | 6): NftFamily {
  return family === 4 ? 'ip' : 'ip6'
}

/** A map element that sends packets on to a chain. */
export function gotoElement(key: Uint8Array, chain: string, comment: string): NftElement {
  return { key, keyEnd: undefined, data: undefined, verdict: { name: 'goto', chain }, comment }
}

/** An element of a set, or what names an element to be removed. */
export function keyElement(key: Uint8Array, comment: string): NftElement {
  return { key, keyEnd: undefined, data: undefined, verdict: undefined, comment }
}

/** The key of a concatenation: each field padded to a multiple of 4 bytes. A single field is not padded: pass it alone. */
export function concatenate(fields: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const field of fields) length += padded(field)
  const key = new Uint8Array(length)
  let start = 0
  for (const field of fields) start = put(key, start, field)
  return key
}

function padded(field: Uint8Array): number {
  return (field.length + 3) & ~3
}

/** @returns where the next field begins */
function put(key: Uint8Array, start: number, field: Uint8Array): number {
  key.set(field, start)
  return start + padded(field)
}

export function protocolField(protocol: number): Uint8Array {
  return new Uint8Array([protocol])
}

export function portField(port: number): Uint8Array {
  return new Uint8Array([port >> 8, port & 255])
}

export function addressField(address: IpAddress): Uint8Array {
  return address.bytes
}

/** An interface name as the kernel compares it: 16 bytes, filled up with zeros. */
export function nameField(name: string): Uint8Array {
  const field = new Uint8Array(16)
  field.set(new TextEncoder().encode(name).subarray(0, 15), 0)
  return field
}
