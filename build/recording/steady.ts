/** Values that differ from run to run, replaced by others of the same length that do not. */
import { createHash } from 'node:crypto'

/** Ids and what is named after them: a network's id, its bridge, ends of cables. */
const CHANGING = /(?<![0-9a-z])(veth|br-)?([0-9a-f]{11,64})(?![0-9a-z])/g

/**
 * Replaces ids in the order in which they are first seen: equal ones stay equal, other ones stay apart, and tables and
 * drawings keep their shape.
 */
export class Steady {
  readonly #known = new Map<string, string>()

  text(shown: string): string {
    return shown.replaceAll(
      CHANGING,
      (_all, prefix: string | undefined, id: string) => `${prefix ?? ''}${this.#of(id)}`
    )
  }

  #of(id: string): string {
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const digest = createHash('sha256').update(`recording ${this.#known.size}`).digest('hex')
    const steady = digest.slice(0, id.length)
    this.#known.set(id, steady)
    return steady
  }
}
