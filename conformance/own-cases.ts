/** Cases that the author of a plugin wrote: steps as data, or a program. */
import { spawnSync } from 'node:child_process'
import { type Case, type Context, NotTestable } from './case.ts'
import { type Clause, forceOf, since } from './clauses/clause.ts'
import { errorCode, succeeded } from './plugin-call.ts'
import type { OwnCase, OwnStep, Profile } from './profiles.ts'

/** Where a program says that it cannot be tried here, as test programs of other projects do. */
const NOT_TESTABLE_STATUS = 77

function clauseId(profile: Pick<Profile, 'type'>, one: OwnCase): string {
  return `own.${profile.type}.${one.id}`
}

export function ownClauses(profile: Profile): readonly Clause[] {
  const force = since('0.1.0', 'MUST')
  return (profile.ownCases ?? []).map(one => ({
    id: clauseId(profile, one),
    source: 'own',
    section: `${profile.type}, its author's cases`,
    link: '',
    lines: [],
    level: forceOf({ force }, '0.1.0') ?? 'MUST',
    since: '0.1.0',
    force,
    text: `${one.title}.`
  }))
}

export function ownCases(profile: Pick<Profile, 'type' | 'ownCases'>): readonly Case[] {
  return (profile.ownCases ?? []).map(one => ({
    id: clauseId(profile, one),
    title: one.title,
    part: 'protocol',
    clauses: [clauseId(profile, one)],
    plugins: [profile.type],
    run: context => {
      context.requireKernel()
      if (one.program !== undefined) runProgram(context, clauseId(profile, one), one.program)
      else runSteps(context, clauseId(profile, one), one.steps ?? [])
    }
  }))
}

/** The program is given the environment of an ADD, and the configuration on its standard input. */
function runProgram(context: Context, clause: string, program: string): void {
  const attachment = context.attachment()
  const env = { ...context.env('ADD', attachment), PLUGIN: context.path }
  const child = spawnSync(program, [], {
    env,
    input: JSON.stringify(context.config()),
    encoding: 'utf8',
    timeout: 60_000
  })
  if (child.error !== undefined) throw child.error
  if (child.status === NOT_TESTABLE_STATUS) throw new NotTestable(child.stderr.trim())
  context.judge(
    clause,
    child.status === 0,
    `${program} exits with 0`,
    () => `exit ${child.status}: ${child.stderr.trim()}`
  )
}

function runSteps(context: Context, clause: string, steps: readonly OwnStep[]): void {
  const attachment = context.attachment()
  for (const { verb, config, env, succeeds, code, host, container } of steps) {
    for (const [line, where] of [
      [host, 'on the host'],
      [container, 'in the container']
    ] as const) {
      if (line === undefined) continue
      const run = () => context.world.shell(line, { WORLD: context.world.folder })
      const failure = where === 'on the host' ? run() : attachment.netns.inside(run)
      context.judge(clause, failure === undefined, `${line} ${where} succeeds`, () => failure ?? '')
    }
    if (verb === undefined) continue
    const outcome = context.call(verb, attachment, { config: config ?? {}, env: env ?? {} })
    const wanted = succeeds ?? code === undefined
    context.judgeOutcome(clause, succeeded(outcome) === wanted, `${verb} ${wanted ? 'succeeds' : 'fails'}`, outcome)
    if (code !== undefined) context.judgeOutcome(clause, errorCode(outcome) === code, `${verb}: code ${code}`, outcome)
  }
}
