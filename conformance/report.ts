/** The suite's outcome as data: everything that the tables and files are made from. */
import type { Case, Finding } from './case.ts'
import { type Clause, LEVELS, type Level, type SPEC_REVISION } from './clauses/clause.ts'
import { NEVER_WORKED } from './gate.ts'
import type { PluginFile } from './plugin-files.ts'
import type { CaseResult } from './run-case.ts'
import { clausesOf, levelFor, STANDARDS } from './standards.ts'

export interface SetReport {
  readonly name: string
  readonly dir: string
  readonly isReference: boolean
  readonly plugins: readonly string[]
  /** What was judged, to the byte. */
  readonly files?: readonly PluginFile[]
  /** Files in the directory for which the suite has no configuration, with the reason where there is one. */
  readonly notJudged: readonly string[]
  /** How much of the repetitive cases was done, as a fraction of the full number. */
  readonly effort?: number
  readonly results: readonly CaseResult[]
}

export interface Report {
  /** Of this form of report. */
  readonly schema: string
  /** The suite's version. */
  readonly suite: string
  /** The revision of SPEC.md that clauses cite. */
  readonly spec: typeof SPEC_REVISION
  /** What was judged by. */
  readonly standards: readonly string[]
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
  /** The gravest level at which it is broken. */
  readonly brokenAs: Level | undefined
}

/** The graver of two levels. */
function graver(a: Level | undefined, b: Level | undefined): Level | undefined {
  return LEVELS.find(level => level === a || level === b)
}

export function scoreOf(report: Report, set: SetReport, clauseId: string): ClauseScore {
  const broken = new Set<string>()
  const held = new Set<string>()
  const untestable = new Set<string>()
  const proving = new Set(report.cases.filter(({ clauses }) => clauses.includes(clauseId)).map(({ id }) => id))
  const findings: ClauseScore['findings'][number][] = []
  const clause = report.clauses.find(({ id }) => id === clauseId)
  let brokenAs: Level | undefined
  for (const result of set.results) {
    const own = result.findings.filter(finding => finding.clause === clauseId)
    if (own.length > 0 && clause !== undefined) brokenAs = graver(brokenAs, levelFor(clause, result))
    if (own.length > 0) broken.add(result.plugin)
    else if (result.judged.includes(clauseId)) held.add(result.plugin)
    else if (result.why !== '' && proving.has(result.caseId)) untestable.add(`${result.plugin}: ${result.why}`)
    for (const finding of own) findings.push({ plugin: result.plugin, caseId: result.caseId, finding })
  }
  for (const plugin of broken) held.delete(plugin)
  return { held: held.size, broken: broken.size, untestable: [...untestable], findings, brokenAs }
}

/** How one plugin of a set does over all clauses. */
export interface PluginScore {
  readonly held: number
  /** Clauses that it breaks, the gravest first. */
  readonly broken: readonly Clause[]
  /** Cases that could not be tried. */
  readonly untestable: number
}

export function pluginScore(report: Report, set: SetReport, plugin: string): PluginScore {
  const results = set.results.filter(result => result.plugin === plugin)
  const brokenIds = new Set(results.flatMap(({ findings }) => findings.map(({ clause }) => clause)))
  const judged = new Set(results.flatMap(result => result.judged))
  const broken = report.clauses.filter(({ id }) => brokenIds.has(id))
  return {
    held: [...judged].filter(id => !brokenIds.has(id)).length,
    broken: broken.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level)),
    untestable: results.filter(({ verdict }) => verdict === 'not testable').length
  }
}

/** One finding, with the clause that it is about and how much that binds this plugin. */
export interface SetFinding {
  readonly clause: Clause | undefined
  /** A finding about a clause that the report does not list is taken for the worst. */
  readonly level: Level
  readonly result: CaseResult
  readonly finding: Finding
}

export function findingsOf(report: Report, set: SetReport): readonly SetFinding[] {
  return set.results.flatMap(result =>
    result.findings.map(finding => {
      const clause = report.clauses.find(({ id }) => id === finding.clause)
      const level = clause === undefined ? 'MUST' : (levelFor(clause, result) ?? clause.level)
      return { clause, level, result, finding }
    })
  )
}

/** Findings that break a MUST and are not waived, in sets that are judged for themselves. */
export function countBrokenMusts(report: Report): number {
  return report.sets
    .filter(({ isReference }) => !isReference)
    .flatMap(set => findingsOf(report, set))
    .filter(({ level, finding }) => level === 'MUST' && finding.waived === undefined).length
}

/** How a set does by one standard: clauses that could be tried, and those of them that hold on all plugins. */
export interface StandardScore {
  readonly standard: string
  readonly text: string
  /** By level: of so many clauses that were tried, so many are broken. */
  readonly tried: Readonly<Record<Level, number>>
  readonly broken: Readonly<Record<Level, number>>
}

export function standardScores(report: Report, set: SetReport): readonly StandardScore[] {
  return STANDARDS.filter(({ name }) => report.standards.includes(name)).map(({ name, text }) => {
    const tried = { MUST: 0, SHOULD: 0, CUSTOM: 0 }
    const broken = { MUST: 0, SHOULD: 0, CUSTOM: 0 }
    for (const clause of clausesOf(report.clauses, [name])) {
      const score = scoreOf(report, set, clause.id)
      if (score.held + score.broken === 0) continue
      const level = score.brokenAs ?? clause.level
      tried[level] += 1
      if (score.broken > 0) broken[level] += 1
    }
    return { standard: name, text, tried, broken }
  })
}

/** Plugins that could not be judged, because not even ADD works, with what was seen. */
export function neverWorked(set: SetReport): readonly string[] {
  return [
    ...new Set(
      set.results.filter(({ verdict, why }) => verdict === 'blocked' && why === NEVER_WORKED).map(one => one.plugin)
    )
  ]
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
