/**
 * `npm run bench`: our plugins and the reference side by side, in one run.
 *
 *     npm run bench -- [--quick] [--runs N] [--only ID|GROUP...] [--engine native,node,floor] [--reference DIR] [--plugin-dir NAME=DIR]
 *                      [--instructions] [--json F] [--markdown F] [--svg DIR] [--list]
 *
 * The floor is a C program with the kernel's work alone, where a C compiler is.
 * --instructions: what each call computes is counted too, where valgrind is; a second for each.
 * --quick: a look in two minutes: few runs, nothing counted, and neither traffic nor what takes long unless --only names it.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { findValgrind } from './bench/callgrind.ts'
import { messageOf } from './bench/failure.ts'
import { FLOOR, floorIn, makeFloor } from './bench/floor.ts'
import type { BenchReport } from './bench/measurements.ts'
import { type PathResult, runPath } from './bench/path-run.ts'
import { PATHS } from './bench/paths.ts'
import { plots } from './bench/plot.ts'
import { jsonReport, markdownReport, rounded, textReport } from './bench/report.ts'
import { withResults } from './bench/results-block.ts'
import { bareNode, commandStart, fileSizes, machine, memoryOf, runScenario, type ScenarioResult } from './bench/run.ts'
import type { Contestant, Scenario } from './bench/scenario.ts'
import { SCENARIOS } from './bench/scenarios.ts'
import { findStrace } from './bench/strace.ts'
import { PATH_TARGETS } from './bench/targets.ts'
import { furnish, handOut, isInside, runInside, whyNoSandbox } from './sandbox.ts'

const ROOT = resolve(import.meta.dirname, '..')
const FLOOR_FOLDER = join(ROOT, '.cache', FLOOR)
const DEFAULT_RUNS = 30
const QUICK_RUNS = 5

function options(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: 'string' },
      only: { type: 'string', multiple: true },
      engine: { type: 'string' },
      reference: { type: 'string' },
      'plugin-dir': { type: 'string', multiple: true },
      json: { type: 'string' },
      markdown: { type: 'string' },
      svg: { type: 'string' },
      instructions: { type: 'boolean' },
      quick: { type: 'boolean' },
      list: { type: 'boolean' }
    }
  })
  return values
}

/** The reference first, then our engines that are built, then whatever else was named. */
function contestantsOf(values: ReturnType<typeof options>): readonly Contestant[] {
  const reference = { name: 'reference', dir: resolve(values.reference ?? '/usr/lib/cni') }
  const engines = (values.engine ?? `native,node,${FLOOR}`)
    .split(',')
    .filter(name => name !== '')
    .map(name => (name === FLOOR ? floorIn(FLOOR_FOLDER) : { name, dir: join(ROOT, 'dist', name, 'bin') }))
  const others = (values['plugin-dir'] ?? []).map(text => {
    const [name = '', dir = ''] = text.split('=')
    if (name === '' || dir === '') throw new Error(`read --plugin-dir: NAME=DIR expected, got ${JSON.stringify(text)}`)
    return { name, dir: resolve(dir) }
  })
  return [reference, ...engines, ...others]
}

type Options = ReturnType<typeof options>

/** The group of the scenarios that load a path with traffic. */
const PATH_GROUP = 'paths'

function listScenarios(): number {
  const all = [...SCENARIOS, ...PATHS.map(({ id, title }) => ({ id, title, group: PATH_GROUP }))]
  for (const { id, group, title } of all) process.stdout.write(`${id.padEnd(20)} ${group.padEnd(10)} ${title}\n`)
  return 0
}

function runsOf(values: Options): number {
  const runs = Number(values.runs ?? (values.quick === true ? QUICK_RUNS : DEFAULT_RUNS))
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`read --runs: a whole number expected, got ${values.runs}`)
  return runs
}

/** Which scenarios were asked for. */
function choice(values: Options) {
  const only = (values.only ?? []).flatMap(text => text.split(','))
  const isNamed = (id: string, group: string) => only.includes(id) || only.includes(group)
  const isQuick = ({ slow, fewRuns }: Scenario) => slow !== true && fewRuns === undefined
  const isChosen = (one: Scenario) =>
    only.length === 0 ? values.quick !== true || isQuick(one) : isNamed(one.id, one.group)
  const scenarios = SCENARIOS.filter(isChosen)
  const paths = PATHS.filter(({ id }) => (only.length === 0 ? values.quick !== true : isNamed(id, PATH_GROUP)))
  const known = [...SCENARIOS, ...PATHS].flatMap(one => [one.id, 'group' in one ? one.group : PATH_GROUP])
  const unknown = only.filter(name => !known.includes(name))
  if (unknown.length > 0) throw new Error(`read --only: no scenario is called ${unknown.join(' or ')}; see --list`)
  return { scenarios, paths, isWhole: only.length === 0 && values.quick !== true }
}

