/** The guest suite: one boot of another kernel (lib/testing/guest.ts) for all its files. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { guestObstacle, runInGuest } from '../lib/testing/guest.ts'
import { inPool } from './pool.ts'
import { NODE_BIN, ROOT } from './project.ts'
import { runTestFile, timeoutOf } from './test-file.ts'
import type { TestResult, TestRun } from './test-kinds.ts'
import { nameOf, type Report } from './test-report.ts'

/** Emulation is slower than the machine: time-outs inside the guest grow by this much. */
const SLOWNESS = 4
const BOOT_SECONDS = 60

/** What the gate inside tells the one outside, a line of JSON each. */
type Message = { readonly begin: TestRun } | { readonly end: TestResult }

/** Runs the files in the guest, telling of each as it begins and ends. */
export async function runGuestFiles(report: Report, runs: readonly TestRun[], strict: boolean): Promise<void> {
  const what = 'guest (boot and run)'
  report.begin(what)
  const obstacle = guestObstacle()
  if (obstacle !== undefined) {
    report.notRun('guest suite', obstacle)
    return
  }
  const told = new Set<string>()
  const onLine = (line: string) => {
    const message = messageOf(line)
    if (message === undefined) return
    if ('begin' in message) {
      report.begin(nameOf(message.begin))
      return
    }
    told.add(nameOf(message.end.run))
    report.file(message.end)
  }
  const engines = [...new Set(runs.flatMap(run => run.engine ?? []))]
  const files = [...new Set(runs.map(run => run.path))]
  const argv = [NODE_BIN, '--no-warnings', 'build/test.ts', '--in-guest', `--engines=${engines.join(',')}`, ...files]
  const seconds = runs.reduce((sum, { path }) => sum + secondsOf(path), BOOT_SECONDS)
  const env = { ...(strict ? { PATCHBAY_STRICT: '1' } : {}), PATCHBAY_GUEST: '1' }
  try {
    const { status, console } = await runInGuest({ argv, directory: ROOT, env, seconds, onLine })
    const ended = status === undefined ? [`the guest died or took more than ${seconds} s`] : []
    const missing = runs.map(nameOf).filter(name => !told.has(name))
    const problems = [...ended, ...missing.map(name => `no result from ${name}`)]
    report.step(what, problems.length > 0 ? [...problems, console].join('\n') : '')
  } catch (error) {
    report.notRun('guest suite', error instanceof Error ? error.message : String(error))
  }
}

function secondsOf(path: string): number {
  return timeoutOf(readFileSync(join(ROOT, path), 'utf8')) * SLOWNESS
}

function messageOf(line: string): Message | undefined {
  return /^\{"(?:begin|end)":/.test(line) ? JSON.parse(line) : undefined
}

/** The part that runs inside the guest. */
export async function runInsideGuest(runs: readonly TestRun[], strict: boolean): Promise<void> {
  const tell = (message: Message) => process.stdout.write(`${JSON.stringify(message)}\n`)
  await inPool(runs, 1, async run => {
    tell({ begin: run })
    tell({ end: await runTestFile(run, strict, SLOWNESS) })
  })
}
