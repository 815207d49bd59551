/** Doing everything that can be done: for DEL and GC, where a failing step is no reason to leave the others undone. */
import { CniError, INTERNAL, toCniError } from '../cni/error.ts'

/**
 *     const steps = new Steps()
 *     steps.attempt(() => container.links.remove(request.ifName))
 *     steps.attempt(() => request.ipam.del())
 *     steps.finish()
 */
export class Steps {
  readonly #command: string
  #failures: CniError[] = []

  /** @param command the verb, for the code of a failure */
  constructor(command: string) {
    this.#command = command
  }

  /** Runs the step and remembers its failure. @returns whether it succeeded */
  attempt(step: () => void): boolean {
    try {
      step()
      return true
    } catch (error) {
      this.failed(error)
      return false
    }
  }

  /** Remembers a failure. */
  failed(error: unknown): void {
    this.#failures.push(toCniError(error, this.#command))
  }

  /** Whether every step so far succeeded. */
  isClean(): boolean {
    return this.#failures.length === 0
  }

  /** @throws CniError the only failure, or one that lists all of them under the first one's code */
  finish(): void {
    if (this.isClean()) return
    // Of type CniError, not narrowed to it: thrown as `CniError | undefined` it would reach the native engine's catch as
    // something that is no Error.
    const first = this.#failures[0] ?? new CniError(INTERNAL, 'a failure without an error')
    if (this.#failures.length === 1) throw first
    const message = this.#failures.map(failure => failure.message).join('; ')
    throw new CniError(first.code, message, first.details)
  }
}
