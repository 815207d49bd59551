import type { PathResult } from './path-run.ts'
import type { ScenarioResult } from './run.ts'
import type { Sample } from './statistics.ts'

/** Everything that one run of the benchmark has measured. */
export interface BenchReport {
  readonly machine: Readonly<Record<string, string>>
  readonly runs: number
  /** How long it all took. */
  readonly minutes: number
  readonly contestants: readonly { readonly name: string; readonly largestFile: number; readonly allFiles: number }[]
  readonly bareNode: Sample
  /** `patchbay network ls` without networks; absent in reports of before it was measured, and without the Node engine. */
  readonly commandStart?: Sample
  readonly results: readonly ScenarioResult[]
  readonly paths: readonly PathResult[]
  /** Peak memory of ADD, KiB, by contestant and plugin. */
  readonly memory: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** What was left out as a whole, and why. */
  readonly leftOut: readonly string[]
}
