/** Runs one case on one plugin in a fresh world. */
import { Blocked, type Case, Context, type Finding, NotTestable } from './case.ts'
import type { Netns } from './netns.ts'
import type { Profile } from './profiles.ts'
import { atLeast } from './versions.ts'
import { World } from './world.ts'

/** What a finding expects when the case could not even get to its point. */
export const PRECONDITION = 'what this case builds upon works'

export type Verdict = 'passed' | 'failed' | 'not testable' | 'skipped'

export interface CaseResult {
  readonly caseId: string
  readonly plugin: string
  readonly verdict: Verdict
  /** Why it is not testable or was skipped. */
  readonly why: string
  readonly findings: readonly Finding[]
  /** Clauses that were judged, whether they held or not. */
  readonly judged: readonly string[]
  readonly milliseconds: number
  /** Where it ran, if not under the report's own kernel. */
  readonly kernel?: string
}

/** Whether a case is for plugins like this one. */
export function isFor(one: Case, profile: Profile): boolean {
  if (one.roles !== undefined && !one.roles.includes(profile.role)) return false
  if (one.plugins !== undefined && !one.plugins.includes(profile.type)) return false
  return one.when === undefined || one.when(profile)
}

export interface Subject {
  readonly dir: string
  readonly profile: Profile
  readonly seed: number
  readonly effort: number
}

/** @param home the namespace that the calling thread is in and comes back to */
export function runCase(one: Case, subject: Subject, home: Netns): CaseResult {
  const started = process.hrtime.bigint()
  let world: World | undefined
  let context: Context | undefined
  let verdict: Verdict | undefined
  let why = ''
  const extra: Finding[] = []
  try {
    world = new World(home)
    context = new Context(world, subject.profile, subject.dir, subject.seed, subject.effort)
    if (one.since !== undefined && !atLeast(context.newest(), one.since)) {
      throw new NotTestable(`supports no version from ${one.since} on`)
    }
    one.run(context)
  } catch (error) {
    if (error instanceof NotTestable) {
      // What was found before the case came to its end stands.
      verdict = 'not testable'
      why = error.message
    } else {
      // The judge's own mistakes look different from the plugin's: they carry a stack.
      const seen = error instanceof Blocked ? error.message : `the judge stumbled: ${stackOf(error)}`
      const expected = PRECONDITION
      extra.push({ clause: one.clauses[0] ?? '', expected, seen, call: context?.lastCall() ?? '' })
    }
  } finally {
    world?.close()
  }
  const findings = [...(context?.findings ?? []), ...extra]
  if (findings.length > 0) verdict = 'failed'
  const judged = [...(context?.judged ?? []), ...extra.map(({ clause }) => clause)]
  return {
    caseId: one.id,
    plugin: subject.profile.type,
    verdict: verdict ?? 'passed',
    why,
    findings,
    judged: [...new Set(judged)],
    milliseconds: Number(process.hrtime.bigint() - started) / 1e6
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
