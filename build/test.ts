/**
 * The gate: static checks, builds, then every test file. Its last line is `N passed, N failed`.
 *
 *     node build/test.ts [--suites=pure,kernel,blackbox,guest] [--engines=node,native] [--no-checks] [FILE...]
 *
 * What this machine lacks for a suite is named in a `not run:` line; with CI=true or PATCHBAY_STRICT=1 each such line
 * is a failure, and so is every skipped test.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { guestObstacle, runInGuest } from '../lib/testing/guest.ts'
import { CLANG_ADVICE, findClang } from './native-toolchain.ts'
import { missingNeeds, needsOf } from './needs.ts'
import { ENGINES, type Engine, NODE_BIN, ROOT, sourceFiles } from './project.ts'
import { runPatiently, timeoutOf } from './test-file.ts'
import { SUITES, type Suite, suiteOf, type TestResult, type TestRun } from './test-kinds.ts'

/** Emulation is slower than the machine: time-outs inside the guest grow by this much. */
const GUEST_SLOWNESS = 4
const PURE_AT_ONCE = 2

interface Options {
  readonly suites: readonly Suite[]
  readonly engines: readonly Engine[]
  readonly checks: boolean
  readonly files: readonly string[]
  readonly strict: boolean
  /** This process is inside the guest: print results as JSON lines for the gate outside. */
  readonly inGuest: boolean
}

function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): Options {
  const unknown = args.find(arg => arg.startsWith('--') && !/^--(suites=.*|engines=.*|no-checks|in-guest)$/.test(arg))
  if (unknown !== undefined) throw new Error(`read options: unknown option ${JSON.stringify(unknown)}`)
  const chosen = (name: string) =>
    args
      .find(arg => arg.startsWith(`--${name}=`))
      ?.slice(name.length + 3)
      .split(',')
  const suites = chosen('suites')
  const engines = chosen('engines')
  const files = args.filter(arg => !arg.startsWith('--')).map(file => relative(ROOT, join(process.cwd(), file)))
  const part = suites !== undefined || files.length > 0
  return {
    suites: SUITES.filter(suite => suites?.includes(suite) ?? true),
    engines: ENGINES.filter(engine => engines?.includes(engine) ?? true),
    checks: !part && !args.includes('--no-checks'),
    files,
    strict: (env['CI'] ?? '') === 'true' || (env['PATCHBAY_STRICT'] ?? '') === '1',
    inGuest: args.includes('--in-guest')
  }
}

/** Counts what happened and prints it, a line each. */
class Report {
  readonly #strict: boolean
  #passed = 0
  #failed = 0
  #skipped = 0
  #unsteady = 0

  constructor(strict: boolean) {
    this.#strict = strict
  }

