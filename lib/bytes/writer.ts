/** Writes bytes from front to back, into room that grows. */

const FIRST_ROOM = 256

/** Integers are little-endian; `be` in a name is network order. A number that is too large loses its high bits. */
export class Writer {
  #bytes = new Uint8Array(FIRST_ROOM)
  #length = 0

  /** Bytes written so far. */
  length(): number {
    return this.#length
  }

  // Byte by byte: the native engine writes one in place and calls a function for everything wider. What is stored is the whole
  // number's last eight bits.

  u8(value: number): this {
    const start = this.#take(1)
    this.#bytes[start] = value
    return this
  }

  u16(value: number): this {
    this.patchU16(this.#take(2), value)
    return this
  }

  u16be(value: number): this {
    this.patchU16be(this.#take(2), value)
    return this
  }

  u32(value: number): this {
    const start = this.#take(4)
    const bytes = this.#bytes
    bytes[start] = value
    bytes[start + 1] = value / 0x100
    bytes[start + 2] = value / 0x10000
    bytes[start + 3] = value / 0x1000000
    return this
  }

  u32be(value: number): this {
    const start = this.#take(4)
    const bytes = this.#bytes
    bytes[start] = value / 0x1000000
    bytes[start + 1] = value / 0x10000
    bytes[start + 2] = value / 0x100
    bytes[start + 3] = value
    return this
  }

  i32(value: number): this {
    return this.u32(value < 0 ? value + 0x100000000 : value)
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
    const start = this.#take(value.length)
    this.#bytes.set(value, start)
    return this
  }

  zeros(count: number): this {
    this.#take(count)
    return this
  }

  /** Pads with zeros to a multiple of `alignment`, a power of two. */
  align(alignment: number): this {
    const padding = -this.#length & (alignment - 1)
    if (padding !== 0) this.#take(padding)
    return this
  }

  /** Writes over what stands at `start`. */
  patchU16(start: number, value: number): void {
    this.#bytes[start] = value
    this.#bytes[start + 1] = value / 0x100
  }

  /** As `patchU16`, in network order. */
  patchU16be(start: number, value: number): void {
    this.#bytes[start] = value / 0x100
    this.#bytes[start + 1] = value
  }

  /** What was written; the writer goes on from there if it is used further. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  /** Makes room for `count` more bytes, all zero; `#bytes` may be another array afterwards. @returns where they begin */
  #take(count: number): number {
    const start = this.#length
    const needed = start + count
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, start))
      this.#bytes = larger
    }
    this.#length = needed
    return start
  }
}
