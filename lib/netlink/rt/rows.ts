/**
 * One description of a message that both encodes and decodes it.
 *
 * A codec is a function that walks its fields in header order and calls one method per field:
 *
 *     function vlanRows(rows: Rows, v: VlanInfo): VlanInfo {
 *       return { kind: 'vlan', id: rows.u16(1, 'IFLA_VLAN_ID', v.id), unknown: rows.unknown(v.unknown) }
 *     }
 *
 * Writing, a row appends the value it is given (nothing for undefined) and returns it; reading, it ignores that
 * value and returns what the bytes hold. So the two directions cannot drift apart, and a field is named once.
 * Attributes nobody asked for come out of `unknown` and go back in through it.
 *
 * @source linux/netlink.h struct nlattr
 */
import type { IpAddress } from '../../ip/address.ts'
import {
  type Attribute,
  DecodeError,
  Reader,
  readI32,
  readText,
  readU8,
  readU16,
  readU16be,
  readU32,
  readU32be,
  readU64
} from '../reader.ts'
import { Writer } from '../writer.ts'
import { AttributeIndex } from './attribute-index.ts'

/** A value that does not fit its field: a mistake of the caller, found before the kernel sees it. */
export class EncodeError extends Error {
  /** The C symbol of the field, such as `IFLA_IFNAME`. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(`encode ${path}: ${reason}`)
    this.name = 'EncodeError'
    this.path = path
  }
}

/** One name of an enumeration and its number. */
export interface Choice {
  readonly value: number
  readonly name: string
}

export class Rows {
  readonly #path: string
  readonly #writer: Writer | undefined
  readonly #reader: Reader | undefined
  readonly #keepsUnknown: boolean
  #index: AttributeIndex | undefined = undefined
  /** Of the attribute that is being written inside. */
  #start = 0

  /** Use `writingRows` or `readingRows`. */
  constructor(path: string, writer: Writer | undefined, reader: Reader | undefined, keepsUnknown: boolean) {
    this.#path = path
    this.#writer = writer
    this.#reader = reader
    this.#keepsUnknown = keepsUnknown
  }

  // Fixed header fields; they come before the attributes.

