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
 * Integers are in host order, little-endian on every machine Patchbay runs on; `be` in a name is network order.
 *
 * @source linux/netlink.h struct nlattr, NLA_F_NESTED, NLA_ALIGNTO
 */
import { DecodeError } from '../bytes/reader.ts'
import { Writer } from '../bytes/writer.ts'
import type { IpAddress } from '../ip/address.ts'
import { type Choice, EncodeError, inRange, numberOf, textBytes } from './field.ts'
import { type Attribute, NLA_HEADER, PayloadReader } from './payload-reader.ts'

export type { Choice } from './field.ts'
export type { Attribute } from './payload-reader.ts'

const NLA_F_NESTED = 0x8000
const NLA_ALIGNTO = 4

export class Rows {
  readonly isWriting: boolean
  readonly #writer: Writer
  readonly #reader: PayloadReader
  /** Of the attribute whose content is being written. */
  readonly #start: number
  /** The attribute that is entered next. */
  #type = 0
  #symbol = ''

  /** Use `writingRows` or `readingRows`; the one of writer and reader that is not used is shared by all. */
  constructor(isWriting: boolean, writer: Writer, reader: PayloadReader, start: number) {
    this.isWriting = isWriting
    this.#writer = writer
    this.#reader = reader
    this.#start = start
  }

  // Fixed header fields; they come before the attributes.

  fixedU8(symbol: string, value: number): number {
    if (!this.isWriting) return this.#reader.view.getUint8(this.#reader.fixed(1))
    this.#writer.u8(inRange(symbol, value, 0, 0xff))
    return value
  }

  fixedU16(symbol: string, value: number): number {
    if (!this.isWriting) return this.#reader.view.getUint16(this.#reader.fixed(2), true)
    this.#writer.u16(inRange(symbol, value, 0, 0xffff))
    return value
  }

  fixedU16be(symbol: string, value: number): number {
    if (!this.isWriting) return this.#reader.view.getUint16(this.#reader.fixed(2), false)
    this.#writer.u16be(inRange(symbol, value, 0, 0xffff))
    return value
  }

  fixedU32(symbol: string, value: number): number {
    if (!this.isWriting) return this.#reader.view.getUint32(this.#reader.fixed(4), true)
    this.#writer.u32(inRange(symbol, value, 0, 0xffffffff))
    return value
  }

  fixedI32(symbol: string, value: number): number {
    if (!this.isWriting) return this.#reader.view.getInt32(this.#reader.fixed(4), true)
    this.#writer.i32(inRange(symbol, value, -0x80000000, 0x7fffffff))
    return value
  }

  // Attributes.

