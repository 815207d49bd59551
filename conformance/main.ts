/**
 * The CNI conformance suite: judges any directory of plugins from outside.
 *
 *     patchbay conformance --plugin-dir DIR ...        (or: npm run conformance -- --plugin-dir DIR ...)
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { ALL_CLAUSES } from './all-clauses.ts'
import { CASES } from './cases/all.ts'
import { SPEC_REVISION } from './clauses/clause.ts'
import { runJobs } from './coordinator.ts'
import { coverageText } from './coverage.ts'
import { lingerInCase, openShell } from './debug-shell.ts'
import { exitStatus, NO_VERDICT } from './exit-status.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { ownCases } from './own-cases.ts'
import { chosenClauses, NothingToJudge, plan } from './plan.ts'
import { describeFiles, filesWithoutProfile } from './plugin-files.ts'
import { probeMain } from './probe.ts'
import { mergedReport, type Report, type SetReport } from './report.ts'
import { badge } from './report-badge.ts'
import { ctrfReport } from './report-ctrf.ts'
import { SCHEMA } from './report-json.ts'
import { junitReport } from './report-junit.ts'
import { writePages } from './report-pages.ts'
import { textReport } from './report-text.ts'
import type { CaseResult } from './run-case.ts'
import { isInside, whyNoSandbox } from './sandbox.ts'
import { isStartedDirectly } from './self.ts'
import { judgedBy } from './standards.ts'
import { SUITE_VERSION } from './suite-version.ts'
import { withWaivers } from './waivers.ts'
import { work } from './worker.ts'

export const CLAUSES = ALL_CLAUSES
export { USAGE } from './options.ts'

function listText(options: Options): string {
  const clauses = chosenClauses(options)
  const lines = clauses.flatMap(clause => {
    const cases = CASES.filter(one => one.clauses.includes(clause.id))
    const force = clause.force.map(([version, level]) => `${level ?? 'nothing'} since ${version}`).join(', ')
    return [
      `${clause.level.padEnd(6)} ${clause.id} (${clause.section}: ${force})`,
      `       ${clause.text}`,
      `       ${clause.link}`,
      ...cases.map(one => `         ${one.id} [${one.part}]: ${one.title}`)
    ]
  })
  return `${lines.join('\n')}\n${clauses.length} clauses, ${CASES.length} cases\n`
}

/** One line that is rewritten on a terminal; every hundredth case elsewhere. */
function progress(options: Options, total: number): (result: CaseResult, setName: string) => void {
  let done = 0
  let failed = 0
  const terminal = process.stderr.isTTY === true
  return (result, setName) => {
    done += 1
    if (result.verdict === 'failed') failed += 1
    if (options.quiet) return
    const text = `${done}/${total} cases, ${failed} failed: ${setName} ${result.plugin} ${result.caseId}`
    if (terminal) process.stderr.write(`\r\u001b[K${text.slice(0, 110)}${done === total ? '\n' : ''}`)
    else if (done % 100 === 0 || done === total) process.stderr.write(`${text}\n`)
  }
}

/** Runs the suite as the command line says. @returns the exit status: 0 only when all MUSTs hold */
export async function conformance(argv: readonly string[]): Promise<number> {
  if (argv[0] === '--probe') return run(() => probeMain(argv.slice(1)))
  if (argv[0] === '--worker' && isInside()) return run(() => work(argv.slice(1)))
  if (argv[0] === '--linger' && isInside()) return lingerInCase(argv.slice(1))
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(USAGE)
    return 0
  }
  let options: Options
  try {
    options = readOptions(argv)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return NO_VERDICT
  }
  if (options.list) process.stdout.write(listText(options))
  if (options.coverage) process.stdout.write(coverageText(options.spec))
  if (options.list || options.coverage) return 0
  if (options.from.length > 0) return publish(options, mergedReport(options.from.map(readReport)))
  if (options.sets.length === 0) {
    process.stderr.write(USAGE)
    return NO_VERDICT
  }
  const why = whyNoSandbox('anybody') ?? whyNoEyes()
  if (why !== undefined) {
    process.stderr.write(`conformance: ${why}\n`)
    return NO_VERDICT
  }
  try {
    if (options.shell !== undefined) return openShell(options)
    return publish(options, await runSuite(options, argv))
  } catch (error) {
    if (!(error instanceof NothingToJudge)) throw error
    process.stderr.write(`conformance: ${error.message}\n`)
    return NO_VERDICT
  }
}

