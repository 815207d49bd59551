/** A process in a sandbox of its own that runs one case after the other as its parent says. */
import { CASES } from './cases/all.ts'
import { Netns } from './netns.ts'
import type { Profile } from './profiles.ts'
import { PROFILES } from './profiles.ts'
import { type CaseResult, runCase } from './run-case.ts'
import { furnish } from './sandbox.ts'

/** What the parent asks for. Profiles have functions and cannot be sent: they go by name, plus the user's own keys. */
export interface Job {
  readonly caseId: string
  readonly dir: string
  readonly plugin: string
  readonly profile: Omit<Profile, 'prepare' | 'sabotage' | 'shared' | 'ownKeys'>
  readonly seed: number
  readonly effort: number
}

export function work(keep: readonly string[]): void {
  furnish(keep)
  const home = Netns.make('judge-home')
  home.enter()
  process.on('disconnect', () => process.exit(0))
  process.on('message', message => {
    const job = message as Job
    const one = CASES.find(({ id }) => id === job.caseId)
    if (one === undefined) throw new Error(`run case: there is no ${job.caseId}`)
    const known = PROFILES.find(({ type }) => type === job.plugin)
    const subject = { dir: job.dir, profile: { ...known, ...job.profile }, seed: job.seed, effort: job.effort }
    const result: CaseResult = runCase(one, subject, home)
    process.send?.(result, undefined, undefined, () => {})
  })
  process.send?.('ready')
}
