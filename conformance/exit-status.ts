/** What the exit status says of a report. */
import { countBrokenMusts, type Report } from './report.ts'

/** Nothing could be judged, or the suite itself failed: no word about the plugins. */
export const NO_VERDICT = 2

/** 0 when every MUST of what was asked for holds, 1 when one is broken, 2 when there is no verdict. */
export function exitStatus(report: Report): number {
  if (countBrokenMusts(report) > 0) return 1
  const results = report.sets.flatMap(set => set.results)
  const nothing = !results.some(({ verdict }) => verdict === 'passed' || verdict === 'failed')
  return nothing || results.some(({ verdict }) => verdict === 'error') ? NO_VERDICT : 0
}
