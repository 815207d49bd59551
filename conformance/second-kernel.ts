/**
 * Cases that this machine's kernel cannot run, run under another one: Debian's cloud kernel in an emulated machine
 * (lib/testing/guest.ts). Results come back one by one, so that what is cut short by the clock is only what is missing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInGuest } from '../lib/testing/guest.ts'
import type { Part } from './case.ts'
import { CASES } from './cases/all.ts'
import type { PlannedJob } from './coordinator.ts'
import { isObject, parsed } from './json.ts'
import { type Answer, KERNEL_MARK, RESULT_MARK } from './listed-jobs.ts'
import type { Options } from './options.ts'
import { plan } from './plan.ts'
import type { Report, SetReport } from './report.ts'
import type { CaseResult } from './run-case.ts'

/** Parts that an emulated machine has the time for. */
const PARTS: readonly Part[] = ['protocol', 'behaviour']

/** Topics whose outcome depends on the kind of link more than that of others: first, for the time may run out. */
const FIRST = ['add-', 'del-', 'check-', 'result-', 'gc-']

function rank(caseId: string): number {
  if (CASES.find(({ id }) => id === caseId)?.part === 'behaviour') return 0
  const at = FIRST.findIndex(prefix => caseId.startsWith(prefix))
  return at < 0 ? FIRST.length + 1 : at + 1
}

/** What the report could not test for want of a kind of link, in the order in which it matters. */
export function lackingJobs(options: Options, report: Report): readonly PlannedJob[] {
  const lacking = plan(options).jobs.filter(({ job, set }) => {
    const part = CASES.find(({ id }) => id === job.caseId)?.part
    if (part === undefined || !PARTS.includes(part)) return false
    return report.sets[set]?.results.some(
      result =>
        result.caseId === job.caseId &&
        result.plugin === job.plugin &&
        result.verdict === 'not testable' &&
        result.why.includes('this kernel has no')
    )
  })
  return lacking.sort((a, b) => rank(a.job.caseId) - rank(b.job.caseId))
}

/**
 * Runs the jobs in the guest for at most so many seconds.
 *
 * @returns what came of it, one list per plugin set
 */
export async function runInSecondKernel(
  jobs: readonly PlannedJob[],
  sets: readonly SetReport[],
  seconds: number,
  tell: (done: number, result: CaseResult) => void
): Promise<readonly SetReport[]> {
  const found: CaseResult[][] = sets.map(() => [])
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-second-kernel-'))
  let kernel = 'another kernel'
  let done = 0
  try {
    const path = join(folder, 'jobs.json')
    writeFileSync(path, JSON.stringify(jobs))
    const program = join(import.meta.dirname, 'listed-jobs.ts')
    const outcome = await runInGuest({
      argv: [process.execPath, '--no-warnings', program, path],
      directory: process.cwd(),
      env: { PATH: process.env['PATH'] ?? '' },
      seconds,
      onLine: line => {
        if (line.startsWith(KERNEL_MARK)) kernel = line.slice(KERNEL_MARK.length).trim()
        const answer = readAnswer(line)
        const set = answer === undefined ? undefined : jobs[answer.index]?.set
        if (answer === undefined || set === undefined) return
        done += 1
        found[set]?.push({ ...answer.result, kernel })
        tell(done, answer.result)
      }
    })
    if (done < jobs.length) {
      const why = outcome.status === undefined ? `no end in ${seconds} s, or the guest died` : `exit ${outcome.status}`
      const said = outcome.console.trim().split('\n').slice(-5).join('\n')
      process.stderr.write(`second kernel: ${done} of ${jobs.length} cases, ${why}\n${said}\n`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return sets.map((set, index) => ({ ...set, results: found[index] ?? [] }))
}

function readAnswer(line: string): Answer | undefined {
  const answer = line.startsWith(RESULT_MARK) ? parsed(line.slice(RESULT_MARK.length)) : undefined
  return isObject(answer) ? (answer as unknown as Answer) : undefined
}
