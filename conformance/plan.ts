/** Which cases are run on which plugins. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from './case.ts'
import { CASES } from './cases/all.ts'
import type { PlannedJob } from './coordinator.ts'
import type { Options } from './options.ts'
import { PROFILES, type Profile } from './profiles.ts'
import { type CaseResult, isFor } from './run-case.ts'

const DEFAULT_SECONDS = 90

function isChosen(one: Case, options: Options): boolean {
  if (options.parts.length > 0 && !options.parts.includes(one.part)) return false
  if (options.only.length === 0) return true
  return options.only.some(prefix => one.id.startsWith(prefix) || one.clauses.some(id => id.startsWith(prefix)))
}

/** Known profiles, the user's own instead of those of the same name. */
function profilesFor(options: Options): readonly Profile[] {
  const own = options.profiles
  const all = [...own, ...PROFILES.filter(({ type }) => !own.some(one => one.type === type))]
  return options.plugins.length === 0 ? all : all.filter(({ type }) => options.plugins.includes(type))
}

/** Everything that the command line asks for. */
export function plan(options: Options): {
  readonly jobs: readonly PlannedJob[]
  readonly skipped: readonly [number, CaseResult][]
} {
  const jobs: PlannedJob[] = []
  const skipped: [number, CaseResult][] = []
  options.sets.forEach((pluginSet, set) => {
    for (const profile of profilesFor(options)) {
      const { type } = profile
      if (!existsSync(join(pluginSet.dir, type))) continue
      for (const one of CASES.filter(candidate => isChosen(candidate, options) && isFor(candidate, profile))) {
        const skip = options.skip.find(({ what }) => what === one.id || what === `${type}/${one.id}`)
        if (skip !== undefined) {
          skipped.push([set, skippedResult(one, type, skip.reason)])
          continue
        }
        jobs.push(jobFor(one, profile, set, pluginSet.dir, { seed: options.seed, effort: pluginSet.effort }))
      }
    }
  })
  return { jobs, skipped }
}

function skippedResult(one: Case, plugin: string, why: string): CaseResult {
  return { caseId: one.id, plugin, verdict: 'skipped', why, findings: [], judged: [], milliseconds: 0 }
}

/** One case on one plugin, for a worker: profiles have functions, which cannot be sent, so those stay behind. */
export function jobFor(
  one: Case,
  profile: Profile,
  set: number,
  dir: string,
  options: { readonly seed: number; readonly effort: number }
): PlannedJob {
  const { prepare: _prepare, sabotage: _sabotage, shared: _shared, ownKeys: _ownKeys, ...plain } = profile
  const { seed, effort } = options
  const job = { caseId: one.id, dir, plugin: profile.type, profile: plain, seed, effort }
  return { job, set, clause: one.clauses[0] ?? '', seconds: one.seconds ?? DEFAULT_SECONDS }
}
