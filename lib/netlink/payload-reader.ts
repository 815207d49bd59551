/**
 * Reads the payload of a message or the content of an attribute: fixed fields in their order, then attributes by type, each
 * once. Of an attribute that nobody asks for nothing but its place is kept: an answer about a link has eighty, of which a
 * codec wants twenty, in another order; what they hold is read in place.
 *
 * @source linux/netlink.h struct nlattr
 */
import { DecodeError } from '../bytes/reader.ts'

/** struct nlattr: its length with this header, its type. */
export const NLA_HEADER = 4
/** The bits of nla_type that are the type itself. */
const NLA_TYPE_MASK = 0x3fff

/** One attribute; `type` is without the flag bits. */
export interface Attribute {
  readonly type: number
  readonly flags: number
  readonly value: Uint8Array
}

/** Types that can be asked for are below; the longest enumeration here, IFLA_*, ends before 80. */
const TYPES = 128

export class PayloadReader {
  /** Of the whole payload. */
  readonly view: DataView
  readonly keepsUnknown: boolean
  readonly #bytes: Uint8Array
  readonly #path: string
  /** Where the attributes begin; until they were looked for, how far the fixed fields were read. */
  #start = 0
  #isIndexed = false
  /**
   * For each type where its next attribute is, plus one: 0 = there is none; a negative number = none before that place.
   * What comes earlier was taken.
   */
  readonly #next: Int32Array = new Int32Array(TYPES)
  #lastFound = 0

  /**
   * @param path the C name of the structure or attribute, for errors
   * @param keepsUnknown whether `left` is wanted
   */
  constructor(bytes: Uint8Array, path: string, keepsUnknown: boolean) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.keepsUnknown = keepsUnknown
    this.#bytes = bytes
    this.#path = path
  }

  /**
   * The place of a fixed field, which all come before the attributes.
   *
   * @throws {DecodeError} when the payload ends before
   */
  fixed(length: number): number {
    const place = this.#start
    if (place + length > this.#bytes.length) {
      throw new DecodeError(this.#path, `needs ${String(place + length)} bytes, got ${String(this.#bytes.length)}`)
    }
    this.#start = place + length
    return place
  }

  /**
   * The place of the value of this type's next attribute that was not asked for yet; -1 = there is none.
   *
   * @throws {DecodeError} when the attributes do not add up
   */
  find(type: number): number {
    if (!this.#isIndexed) this.#index()
    const next = this.#next[type] ?? 0
    if (next === 0) return -1
    const place = next > 0 ? next - 1 : this.#search(type, -next - 1)
    if (place < 0) return -1
    this.#lastFound = place
    this.#next[type] = -(place + this.#paddedLength(place) + 1)
    return place + NLA_HEADER
  }

  /**
   * As `find`, for a value of one length.
   *
   * @throws {DecodeError} also when it has another
   */
  findExact(type: number, symbol: string, length: number): number {
    const place = this.find(type)
    if (place < 0) return place
    const got = this.length(place)
    if (got !== length) throw new DecodeError(symbol, `needs ${String(length)} bytes, got ${String(got)}`)
    return place
  }

  /** The length of the value at a place that was found. */
  length(place: number): number {
    return this.view.getUint16(place - NLA_HEADER, true) - NLA_HEADER
  }

  /** A view of the value at a place that was found. */
  value(place: number): Uint8Array {
    return this.#bytes.subarray(place, place + this.length(place))
  }

  /** Has the attribute that was found last among those that are left again. */
  giveBack(type: number): void {
    this.#next[type] = this.#lastFound + 1
  }

  /** Copies of the attributes that nobody asked for; none unless they are kept. */
  left(): readonly Attribute[] {
    const left: Attribute[] = []
    if (!this.keepsUnknown) return left
    if (!this.#isIndexed) this.#index()
    for (let place = this.#start; place < this.#bytes.length; place += this.#paddedLength(place)) {
      const type = this.#typeAt(place)
      if (type < TYPES && place + 1 < Math.abs(this.#next[type] ?? 0)) continue
      const flags = this.view.getUint16(place + 2, true) & ~NLA_TYPE_MASK
      left.push({ type, flags, value: this.value(place + NLA_HEADER).slice(0) })
    }
    return left
  }

  /** All that was not read. Must come before the first attribute. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#start)
  }

  /** Byte by byte: the native engine reads a byte in a tenth of the time that a view takes. */
  #index(): void {
    const bytes = this.#bytes
    const next = this.#next
    const size = bytes.length
    let place = this.#start
    while (place < size) {
      const left = size - place
      if (left < NLA_HEADER) throw new DecodeError(this.#path, `${String(left)} stray bytes`)
      const length = (bytes[place] ?? 0) + (bytes[place + 1] ?? 0) * 256
      const type = ((bytes[place + 2] ?? 0) + (bytes[place + 3] ?? 0) * 256) & NLA_TYPE_MASK
      if (length < NLA_HEADER || length > left) {
        throw new DecodeError(this.#path, `attribute ${String(type)} claims ${String(length)} bytes`)
      }
      if (type < TYPES && next[type] === 0) next[type] = place + 1
      place += (length + 3) & ~3
    }
    this.#isIndexed = true
  }

  /** The first attribute of this type from `from` on. */
  #search(type: number, from: number): number {
    for (let place = from; place < this.#bytes.length; place += this.#paddedLength(place)) {
      if (this.#typeAt(place) === type) return place
    }
    return -1
  }

  #typeAt(place: number): number {
    return this.view.getUint16(place + 2, true) & NLA_TYPE_MASK
  }

  #paddedLength(place: number): number {
    return (this.view.getUint16(place, true) + 3) & ~3
  }
}
