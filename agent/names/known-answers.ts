/**
 * What a container has been answered, for as long as nothing changes that it could ask for. Reading a question and writing
 * its answer leave some 7 kB of garbage: at 20,000 questions a second everybody waited for the collector twenty times a
 * second, for most of a millisecond.
 */
import { shuffleRecords, type Transport } from './answer.ts'

/** Of one container, which asks for few names again and again. */
const MOST = 128
/** Bytes of a question and its answer that are worth keeping. */
const LONGEST = 1500

export class KnownAnswers {
  readonly #answers = new Map<string, Uint8Array>()
  #revision = -1

  /**
   * @param revision the zone's
   * @returns the answer under the question's own number, its records in another order; undefined when none is known
   */
  find(question: Buffer, transport: Transport, revision: number): Uint8Array | undefined {
    if (revision !== this.#revision) {
      this.#revision = revision
      this.#answers.clear()
      return undefined
    }
    const known = this.#answers.get(keyOf(question, transport))
    if (known === undefined) return undefined
    // One of its own: the one before may still wait to be sent.
    const answer = Buffer.from(known)
    answer[0] = question[0] ?? 0
    answer[1] = question[1] ?? 0
    shuffleRecords(answer)
    return answer
  }

  /** An answer to a question that was not known. */
  keep(question: Buffer, transport: Transport, answer: Uint8Array): void {
    if (question.length + answer.length > LONGEST) return
    // Who asks for something else each time only loses what it had itself.
    if (this.#answers.size >= MOST) this.#answers.clear()
    this.#answers.set(keyOf(question, transport), answer)
  }
}

/** All but its number, byte for byte. */
function keyOf(question: Buffer, transport: Transport): string {
  return `${transport} ${question.toString('latin1', 2)}`
}
