/**
 * The scoreboard: the whole suite on our two builds and on the reference plugins.
 *
 *     npm run scoreboard [-- --quick] [--no-guest] [--debian] [--reference [NAME=]DIR]... [--config NAME=FILE]... [--out DIR]
 *
 * `--debian` takes the sets that Debian packages for references; `--config` is a profile of a plugin of that set that the suite
 * does not know.
 *
 * Each plugin set is written to .cache/scoreboard as soon as it is judged, so that a run that is broken off has lost
 * nothing but its last set: `--resume` takes those that are there. `--set NAME` (may be repeated) judges those alone and writes no
 * page: a scoreboard in parts ends with `--resume`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { guestObstacle } from '../lib/testing/guest.ts'
import { debianSets } from './debian-sets.ts'
import { runSuite } from './main.ts'
import { readOptions } from './options.ts'
import { findingsOf, mergedReport, type Report, type SetReport, withoutFolder } from './report.ts'
import { compactReport } from './report-json.ts'
import { setPage } from './report-markdown.ts'
import { writePages } from './report-pages.ts'
import { textReport } from './report-text.ts'
import type { CaseResult } from './run-case.ts'
import { whyNoSandbox } from './sandbox.ts'
import { lackingJobs, runInSecondKernel } from './second-kernel.ts'

const root = join(import.meta.dirname, '..')
const cache = join(root, '.cache', 'scoreboard')

interface Plan {
  readonly name: string
  readonly argv: readonly string[]
  /** For the emulated machine. */
  readonly guestSeconds: number
}

/**
 * The Node engine's start alone takes a hundred times as long as a whole call of the native one, and under strace a
 * second: its long histories and its deaths at every system call are a sample.
 */
function plans(references: readonly string[], configs: readonly string[], isQuick: boolean): readonly Plan[] {
  const effort = (full: string) => ['--profile', 'all', '--effort', isQuick ? 'quick' : full]
  const ours = (engine: string) => ['--plugin-dir', `${engine}=${join(root, 'dist', engine, 'bin')}`]
  return [
    { name: 'native', argv: [...ours('native'), ...effort('full')], guestSeconds: 300 },
    ...references.map(text => {
      const at = text.indexOf('=')
      const name = at < 0 ? 'reference' : text.slice(0, at)
      const own = configs
        .filter(one => one.startsWith(`${name}=`))
        .flatMap(one => ['--config', resolve(one.slice(name.length + 1))])
      const argv = ['--reference', `${name}=${resolve(text.slice(at + 1))}`, ...own, ...effort('0.1')]
      return { name, argv, guestSeconds: 180 }
    }),
    { name: 'node', argv: [...ours('node'), ...effort('0.03')], guestSeconds: 180 }
  ]
}

const SEED = '20261121'

async function judged(one: Plan, withGuest: boolean): Promise<Report> {
  const argv = [...one.argv, '--seed', SEED]
  const options = readOptions(argv)
  const started = Date.now()
  const report = await runSuite(options, argv)
  const lacking = withGuest ? lackingJobs(options, report) : []
  if (lacking.length === 0) return report
  process.stderr.write(`${one.name}: ${lacking.length} cases under a second kernel, ${one.guestSeconds} s at most\n`)
  const tell = (done: number, { plugin, caseId }: CaseResult) => {
    if (done % 20 === 0) process.stderr.write(`${done}/${lacking.length} cases: ${plugin} ${caseId}\n`)
  }
  const once = () => runInSecondKernel(lacking, report.sets, one.guestSeconds, tell)
  const first = await once()
  // A guest that dies while it boots (somebody replaced the files that it reads) is worth a second one.
  const sets = first.some(({ results }) => results.length > 0) ? first : await once()
  const merged = mergedReport([report, { ...report, sets }])
  return { ...merged, seconds: (Date.now() - started) / 1000 }
}

/** The set's page, for a repository to show. */
function writePage(report: Report, set: SetReport, out: string): void {
  const folder = join(out, 'submissions')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${set.name}.md`), withoutFolder(setPage(report, set), root))
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      'no-guest': { type: 'boolean', default: false },
      resume: { type: 'boolean', default: false },
      reference: { type: 'string', multiple: true, default: [] },
      debian: { type: 'boolean', default: false },
      config: { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: join(root, 'docs') },
      only: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] }
    }
  })
  const why = whyNoSandbox()
  if (why !== undefined) {
    process.stderr.write(`scoreboard: ${why}\n`)
    return 2
  }
  const obstacle = guestObstacle()
  const withGuest = !values['no-guest'] && obstacle === undefined
  if (!withGuest)
    process.stderr.write(`scoreboard: no second kernel${obstacle === undefined ? '' : ` (${obstacle})`}\n`)
  mkdirSync(cache, { recursive: true })
  const reports: Report[] = []
  const found = values.debian ? debianSets(join(root, '.cache', 'plugins')) : []
  const usual = found.length + values.reference.length === 0 ? ['/usr/lib/cni'] : []
  const references = [...usual, ...found.map(({ name, dir }) => `${name}=${dir}`), ...values.reference]
  const told = found.flatMap(({ name, profile }) => (profile === undefined ? [] : [`${name}=${join(root, profile)}`]))
  for (const one of plans(references, [...told, ...values.config], values.quick)) {
    if (values.set.length > 0 && !values.set.includes(one.name)) continue
    const path = join(cache, `${one.name}.json`)
    if (values.resume && existsSync(path)) {
      reports.push(JSON.parse(readFileSync(path, 'utf8')) as Report)
      continue
    }
    const only = values.only.flatMap(prefix => ['--only', prefix])
    const report = await judged({ ...one, argv: [...one.argv, ...only] }, withGuest)
    writeFileSync(path, JSON.stringify(report))
    process.stderr.write(`${one.name}: ${report.seconds.toFixed(0)} s\n`)
    reports.push(report)
  }
  if (values.set.length > 0) return 0
  const whole = { ...mergedReport(reports), command: 'npm run scoreboard' }
  writePages(join(values.out, 'scoreboard.html'), whole, root)
  writeFileSync(join(values.out, 'scoreboard.json'), compactReport(whole, root))
  for (const set of whole.sets) writePage(whole, set, values.out)
  process.stdout.write(textReport(whole))
  return whole.sets.some(set => !set.isReference && findingsOf(whole, set).length > 0) ? 1 : 0
}

main().then(status => process.exit(status))
