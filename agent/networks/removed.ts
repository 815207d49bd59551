/**
 * Which networks were removed, by id: one value of the registry, written in the transaction that removes a network.
 *
 * Sequence prevented: the registry loses its memory; two hosts give it a network back; somebody removes the network on the one
 * before the other has been told that it was there again. The other finds none, and makes it once more.
 */
import type { Registry, Shared, Unchanged } from '../registry.ts'

const KEY = 'removed-networks'
/** The latest: a value of at most 67 KB. */
const MOST = 1000
const ID = /^[0-9a-f]{64}$/

export class RemovedNetworks {
  readonly #ids: readonly string[]
  /** Holds as long as nobody removes a network. */
  readonly unchanged: Unchanged

  private constructor(ids: readonly string[], revision: number) {
    this.#ids = ids
    this.unchanged = { under: KEY, since: revision }
  }

  /** @throws {CniError} code 11 */
  static async read(registry: Registry, milliseconds: number): Promise<RemovedNetworks> {
    const { entries, revision } = await registry.read(KEY, milliseconds)
    return new RemovedNetworks(idsFrom(entries.find(one => one.name === '')?.value ?? ''), revision)
  }

  has(id: string): boolean {
    return this.#ids.includes(id)
  }

  /** To be written with the network's removal. */
  with(id: string): Shared {
    return { key: KEY, value: JSON.stringify([...this.#ids, id].slice(-MOST)) }
  }
}

/** What whoever may write into the registry wrote: of what is no list of ids nothing is used. */
function idsFrom(value: string): readonly string[] {
  try {
    const list: unknown = JSON.parse(value)
    return Array.isArray(list) ? list.filter(one => typeof one === 'string' && ID.test(one)) : []
  } catch {
    return []
  }
}