  #line(mark: 'ok' | 'FAIL', what: string, counts: string, seconds: number): void {
    process.stdout.write(
      `${mark.padEnd(4)} ${what.padEnd(64)} ${counts.padStart(18)} ${seconds.toFixed(1).padStart(6)} s\n`
    )
  }

  /** A step that is no test file: it fails the run, but is not counted among passed tests. */
  step(what: string, seconds: number, problem: string): void {
    if (problem !== '') this.#failed += 1
    this.#line(problem === '' ? 'ok' : 'FAIL', what, '', seconds)
    if (problem !== '') process.stdout.write(indent(problem))
  }

  file(result: TestResult): void {
    const { run, passed, failed, skipped, seconds, problems, output, firstTry } = result
    if (firstTry !== '') {
      this.#unsteady += 1
      process.stdout.write(`failed at first: ${run.path}\n${indent(firstTry)}`)
    }
    this.#passed += passed
    this.#failed += failed
    this.#skipped += skipped
    const counts = [
      `${passed} passed`,
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(skipped > 0 ? [`${skipped} skipped`] : [])
    ]
    const what = `${run.path}${run.engine === undefined ? '' : ` [${run.engine}]`}`
    this.#line(problems.length === 0 ? 'ok' : 'FAIL', what, counts.join(', '), seconds)
    if (problems.length > 0) process.stdout.write(indent(`${problems.join('\n')}\n\n${output}`))
    else for (const line of output.match(/^skipped: .*$/gm) ?? []) process.stdout.write(indent(line))
  }

  notRun(what: string, why: string): void {
    process.stdout.write(`not run: ${what}: ${why}\n`)
    if (this.#strict) this.#failed += 1
  }

  /** Prints the closing line. @returns the exit status */
  close(): number {
    if (this.#skipped > 0) process.stdout.write(`${this.#skipped} skipped\n`)
    if (this.#unsteady > 0) process.stdout.write(`${this.#unsteady} files passed at the second try only\n`)
    if (this.#passed === 0 && this.#failed === 0) {
      process.stdout.write('no test was run\n')
      this.#failed = 1
    }
    process.stdout.write(`${this.#passed} passed, ${this.#failed} failed\n`)
    return this.#failed === 0 ? 0 : 1
  }
}

function indent(text: string): string {
  return `${text
    .trimEnd()
    .split('\n')
    .map(line => `     | ${line}`)
    .join('\n')}\n`
}

/** Runs a script of this repository as one step. */
function runStep(report: Report, what: string, args: readonly string[]): boolean {
  const started = Date.now()
  const child = spawnSync(NODE_BIN, ['--no-warnings', ...args], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 })
  const failed = child.status !== 0
  const why = child.error?.message ?? `${child.stdout}${child.stderr}`
  report.step(what, (Date.now() - started) / 1000, failed ? why || `exit ${child.status}` : '')
  return !failed
}

function runChecks(report: Report): void {
  runStep(report, 'types (tsc)', ['node_modules/typescript/bin/tsc', '-p', '.'])
  runStep(report, 'format and lint (biome)', [
    'node_modules/@biomejs/biome/bin/biome',
    'check',
    '--error-on-warnings',
    '.'
  ])
  runStep(report, 'layers: who imports whom', ['build/check-layers.ts'])
  runStep(report, 'rules of the tree', ['build/check-rules.ts'])
  runStep(report, 'lock file', ['build/lock.ts'])
  runStep(report, 'README tables', ['build/readme.ts'])
  runStep(report, 'static coverage of the plugins', ['build/check-static.ts'])
}

/** Builds what the chosen suites need. @returns the engines that can be tested */
function buildEngines(report: Report, options: Options): readonly Engine[] {
  return options.engines.filter(engine => {
    if (engine === 'native' && findClang() === undefined) {
      report.notRun('native engine', CLANG_ADVICE)
      return false
    }
    return runStep(report, `build of the ${engine} engine`, ['build/build.ts', engine, '--if-stale'])
  })
}

/** Takes out the files whose needs this machine does not meet, and says which. */
function keepRunnable(report: Report, runs: readonly TestRun[]): readonly TestRun[] {
  const told = new Set<string>()
  return runs.filter(({ path, suite }) => {
    const why = missingNeeds(needsOf(readFileSync(join(ROOT, path), 'utf8'), suite))
    if (why !== undefined && !told.has(path)) report.notRun(path, why)
    told.add(path)
    return why === undefined
  })
}

function listRuns(options: Options, engines: readonly Engine[]): readonly TestRun[] {
  const chosen = sourceFiles('.test.ts').filter(path => options.files.length === 0 || options.files.includes(path))
  return chosen.flatMap((path): readonly TestRun[] => {
    const { suite, perEngine } = suiteOf(path)
    if (!options.suites.includes(suite)) return []
    return perEngine ? engines.map(engine => ({ path, suite, engine })) : [{ path, suite, engine: undefined }]
  })
}

/** Runs files, `atOnce` at a time, telling of each as it ends. */
async function runFiles(runs: readonly TestRun[], atOnce: number, one: (run: TestRun) => Promise<void>): Promise<void> {
  const waiting = [...runs]
  const worker = async () => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) await one(run)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** One boot for all files of the guest suite. */
async function runGuestFiles(report: Report, runs: readonly TestRun[], options: Options): Promise<void> {
  if (runs.length === 0) return
  const obstacle = guestObstacle()
  if (obstacle !== undefined) {
    report.notRun('guest suite', obstacle)
    return
  }
  const told = new Set<string>()
  const key = (run: TestRun) => `${run.path} ${run.engine ?? ''}`
  const onLine = (line: string) => {
    if (!line.startsWith('{"run":')) return
    const result: TestResult = JSON.parse(line)
    told.add(key(result.run))
    report.file(result)
  }
  const engines = [...new Set(runs.flatMap(run => run.engine ?? []))]
  const files = [...new Set(runs.map(run => run.path))]
  const argv = [NODE_BIN, '--no-warnings', 'build/test.ts', '--in-guest', `--engines=${engines.join(',')}`, ...files]
  const started = Date.now()
  const seconds = 60 + runs.length * timeoutOf('') * GUEST_SLOWNESS
  const env = { ...(options.strict ? { PATCHBAY_STRICT: '1' } : {}), PATCHBAY_GUEST: '1' }
  try {
    const { status, console } = await runInGuest({ argv, directory: ROOT, env, seconds, onLine })
    const lost = runs.filter(run => !told.has(key(run)))
    const ended = status === undefined ? `the guest died or took more than ${seconds} s` : ''
    const missing = lost.map(run => `no result from ${key(run)}`)
    const problem = [...(ended === '' ? [] : [ended]), ...missing]
    report.step(
      'guest (boot and run)',
      (Date.now() - started) / 1000,
      problem.length > 0 ? [...problem, console].join('\n') : ''
    )
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    report.notRun('guest suite', message)
  }
}

/** The part that runs inside the guest. */
async function runInsideGuest(options: Options): Promise<number> {
  await runFiles(listRuns(options, options.engines), 1, async run => {
    const result = await runPatiently(run, options.strict, GUEST_SLOWNESS)
    process.stdout.write(`${JSON.stringify(result)}\n`)
  })
  return 0
}

async function main(options: Options): Promise<number> {
  if (options.inGuest) return runInsideGuest(options)
  const report = new Report(options.strict)
  if (options.checks) runChecks(report)
  const needsEngines =
    options.checks || listRuns(options, options.engines).some(run => run.suite !== 'pure' && run.suite !== 'kernel')
  const engines = needsEngines ? buildEngines(report, options) : []
  const runs = keepRunnable(report, listRuns(options, engines))
  const isRoot = process.getuid?.() === 0
  const tell = async (run: TestRun) => report.file(await runPatiently(run, options.strict))
  for (const suite of options.suites) {
    const ofSuite = runs.filter(run => run.suite === suite)
    if (suite === 'pure') await runFiles(ofSuite, PURE_AT_ONCE, tell)
    else if (suite === 'guest') await runGuestFiles(report, ofSuite, options)
    else if (ofSuite.length > 0 && !isRoot) report.notRun(`${suite} suite`, 'needs root')
    else await runFiles(ofSuite, 1, tell)
  }
  return report.close()
}

process.exitCode = await main(readOptions(process.argv.slice(2), process.env))