  fixedU8(symbol: string, value: number): number {
    if (this.#writer !== undefined) this.#writer.u8(inRange(symbol, value, 0, 0xff))
    return this.#reader === undefined ? value : this.#reader.u8()
  }

  fixedU16(symbol: string, value: number): number {
    if (this.#writer !== undefined) this.#writer.u16(inRange(symbol, value, 0, 0xffff))
    return this.#reader === undefined ? value : this.#reader.u16()
  }

  fixedU32(symbol: string, value: number): number {
    if (this.#writer !== undefined) this.#writer.u32(inRange(symbol, value, 0, 0xffffffff))
    return this.#reader === undefined ? value : this.#reader.u32()
  }

  fixedI32(symbol: string, value: number): number {
    if (this.#writer !== undefined) this.#writer.i32(inRange(symbol, value, -0x80000000, 0x7fffffff))
    return this.#reader === undefined ? value : this.#reader.i32()
  }

  // Attributes.

  u8(type: number, symbol: string, value: number | undefined): number | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readU8(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrU8(type, inRange(symbol, value, 0, 0xff))
    return value
  }

  u16(type: number, symbol: string, value: number | undefined): number | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readU16(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrU16(type, inRange(symbol, value, 0, 0xffff))
    return value
  }

  u16be(type: number, symbol: string, value: number | undefined): number | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readU16be(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrU16be(type, inRange(symbol, value, 0, 0xffff))
    return value
  }

  u32(type: number, symbol: string, value: number | undefined): number | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readU32(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrU32(type, inRange(symbol, value, 0, 0xffffffff))
    return value
  }

  u32be(type: number, symbol: string, value: number | undefined): number | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readU32be(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrU32be(type, inRange(symbol, value, 0, 0xffffffff))
    return value
  }

  i32(type: number, symbol: string, value: number | undefined): number | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readI32(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrI32(type, inRange(symbol, value, -0x80000000, 0x7fffffff))
    return value
  }

  /** A whole number; exact up to 2^53. */
  u64(type: number, symbol: string, value: number | undefined): number | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readU64(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrU64(type, inRange(symbol, value, 0, Number.MAX_SAFE_INTEGER))
    return value
  }

  /** A u8 that is 0 or 1. */
  bool(type: number, symbol: string, value: boolean | undefined): boolean | undefined {
    const number = this.u8(type, symbol, value === undefined ? undefined : value ? 1 : 0)
    return number === undefined ? undefined : number !== 0
  }

  /** True by being there, absent for false. */
  flag(type: number, symbol: string, value: boolean | undefined): boolean | undefined {
    const there = this.bytes(type, symbol, value === true ? new Uint8Array(0) : undefined, 0)
    return there === undefined ? undefined : true
  }

  /** A name for a u8; a number without a name stays among the unknown attributes. */
  choiceU8(type: number, symbol: string, value: string | undefined, choices: readonly Choice[]): string | undefined {
    const number = this.u8(type, symbol, numberOf(symbol, value, choices))
    return this.#name(type, number, choices)
  }

  choiceU16(type: number, symbol: string, value: string | undefined, choices: readonly Choice[]): string | undefined {
    const number = this.u16(type, symbol, numberOf(symbol, value, choices))
    return this.#name(type, number, choices)
  }

  choiceU32(type: number, symbol: string, value: string | undefined, choices: readonly Choice[]): string | undefined {
    const number = this.u32(type, symbol, numberOf(symbol, value, choices))
    return this.#name(type, number, choices)
  }

  /** @param limit the field's size in the kernel, with the NUL */
  text(type: number, symbol: string, value: string | undefined, limit: number): string | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readText(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attrText(type, checkedText(symbol, value, limit))
    return value
  }

  /** An attribute that may be there several times. */
  texts(type: number, symbol: string, values: readonly string[], limit: number): readonly string[] {
    if (this.#writer !== undefined) {
      for (const value of values) this.text(type, symbol, value, limit)
      return values
    }
    const read: string[] = []
    for (let next = this.text(type, symbol, undefined, limit); next !== undefined; ) {
      read.push(next)
      next = this.text(type, symbol, undefined, limit)
    }
    return read
  }

  /** Text that the kernel wants without a NUL. */
  plainText(type: number, symbol: string, value: string | undefined): string | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readText(attribute, symbol)
    }
    if (value !== undefined) this.#writer.attr(type, new TextEncoder().encode(checkedText(symbol, value, 256)))
    return value
  }

  /** @param length in bytes; undefined = any */
  bytes(type: number, symbol: string, value: Uint8Array | undefined, length?: number): Uint8Array | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      if (attribute === undefined) return undefined
      const got = attribute.value.length
      if (length !== undefined && got !== length) {
        throw new DecodeError(symbol, `needs ${String(length)} bytes, got ${String(got)}`)
      }
      return attribute.value.slice(0)
    }
    if (value !== undefined) {
      if (length !== undefined && value.length !== length) {
        throw new EncodeError(symbol, `must have ${String(length)} bytes, got ${String(value.length)}`)
      }
      this.#writer.attr(type, value)
    }
    return value
  }

  /** An attribute that may be there several times. */
  bytesList(type: number, symbol: string, values: readonly Uint8Array[], length: number): readonly Uint8Array[] {
    if (this.#writer !== undefined) {
      for (const value of values) this.bytes(type, symbol, value, length)
      return values
    }
    const read: Uint8Array[] = []
    for (let next = this.bytes(type, symbol, undefined, length); next !== undefined; ) {
      read.push(next)
      next = this.bytes(type, symbol, undefined, length)
    }
    return read
  }

  /** An address of either family, told apart by its length. */
  address(type: number, symbol: string, value: IpAddress | undefined): IpAddress | undefined {
    const bytes = this.bytes(type, symbol, value === undefined ? undefined : value.bytes)
    if (bytes === undefined) return undefined
    if (bytes.length !== 4 && bytes.length !== 16) {
      throw new DecodeError(symbol, `needs 4 or 16 bytes, got ${String(bytes.length)}`)
    }
    return { family: bytes.length === 4 ? 4 : 6, bytes }
  }

  /** An address of one family; writing, one of the other family is left to the row for that one. */
  addressOf(family: 4 | 6, type: number, symbol: string, value: IpAddress | undefined): IpAddress | undefined {
    const mine = value !== undefined && value.family === family ? value.bytes : undefined
    const bytes = this.bytes(type, symbol, mine, family === 4 ? 4 : 16)
    return bytes === undefined ? undefined : { family, bytes }
  }

