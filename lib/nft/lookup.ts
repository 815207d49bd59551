/**
 * Looking for many elements of one table: a few are asked for one by one, many found in one list of the set. Either costs
 * what there is to look for, and not the product of that and what is there.
 */
import { hex } from '../ip/mac.ts'
import type { Nft, NftElement, NftFamily } from './nft.ts'

/** So many questions cost about as much as one list of a set with a thousand elements. */
export const FEW = 64

export class Lookup {
  readonly #nft: Nft
  readonly #family: NftFamily
  readonly #table: string
  readonly #isFew: boolean
  readonly #lists: Map<string, readonly NftElement[]> = new Map()
  readonly #elements: Map<string, NftElement> = new Map()

  /** @param count about how many elements will be looked for */
  constructor(nft: Nft, family: NftFamily, table: string, count: number) {
    this.#nft = nft
    this.#family = family
    this.#table = table
    this.#isFew = count <= FEW
  }

  /** The element with this key; of a set of ranges, the one whose range begins with it. */
  find(set: string, key: Uint8Array): NftElement | undefined {
    if (this.#isFew) return this.#nft.findElement(this.#family, this.#table, set, key)
    // Most often nobody has anything, and then a key need not even be made into text.
    if (this.list(set).length === 0) return undefined
    return this.#elements.get(`${set} ${hex(key)}`)
  }

  /** All of a set, as it was when it was first asked for. */
  list(set: string): readonly NftElement[] {
    const known = this.#lists.get(set)
    if (known !== undefined) return known
    const list = this.#nft.listElements(this.#family, this.#table, set)
    this.#lists.set(set, list)
    if (!this.#isFew) for (const element of list) this.#elements.set(`${set} ${hex(element.key)}`, element)
    return list
  }
}
