/** Writes bytes from front to back, into room that grows. */

const FIRST_ROOM = 256

/** Integers are little-endian; `be` in a name is network order. A number that is too large loses its high bits. */
export class Writer {
  #bytes = new Uint8Array(FIRST_ROOM)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  /** Bytes written so far. */
  length(): number {
    return this.#length
  }

  u8(value: number): this {
    const start = this.#take(1)
    this.#view.setUint8(start, value)
    return this
  }

  u16(value: number): this {
    const start = this.#take(2)
    this.#view.setUint16(start, value, true)
    return this
  }

  u16be(value: number): this {
    const start = this.#take(2)
    this.#view.setUint16(start, value, false)
    return this
  }

  u32(value: number): this {
    const start = this.#take(4)
    this.#view.setUint32(start, value, true)
    return this
  }

  u32be(value: number): this {
    const start = this.#take(4)
    this.#view.setUint32(start, value, false)
    return this
  }

  i32(value: number): this {
    const start = this.#take(4)
    this.#view.setInt32(start, value, true)
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
    this.#view.setUint16(start, value, true)
  }

  /** As `patchU16`, in network order. */
  patchU16be(start: number, value: number): void {
    this.#view.setUint16(start, value, false)
  }

  /** What was written; the writer goes on from there if it is used further. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  /** Makes room for `count` more bytes, all zero, so that `#bytes` and `#view` may be new. @returns where they begin */
  #take(count: number): number {
    const start = this.#length
    const needed = start + count
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, start))
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    this.#length = needed
    return start
  }
}
