/**
 * The gate: static checks, builds, then every test file. Its last line is `N passed, N failed`.
 *
 *     node build/test.ts [--suites=pure,kernel,blackbox,guest] [--engines=node,native] [--no-checks] [--jobs=N] [FILE...]
 *
 * What this machine lacks for a suite is named in a `not run:` line; with CI=true or PATCHBAY_STRICT=1 each such line
 * is a failure, and so is every skipped test. Nothing is tried twice.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { NATIVE_ONLY } from './native-only.ts'
import { CLANG_ADVICE, findClang } from './native-toolchain.ts'
import { missingNeeds, needsOf } from './needs.ts'
import { inPool } from './pool.ts'
import { ENGINES, type Engine, NODE_BIN, ROOT, sourceFiles } from './project.ts'
import { type Place, placeOf, runTestFile, timeoutOf } from './test-file.ts'
import { runGuestFiles } from './test-guest.ts'
import { SUITES, type Suite, suiteOf, type TestRun } from './test-kinds.ts'
import { nameOf, Report } from './test-report.ts'

/** The guest, which goes before all others, and one file that waits. */
const BESIDE = 2
/** As many as there are processors, and beside them what the line above says. */
const JOBS = availableParallelism()

interface Options {
  readonly suites: readonly Suite[]
  readonly engines: readonly Engine[]
  readonly checks: boolean
  readonly files: readonly string[]
  /** How much runs at a time. */
  readonly jobs: number
  readonly strict: boolean
}

function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): Options {
  const unknown = args.find(
    arg => arg.startsWith('--') && !/^--(suites=.*|engines=.*|jobs=[1-9][0-9]*|no-checks)$/.test(arg)
  )
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
    jobs: Number(chosen('jobs')?.[0] ?? JOBS),
    strict: (env['CI'] ?? '') === 'true' || (env['PATCHBAY_STRICT'] ?? '') === '1'
  }
}

/** A part of the gate: a check, a build, a test file, or all files of the guest. */
interface Job {
  readonly run: () => Promise<void>
  readonly place: Place
}

/** A script of this repository as one step. @returns whether it succeeded */
async function runStep(report: Report, what: string, args: readonly string[]): Promise<boolean> {
  report.begin(what)
  const { promise, resolve } = Promise.withResolvers<string>()
  const child = spawn(NODE_BIN, ['--no-warnings', ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  const said: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk))
  child.on('error', error => resolve(error.message))
  child.on('close', (code, signal) =>
    resolve(code === 0 ? '' : Buffer.concat(said).toString() || `exit ${code ?? signal}`)
  )
  const problem = await promise
  report.step(what, problem)
  return problem === ''
}

