/** What is fuzzed: something that reads bytes from others, with inputs to begin from and a judge. */
import type { Random } from '../lib/testing/mutation.ts'

export interface Target {
  /** Also the name of its folder in testdata. */
  readonly name: string
  /** An input; the same state of `random` makes the same one. */
  readonly make: (random: Random) => Uint8Array
  /** @throws Error when the input is answered in a way that no input may be */
  readonly judge: (input: Uint8Array) => void
}

/** A law of a target that an input has broken. */
class LawBroken extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'LawBroken'
  }
}

/**
 * Runs `read`, which may refuse its input in these ways.
 *
 * @param refusals names of error classes
 * @returns undefined when it was refused
 */
export function reading<T>(read: () => T, refusals: readonly string[]): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Error && refusals.includes(error.name)) return undefined
    throw error
  }
}

/** @throws LawBroken when it does not hold */
export function law(holds: boolean, what: () => string): void {
  if (!holds) throw new LawBroken(what())
}