/** A report that this program wrote. */
function readReport(path: string): Report {
  return JSON.parse(readFileSync(path, 'utf8')) as Report
}

/** Prints and writes the reports. @returns the exit status */
function publish(options: Options, report: Report): number {
  process.stdout.write(textReport(report))
  const files: readonly (readonly [string | undefined, () => string])[] = [
    [options.json, () => `${JSON.stringify(report, null, 1)}\n`],
    [options.junit, () => junitReport(report)],
    [options.ctrf, () => ctrfReport(report)],
    [options.badge, () => badge(report)]
  ]
  for (const [path, content] of files) if (path !== undefined) writeFileSync(path, content())
  if (options.html !== undefined) writePages(options.html, report)
  return exitStatus(report)
}

/** Processes of the suite that go on by events: they end by themselves. */
function run(start: () => void): Promise<number> {
  start()
  return new Promise(() => undefined)
}

/** The suite looks at the kernel with the eyes of others. */
function whyNoEyes(): string | undefined {
  for (const [command, packageName] of [
    ['ip', 'iproute2'],
    ['bridge', 'iproute2'],
    ['tc', 'iproute2'],
    ['nft', 'nftables']
  ]) {
    const child = spawnSync(command ?? '', ['-V'], { stdio: 'ignore' })
    if (child.error !== undefined) return `needs the command ${command} (Debian package ${packageName})`
  }
  return undefined
}

function kernelName(): string {
  return spawnSync('uname', ['-sr'], { encoding: 'utf8' }).stdout.trim()
}

/** Runs everything that was chosen. @throws NothingToJudge */
export async function runSuite(options: Options, argv: readonly string[]): Promise<Report> {
  const started = Date.now()
  const clauses = chosenClauses(options)
  const { jobs, skipped } = plan(options)
  const chosenCases = new Set(jobs.filter(({ isGate }) => isGate !== true).map(({ job }) => job.caseId))
  const results: CaseResult[][] = options.sets.map(() => [])
  for (const [set, result] of skipped) results[set]?.push(result)
  const tell = progress(options, jobs.length)
  const keep = options.sets.map(({ dir }) => dir)
  const date = new Date().toISOString().slice(0, 10)
  await runJobs(jobs, options.jobs, keep, (planned, result) => {
    const told = withWaivers(judgedBy(result, clauses), options.waivers, date)
    // The gate's word is only of interest when it is shut, unless it was asked for.
    const isIdle =
      planned.isGate === true && told.verdict !== 'failed' && chosenCases.size > 0 && options.only.length > 0
    if (!isIdle) results[planned.set]?.push(told)
    tell(told, options.sets[planned.set]?.name ?? '')
  })
  const sets: SetReport[] = options.sets.map((pluginSet, index) => {
    const own = [...(results[index] ?? [])].sort(
      (a, b) => a.plugin.localeCompare(b.plugin) || a.caseId.localeCompare(b.caseId)
    )
    const plugins = [...new Set(own.map(({ plugin }) => plugin))]
    const files = describeFiles(pluginSet.dir, plugins)
    return { ...pluginSet, plugins, files, notJudged: filesWithoutProfile(pluginSet.dir, options), results: own }
  })
  const cases = [...CASES, ...options.profiles.flatMap(ownCases)]
  return {
    schema: SCHEMA,
    suite: SUITE_VERSION,
    spec: SPEC_REVISION,
    standards: options.standards,
    date,
    kernel: kernelName(),
    command: `patchbay conformance ${argv.join(' ')}`,
    seed: options.seed,
    seconds: (Date.now() - started) / 1000,
    clauses,
    cases: cases.map(({ id, title, part, clauses: judged }) => ({ id, title, part, clauses: judged })),
    sets
  }
}

if (isStartedDirectly()) {
  conformance(process.argv.slice(2)).then(status => process.exit(status))
}
