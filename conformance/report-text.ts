/** The report for a terminal. */
import { countBrokenMusts, findingsOf, type Report, type SetReport, scoreOf } from './report.ts'

const MOST_FINDINGS_PER_CLAUSE = 3

function setSummary(report: Report, set: SetReport): string {
  const count = (verdict: string) => set.results.filter(result => result.verdict === verdict).length
  const broken = (level: string) =>
    new Set(
      findingsOf(report, set)
        .filter(({ clause }) => clause?.level === level)
        .map(({ clause }) => clause?.id)
    ).size
  return [
    `${set.name} (${set.dir}), plugins: ${set.plugins.join(' ')}`,
    ...(set.notJudged.length === 0
      ? []
      : [`  not judged, for want of a configuration (--config): ${set.notJudged.join(', ')}`]),
    `  cases: ${count('passed')} passed, ${count('failed')} failed, ${count('not testable')} not testable here, ${count('skipped')} skipped`,
    `  clauses broken: ${broken('MUST')} MUST, ${broken('SHOULD')} SHOULD, ${broken('CUSTOM')} CUSTOM`
  ].join('\n')
}

/** Findings by clause, the same one on several plugins told once. */
function findingsText(report: Report, set: SetReport): readonly string[] {
  return report.clauses.flatMap(clause => {
    const { findings } = scoreOf(report, set, clause.id)
    if (findings.length === 0) return []
    const plugins = [...new Set(findings.map(({ plugin }) => plugin))]
    const shown = findings
      .slice(0, MOST_FINDINGS_PER_CLAUSE)
      .flatMap(({ plugin, caseId, finding }) => [
        `    ${plugin}, case ${caseId}`,
        `      expected  ${finding.expected}`,
        `      seen      ${finding.seen}`,
        ...(finding.call === '' ? [] : [`      repeat    ${finding.call}`])
      ])
    const more = findings.length - MOST_FINDINGS_PER_CLAUSE
    return [
      `  ${clause.level} ${clause.id} (${clause.section}, since ${clause.since}): ${clause.text}`,
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
  const broken = countBrokenMusts(report)
  if (report.sets.some(({ isReference }) => !isReference)) {
    lines.push(broken === 0 ? 'all MUSTs hold' : `${broken} findings break a MUST`)
  }
  lines.push('')
  return lines.join('\n')
}
