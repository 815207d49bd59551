/** Which cases are run on which plugins. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ALL_CLAUSES } from './all-clauses.ts'
import type { Case } from './case.ts'
import { CASES } from './cases/all.ts'
import type { Clause } from './clauses/clause.ts'
import type { PlannedJob } from './coordinator.ts'
import { GATE } from './gate.ts'
import { suggestion } from './nearest.ts'
import type { Options, PluginSet } from './options.ts'
import { ownCases, ownClauses } from './own-cases.ts'
import { PROFILES, type Profile } from './profiles.ts'
import { type CaseResult, isFor } from './run-case.ts'
import { clausesOf, versionBound } from './standards.ts'
import type { Version } from './versions.ts'

const DEFAULT_SECONDS = 90

/** Thrown when the command line asks for something that is not there: nothing would be judged, and all would hold. */
export class NothingToJudge extends Error {}

/** The clauses that the command line asks for. */
export function chosenClauses(options: Options): readonly Clause[] {
  const all = [...ALL_CLAUSES, ...options.profiles.flatMap(ownClauses)]
  const chosen = clausesOf(all, options.standards)
  // That ADD works at all is what everything else rests on.
  const gate = all.filter(({ id }) => GATE.clauses.includes(id) && !chosen.some(one => one.id === id))
  return [...gate, ...chosen]
}

function matches(one: Case, prefix: string): boolean {
  return one.id.startsWith(prefix) || one.clauses.some(id => id.startsWith(prefix))
}

/** Known profiles, the user's own instead of those of the same name. */
function profilesFor(options: Options): readonly Profile[] {
  const own = options.profiles
  const all = [...own, ...PROFILES.filter(({ type }) => !own.some(one => one.type === type))]
  return options.plugins.length === 0 ? all : all.filter(({ type }) => options.plugins.includes(type))
}

export interface Plan {
  readonly jobs: readonly PlannedJob[]
  readonly skipped: readonly (readonly [number, CaseResult])[]
}

/**
 * Everything that the command line asks for. The job of a plugin that finds out whether its ADD works at all comes
 * before all others of that plugin.
 * @throws NothingToJudge when a word of the command line chooses nothing
 */
export function plan(options: Options): Plan {
  const ids = new Set(chosenClauses(options).map(({ id }) => id))
  const cases = [...CASES, ...options.profiles.flatMap(ownCases)]
  const chosen = cases.filter(
    one =>
      one.clauses.some(id => ids.has(id)) &&
      (options.parts.length === 0 || options.parts.includes(one.part)) &&
      (options.only.length === 0 || options.only.some(prefix => matches(one, prefix)))
  )
  refuseEmptyWords(options, cases, chosen)
  const bound = versionBound(options.standards)
  const gates: PlannedJob[] = []
  const jobs: PlannedJob[] = []
  const skipped: (readonly [number, CaseResult])[] = []
  options.sets.forEach((pluginSet, set) => {
    for (const profile of profilesFor(options)) {
      if (!existsSync(join(pluginSet.dir, profile.type))) continue
      const own = chosen.filter(one => isFor(one, profile))
      const make = (one: Case) =>
        jobFor(one, { profile, set, dir: pluginSet.dir, seed: options.seed, effort: pluginSet.effort, bound })
      for (const one of own) {
        const skip = options.skip.find(({ what }) => what === one.id || what === `${profile.type}/${one.id}`)
        if (skip !== undefined) skipped.push([set, skippedResult(one, profile.type, skip.reason)])
        else if (one.id !== GATE.id) jobs.push(make(one))
      }
      if (own.length > 0) gates.push(make(GATE))
    }
  })
  if (gates.length === 0) throw new NothingToJudge(emptyText(options))
  return { jobs: [...gates, ...jobs], skipped }
}

/** Words of the command line that choose nothing, which would be an empty success. */
function refuseEmptyWords(options: Options, cases: readonly Case[], chosen: readonly Case[]): void {
  const names = options.sets.flatMap(({ dir }) => readdirSync(dir))
  const known = [...PROFILES, ...options.profiles].map(({ type }) => type)
  for (const plugin of options.plugins) {
    const isThere = names.includes(plugin)
    if (!isThere)
      throw new NothingToJudge(`--plugin ${plugin}: not in ${folders(options.sets)}${suggestion(plugin, names)}`)
    if (!known.includes(plugin))
      throw new NothingToJudge(`--plugin ${plugin}: the suite has no configuration for it: give one with --config`)
  }
  for (const { type } of options.profiles)
    if (!names.includes(type)) {
      throw new NothingToJudge(
        `--config: there is no plugin ${type} in ${folders(options.sets)}${suggestion(type, names)}`
      )
    }
  const words = [...cases.map(({ id }) => id), ...cases.flatMap(({ clauses }) => clauses)]
  for (const prefix of options.only)
    if (!cases.some(one => matches(one, prefix))) {
      throw new NothingToJudge(`--only ${prefix}: no case and no clause begins so${suggestion(prefix, words)}`)
    }
  for (const { what } of options.skip) {
    const id = what.slice(what.indexOf('/') + 1)
    if (!cases.some(one => one.id === id))
      throw new NothingToJudge(
        `--skip ${what}: there is no such case${suggestion(
          id,
          cases.map(one => one.id)
        )}`
      )
  }
  if (chosen.length === 0) throw new NothingToJudge('no case is of all that was chosen: see --list')
}

function folders(sets: readonly PluginSet[]): string {
  return sets.map(({ dir }) => dir).join(', ')
}

function emptyText(options: Options): string {
  const names = options.sets.flatMap(({ dir }) => readdirSync(dir))
  const found = names.length === 0 ? 'it is empty' : `it holds ${names.slice(0, 10).join(', ')}`
  return `${folders(options.sets)}: no plugin to judge: ${found}; for a plugin that the suite does not know give --config`
}

function skippedResult(one: Case, plugin: string, why: string): CaseResult {
  return { caseId: one.id, plugin, verdict: 'skipped', why, findings: [], judged: [], milliseconds: 0 }
}

export interface JobOptions {
  readonly profile: Profile
  /** Index of the plugin set. */
  readonly set: number
  readonly dir: string
  readonly seed: number
  readonly effort: number
  readonly bound?: Version | undefined
}

/** One case on one plugin, for a worker: profiles have functions, which cannot be sent, so those stay behind. */
export function jobFor(one: Case, options: JobOptions): PlannedJob {
  const { profile, set, dir, seed, effort, bound } = options
  const { prepare: _prepare, sabotage: _sabotage, ownKeys: _ownKeys, ...plain } = profile
  const job = {
    caseId: one.id,
    dir,
    plugin: profile.type,
    profile: plain,
    seed,
    effort,
    ...(bound === undefined ? {} : { bound })
  }
  return { job, set, clause: one.clauses[0] ?? '', seconds: one.seconds ?? DEFAULT_SECONDS, isGate: one.id === GATE.id }
}
