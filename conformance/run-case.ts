/** Runs one case on one plugin in a fresh world. */
import { Blocked, type Case, Context, type Finding, Hung, NotTestable } from './case.ts'
import type { Netns } from './netns.ts'
import type { Profile } from './profiles.ts'
import type { Subject } from './subject.ts'
import { atLeast, type Version } from './versions.ts'
import { World } from './world.ts'

/** What a finding expects when the case could not even get to its point. */
export const PRECONDITION = 'what this case builds upon works'

/** blocked: what the case builds upon failed, which another case judges. error: the suite itself stumbled. */
export type Verdict = 'passed' | 'failed' | 'not testable' | 'skipped' | 'blocked' | 'error'

export interface CaseResult {
  readonly caseId: string
  readonly plugin: string
  readonly verdict: Verdict
  /** Why there is no verdict about the plugin. */
  readonly why: string
  readonly findings: readonly Finding[]
  /** Clauses that were judged, whether they held or not. */
  readonly judged: readonly string[]
  readonly milliseconds: number
  /** The newest version of the specification in which the plugin was called. */
  readonly version?: Version
  /** Where it ran, if not under the report's own kernel. */
  readonly kernel?: string
}

/** Whether a case is for plugins like this one. */
export function isFor(one: Case, profile: Profile): boolean {
  if (one.roles !== undefined && !one.roles.includes(profile.role)) return false
  if (one.plugins !== undefined && !one.plugins.includes(profile.type)) return false
  return one.when === undefined || one.when(profile)
}

/** How a case came to its end, if not by running through. */
interface Stop {
  readonly verdict?: Verdict
  readonly why?: string
  readonly finding?: Finding
}

function stopOf(error: unknown, one: Case, call: string): Stop {
  const clause = one.clauses[0] ?? ''
  if (error instanceof NotTestable) return { verdict: 'not testable', why: error.message }
  if (error instanceof Hung) return { finding: { clause, expected: 'every call ends', seen: error.message, call } }
  if (error instanceof Blocked) {
    // A key that makes ADD fail is that key's own fault; elsewhere another case says that ADD fails.
    if (one.part === 'behaviour') return { finding: { clause, expected: PRECONDITION, seen: error.message, call } }
    return { verdict: 'blocked', why: error.message }
  }
  return { verdict: 'error', why: `the suite stumbled: ${stackOf(error)}` }
}

/**
 * @param home the namespace that the calling thread is in and comes back to
 * @param linger called in the world before it is taken apart
 */
export function runCase(one: Case, subject: Subject, home: Netns, linger?: (context: Context) => void): CaseResult {
  const started = process.hrtime.bigint()
  let world: World | undefined
  let context: Context | undefined
  let stop: Stop = {}
  try {
    world = new World(home)
    context = new Context(world, subject)
    if (one.since !== undefined && !atLeast(context.newest(), one.since)) {
      throw new NotTestable(`supports no version from ${one.since} on`)
    }
    one.run(context)
  } catch (error) {
    stop = stopOf(error, one, context?.lastCall() ?? '')
  } finally {
    if (context !== undefined) linger?.(context)
    context?.cleanUp()
    world?.close()
  }
  // What was found before the case came to its end stands.
  const findings = [...(context?.findings ?? []), ...(stop.finding === undefined ? [] : [stop.finding])]
  const judged = [...(context?.judged ?? []), ...findings.map(({ clause }) => clause)]
  return {
    caseId: one.id,
    plugin: subject.profile.type,
    verdict: findings.length > 0 ? 'failed' : (stop.verdict ?? 'passed'),
    why: stop.why ?? '',
    findings,
    judged: [...new Set(judged)],
    milliseconds: Number(process.hrtime.bigint() - started) / 1e6,
    ...(context === undefined ? {} : { version: context.newest() })
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