  u8(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 1)
      return place < 0 ? undefined : this.#reader.view.getUint8(place)
    }
    if (value !== undefined)
      this.#header(type, 1)
        .u8(inRange(symbol, value, 0, 0xff))
        .align(NLA_ALIGNTO)
    return value
  }

  u16(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 2)
      return place < 0 ? undefined : this.#reader.view.getUint16(place, true)
    }
    if (value !== undefined)
      this.#header(type, 2)
        .u16(inRange(symbol, value, 0, 0xffff))
        .align(NLA_ALIGNTO)
    return value
  }

  u16be(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 2)
      return place < 0 ? undefined : this.#reader.view.getUint16(place, false)
    }
    if (value !== undefined)
      this.#header(type, 2)
        .u16be(inRange(symbol, value, 0, 0xffff))
        .align(NLA_ALIGNTO)
    return value
  }

  u32(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 4)
      return place < 0 ? undefined : this.#reader.view.getUint32(place, true)
    }
    if (value !== undefined) this.#header(type, 4).u32(inRange(symbol, value, 0, 0xffffffff))
    return value
  }

  u32be(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 4)
      return place < 0 ? undefined : this.#reader.view.getUint32(place, false)
    }
    if (value !== undefined) this.#header(type, 4).u32be(inRange(symbol, value, 0, 0xffffffff))
    return value
  }

  i32(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 4)
      return place < 0 ? undefined : this.#reader.view.getInt32(place, true)
    }
    if (value !== undefined) this.#header(type, 4).i32(inRange(symbol, value, -0x80000000, 0x7fffffff))
    return value
  }

  i32be(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 4)
      return place < 0 ? undefined : this.#reader.view.getInt32(place, false)
    }
    if (value !== undefined) this.#header(type, 4).u32be(inRange(symbol, value, -0x80000000, 0x7fffffff) >>> 0)
    return value
  }

  /** A whole number; exact up to 2^53. */
  u64(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 8)
      if (place < 0) return undefined
      const { view } = this.#reader
      return view.getUint32(place + 4, true) * 4294967296 + view.getUint32(place, true)
    }
    if (value !== undefined) this.#header(type, 8).u64(inRange(symbol, value, 0, Number.MAX_SAFE_INTEGER))
    return value
  }

  /** A whole number; exact up to 2^53. */
  u64be(type: number, symbol: string, value: number | undefined): number | undefined {
    if (!this.isWriting) {
      const place = this.#reader.findExact(type, symbol, 8)
      if (place < 0) return undefined
      const { view } = this.#reader
      return view.getUint32(place, false) * 4294967296 + view.getUint32(place + 4, false)
    }
    if (value !== undefined) this.#header(type, 8).u64be(inRange(symbol, value, 0, Number.MAX_SAFE_INTEGER))
    return value
  }

  /** A u8 that is 0 or 1. */
  bool(type: number, symbol: string, value: boolean | undefined): boolean | undefined {
    const number = this.u8(type, symbol, value === undefined ? undefined : value ? 1 : 0)
    return number === undefined ? undefined : number !== 0
  }

  /** True by being there, absent for false. */
  flag(type: number, symbol: string, value: boolean | undefined): boolean | undefined {
    if (!this.isWriting) return this.#reader.findExact(type, symbol, 0) < 0 ? undefined : true
    if (value === true) this.#header(type, 0)
    return value
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

  choiceU32be(type: number, symbol: string, value: string | undefined, choices: readonly Choice[]): string | undefined {
    const number = this.u32be(type, symbol, numberOf(symbol, value, choices))
    return this.#name(type, number, choices)
  }

  /** @param limit the field's size in the kernel, with the NUL */
  text(type: number, symbol: string, value: string | undefined, limit: number): string | undefined {
    if (!this.isWriting) return this.#readText(type, symbol)
    if (value !== undefined) {
      const bytes = textBytes(symbol, value, limit)
      this.#header(type, bytes.length + 1)
        .bytes(bytes)
        .u8(0)
        .align(NLA_ALIGNTO)
    }
    return value
  }

  /** An attribute that may be there several times. */
  texts(type: number, symbol: string, values: readonly string[], limit: number): readonly string[] {
    if (this.isWriting) {
      for (const value of values) this.text(type, symbol, value, limit)
      return values
    }
    const read: string[] = []
    for (let next = this.#readText(type, symbol); next !== undefined; next = this.#readText(type, symbol)) {
      read.push(next)
    }
    return read
  }

  /** Text that the kernel wants without a NUL. */
  plainText(type: number, symbol: string, value: string | undefined): string | undefined {
    if (!this.isWriting) return this.#readText(type, symbol)
    if (value !== undefined) this.#append(type, textBytes(symbol, value, 256))
    return value
  }

  /** @param length in bytes; undefined = any */
  bytes(type: number, symbol: string, value: Uint8Array | undefined, length?: number): Uint8Array | undefined {
    if (!this.isWriting) {
      const place = this.#reader.find(type)
      if (place < 0) return undefined
      const read = this.#reader.value(place)
      if (length !== undefined && read.length !== length) {
        throw new DecodeError(symbol, `needs ${String(length)} bytes, got ${String(read.length)}`)
      }
      return read.slice(0)
    }
    if (value !== undefined) {
      if (length !== undefined && value.length !== length) {
        throw new EncodeError(symbol, `must have ${String(length)} bytes, got ${String(value.length)}`)
      }
      this.#append(type, value)
    }
    return value
  }

  /** An attribute that may be there several times. */
  bytesList(type: number, symbol: string, values: readonly Uint8Array[], length: number): readonly Uint8Array[] {
    if (this.isWriting) {
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
    if (this.isWriting) {
      for (const attribute of value ?? []) this.#append(attribute.type | attribute.flags, attribute.value)
      return value
    }
    const left = this.#reader.left()
    return left.length === 0 ? undefined : left
  }

  /** Everything, as it came. Must be the only row. */
  raw(value: Uint8Array): Uint8Array {
    if (!this.isWriting) return this.#reader.rest().slice(0)
    this.#writer.bytes(value)
    return value
  }

  /** Names the attribute that `nest` and `nestList` are about: `nest(rows.at(4, 'NFTA_CHAIN_HOOK'), …)`. */
  at(type: number, symbol: string): Rows {
    this.#type = type
    this.#symbol = symbol
    return this
  }

  /**
   * The rows of an attribute's content, on which `leave` is called after the last; undefined when there is none. For `nest`.
   *
   * @param hasValue whether there is anything to write
   */
  enter(hasValue: boolean): Rows | undefined {
    if (!this.isWriting) {
      const place = this.#reader.find(this.#type)
      return place < 0 ? undefined : readingRows(this.#reader.value(place), this.#symbol, this.#reader.keepsUnknown)
    }
    if (!hasValue) return undefined
    const start = this.#writer.length()
    this.#header(this.#type | NLA_F_NESTED, 0)
    return new Rows(true, this.#writer, NO_READER, start)
  }

  leave(): void {
    if (!this.isWriting) return
    this.#writer.patchU16(this.#start, this.#writer.length() - this.#start)
    this.#writer.align(NLA_ALIGNTO)
  }

  /** struct nlattr: the length, then the type. */
  #header(type: number, length: number): Writer {
    return this.#writer.u32(type * 65536 + NLA_HEADER + length)
  }

  #append(type: number, value: Uint8Array): void {
    this.#header(type, value.length).bytes(value).align(NLA_ALIGNTO)
  }

  /** Text up to its NUL, which some kernels leave out. */
  #readText(type: number, symbol: string): string | undefined {
    const place = this.#reader.find(type)
    if (place < 0) return undefined
    const value = this.#reader.value(place)
    let end = 0
    while (end < value.length && value[end] !== 0) end += 1
    if (end < value.length - 1) throw new DecodeError(symbol, 'text goes on after its NUL')
    return new TextDecoder().decode(value.subarray(0, end))
  }

  #name(type: number, number: number | undefined, choices: readonly Choice[]): string | undefined {
    if (number === undefined) return undefined
    const choice = choices.find(candidate => candidate.value === number)
    if (choice !== undefined) return choice.name
    this.#reader.giveBack(type)
    return undefined
  }
}

