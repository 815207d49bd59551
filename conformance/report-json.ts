/** The scoreboard for programs: every clause with what came of it per plugin set, small enough to keep in a repository. */
import { type Report, scoreOf, withoutFolder } from './report.ts'

const LONGEST = 600

function cut(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}...`
}

/** @param folder left out of paths, so that the file says the same wherever it was made */
export function compactReport(report: Report, folder = process.cwd()): string {
  const { date, kernel, command, seed } = report
  const sets = report.sets.map(({ name, plugins, notJudged, effort, results, isReference }) => {
    const count = (verdict: string) => results.filter(result => result.verdict === verdict).length
    return {
      name,
      isReference,
      plugins,
      notJudged,
      effort,
      cases: {
        passed: count('passed'),
        failed: count('failed'),
        'not testable': count('not testable'),
        skipped: count('skipped')
      },
      kernels: [...new Set(results.map(result => result.kernel ?? kernel))]
    }
  })
  const clauses = report.clauses.map(clause => ({
    ...clause,
    sets: Object.fromEntries(
      report.sets.map(set => {
        const { held, broken, untestable, findings } = scoreOf(report, set, clause.id)
        const found = findings.map(({ plugin, caseId, finding }) => ({
          plugin,
          case: caseId,
          expected: cut(finding.expected),
          seen: cut(finding.seen)
        }))
        const verdict = { held, broken, ...(untestable.length > 0 && held + broken === 0 ? { untestable } : {}) }
        return [set.name, found.length === 0 ? verdict : { ...verdict, findings: found }]
      })
    )
  }))
  return withoutFolder(`${JSON.stringify({ date, kernel, command, seed, sets, clauses }, null, 1)}\n`, folder)
}
