/** What the gate outside the guest and the program inside (test-in-guest.ts) tell each other. */
import type { TestResult, TestRun } from './test-kinds.ts'

/** Emulation is slower than the machine: time-outs inside the guest grow by this much. */
export const SLOWNESS = 4

/** A file that the gate writes: what is to be run. */
export interface Order {
  readonly runs: readonly { readonly run: TestRun; readonly bundle: string }[]
  readonly strict: boolean
}

/** A line of JSON that comes back. */
export type Message = { readonly begin: TestRun } | { readonly end: TestResult }