function presentOf(values: Options): readonly Contestant[] {
  const all = contestantsOf(values)
  for (const { name, dir } of all) if (!existsSync(dir)) process.stderr.write(`absent: ${name} (${dir})\n`)
  return all.filter(({ dir }) => existsSync(dir))
}

/** A target of a few hundredths wants more visits than a figure to look at. */
function visitsOf(path: string, runs: number): number {
  return Math.max(6, PATH_TARGETS.some(target => target.path === path) ? 2 * runs : Math.ceil(runs / 2))
}

/** Whatever goes wrong with one scenario, the others are measured. */
function orWhy<T>(body: () => T, failed: (why: string) => T): T {
  try {
    return body()
  } catch (error) {
    return failed(messageOf(error))
  }
}

function nobodyRan({ id, title, group }: Scenario, contestants: readonly Contestant[], why: string): ScenarioResult {
  const each = contestants.map(({ name }) => [name, { state: 'failed' as const, why }] as const)
  return { id, title, group, contestants: Object.fromEntries(each) }
}

/** Measures; the part that runs in the sandbox. */
function measure(values: Options): BenchReport {
  const started = performance.now()
  const runs = runsOf(values)
  const { scenarios, paths, isWhole } = choice(values)
  const contestants = presentOf(values)
  const isQuick = values.quick === true
  const strace = isQuick ? undefined : findStrace()
  const valgrind = values.instructions === true ? findValgrind() : undefined
  const progress = (done: number, id: string, title: string) => {
    const minutes = ((performance.now() - started) / 60_000).toFixed(1)
    process.stderr.write(`[${done}/${scenarios.length + paths.length}, ${minutes} min] ${id}: ${title}\n`)
  }
  const results = scenarios.map((scenario, index) => {
    progress(index + 1, scenario.id, scenario.title)
    return orWhy(
      () => runScenario(scenario, contestants, { runs, strace, valgrind }),
      why => nobodyRan(scenario, contestants, why)
    )
  })
  // Both engines make the same devices and rules: one of them stands for both.
  const makers = contestants.filter(({ name }) => name !== 'node' || !contestants.some(one => one.name === 'native'))
  const loaded = paths.map((path, index): PathResult => {
    progress(scenarios.length + index + 1, path.id, path.title)
    const { id, title } = path
    return orWhy(
      () => runPath(path, makers, visitsOf(id, runs)),
      why => ({ id, title, subjects: [{ name: 'all', samples: {}, ratios: {}, why }] })
    )
  })
  const plugins = contestants.filter(({ takesPart }) => takesPart === undefined)
  const memory = isWhole ? plugins.map(one => [one.name, memoryOf(one)] as const) : []
  const command = commandStart(join(ROOT, 'dist', 'node', 'patchbay'), runs)
  return rounded({
    machine: machine(),
    runs,
    minutes: Math.ceil((performance.now() - started) / 60_000),
    contestants: contestants.map(one => {
      const { largest, all: total } = fileSizes(one)
      return { name: one.name, largestFile: largest, allFiles: total }
    }),
    bareNode: bareNode(runs),
    ...(command === undefined ? {} : { commandStart: command }),
    results,
    paths: loaded,
    memory: Object.fromEntries(memory),
    leftOut:
      strace === undefined
        ? [`system calls and programs are not counted: ${isQuick ? 'asked to be quick' : 'no strace that may trace'}`]
        : []
  })
}

/** Prints and writes; the part that runs outside. */
function publish(values: Options, report: BenchReport): void {
  process.stdout.write(textReport(report))
  const { json, markdown, svg } = values
  if (json !== undefined) writeFileSync(json, jsonReport(report))
  if (markdown !== undefined) {
    const link = svg === undefined ? undefined : relative(dirname(resolve(markdown)), resolve(svg))
    const old = existsSync(markdown) ? readFileSync(markdown, 'utf8') : ''
    writeFileSync(markdown, withResults(old, markdownReport(report, link)))
  }
  if (svg === undefined) return
  mkdirSync(svg, { recursive: true })
  for (const [name, text] of plots(report)) writeFileSync(join(svg, name), text)
}

function main(argv: readonly string[]): number {
  const values = options(argv)
  if (values.list === true) return listScenarios()
  if (isInside()) {
    furnish(contestantsOf(values).map(({ dir }) => dir))
    handOut(measure(values))
    return 0
  }
  const why = whyNoSandbox()
  if (why !== undefined) throw new Error(`run the benchmark: ${why}`)
  if (contestantsOf(values).some(({ name }) => name === FLOOR)) makeFloor(FLOOR_FOLDER)
  const { status, report } = runInside(import.meta.filename, argv)
  // The report comes from this very program, one process further in.
  if (report !== undefined) publish(values, report as BenchReport)
  return status
}

try {
  process.exitCode = main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exitCode = 1
}