/** What reading rows write into, and what writing rows read from: nothing, ever. */
const NO_WRITER = new Writer()
const NO_READER = new PayloadReader(new Uint8Array(0), '', false)

/** Rows that append to `writer`. */
export function writingRows(writer: Writer): Rows {
  return new Rows(true, writer, NO_READER, 0)
}

/**
 * Rows that read `bytes`.
 *
 * @param path the C name of the structure, for errors
 * @param keepsUnknown whether what no row names is wanted
 */
export function readingRows(bytes: Uint8Array, path: string, keepsUnknown = true): Rows {
  return new Rows(false, NO_WRITER, new PayloadReader(bytes, path, keepsUnknown), 0)
}

/** Encodes a message by its rows. */
export function encodeRows<T>(value: T, rows: (rows: Rows, value: T) => T): Uint8Array {
  const writer = new Writer()
  rows(writingRows(writer), value)
  return writer.finish()
}

/**
 * An attribute that holds more attributes.
 *
 * @param rows at the attribute, see `Rows.at`
 * @param empty a value without any, for reading
 * @param inner the rows of the attribute's content
 */
export function nest<T>(rows: Rows, value: T | undefined, empty: T, inner: (rows: Rows, value: T) => T): T | undefined {
  // Compiled once for every T: whatever does not depend on it is in Rows.
  const content = rows.enter(value !== undefined)
  if (content === undefined) return undefined
  const result = inner(content, value ?? empty)
  content.leave()
  return result
}

/** As `nest`, for an attribute that may be there several times. */
export function nestList<T>(
  rows: Rows,
  values: readonly T[],
  empty: T,
  inner: (rows: Rows, value: T) => T
): readonly T[] {
  if (rows.isWriting) {
    for (const value of values) {
      const content = rows.enter(true)
      if (content === undefined) continue
      inner(content, value)
      content.leave()
    }
    return values
  }
  const read: T[] = []
  for (let content = rows.enter(false); content !== undefined; ) {
    read.push(inner(content, empty))
    content = rows.enter(false)
  }
  return read
}
