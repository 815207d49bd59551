/** The scoreboard for programs: every clause with what came of it per plugin set, small enough to keep in a repository. */
import { type Report, scoreOf, standardScores, withoutFolder } from './report.ts'

/** The form of the reports that --json writes: docs/conformance.schema.json. */
export const SCHEMA = 'patchbay-conformance/1'

const LONGEST = 600

function cut(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}...`
}

/** @param folder left out of paths, so that the file says the same wherever it was made */
export function compactReport(report: Report, folder = process.cwd()): string {
  const { schema, suite, spec, standards, date, kernel, command, seed } = report
  const sets = report.sets.map(set => {
    const { name, plugins, files, notJudged, effort, results, isReference } = set
    const count = (verdict: string) => results.filter(result => result.verdict === verdict).length
    return {
      name,
      isReference,
      plugins,
      files,
      notJudged,
      effort,
      cases: {
        passed: count('passed'),
        failed: count('failed'),
        'not testable': count('not testable'),
        blocked: count('blocked'),
        skipped: count('skipped')
      },
      scores: standardScores(report, set),
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
  return withoutFolder(
    `${JSON.stringify({ schema, suite, spec, standards, date, kernel, command, seed, sets, clauses }, null, 1)}\n`,
    folder
  )
}
