/** Which kinds of test files there are, and what each needs of the machine. */
import type { Engine } from './project.ts'

export type Suite = 'pure' | 'kernel' | 'blackbox' | 'guest'

export const SUITES: readonly Suite[] = ['pure', 'kernel', 'blackbox', 'guest']

/** The suite of a test file by its name; in `guest`, `perEngine` tells `x.blackbox.guest.test.ts` from `x.guest.test.ts`. */
export function suiteOf(path: string): { readonly suite: Suite; readonly perEngine: boolean } {
  if (path.endsWith('.guest.test.ts')) return { suite: 'guest', perEngine: path.endsWith('.blackbox.guest.test.ts') }
  if (path.endsWith('.blackbox.test.ts')) return { suite: 'blackbox', perEngine: true }
  if (path.endsWith('.kernel.test.ts')) return { suite: 'kernel', perEngine: false }
  return { suite: 'pure', perEngine: false }
}

/** One process to run: a file, and the engine whose executables it judges. */
export interface TestRun {
  readonly path: string
  readonly suite: Suite
  readonly engine: Engine | undefined
}

/** What came of it. `problems` is empty when the file passed. */
export interface TestResult {
  readonly run: TestRun
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  readonly problems: readonly string[]
  readonly output: string
}
