/**
 * Started in a guest (second-kernel.ts): runs the jobs of a file in their order and prints a line for each result.
 *
 *     node conformance/listed-jobs.ts JOBS.json
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type PlannedJob, runJobs } from './coordinator.ts'
import type { CaseResult } from './run-case.ts'

export const KERNEL_MARK = 'conformance kernel '
export const RESULT_MARK = 'conformance result '

export interface Answer {
  /** Place of the job in the file. */
  readonly index: number
  readonly result: CaseResult
}

/** Everything takes about this much longer where the processor is emulated. */
const SLOWER = 10

async function runListed(path: string): Promise<void> {
  const jobs: readonly PlannedJob[] = JSON.parse(readFileSync(path, 'utf8'))
  const keep = [...new Set(jobs.map(({ job }) => job.dir))]
  process.stdout.write(`${KERNEL_MARK}${spawnSync('uname', ['-sr'], { encoding: 'utf8' }).stdout.trim()}\n`)
  process.env['PATCHBAY_CONFORMANCE_PATIENCE'] = String(SLOWER)
  const patient: PlannedJob[] = jobs.map(planned => ({ ...planned, seconds: planned.seconds * SLOWER }))
  await runJobs(patient, 2, keep, (planned, result) => {
    const answer: Answer = { index: patient.indexOf(planned), result }
    process.stdout.write(`${RESULT_MARK}${JSON.stringify(answer)}\n`)
  })
}

const [, started = '', path] = process.argv
if (started.endsWith('/listed-jobs.ts') && path !== undefined) runListed(path).then(() => process.exit(0))
