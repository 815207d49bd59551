/**
 * Builds a netlink payload: fixed headers and attributes, in the order they are called.
 *
 * Integers are in host order, little-endian on every machine Patchbay runs on; `be` in a name is network order.
 * Attributes are padded to 4 bytes as struct nlattr asks.
 *
 * @source linux/netlink.h struct nlattr, NLA_F_NESTED, NLA_ALIGNTO
 */
const NLA_HEADER = 4
export const NLA_F_NESTED = 0x8000
export const NLA_F_NET_BYTEORDER = 0x4000
/** The bits of nla_type that are the type itself. */
export const NLA_TYPE_MASK = 0x3fff

export class Writer {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  /** Bytes written so far. */
  length(): number {
    return this.#length
  }

  u8(value: number): this {
    this.#grow(1)
    this.#view.setUint8(this.#length, value)
    this.#length += 1
    return this
  }

  u16(value: number): this {
    this.#grow(2)
    this.#view.setUint16(this.#length, value, true)
    this.#length += 2
    return this
  }

  u16be(value: number): this {
    this.#grow(2)
    this.#view.setUint16(this.#length, value, false)
    this.#length += 2
    return this
  }

  u32(value: number): this {
    this.#grow(4)
    this.#view.setUint32(this.#length, value, true)
    this.#length += 4
    return this
  }

  u32be(value: number): this {
    this.#grow(4)
    this.#view.setUint32(this.#length, value, false)
    this.#length += 4
    return this
  }

  i32(value: number): this {
    this.#grow(4)
    this.#view.setInt32(this.#length, value, true)
    this.#length += 4
    return this
  }

  /** @param value a whole number up to 2^53 */
  u64(value: number): this {
    return this.u32(value % 4294967296).u32(Math.floor(value / 4294967296))
  }

  /** @param value a whole number up to 2^53 */
  u64be(value: number): this {
    return this.u32be(Math.floor(value / 4294967296)).u32be(value % 4294967296)
  }

  bytes(value: Uint8Array): this {
    this.#grow(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  zeros(count: number): this {
    this.#grow(count)
    this.#length += count
    return this
  }

  /** Pads with zeros to a multiple of `alignment`. */
  align(alignment: number): this {
    const over = this.#length % alignment
    return over === 0 ? this : this.zeros(alignment - over)
  }

  attr(type: number, value: Uint8Array): this {
    return this.#attrHeader(type, value.length).bytes(value).align(4)
  }

  /** An attribute that says yes by being there. */
  attrFlag(type: number): this {
    return this.#attrHeader(type, 0)
  }

  attrU8(type: number, value: number): this {
    return this.#attrHeader(type, 1).u8(value).align(4)
  }

  attrU16(type: number, value: number): this {
    return this.#attrHeader(type, 2).u16(value).align(4)
  }

  attrU16be(type: number, value: number): this {
    return this.#attrHeader(type, 2).u16be(value).align(4)
  }

  attrU32(type: number, value: number): this {
    return this.#attrHeader(type, 4).u32(value)
  }

  attrU32be(type: number, value: number): this {
    return this.#attrHeader(type, 4).u32be(value)
  }

  attrI32(type: number, value: number): this {
    return this.#attrHeader(type, 4).i32(value)
  }

  attrU64(type: number, value: number): this {
    return this.#attrHeader(type, 8).u64(value)
  }

  attrU64be(type: number, value: number): this {
    return this.#attrHeader(type, 8).u64be(value)
  }

  /** Text with the NUL that ends it. */
  attrText(type: number, value: string): this {
    const text = new TextEncoder().encode(value)
    return this.#attrHeader(type, text.length + 1)
      .bytes(text)
      .u8(0)
      .align(4)
  }

  /** An attribute whose payload is what `write` writes: more attributes. */
  nested(type: number, write: () => void): this {
    return this.#container(type | NLA_F_NESTED, write)
  }

  /** As `nested` without NLA_F_NESTED, for the older families that never set it and the ones that refuse it. */
  nestedPlain(type: number, write: () => void): this {
    return this.#container(type, write)
  }

  /** The beginning of a `nested` attribute, for `end`: as little as can be for callers that exist once per type. */
  begin(type: number): number {
    const start = this.#length
    this.#attrHeader(type | NLA_F_NESTED, 0)
    return start
  }

  /** @param start what `begin` returned */
  end(start: number): void {
    this.#view.setUint16(start, this.#length - start, true)
    this.align(4)
  }

  /** What was written; the writer goes on from there if it is used further. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #container(type: number, write: () => void): this {
    const start = this.#length
    this.#attrHeader(type, 0)
    write()
    this.#view.setUint16(start, this.#length - start, true)
    return this.align(4)
  }

  #attrHeader(type: number, payload: number): this {
    return this.u16(NLA_HEADER + payload).u16(type)
  }

  #grow(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}
