/**
 * `npm run bench`: our plugins and the reference side by side, in one run.
 *
 *     npm run bench -- [--runs N] [--only ID|GROUP...] [--engine native,node] [--reference DIR] [--plugin-dir NAME=DIR]
 *                      [--json F] [--markdown F] [--svg DIR] [--list]
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { plots } from './bench/plot.ts'
import { type BenchReport, markdownReport, textReport } from './bench/report.ts'
import { bareNode, fileSizes, machine, memoryOf, runScenario } from './bench/run.ts'
import type { Contestant } from './bench/scenario.ts'
import { SCENARIOS } from './bench/scenarios.ts'
import { furnish, handOut, isInside, runInside, whyNoSandbox } from './sandbox.ts'

const ROOT = resolve(import.meta.dirname, '..')
const DEFAULT_RUNS = 30

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
      list: { type: 'boolean' }
    }
  })
  return values
}

/** The reference first, then our engines that are built, then whatever else was named. */
function contestantsOf(values: ReturnType<typeof options>): readonly Contestant[] {
  const reference = { name: 'reference', dir: resolve(values.reference ?? '/usr/lib/cni') }
  const engines = (values.engine ?? 'native,node')
    .split(',')
    .filter(name => name !== '')
    .map(name => ({ name, dir: join(ROOT, 'dist', name, 'bin') }))
  const others = (values['plugin-dir'] ?? []).map(text => {
    const [name = '', dir = ''] = text.split('=')
    if (name === '' || dir === '') throw new Error(`read --plugin-dir: NAME=DIR expected, got ${JSON.stringify(text)}`)
    return { name, dir: resolve(dir) }
  })
  return [reference, ...engines, ...others]
}

type Options = ReturnType<typeof options>

function listScenarios(): number {
  for (const { id, group, title } of SCENARIOS) process.stdout.write(`${id.padEnd(16)} ${group.padEnd(10)} ${title}\n`)
  return 0
}

/** Measures; the part that runs in the sandbox. */
function measure(values: Options): BenchReport {
  const only = (values.only ?? []).flatMap(text => text.split(','))
  const chosen = SCENARIOS.filter(({ id, group }) => only.length === 0 || only.includes(id) || only.includes(group))
  if (chosen.length === 0) throw new Error(`read --only: no scenario is called ${only.join(' or ')}; see --list`)
  const runs = Number(values.runs ?? DEFAULT_RUNS)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`read --runs: a whole number expected, got ${values.runs}`)
  const all = contestantsOf(values)
  for (const { name, dir } of all) if (!existsSync(dir)) process.stderr.write(`absent: ${name} (${dir})\n`)
  const contestants = all.filter(({ dir }) => existsSync(dir))

  const results = chosen.map((scenario, index) => {
    process.stderr.write(`[${index + 1}/${chosen.length}] ${scenario.id}: ${scenario.title}\n`)
    return runScenario(scenario, contestants, runs)
  })
  const memory = only.length === 0 ? contestants.map(one => [one.name, memoryOf(one)] as const) : []
  return {
    machine: machine(),
    runs,
    contestants: contestants.map(one => {
      const { largest, all: total } = fileSizes(one)
      return { name: one.name, largestFile: largest, allFiles: total }
    }),
    bareNode: bareNode(runs),
    results,
    memory: Object.fromEntries(memory)
  }
}

const RESULTS_BEGIN = '<!-- results: written by npm run bench -- --markdown FILE -->\n'
const RESULTS_END = '<!-- end of results -->\n'

/** Puts the results between their marks when the file has them, else makes the file of them alone. */
function writeMarkdown(path: string, results: string): void {
  const old = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const [from, to] = [old.indexOf(RESULTS_BEGIN), old.indexOf(RESULTS_END)]
  const marked = from >= 0 && to > from
  const before = marked ? old.slice(0, from + RESULTS_BEGIN.length) : ''
  writeFileSync(path, marked ? `${before}\n${results}\n${old.slice(to)}` : results)
}

/** Prints and writes; the part that runs outside. */
function publish(values: Options, report: BenchReport): void {
  process.stdout.write(textReport(report))
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  if (values.markdown !== undefined) writeMarkdown(values.markdown, markdownReport(report))
  if (values.svg === undefined) return
  mkdirSync(values.svg, { recursive: true })
  for (const [name, svg] of plots(report)) writeFileSync(join(values.svg, name), svg)
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
  const { status, report } = runInside(import.meta.filename, argv)
  // The report comes from this very program, one process further in.
  if (report !== undefined) publish(values, report as BenchReport)
  return status
}

try {
  process.exitCode = main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
