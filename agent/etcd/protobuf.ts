/**
 * The part of Protocol Buffers' wire format that etcd's messages need: varints, length-delimited fields.
 *
 * @source https://protobuf.dev/programming-guides/encoding/
 */

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** Builds one message. Absent, zero, empty and false fields are left out, as proto3 has it. */
export class ProtoWriter {
  #parts: Uint8Array[] = []

  bytes(field: number, value: Uint8Array | string): this {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
    if (bytes.length > 0) this.#lengthDelimited(field, bytes)
    return this
  }

  /** A message, even an empty one. */
  message(field: number, value: ProtoWriter): this {
    this.#lengthDelimited(field, value.finish())
    return this
  }

  int(field: number, value: number | bigint): this {
    const number = BigInt(value)
    if (number !== 0n) this.#parts.push(varint(BigInt((field << 3) | VARINT)), varint(number))
    return this
  }

  bool(field: number, value: boolean): this {
    return this.int(field, value ? 1 : 0)
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts)
  }

  #lengthDelimited(field: number, bytes: Uint8Array): void {
    this.#parts.push(varint(BigInt((field << 3) | BYTES)), varint(BigInt(bytes.length)), bytes)
  }
}

function varint(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, value)
  const bytes: number[] = []
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

/** One field of a message: a number for varints, bytes for everything with a length. */
export interface ProtoField {
  readonly field: number
  readonly number: bigint
  readonly bytes: Uint8Array
}

const NOTHING = new Uint8Array()

/**
 * The fields of a message in their order. Fixed-size fields, which no message of etcd's has here, are passed over.
 *
 * @throws {RangeError} when the bytes end inside a field
 */
export function* protoFields(message: Uint8Array): Generator<ProtoField> {
  const reader = new Varints(message)
  while (!reader.isAtEnd()) {
    const tag = Number(reader.next())
    const field = tag >>> 3
    const type = tag & 7
    if (type === VARINT) yield { field, number: reader.next(), bytes: NOTHING }
    else if (type === BYTES) yield { field, number: 0n, bytes: reader.take(Number(reader.next())) }
    else if (type === FIXED64) reader.take(8)
    else if (type === FIXED32) reader.take(4)
    else throw new RangeError(`read message: wire type ${type} of field ${field}`)
  }
}

class Varints {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  next(): bigint {
    // Nearly all are small: they need no bigint arithmetic.
    let small = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      small |= (byte & 127) << shift
      if (byte < 128) return BigInt(small)
    }
    let value = BigInt(small)
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return BigInt.asIntN(64, value)
    }
    throw new RangeError('read message: a number does not end')
  }

  take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) throw new RangeError('read message: it ends inside a field')
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return bytes
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new RangeError('read message: it ends inside a number')
    this.#at += 1
    return byte
  }
}