const CHECKS: readonly (readonly [what: string, ...args: string[]])[] = [
  ['types (tsc)', 'node_modules/typescript/bin/tsc', '-p', '.'],
  ['types of the page of patchbay ui', 'node_modules/typescript/bin/tsc', '-p', 'cli/ui/page'],
  ['format and lint (biome)', 'node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
  ['layers: who imports whom', 'build/check-layers.ts'],
  ['rules of the tree', 'build/check-rules.ts'],
  ['dead files, exports and packages (knip)', 'node_modules/knip/bin/knip.js', '--no-progress'],
  ['lock file', 'build/lock.ts'],
  ['documents made from the source', 'build/readme.ts'],
  ['static coverage of the plugins', 'build/check-static.ts']
]

function checks(report: Report): readonly Job[] {
  return CHECKS.map(([what, ...args]) => ({
    place: 'pool',
    run: async () => {
      await runStep(report, what, args)
    }
  }))
}

/** The builds of what can be built here, and what came of them. */
class Builds {
  readonly jobs: readonly Job[]
  readonly engines: readonly Engine[]
  /** The engines that can be tested, once all are built. */
  readonly done: Promise<readonly Engine[]>

  constructor(report: Report, wanted: readonly Engine[]) {
    const lacksClang = wanted.includes('native') && findClang() === undefined
    if (lacksClang) report.notRun('native engine', CLANG_ADVICE)
    this.engines = wanted.filter(engine => engine !== 'native' || !lacksClang)
    const built = this.engines.map(engine => ({ engine, ...Promise.withResolvers<boolean>() }))
    // The native build takes longest and uses one processor: it comes first.
    this.jobs = built.toReversed().map(({ engine, resolve }) => ({
      place: 'pool',
      run: async () =>
        resolve(await runStep(report, `build of the ${engine} engine`, ['build/build.ts', engine, '--if-stale']))
    }))
    this.done = Promise.all(built.map(async ({ engine, promise }) => ((await promise) ? engine : []))).then(engines =>
      engines.flat()
    )
  }
}

/** Takes out the files whose needs this machine does not meet, and says which. */
function keepRunnable(report: Report, runs: readonly TestRun[]): readonly TestRun[] {
  const isRoot = process.getuid?.() === 0
  const told = new Set<string>()
  return runs.filter(({ path, suite }) => {
    const why = suite !== 'pure' && !isRoot ? 'needs root' : missingNeeds(needsOf(sourceOf(path), suite))
    if (why !== undefined && !told.has(path)) report.notRun(path, why)
    told.add(path)
    return why === undefined
  })
}

function sourceOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function listRuns(options: Options, engines: readonly Engine[]): readonly TestRun[] {
  const chosen = sourceFiles('.test.ts').filter(path => options.files.length === 0 || options.files.includes(path))
  return chosen.flatMap((path): readonly TestRun[] => {
    const { suite, perEngine } = suiteOf(path)
    if (!options.suites.includes(suite)) return []
    if (!perEngine) return [{ path, suite, engine: undefined }]
    const isRepeated = !NATIVE_ONLY.has(path) || !engines.includes('native')
    return engines.filter(engine => engine === 'native' || isRepeated).map(engine => ({ path, suite, engine }))
  })
}

/** Test files as jobs: pure ones first, which need no build; then the guest, and the rest by how long they may take. */
function testJobs(report: Report, runs: readonly TestRun[], builds: Builds, strict: boolean): readonly Job[] {
  const one = (run: TestRun): Job => ({
    place: placeOf(sourceOf(run.path)),
    run: async () => {
      if (run.suite !== 'pure' && !(await isBuilt(run, builds))) {
        report.notRun(nameOf(run), 'its engine could not be built')
        return
      }
      report.begin(nameOf(run))
      report.file(await runTestFile(run, strict))
    }
  })
  const inGuest = runs.filter(run => run.suite === 'guest')
  const guest: Job = {
    place: 'beside',
    run: async () => {
      const engines = await builds.done
      const runnable = inGuest.filter(run => run.engine === undefined || engines.includes(run.engine))
      await runGuestFiles(report, runnable, strict)
    }
  }
  const longestFirst = runs
    .filter(run => run.suite === 'kernel' || run.suite === 'blackbox')
    .toSorted((a, b) => timeoutOf(sourceOf(b.path)) - timeoutOf(sourceOf(a.path)))
  return [
    ...runs.filter(run => run.suite === 'pure').map(one),
    ...(inGuest.length > 0 ? [guest] : []),
    ...longestFirst.map(one)
  ]
}

async function isBuilt(run: TestRun, builds: Builds): Promise<boolean> {
  const engines = await builds.done
  return run.engine === undefined || engines.includes(run.engine)
}

async function main(options: Options): Promise<number> {
  const report = new Report(options.strict)
  const needsEngines =
    options.checks || listRuns(options, options.engines).some(run => run.suite !== 'pure' && run.suite !== 'kernel')
  const builds = new Builds(report, needsEngines ? options.engines : [])
  const runs = keepRunnable(report, listRuns(options, builds.engines))
  const jobs = [
    ...builds.jobs,
    ...(options.checks ? checks(report) : []),
    ...testJobs(report, runs, builds, options.strict)
  ]
  report.expect(jobs.length + runs.filter(run => run.suite === 'guest').length)
  const beat = setInterval(() => report.beat(), 1000)
  await inScratch(async () => {
    const run = (place: Place, atOnce: number) =>
      inPool(
        jobs.filter(job => job.place === place),
        atOnce,
        job => job.run()
      )
    await Promise.all([run('pool', options.jobs), run('beside', BESIDE)])
    await run('alone', 1)
  })
  clearInterval(beat)
  return report.close()
}

/** A directory for what the tests' processes share: compiled modules (Node's own cache) and bundled programs. */
async function inScratch(body: () => Promise<void>): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'patchbay-gate-'))
  process.env['NODE_COMPILE_CACHE'] = join(scratch, 'compiled')
  process.env['PATCHBAY_PROGRAMS'] = scratch
  try {
    await body()
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

process.exitCode = await main(readOptions(process.argv.slice(2), process.env))
