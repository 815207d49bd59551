/** A shell in the world of a case, after the case and before the world is taken apart: to repeat calls by hand. */
import { spawnSync } from 'node:child_process'
import type { Context } from './case.ts'
import { Netns } from './netns.ts'
import type { Options } from './options.ts'
import { NothingToJudge, plan } from './plan.ts'
import { runCase } from './run-case.ts'
import { furnish, sandboxCommand, sandboxEnvironment } from './sandbox.ts'
import { selfCommand } from './self.ts'
import { caseOf, type Job, subjectOf } from './worker.ts'

/** Runs the one case that was asked for in a sandbox whose terminal is ours. @returns the exit status of the shell */
export function openShell(options: Options): number {
  const { jobs } = plan({ ...options, only: [options.shell ?? ''] })
  const matching = jobs.filter(({ job }) => job.caseId === options.shell)
  const [first] = matching
  if (first === undefined) throw new NothingToJudge(`--shell ${options.shell}: there is no such case`)
  if (matching.length > 1) throw new NothingToJudge(`--shell ${options.shell}: --plugin must name one plugin`)
  const [command = '', ...args] = sandboxCommand(selfCommand(['--linger', JSON.stringify(first.job)]))
  const child = spawnSync(command, args, { stdio: 'inherit', env: sandboxEnvironment() })
  return child.status ?? 1
}

/** Inside: runs the case, tells what came of it, and hands the terminal over. */
export async function lingerInCase(argv: readonly string[]): Promise<number> {
  const job: Job = JSON.parse(argv[0] ?? '')
  furnish([job.dir])
  const home = Netns.make('judge-home')
  home.enter()
  const result = runCase(caseOf(job), subjectOf(job), home, shell)
  process.stdout.write(`${job.plugin} ${job.caseId}: ${result.verdict} ${result.why}\n`)
  return result.verdict === 'passed' ? 0 : 1
}

function shell(context: Context): void {
  for (const { clause, expected, seen, call } of context.findings) {
    process.stdout.write(`${clause}\n  expected  ${expected}\n  seen      ${seen}\n  call      ${call}\n`)
  }
  process.stdout.write(
    `\nThis is the host of the case; containers are in /run/netns. The world ends with this shell.\n` +
      `last call: ${context.lastCall()}\n\n`
  )
  spawnSync('/bin/sh', ['-i'], { stdio: 'inherit', env: { ...process.env, PLUGIN: context.path, PS1: 'case# ' } })
}