  /** The rest, as it came. Must be the last row. */
  unknown(value: readonly Attribute[] | undefined): readonly Attribute[] | undefined {
    if (this.#writer !== undefined) {
      for (const attribute of value ?? []) this.#writer.attr(attribute.type | attribute.flags, attribute.value)
      return value
    }
    if (!this.#keepsUnknown) return undefined
    const left = this.#attributes().left()
    return left.length === 0 ? undefined : left
  }

  /** The next attribute of this type that nobody has read yet. For `nest`. */
  take(type: number): Attribute | undefined {
    return this.#attributes().take(type)
  }

  isWriting(): boolean {
    return this.#writer !== undefined
  }

  /**
   * The rows of an attribute's content, until `leave`; undefined when there is none. For `nest`.
   *
   * @param hasValue whether there is anything to write
   */
  enter(type: number, symbol: string, hasValue: boolean): Rows | undefined {
    if (this.#writer === undefined) {
      const attribute = this.take(type)
      return attribute === undefined ? undefined : readingRows(attribute.value, symbol, this.#keepsUnknown)
    }
    if (!hasValue) return undefined
    this.#start = this.#writer.begin(type)
    return writingRows(this.#writer, symbol)
  }

  leave(): void {
    if (this.#writer !== undefined) this.#writer.end(this.#start)
  }

  #attributes(): AttributeIndex {
    if (this.#index !== undefined) return this.#index
    const bytes = this.#reader === undefined ? new Uint8Array(0) : this.#reader.rest()
    const index = new AttributeIndex(bytes, this.#path)
    this.#index = index
    return index
  }

  #name(type: number, number: number | undefined, choices: readonly Choice[]): string | undefined {
    if (number === undefined) return undefined
    const choice = choices.find(candidate => candidate.value === number)
    if (choice !== undefined) return choice.name
    this.#attributes().giveBack(type)
    return undefined
  }
}

/** Rows that append to `writer`. */
export function writingRows(writer: Writer, path: string): Rows {
  return new Rows(path, writer, undefined, true)
}

/**
 * Rows that read `bytes`.
 *
 * @param path the C name of the structure, for errors
 * @param keepsUnknown whether what no row names is wanted
 */
export function readingRows(bytes: Uint8Array, path: string, keepsUnknown = true): Rows {
  return new Rows(path, undefined, new Reader(bytes, path), keepsUnknown)
}

/** Encodes a message by its rows. */
export function encodeRows<T>(path: string, value: T, rows: (rows: Rows, value: T) => T): Uint8Array {
  const writer = new Writer()
  rows(writingRows(writer, path), value)
  return writer.finish()
}

/**
 * An attribute that holds more attributes.
 *
 * @param empty a value without any, for reading
 * @param inner the rows of the attribute's content
 */
export function nest<T>(
  rows: Rows,
  type: number,
  symbol: string,
  value: T | undefined,
  empty: T,
  inner: (rows: Rows, value: T) => T
): T | undefined {
  // Compiled once for every T: whatever does not depend on it is in Rows.
  const content = rows.enter(type, symbol, value !== undefined)
  if (content === undefined) return undefined
  const result = inner(content, value ?? empty)
  rows.leave()
  return result
}

function inRange(symbol: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new EncodeError(symbol, `must be an integer from ${String(min)} to ${String(max)}, got ${String(value)}`)
}

function checkedText(symbol: string, value: string, limit: number): string {
  const length = new TextEncoder().encode(value).length
  if (length >= limit) {
    throw new EncodeError(
      symbol,
      `${JSON.stringify(value)} has ${String(length)} bytes, at most ${String(limit - 1)} fit`
    )
  }
  if (value.indexOf('\0') >= 0) throw new EncodeError(symbol, `${JSON.stringify(value)} has a NUL in it`)
  return value
}

function numberOf(symbol: string, value: string | undefined, choices: readonly Choice[]): number | undefined {
  if (value === undefined) return undefined
  const choice = choices.find(candidate => candidate.name === value)
  if (choice === undefined) throw new EncodeError(symbol, `${JSON.stringify(value)} is none of its names`)
  return choice.value
}
