/** The suite's outcome as data: everything that the tables and files are made from. */
import type { Case, Finding } from './case.ts'
import type { Clause } from './clauses.ts'
import type { CaseResult } from './run-case.ts'

export interface SetReport {
  readonly name: string
  readonly dir: string
  readonly isReference: boolean
  readonly plugins: readonly string[]
  /** Files in the directory for which the suite has no configuration, with the reason where there is one. */
  readonly notJudged: readonly string[]
  /** How much of the repetitive cases was done, as a fraction of the full number. */
  readonly effort?: number
  readonly results: readonly CaseResult[]
}

export interface Report {
  readonly date: string
  readonly kernel: string
  readonly command: string
  readonly seed: number
  readonly seconds: number
  readonly clauses: readonly Clause[]
  readonly cases: readonly Pick<Case, 'id' | 'title' | 'part' | 'clauses'>[]
  readonly sets: readonly SetReport[]
}

/** How a set does on a clause, over all its plugins. */
export interface ClauseScore {
  readonly held: number
  readonly broken: number
  /** Plugins on which it could not be tried, with the reasons. */
  readonly untestable: readonly string[]
  readonly findings: readonly { readonly plugin: string; readonly caseId: string; readonly finding: Finding }[]
}

export function scoreOf(report: Report, set: SetReport, clauseId: string): ClauseScore {
  const broken = new Set<string>()
  const held = new Set<string>()
  const untestable = new Set<string>()
  const proving = new Set(report.cases.filter(({ clauses }) => clauses.includes(clauseId)).map(({ id }) => id))
  const findings: ClauseScore['findings'][number][] = []
  for (const result of set.results) {
    const own = result.findings.filter(finding => finding.clause === clauseId)
    if (own.length > 0) broken.add(result.plugin)
    else if (result.judged.includes(clauseId)) held.add(result.plugin)
    else if (result.why !== '' && proving.has(result.caseId)) untestable.add(`${result.plugin}: ${result.why}`)
    for (const finding of own) findings.push({ plugin: result.plugin, caseId: result.caseId, finding })
  }
  for (const plugin of broken) held.delete(plugin)
  return { held: held.size, broken: broken.size, untestable: [...untestable], findings }
}

/** How one plugin of a set does over all clauses. */
export interface PluginScore {
  readonly held: number
  /** Clauses that it breaks, the gravest first. */
  readonly broken: readonly Clause[]
  /** Cases that could not be tried. */
  readonly untestable: number
}

const GRAVITY: readonly Clause['level'][] = ['MUST', 'SHOULD', 'CUSTOM']

export function pluginScore(report: Report, set: SetReport, plugin: string): PluginScore {
  const results = set.results.filter(result => result.plugin === plugin)
  const brokenIds = new Set(results.flatMap(({ findings }) => findings.map(({ clause }) => clause)))
  const judged = new Set(results.flatMap(result => result.judged))
  const broken = report.clauses.filter(({ id }) => brokenIds.has(id))
  return {
    held: [...judged].filter(id => !brokenIds.has(id)).length,
    broken: broken.sort((a, b) => GRAVITY.indexOf(a.level) - GRAVITY.indexOf(b.level)),
    untestable: results.filter(({ verdict }) => verdict === 'not testable').length
  }
}

/** Every finding of a set, with the clause it is about. */
export function findingsOf(
  report: Report,
  set: SetReport
): readonly { readonly clause: Clause | undefined; readonly result: CaseResult; readonly finding: Finding }[] {
  return set.results.flatMap(result =>
    result.findings.map(finding => ({
      clause: report.clauses.find(({ id }) => id === finding.clause),
      result,
      finding
    }))
  )
}

/** Findings that break a MUST, in sets that are judged for themselves. */
export function countBrokenMusts(report: Report): number {
  return report.sets
    .filter(({ isReference }) => !isReference)
    .flatMap(set => findingsOf(report, set))
    .filter(({ clause }) => clause === undefined || clause.level === 'MUST').length
}

/** Several runs as one report: sets of one name become one, the last run says what clauses there are. */
export function mergedReport(reports: readonly Report[]): Report {
  const last = reports.at(-1)
  if (last === undefined) throw new Error('merge reports: there is none')
  const sets = new Map<string, SetReport>()
  for (const set of reports.flatMap(report => report.sets)) {
    const known = sets.get(set.name)
    const plugins = [...new Set([...(known?.plugins ?? []), ...set.plugins])].sort()
    sets.set(set.name, {
      ...(known ?? set),
      plugins,
      results: withoutRepeats([...(known?.results ?? []), ...set.results])
    })
  }
  const seconds = reports.reduce((total, report) => total + report.seconds, 0)
  const command = [...new Set(reports.map(report => report.command).filter(text => text !== ''))].join(' ; ')
  const ordered = [...sets.values()].sort((a, b) => Number(a.isReference) - Number(b.isReference))
  return { ...last, seconds, command, sets: ordered }
}

/**
 * One result per case and plugin: what could be tested somewhere counts more than that it could not be elsewhere, else
 * the later one.
 */
function withoutRepeats(results: readonly CaseResult[]): readonly CaseResult[] {
  const found = new Map<string, CaseResult>()
  for (const result of results) {
    const key = `${result.plugin}/${result.caseId}`
    const known = found.get(key)
    if (known === undefined || known.verdict === 'not testable' || result.verdict !== 'not testable') {
      found.set(key, result)
    }
  }
  return [...found.values()]
}

/** A text of the report without the folder that the suite was started in: `dist/native/bin/bridge`. */
export function withoutFolder(text: string, folder: string): string {
  return text.replaceAll(`${folder}/`, '')
}
