/** Reads bytes from front to back. Every step checks the length; what is missing is a DecodeError that names where. */

/** Bytes that are not what their place asks for. */
export class DecodeError extends Error {
  /** What was read, such as the C symbol `IFLA_MTU`. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(`decode ${path}: ${reason}`)
    this.name = 'DecodeError'
    this.path = path
  }
}

/** Integers are little-endian; `be` in a name is network order. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #path: string
  #offset = 0

  /** @param path the name of what is read, for errors */
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

  /** A view of the next `count` bytes. */
  bytes(count: number): Uint8Array {
    const start = this.#take(count)
    return this.#bytes.subarray(start, start + count)
  }

  skip(count: number): void {
    this.#take(count)
  }

  /** Skips to a multiple of `alignment`, a power of two, from the start. */
  align(alignment: number): void {
    this.#take(-this.#offset & (alignment - 1))
  }

  /** Bytes read so far. */
  offset(): number {
    return this.#offset
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
