/**
 * Newest-first rollback: what a failed ADD runs to leave nothing behind.
 *
 *     const undo = new Undo()
 *     try {
 *       host.links.add(...)
 *       undo.push('link "veth0"', () => host.links.remove('veth0'))
 *       ...
 *     } catch (error) {
 *       throw undo.rollback(error)
 *     }
 */

/** A failure after which some steps could not be undone either. The message begins with that of `reason`. */
export class UndoError extends Error {
  /** What made the rollback necessary. */
  readonly reason: Error
  /** What is left behind and why, newest first. */
  readonly left: readonly string[]

  constructor(reason: Error, left: readonly string[]) {
    super(`${reason.message}; could not undo ${left.join(', ')}`)
    this.name = 'UndoError'
    this.reason = reason
    this.left = left
  }
}

interface Step {
  readonly what: string
  readonly run: () => void
}

/** A list of steps that undo what has been done so far. Push each right after the deed it undoes. */
export class Undo {
  #steps: Step[] = []

  /** @param what the thing that `step` removes or restores, for the message when it cannot: `link "veth0"` */
  push(what: string, step: () => void): void {
    this.#steps.push({ what, run: step })
  }

  /**
   * Runs every step once, newest first, a failing one no obstacle to the rest.
   *
   * @returns the error to throw: `cause` itself, or an UndoError around it when steps failed
   */
  rollback(cause: Error): Error {
    const steps = this.#steps.slice(0).reverse()
    this.#steps = []
    const left: string[] = []
    for (const step of steps) {
      try {
        step.run()
      } catch (error) {
        left.push(`${step.what} (${error instanceof Error ? error.message : 'no reason given'})`)
      }
    }
    return left.length === 0 ? cause : new UndoError(cause, left)
  }

  /** Forgets the steps: what has been done shall stay. */
  clear(): void {
    this.#steps = []
  }
}
