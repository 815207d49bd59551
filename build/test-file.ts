/** Runs one test file in a process of its own and judges it by what uvu counted, not by its exit status alone. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { withOwnDirectories } from '../lib/testing/private-mounts.ts'
import { ALLOWED_SKIPS } from './allowed-skips.ts'
import { binDir, ENGINES, ROOT } from './project.ts'
import type { TestResult, TestRun } from './test-kinds.ts'

/** Against hanging only: a busy machine may need several times what a calm one does. */
const DEFAULT_SECONDS = 300

/** When the last test is over, a file has to end: after so long it is ended. */
const END_SECONDS = 60

/** A file that needs longer says so in its first lines: `// time-out: 600 s`. */
export function timeoutOf(source: string): number {
  const match = /^(?:\/\/| \*|\/\*\*) time-out: ([0-9]+) s\b/m.exec(source.slice(0, 2000))
  return match === null ? DEFAULT_SECONDS : Number(match[1])
}

/** Where a file runs: one of as many at a time as there are processors; beside those; or when nothing else runs. */
export type Place = 'pool' | 'beside' | 'alone'

/**
 * A file that is not one of the pool says so in its first lines: `// alone: WHY`, or `// waits: FOR WHAT` when it leaves the
 * processor to others for most of its time.
 */
export function placeOf(source: string): Place {
  const match = /^(?:\/\/| \*|\/\*\*) (alone|waits): \S/m.exec(source.slice(0, 2000))
  if (match === null) return 'pool'
  return match[1] === 'alone' ? 'alone' : 'beside'
}

