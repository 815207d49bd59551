/**
 * The attributes of one run, found by type, each once. Of those that nobody asks for there is only the place: an answer
 * about a link has eighty, of which a codec wants twenty, in another order.
 *
 * @source linux/netlink.h struct nlattr
 */
import { type Attribute, attributeLength, NLA_HEADER } from '../reader.ts'
import { NLA_TYPE_MASK } from '../writer.ts'

/** Types below this are found at once; higher ones are looked for. */
const SMALL_TYPES = 128
/** The most that an octet of `#first` can tell. */
const FAR = 255

export class AttributeIndex {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  /** Where each attribute begins; of a taken one, the same with all bits turned. */
  readonly #places: number[] = []
  /** For each small type one more than the index of its first attribute, at most FAR; 0 = there is none. */
  readonly #first: Uint8Array = new Uint8Array(SMALL_TYPES)

  /**
   * @param path the C name of the set, such as `IFLA`, for errors
   * @throws {DecodeError}
   */
  constructor(bytes: Uint8Array, path: string) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let place = 0
    while (place < bytes.length) {
      const length = attributeLength(this.#view, place, path)
      this.#places.push(place)
      const type = this.#typeAt(place)
      if (type < SMALL_TYPES && this.#first[type] === 0) this.#first[type] = Math.min(this.#places.length, FAR)
      place += (length + 3) & ~3
    }
  }

  /** The next attribute of this type that was not taken yet. */
  take(type: number): Attribute | undefined {
    const first = type < SMALL_TYPES ? (this.#first[type] ?? 0) : 1
    if (first === 0) return undefined
    for (let i = first - 1; i < this.#places.length; i += 1) {
      const place = this.#places[i] ?? -1
      if (place < 0 || this.#typeAt(place) !== type) continue
      this.#places[i] = ~place
      return this.#attributeAt(place)
    }
    return undefined
  }

  /** Has the last taken attribute of this type among those that are left again. */
  giveBack(type: number): void {
    for (let i = this.#places.length - 1; i >= 0; i -= 1) {
      const place = ~(this.#places[i] ?? 0)
      if (place < 0 || this.#typeAt(place) !== type) continue
      this.#places[i] = place
      return
    }
  }

  /** Copies of what nobody took. */
  left(): readonly Attribute[] {
    const left: Attribute[] = []
    for (const place of this.#places) {
      if (place < 0) continue
      const attribute = this.#attributeAt(place)
      left.push({ type: attribute.type, flags: attribute.flags, value: attribute.value.slice(0) })
    }
    return left
  }

  #typeAt(place: number): number {
    return this.#view.getUint16(place + 2, true) & NLA_TYPE_MASK
  }

  #attributeAt(place: number): Attribute {
    const type = this.#view.getUint16(place + 2, true)
    const end = place + this.#view.getUint16(place, true)
    return {
      type: type & NLA_TYPE_MASK,
      flags: type & ~NLA_TYPE_MASK,
      value: this.#bytes.subarray(place + NLA_HEADER, end)
    }
  }
}
