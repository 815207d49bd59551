/** A process in a sandbox of its own that runs one case after the other as its parent says. */
import type { Case } from './case.ts'
import { CASES } from './cases/all.ts'
import { Netns } from './netns.ts'
import { ownCases } from './own-cases.ts'
import type { Profile } from './profiles.ts'
import { PROFILES } from './profiles.ts'
import { type CaseResult, runCase } from './run-case.ts'
import { furnish } from './sandbox.ts'
import type { Subject } from './subject.ts'
import type { Version } from './versions.ts'

/** What the parent asks for. Profiles have functions and cannot be sent: they go by name, plus the user's own keys. */
export interface Job {
  readonly caseId: string
  readonly dir: string
  readonly plugin: string
  readonly profile: Omit<Profile, 'prepare' | 'sabotage' | 'ownKeys'>
  readonly seed: number
  readonly effort: number
  /** Plugins are called in no newer version than this. */
  readonly bound?: Version
}

/** The case that a job names: the suite's, or one that the profile brought along. */
export function caseOf(job: Job): Case {
  const one = CASES.find(({ id }) => id === job.caseId) ?? ownCases(job.profile).find(({ id }) => id === job.caseId)
  if (one === undefined) throw new Error(`run case: there is no ${job.caseId}`)
  return one
}

export function subjectOf(job: Job): Subject {
  const known = PROFILES.find(({ type }) => type === job.plugin)
  const { dir, seed, effort, bound } = job
  return { dir, profile: { ...known, ...job.profile }, seed, effort, ...(bound === undefined ? {} : { bound }) }
}

export function work(keep: readonly string[]): void {
  furnish(keep)
  const home = Netns.make('judge-home')
  home.enter()
  process.on('disconnect', () => process.exit(0))
  process.on('message', message => {
    const job = message as Job
    const result: CaseResult = runCase(caseOf(job), subjectOf(job), home)
    process.send?.(result, undefined, undefined, () => {})
  })
  process.send?.('ready')
}
