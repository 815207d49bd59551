/** What a check is, and what it finds. */
import type { Facts } from './facts.ts'

/** `error`: something does not work. `warning`: it works now, or for some. `note`: worth knowing. */
export type Severity = 'error' | 'warning' | 'note'

export interface Finding {
  readonly severity: Severity
  /** What is wrong, one sentence without its end. Names in it may be a container's. */
  readonly what: string
  /** What was seen that says so. */
  readonly evidence: readonly string[]
  /** What to do, as a person would. */
  readonly remedy: string
  /** Does it, where that can harm nothing that works. */
  readonly fix?: Fix
}

interface Fix {
  /** What will be done, as a command. */
  readonly words: string
  readonly apply: () => void | Promise<void>
}

export interface Check {
  readonly name: string
  /** What it looks for. */
  readonly title: string
  readonly find: (facts: Facts) => readonly Finding[] | Promise<readonly Finding[]>
}
