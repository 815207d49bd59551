/** A page of one plugin set for a repository: what was judged, how it does by each profile, and what was found. */
import { type Clause, LEVELS, lineLink } from './clauses/clause.ts'
import { type Report, type SetReport, scoreOf, standardScores } from './report.ts'

const LONGEST = 200

/** In a table's cell, as code. */
function code(text: string): string {
  const flat = text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('`', "'")
  return `\`${flat.length > LONGEST ? `${flat.slice(0, LONGEST)}...` : flat}\``
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function scores(report: Report, set: SetReport): readonly string[] {
  const rows = standardScores(report, set).map(({ standard, tried, broken }) =>
    row(
      standard,
      ...LEVELS.map(level => (tried[level] === 0 ? '' : `${tried[level] - broken[level]} of ${tried[level]}`))
    )
  )
  return [row('profile', ...LEVELS), '|---|--:|--:|--:|', ...rows]
}

function files(set: SetReport): readonly string[] {
  const rows = (set.files ?? []).map(({ plugin, version, sha256 }) => row(plugin, version, code(sha256)))
  return [row('plugin', 'version', 'sha256'), '|---|---|---|', ...rows]
}

/** Where the clause is written: its first line of the text, or its document. */
function source({ section, link, lines }: Clause): string {
  const [line] = lines
  if (line !== undefined) return `[${section}](${lineLink(line)})`
  return link.startsWith('http') ? `[${section}](${link})` : section
}

function findings(report: Report, set: SetReport): readonly string[] {
  const broken = report.clauses
    .map(clause => ({ clause, score: scoreOf(report, set, clause.id) }))
    .filter(({ score }) => score.broken > 0)
  if (broken.length === 0) return ['Every clause that could be tried holds.']
  const rows = LEVELS.flatMap(level =>
    broken
      .filter(({ clause, score }) => (score.brokenAs ?? clause.level) === level)
      .map(({ clause, score }) => {
        const plugins = [...new Set(score.findings.map(({ plugin }) => plugin))].join(', ')
        const [first] = score.findings
        const seen = first === undefined ? '' : `${first.plugin}: ${code(first.finding.seen)}`
        return row(level, `${clause.text} \`${clause.id}\``, source(clause), plugins, seen)
      })
  )
  return [row('', 'clause', 'source', 'broken by', 'seen first'), '|---|---|---|---|---|', ...rows]
}

/** @param set of the report */
export function setPage(report: Report, set: SetReport): string {
  const count = (verdict: string) => set.results.filter(result => result.verdict === verdict).length
  const cases = `${count('passed')} cases passed, ${count('failed')} failed, ${count('not testable')} could not be tried`
  const text = [
    `# ${set.name}`,
    '',
    `Judged by the suite's version ${report.suite}, by ${report.spec.tag} of the text, on ${report.date}, ${report.kernel}: ${cases}.`,
    'Made by `npm run scoreboard`; [../conformance.md](../conformance.md) says what the words mean.',
    '',
    ...scores(report, set),
    '',
    '## Findings',
    '',
    ...findings(report, set),
    '',
    '## What was judged',
    '',
    ...files(set)
  ]
  return `${text.join('\n')}\n`
}
