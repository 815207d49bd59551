/** The report for a terminal. */
import { LEVELS } from './clauses/clause.ts'
import { countBrokenMusts, neverWorked, type Report, type SetReport, scoreOf, standardScores } from './report.ts'

const MOST_FINDINGS_PER_CLAUSE = 3

function setSummary(report: Report, set: SetReport): string {
  const count = (verdict: string) => set.results.filter(result => result.verdict === verdict).length
  const scores = standardScores(report, set).flatMap(({ standard, tried, broken }) => {
    const levels = LEVELS.filter(level => tried[level] > 0)
    const parts = levels.map(level => `${tried[level] - broken[level]} of ${tried[level]} ${level}`)
    return parts.length === 0 ? [] : [`  ${standard.padEnd(14)} ${parts.join(', ')} hold`]
  })
  const dead = neverWorked(set)
  const blocked = count('blocked')
  return [
    `${set.name} (${set.dir}), plugins: ${set.plugins.join(' ')}`,
    ...(set.notJudged.length === 0
      ? []
      : [`  not judged, for want of a configuration (--config): ${set.notJudged.join(', ')}`]),
    ...(dead.length === 0 ? [] : [`  ADD never worked, nothing else was judged: ${dead.join(', ')}`]),
    `  cases: ${count('passed')} passed, ${count('failed')} failed, ${count('not testable')} not testable here, ${blocked} blocked by others, ${count('skipped')} skipped`,
    ...scores,
    ...set.results.filter(({ verdict }) => verdict === 'error').map(one => `  ${one.plugin} ${one.caseId}: ${one.why}`)
  ].join('\n')
}

/** The command that runs the case again; calls work in its world alone. */
function againText(set: SetReport, plugin: string, caseId: string): string {
  return `patchbay conformance --plugin-dir ${set.dir} --plugin ${plugin} --shell ${caseId}`
}

/** The first of each plugin, then the others. */
function firstOfEach<T extends { readonly plugin: string }>(findings: readonly T[]): readonly T[] {
  const first = findings.filter((one, index) => findings.findIndex(({ plugin }) => plugin === one.plugin) === index)
  return [...first, ...findings.filter(one => !first.includes(one))]
}

/** Findings by clause, the same one on several plugins told once. */
function findingsText(report: Report, set: SetReport): readonly string[] {
  return report.clauses.flatMap(clause => {
    const { findings, brokenAs } = scoreOf(report, set, clause.id)
    if (findings.length === 0) return []
    const plugins = [...new Set(findings.map(({ plugin }) => plugin))]
    const shown = firstOfEach(findings)
      .slice(0, MOST_FINDINGS_PER_CLAUSE)
      .flatMap(({ plugin, caseId, finding }) => [
        `    ${plugin}, case ${caseId}`,
        `      expected  ${finding.expected}`,
        `      seen      ${finding.seen}`,
        ...(finding.waived === undefined ? [] : [`      waived    ${finding.waived}`]),
        ...(finding.call === '' ? [] : [`      call      ${finding.call}`]),
        `      repeat    ${againText(set, plugin, caseId)}`
      ])
    const more = findings.length - MOST_FINDINGS_PER_CLAUSE
    return [
      `  ${brokenAs ?? clause.level} ${clause.id} (${clause.section}, since ${clause.since}): ${clause.text}`,
      ...(clause.link === '' ? [] : [`    ${clause.link}`]),
      `    broken by ${plugins.join(' ')}`,
      ...shown,
      ...(more > 0 ? [`    and ${more} more findings (see --json or --html)`] : [])
    ]
  })
}

export function textReport(report: Report): string {
  const lines: string[] = []
  for (const set of report.sets) lines.push('', `findings about ${set.name}:`, ...findingsText(report, set))
  lines.push('', `${report.date}, ${report.kernel}, seed ${report.seed}, ${report.seconds.toFixed(0)} s`)
  for (const set of report.sets) lines.push(setSummary(report, set))
  lines.push(verdictText(report), '')
  return lines.join('\n')
}

/** The last line: what the exit status says. */
function verdictText(report: Report): string {
  const broken = countBrokenMusts(report)
  const by = report.standards.join(', ')
  const results = report.sets.flatMap(set => set.results)
  if (broken > 0) return `${broken} findings break a MUST (${by})`
  if (!results.some(({ verdict }) => verdict === 'passed' || verdict === 'failed')) return 'nothing could be judged'
  const stumbled = results.filter(({ verdict }) => verdict === 'error').length
  if (stumbled > 0) return `the suite itself stumbled in ${stumbled} cases: no verdict`
  return `all MUSTs that could be tried hold (${by})`
}
