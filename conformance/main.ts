/**
 * The CNI conformance suite: judges any directory of plugins from outside.
 *
 *     patchbay conformance --plugin-dir DIR ...        (or: npm run conformance -- --plugin-dir DIR ...)
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { BEHAVIOUR_CLAUSES } from './behaviour-clauses.ts'
import { CASES } from './cases/all.ts'
import { PROTOCOL_CLAUSES } from './clauses.ts'
import { runJobs } from './coordinator.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { plan } from './plan.ts'
import { probeMain } from './probe.ts'
import { NOT_JUDGED, PROFILES } from './profiles.ts'
import { countBrokenMusts, mergedReport, type Report, type SetReport } from './report.ts'
import { htmlReport } from './report-html.ts'
import { junitReport } from './report-junit.ts'
import { textReport } from './report-text.ts'
import type { CaseResult } from './run-case.ts'
import { isInside, whyNoSandbox } from './sandbox.ts'
import { isStartedDirectly } from './self.ts'
import { work } from './worker.ts'

export { USAGE } from './options.ts'

export const CLAUSES = [...PROTOCOL_CLAUSES, ...BEHAVIOUR_CLAUSES]

function listText(): string {
  const lines = CLAUSES.flatMap(clause => {
    const cases = CASES.filter(one => one.clauses.includes(clause.id))
    return [
      `${clause.level.padEnd(6)} ${clause.id} (${clause.section}, since ${clause.since})`,
      `       ${clause.text}`,
      ...cases.map(one => `         ${one.id} [${one.part}]: ${one.title}`)
    ]
  })
  return `${lines.join('\n')}\n${CLAUSES.length} clauses, ${CASES.length} cases\n`
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
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(USAGE)
    return 0
  }
  let options: Options
  try {
    options = readOptions(argv)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return 2
  }
  if (options.list) {
    process.stdout.write(listText())
    return 0
  }
  if (options.from.length > 0) return publish(options, mergedReport(options.from.map(readReport)))
  if (options.sets.length === 0) {
    process.stderr.write(USAGE)
    return 2
  }
  const why = whyNoSandbox() ?? whyNoEyes()
  if (why !== undefined) {
    process.stderr.write(`conformance: ${why}\n`)
    return 2
  }
  return publish(options, await runSuite(options, argv))
}

/** A report that this program wrote. */
function readReport(path: string): Report {
  return JSON.parse(readFileSync(path, 'utf8')) as Report
}

/** Prints and writes the reports. @returns the exit status */
function publish(options: Options, report: Report): number {
  process.stdout.write(textReport(report))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`)
  if (options.junit !== undefined) writeFileSync(options.junit, junitReport(report))
  if (options.html !== undefined) writeFileSync(options.html, htmlReport(report))
  return countBrokenMusts(report) === 0 ? 0 : 1
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

/** Plugins for which there is no configuration; none when only some were asked for. */
function filesWithoutProfile(dir: string, options: Options): readonly string[] {
  if (options.plugins.length > 0) return []
  const known = [...PROFILES, ...options.profiles].map(({ type }) => type)
  return readdirSync(dir)
    .filter(name => !known.includes(name))
    .map(name => (NOT_JUDGED.has(name) ? `${name} (${NOT_JUDGED.get(name)})` : name))
}

/** Runs everything that was chosen. */
export async function runSuite(options: Options, argv: readonly string[]): Promise<Report> {
  const started = Date.now()
  const { jobs, skipped } = plan(options)
  const results: CaseResult[][] = options.sets.map(() => [])
  for (const [set, result] of skipped) results[set]?.push(result)
  const tell = progress(options, jobs.length)
  const keep = options.sets.map(({ dir }) => dir)
  await runJobs(jobs, options.jobs, keep, (planned, result) => {
    results[planned.set]?.push(result)
    tell(result, options.sets[planned.set]?.name ?? '')
  })
  const sets: SetReport[] = options.sets.map((pluginSet, index) => {
    const own = [...(results[index] ?? [])].sort(
      (a, b) => a.plugin.localeCompare(b.plugin) || a.caseId.localeCompare(b.caseId)
    )
    const plugins = [...new Set(own.map(({ plugin }) => plugin))]
    return { ...pluginSet, plugins, notJudged: filesWithoutProfile(pluginSet.dir, options), results: own }
  })
  return {
    date: new Date().toISOString().slice(0, 10),
    kernel: kernelName(),
    command: `patchbay conformance ${argv.join(' ')}`,
    seed: options.seed,
    seconds: (Date.now() - started) / 1000,
    clauses: CLAUSES,
    cases: CASES.map(({ id, title, part, clauses }) => ({ id, title, part, clauses })),
    sets
  }
}

if (isStartedDirectly()) {
  conformance(process.argv.slice(2)).then(status => process.exit(status))
}
