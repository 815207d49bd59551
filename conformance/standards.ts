/**
 * What a plugin is judged by: the clauses of one source, and for the specification, of one version of it. Each has a
 * score, and only those that were asked for decide the exit status.
 */
import { type Clause, forceOf, type Level, type Source } from './clauses/clause.ts'
import type { CaseResult } from './run-case.ts'
import type { Version } from './versions.ts'

export interface Standard {
  readonly name: string
  readonly source: Source
  /** Plugins are called in no newer version than this. */
  readonly version?: Version
  readonly text: string
}

export const STANDARDS: readonly Standard[] = [
  { name: 'spec-0.4', source: 'spec', version: '0.4.0', text: 'SPEC.md as of 0.4.0' },
  { name: 'spec-1.0', source: 'spec', version: '1.0.0', text: 'SPEC.md as of 1.0.0' },
  { name: 'spec-1.1', source: 'spec', version: '1.1.0', text: 'SPEC.md as of 1.1.0' },
  { name: 'libcni-compat', source: 'libcni', text: 'conventions, and what runtimes and plugins built on libcni do' },
  { name: 'reference-keys', source: 'reference', text: "keys that the reference plugins' documentation promises" },
  { name: 'robustness', source: 'robustness', text: 'what hosts in production need and no text says' },
  { name: 'patchbay', source: 'ours', text: 'what this project asks of its own plugins' },
  { name: 'own', source: 'own', text: "cases of the plugin's author (--config)" }
]

export const DEFAULT_STANDARD = 'spec-1.1'

/** All standards, with the newest specification only; an author's own cases are chosen where there are any. */
export const ALL_STANDARDS: readonly string[] = STANDARDS.filter(
  ({ name, source }) => source !== 'own' && (source !== 'spec' || name === DEFAULT_STANDARD)
).map(({ name }) => name)

export function standardOf(name: string): Standard | undefined {
  return STANDARDS.find(one => one.name === name)
}

/** The newest version in which plugins are called under these standards; undefined for whatever they support. */
export function versionBound(names: readonly string[]): Version | undefined {
  const versions = names.flatMap(name => standardOf(name)?.version ?? [])
  return versions.length === 0 ? undefined : versions.sort().at(-1)
}

export function clausesOf<T extends Pick<Clause, 'source'>>(
  clauses: readonly T[],
  names: readonly string[]
): readonly T[] {
  const sources = names.map(name => standardOf(name)?.source)
  return clauses.filter(({ source }) => sources.includes(source))
}

/** How much a clause binds the plugin of this result; undefined when its version says nothing of it. */
export function levelFor(clause: Clause, result: Pick<CaseResult, 'version'>): Level | undefined {
  return result.version === undefined ? clause.level : forceOf(clause, result.version)
}

/** The result with what these clauses say of it alone. */
export function judgedBy(result: CaseResult, clauses: readonly Clause[]): CaseResult {
  const binding = clauses.filter(clause => levelFor(clause, result) !== undefined)
  const ids = new Set(binding.map(({ id }) => id))
  const findings = result.findings.filter(({ clause }) => ids.has(clause))
  const judged = result.judged.filter(id => ids.has(id))
  const verdict = result.verdict === 'failed' && findings.length === 0 ? 'passed' : result.verdict
  return { ...result, findings, judged, verdict }
}