/** What is wrong with a test file before it is run. */
export function sourceProblems(source: string): readonly string[] {
  const problems: string[] = []
  const code = source.replaceAll(/`[^`]*`|'[^'\n]*'/g, "''")
  if (/\btest\s*\.\s*only\b/.test(code)) problems.push('it singles tests out with only: the rest would not run')
  if (/\btest\s*\.\s*skip\b/.test(code)) problems.push('it skips without a reason: use unless')
  if (/\.(?:before|after)(?:\.each)?\s*\(/.test(code)) problems.push('it uses hooks, whose failures uvu hides')
  if (!/\.run\(\)/.test(code)) problems.push('run() is missing: its tests would not run')
  return problems
}

/** The numbers that uvu prints at the end, or undefined when it printed none or several. */
export function countsOf(output: string): { total: number; passed: number; skipped: number } | undefined {
  const summary = /^ {2}Total: {5}([0-9]+)\n {2}Passed: {4}([0-9]+)\n {2}Skipped: {3}([0-9]+)$/gm
  const found = [...output.replaceAll('\r', '').matchAll(summary)]
  const [only] = found
  if (only === undefined || found.length !== 1) return undefined
  return { total: Number(only[1]), passed: Number(only[2]), skipped: Number(only[3]) }
}

/** What is wrong with a finished run. */
export function runProblems(status: string, output: string, strict: boolean): readonly string[] {
  const problems = status === 'exit 0' ? [] : [status]
  const counts = countsOf(output)
  if (counts === undefined) return [...problems, 'it printed no summary, or several']
  if (counts.total + counts.skipped === 0) problems.push('it holds no tests')
  if (counts.passed !== counts.total) problems.push(`${counts.total - counts.passed} of ${counts.total} tests failed`)
  const reasons = [...output.matchAll(/^skipped: ".*": (.*)$/gm)].map(match => match[1] ?? '')
  if (reasons.length !== counts.skipped)
    problems.push(`${counts.skipped - reasons.length} tests skipped without a reason`)
  for (const reason of reasons) {
    if (strict || !ALLOWED_SKIPS.some(allowed => allowed.test(reason))) problems.push(`a test was skipped: ${reason}`)
  }
  return problems
}

/** How a file is run where it is not run as everywhere. */
export interface Circumstances {
  /** In place of END_SECONDS. */
  readonly endSeconds?: number
  /** What is started in place of the file itself. */
  readonly bundle?: string
  /** By how much its time-out grows. */
  readonly slowness?: number
}

/** Runs the file. Colours are off, so that the summary can be read. */
export async function runTestFile(
  run: TestRun,
  strict: boolean,
  { bundle, slowness, endSeconds = END_SECONDS }: Circumstances = {}
): Promise<TestResult> {
  const source = readFileSync(join(ROOT, run.path), 'utf8')
  const seconds = Math.ceil(timeoutOf(source) * (slowness ?? 1))
  const started = process.hrtime.bigint()
  const { status, output } = await runProcess(run, bundle ?? join(ROOT, run.path), { seconds, endSeconds })
  const counts = countsOf(output)
  const problems = [...sourceProblems(source), ...runProblems(status, output, strict)]
  const failedTests = counts === undefined ? 0 : counts.total - counts.passed
  return {
    run,
    passed: counts?.passed ?? 0,
    // A file that fails as a whole counts as one failure, so that the closing line can never be green by omission.
    failed: problems.length > 0 ? Math.max(1, failedTests) : 0,
    skipped: counts?.skipped ?? 0,
    seconds: Number(process.hrtime.bigint() - started) / 1e9,
    problems,
    output
  }
}

interface Ended {
  readonly status: string
  readonly output: string
}

/**
 * Whatever a test's stateDir is, plugins lock network namespaces and iptables below /run/patchbay, where all of a host find each
 * other: that of this machine is not for tests. A guest is a machine of its own.
 */
function leavesLocks({ suite }: TestRun): boolean {
  return (suite === 'kernel' || suite === 'blackbox') && process.getuid?.() === 0
}

/** How long a file may take, and how long its process may go on after its last test. */
interface Limits {
  readonly seconds: number
  readonly endSeconds: number
}

function runProcess(run: TestRun, program: string, { seconds, endSeconds }: Limits): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>()
  const engineEnv =
    run.engine === undefined ? {} : { PATCHBAY_ENGINE: run.engine, PATCHBAY_BIN_DIR: binDir(run.engine) }
  const built = Object.fromEntries(ENGINES.map(engine => [`PATCHBAY_${engine.toUpperCase()}_BIN_DIR`, binDir(engine)]))
  // A group of its own: a test that hangs in a child is killed with the child.
  const command = [process.execPath, '--no-warnings', program]
  const [first = '', ...args] = leavesLocks(run) ? withOwnDirectories(['/run'], command) : command
  const child = spawn(first, args, {
    cwd: ROOT,
    env: { ...process.env, ...built, ...engineEnv, NO_COLOR: '1', FORCE_COLOR: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  const chunks: Buffer[] = []
  let overdue: string | undefined
  const killGroup = () => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // The group is gone already.
    }
  }
  const killAfter = (afterSeconds: number, why: string) =>
    setTimeout(() => {
      overdue = why
      killGroup()
    }, afterSeconds * 1000)
  const timer = killAfter(seconds, `time-out after ${seconds} s`)
  let end: NodeJS.Timeout | undefined
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    // A test that failed halfway may have left a timer or a connection, which would keep the process until its time-out.
    if (/^ {2}Duration: /m.test(chunk.toString()))
      end ??= killAfter(endSeconds, `after its last test it went on for ${endSeconds} s: something is still open`)
  })
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.on('error', error => chunks.push(Buffer.from(`${error.message}\n`)))
  // Children left behind would hold the pipes open for ever: they go when the file's own process has ended.
  child.on('exit', killGroup)
  child.on('close', (code, signal) => {
    clearTimeout(timer)
    clearTimeout(end)
    const ended = code === null ? `killed by ${signal}` : `exit ${code}`
    resolve({ status: overdue ?? ended, output: Buffer.concat(chunks).toString() })
  })
  return promise
}
