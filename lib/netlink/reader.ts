/**
 * Reads a netlink payload back: fixed headers, then attributes. Lengths are checked at every step, and whatever
 * does not fit is a DecodeError that names where.
 *
 * @source linux/netlink.h struct nlattr
 */
import { NLA_TYPE_MASK } from './writer.ts'

export const NLA_HEADER = 4

/** Bytes that are not what their place asks for. */
export class DecodeError extends Error {
  /** The C symbol of the header or attribute, such as `IFLA_MTU`. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(`decode ${path}: ${reason}`)
    this.name = 'DecodeError'
    this.path = path
  }
}

/** One attribute; `type` is without the flag bits, `value` a view into the message. */
export interface Attribute {
  readonly type: number
  readonly flags: number
  readonly value: Uint8Array
}

export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #path: string
  #offset = 0

  /** @param path the C name of what is read, for errors */
  constructor(bytes: Uint8Array, path: string) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#path = path
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u16be(): number {
    return this.#view.getUint16(this.#take(2), false)
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  u32be(): number {
    return this.#view.getUint32(this.#take(4), false)
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true)
  }

  /** Exact up to 2^53. */
  u64(): number {
    const low = this.u32()
    return this.u32() * 4294967296 + low
  }

  /** Exact up to 2^53. */
  u64be(): number {
    const high = this.u32be()
    return high * 4294967296 + this.u32be()
  }

  bytes(count: number): Uint8Array {
    const start = this.#take(count)
    return this.#bytes.subarray(start, start + count)
  }

  skip(count: number): void {
    this.#take(count)
  }

  /** What is left. */
  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.#offset)
  }

  #take(count: number): number {
    const start = this.#offset
    if (start + count > this.#bytes.length) {
      throw new DecodeError(this.#path, `needs ${String(start + count)} bytes, got ${String(this.#bytes.length)}`)
    }
    this.#offset = start + count
    return start
  }
}

/**
 * The length, header included, of the attribute at `offset`.
 *
 * @throws {DecodeError} when it does not end within `view`
 */
export function attributeLength(view: DataView, offset: number, path: string): number {
  const left = view.byteLength - offset
  if (left < NLA_HEADER) throw new DecodeError(path, `${String(left)} stray bytes`)
  const length = view.getUint16(offset, true)
  if (length >= NLA_HEADER && length <= left) return length
  const type = view.getUint16(offset + 2, true) & NLA_TYPE_MASK
  throw new DecodeError(path, `attribute ${String(type)} claims ${String(length)} bytes`)
}

/**
 * Splits a run of attributes.
 *
 * @param path the C name of the set, such as `IFLA`, for errors
 */
export function attributes(bytes: Uint8Array, path: string): readonly Attribute[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: Attribute[] = []
  let offset = 0
  while (offset < bytes.length) {
    const length = attributeLength(view, offset, path)
    const type = view.getUint16(offset + 2, true)
    found.push({
      type: type & NLA_TYPE_MASK,
      flags: type & ~NLA_TYPE_MASK,
      value: bytes.subarray(offset + NLA_HEADER, offset + length)
    })
    offset += (length + 3) & ~3
  }
  return found
}

function exact(attribute: Attribute, length: number, symbol: string): DataView {
  const { value } = attribute
  if (value.length !== length) {
    throw new DecodeError(symbol, `needs ${String(length)} bytes, got ${String(value.length)}`)
  }
  return new DataView(value.buffer, value.byteOffset, value.byteLength)
}

export function readU8(attribute: Attribute, symbol: string): number {
  return exact(attribute, 1, symbol).getUint8(0)
}

export function readU16(attribute: Attribute, symbol: string): number {
  return exact(attribute, 2, symbol).getUint16(0, true)
}

export function readU16be(attribute: Attribute, symbol: string): number {
  return exact(attribute, 2, symbol).getUint16(0, false)
}

export function readU32(attribute: Attribute, symbol: string): number {
  return exact(attribute, 4, symbol).getUint32(0, true)
}

export function readU32be(attribute: Attribute, symbol: string): number {
  return exact(attribute, 4, symbol).getUint32(0, false)
}

export function readI32(attribute: Attribute, symbol: string): number {
  return exact(attribute, 4, symbol).getInt32(0, true)
}

/** Exact up to 2^53. */
export function readU64(attribute: Attribute, symbol: string): number {
  const view = exact(attribute, 8, symbol)
  return view.getUint32(4, true) * 4294967296 + view.getUint32(0, true)
}

/** Exact up to 2^53. */
export function readU64be(attribute: Attribute, symbol: string): number {
  const view = exact(attribute, 8, symbol)
  return view.getUint32(0, false) * 4294967296 + view.getUint32(4, false)
}

/** Bytes of exactly this length, copied out of the message. */
export function readBytes(attribute: Attribute, length: number, symbol: string): Uint8Array {
  exact(attribute, length, symbol)
  return attribute.value.slice(0)
}

/** Text up to its NUL, which some kernels leave out. */
export function readText(attribute: Attribute, symbol: string): string {
  const { value } = attribute
  let end = 0
  while (end < value.length && value[end] !== 0) end += 1
  if (end < value.length - 1) throw new DecodeError(symbol, 'text goes on after its NUL')
  return new TextDecoder().decode(value.subarray(0, end))
}
