/**
 * Which link is at the other end. A namespace calls others by numbers of its own (`link-netnsid`), so each is asked what it
 * calls the host, and the host what it calls each: that joins containers to the host. Links between containers are few, and
 * those namespaces are asked for each other.
 */
import type { LinkPlace } from './model.ts'
import type { ReadLink, ReadNamespace } from './read-namespace.ts'

/** Two namespaces whose number for the other would tell of a link. */
interface Question {
  readonly asked: ReadNamespace
  readonly about: string
}

/** An end of a veth pair whose other end is in another namespace. */
interface End {
  readonly namespace: ReadNamespace
  readonly number: number
}

/** So many questions are asked at most: a container can make namespaces and pairs of links without end. */
const MOST_QUESTIONS = 20_000

export class Peers {
  readonly #namespaces: readonly ReadNamespace[]
  /** By their own index and the other's: two pairs may have the same. */
  readonly #ends = new Map<string, End[]>()

  constructor(namespaces: readonly ReadNamespace[]) {
    this.#namespaces = namespaces
    for (const namespace of namespaces) {
      for (const { view, peerIndex, peerNumber } of namespace.links) {
        if (view.kind !== 'veth' || peerNumber === undefined) continue
        const key = pairKey(view.index, peerIndex)
        const ends = this.#ends.get(key)
        if (ends === undefined) this.#ends.set(key, [{ namespace, number: peerNumber }])
        else ends.push({ namespace, number: peerNumber })
      }
    }
  }

  /** Where the other end, or the link below, is; undefined when there is none, or nobody knows. */
  placeOf(namespace: ReadNamespace, link: ReadLink): LinkPlace | undefined {
    const { peerIndex, peerNumber } = link
    if (peerIndex === 0) return undefined
    const known = peerNumber === undefined ? namespace.id : namespace.numbers.get(peerNumber)
    if (known !== undefined) return { namespace: known, index: peerIndex }
    const other = this.#othersOf(link).find(end => end.namespace.numbers.get(end.number) === namespace.id)
    return other === undefined ? undefined : { namespace: other.namespace.id, index: peerIndex }
  }

  /** Whom to ask about whom, so that `placeOf` knows more. An answer goes into `numbers` before the next is taken. */
  *questions(): Generator<Question> {
    let count = 0
    for (const asked of this.#namespaces) {
      for (const link of asked.links) {
        if (this.placeOf(asked, link) !== undefined) continue
        for (const { namespace } of this.#othersOf(link)) {
          if (namespace === asked || this.placeOf(asked, link) !== undefined) continue
          if (count === MOST_QUESTIONS) return
          count += 1
          yield { asked, about: namespace.id }
        }
      }
    }
  }

  #othersOf({ view, peerIndex }: ReadLink): readonly End[] {
    return view.kind === 'veth' ? (this.#ends.get(pairKey(peerIndex, view.index)) ?? []) : []
  }
}

function pairKey(index: number, peerIndex: number): string {
  return `${String(index)} ${String(peerIndex)}`
}
