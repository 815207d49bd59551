/** A kernel that refuses one change, whichever a test chooses, and tells which it was asked for. */

/** What every change of a kernel is told to on its way. */
export class RefusedChanges {
  #failing = 0
  #errno = 'EIO'
  #changes: string[] = []

  /** The step-th change from now on (1 = the next) is refused, once; 0 = none. Counting begins anew. */
  failAt(step: number, errno = 'EIO'): void {
    this.#failing = step
    this.#errno = errno
    this.#changes = []
  }

  /** What was tried since `failAt`, in the words of the errors but without the numbers of links: `add link "eth0"`. */
  changes(): readonly string[] {
    return this.#changes
  }

  /** Notes a change. @returns the errno to refuse it with; '' to let it pass */
  note(operation: string, object: string): string {
    this.#changes.push(`${operation} ${object}`.replace(/ (link|dev) \d+/g, ' $1'))
    return this.#changes.length === this.#failing ? this.#errno : ''
  }
}
