/** The benchmark's outcome as tables: a heading row, then rows of texts. */

import type { BenchReport } from './measurements.ts'
import type { PathResult, SubjectResult, TrafficMeasure } from './path-run.ts'
import type { ContestantResult, Measured, ScenarioResult } from './run.ts'
import type { Estimate, Sample } from './statistics.ts'
import { isMet, PATH_TARGETS, type PathTarget, TARGETS } from './targets.ts'

export type Cells = readonly string[]
/** The first row is the heading. */
export type Table = readonly Cells[]

const REFERENCE = 'reference'

/** Groups that have tables of their own: cost by how many there are. */
export const GROWTH_GROUPS: readonly { readonly group: string; readonly title: string; readonly counted: string }[] = [
  { group: 'leases', title: 'host-local', counted: 'leases present' },
  { group: 'mappings', title: 'portmap, one port', counted: 'mappings of another container present' },
  { group: 'parallel', title: 'bridge + host-local, until the last is done', counted: 'calls at once' },
  { group: 'ports', title: 'bridge + host-local', counted: 'other ports of the bridge' },
  { group: 'routes', title: 'bridge + host-local', counted: 'other routes of the host' },
  { group: 'rules', title: 'bridge with ipMasq', counted: 'iptables rules of others' },
  { group: 'hosts', title: 'vxlan', counted: 'other hosts of the overlay' },
  { group: 'gc', title: 'bridge + host-local', counted: 'attachments to collect' }
]

/** The measures of growth, in the order of their rows. */
const GROWING = ['ADD', 'DEL', 'GC']

/** Milliseconds with three significant digits. */
export function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function spread(sample: Sample, text: (value: number) => string): string {
  return `${text(sample.median)} (${text(sample.low)}-${text(sample.high)})`
}

/** What a contestant has for a scenario, when it has a number at all. */
export function measured(results: readonly ScenarioResult[], id: string, contestant: string): Measured | undefined {
  const found = results.find(result => result.id === id)?.contestants[contestant]
  return found?.state === 'measured' ? found : undefined
}

export function sampleIn(
  results: readonly ScenarioResult[],
  id: string,
  contestant: string,
  measure: string
): Sample | undefined {
  return measured(results, id, contestant)?.samples[measure]
}

/** The measures that anybody has a number for, in the order of the calls. */
function measuresOf(result: ScenarioResult): readonly string[] {
  const ofAll = Object.values(result.contestants).filter(one => one.state === 'measured')
  const longest = ofAll.reduce<readonly string[]>((names, { samples, missing }) => {
    const own = Object.keys({ ...samples, ...missing })
    return own.length > names.length ? own : names
  }, [])
  const order = ['ADD', 'CHECK', 'DEL', 'DEL again', 'STATUS']
  const inOrder = [...longest].sort((a, b) => order.indexOf(a) - order.indexOf(b))
  const some = inOrder.filter(name => ofAll.some(({ samples }) => samples[name] !== undefined))
  return some.length === 0 ? ['-'] : some
}

function timeCell(result: ContestantResult | undefined, measure: string): string {
  if (result === undefined) return '-'
  if (result.state !== 'measured') return result.state
  const sample = result.samples[measure]
  return sample === undefined ? 'failed' : spread(sample, milliseconds)
}

function ratioCell(results: readonly ScenarioResult[], id: string, contestant: string, measure: string): string {
  const own = sampleIn(results, id, contestant, measure)
  const reference = sampleIn(results, id, REFERENCE, measure)
  if (own === undefined || reference === undefined) return '-'
  const ratio = own.median / reference.median
  const target = TARGETS.find(one => one.scenario === id && one.measure === measure && one.contestant === contestant)
  if (target === undefined) return ratio.toFixed(2)
  const bound = target.orMilliseconds === undefined ? target.ratio : `${target.ratio} or ${target.orMilliseconds} ms`
  return `${ratio.toFixed(2)} (${isMet(target, own.median, reference.median) ? '<=' : 'MISSED'} ${bound})`
}

/** Rows of scenario and measure; the scenario is named once. */
function scenarioRows(
  results: readonly ScenarioResult[],
  measures: (result: ScenarioResult) => readonly string[],
  cells: (result: ScenarioResult, measure: string) => Cells
): readonly Cells[] {
  return results.flatMap(result =>
    measures(result).map((measure, index) => [index === 0 ? result.title : '', measure, ...cells(result, measure)])
  )
}

function isGrowth({ group }: ScenarioResult): boolean {
  return GROWTH_GROUPS.some(one => one.group === group)
}

export function timeTable(report: BenchReport): Table {
  const others = report.contestants.map(({ name }) => name).filter(name => name !== REFERENCE)
  const head = ['scenario', 'call', 'reference ms', ...others.flatMap(name => [`${name} ms`, 'ratio'])]
  const results = report.results.filter(result => !isGrowth(result))
  const rows = scenarioRows(results, measuresOf, (result, measure) => [
    timeCell(result.contestants[REFERENCE], measure),
    ...others.flatMap(name => [
      timeCell(result.contestants[name], measure),
      ratioCell(results, result.id, name, measure)
    ])
  ])
  return [head, ...rows]
}

/** Such as `2.73 M`. */
export function millions(count: number | undefined): string {
  return count === undefined ? '-' : `${(count / 1e6).toFixed(2)} M`
}

/** System calls, programs and instructions of each call, where they were counted. */
export function callTable(report: BenchReport): Table {
  const names = report.contestants.map(({ name }) => name)
  const callsOf = (result: ScenarioResult, name: string, measure: string) =>
    measured(report.results, result.id, name)?.calls[measure]
  const counted = (result: ScenarioResult) =>
    measuresOf(result).filter(measure => names.some(name => callsOf(result, name, measure) !== undefined))
  const head = ['scenario', 'call', ...names.flatMap(name => [`${name}: system calls`, 'programs', 'instructions'])]
  const rows = scenarioRows(report.results, counted, (result, measure) =>
    names.flatMap(name => {
      const calls = callsOf(result, name, measure)
      if (calls === undefined) return ['-', '-', '-']
      return [String(calls.systemCalls), String(calls.programs), millions(calls.instructions)]
    })
  )
  return [head, ...rows]
}

/** The number at the end of a growth scenario's name. */
export function countOf({ id }: ScenarioResult): number {
  return Number(/[0-9]+$/.exec(id)?.[0])
}

/** Medians, a column for each number of others. */
export function growthTable(report: BenchReport, { group, title, counted }: (typeof GROWTH_GROUPS)[number]): Table {
  const results = report.results.filter(result => result.group === group)
  const isMeasured = (measure: string) =>
    report.contestants.some(({ name }) => results.some(({ id }) => sampleIn(results, id, name, measure) !== undefined))
  const rows = report.contestants.flatMap(({ name }) =>
    GROWING.filter(isMeasured).map(measure => {
      const samples = results.map(result => sampleIn(report.results, result.id, name, measure))
      const cells = results.map((result, index) => {
        const sample = samples[index]
        return sample === undefined ? timeCell(result.contestants[name], measure) : milliseconds(sample.median)
      })
      const [first, last] = [samples[0], samples.at(-1)]
      const growth = first === undefined || last === undefined ? '-' : (last.median / first.median).toFixed(2)
      return [name, measure, ...cells, growth]
    })
  )
  return results.length === 0
    ? []
    : [[`${title}, ms`, counted, ...results.map(result => String(countOf(result))), 'last / first'], ...rows]
}

const TRAFFIC: readonly {
  readonly measure: TrafficMeasure
  readonly title: string
  readonly text: (value: number) => string
}[] = [
  { measure: 'throughput', title: 'Gbit/s', text: value => (value / 1e9).toFixed(2) },
  { measure: 'latency', title: 'round trip µs', text: value => (value * 1e6).toFixed(2) },
  { measure: 'connection', title: 'connect µs', text: value => (value * 1e6).toFixed(1) }
]

export type Verdict = 'met' | 'MISSED' | 'unsure'

/** Whether a ratio is as it has to be: throughput no lower, times no higher. Unsure: the interval reaches the bound. */
export function verdictOf({ measure, ratio }: PathTarget, seen: Estimate): Verdict {
  const [isMet, mayBe] =
    measure === 'throughput' ? [seen.median >= ratio, seen.high >= ratio] : [seen.median <= ratio, seen.low <= ratio]
  return isMet ? 'met' : mayBe ? 'unsure' : 'MISSED'
}

function pathRatioCell(path: PathResult, subject: SubjectResult, measure: TrafficMeasure): string {
  const ratio: Estimate | undefined = subject.ratios[measure]
  if (ratio === undefined) return '-'
  const target = PATH_TARGETS.find(
    one => one.path === path.id && one.subject === subject.name && one.measure === measure
  )
  const sign = measure === 'throughput' ? '>=' : '<='
  const verdict = target === undefined ? '' : `; ${sign} ${target.ratio} ${verdictOf(target, ratio)}`
  return `${ratio.median.toFixed(3)} (${ratio.low.toFixed(3)}-${ratio.high.toFixed(3)}${verdict})`
}

export function pathTable(report: BenchReport): Table {
  const head = ['path', 'made by', ...TRAFFIC.flatMap(({ title }) => [title, 'ratio'])]
  const rows = report.paths.flatMap(path =>
    path.subjects.map((subject, index) => [
      index === 0 ? path.title : '',
      subject.name,
      ...TRAFFIC.flatMap(({ measure, text }) => {
        const sample = subject.samples[measure]
        return [sample === undefined ? 'failed' : spread(sample, text), pathRatioCell(path, subject, measure)]
      })
    ])
  )
  return rows.length === 0 ? [] : [head, ...rows]
}

export function memoryTable(report: BenchReport): Table {
  const names = report.contestants.map(({ name }) => name)
  const types = [...new Set(names.flatMap(name => Object.keys(report.memory[name] ?? {})))]
  const megabytes = (kib: number | undefined) => (kib === undefined ? '-' : (kib / 1024).toFixed(1))
  const rows = types.map(type => [
    'peak memory of ADD',
    type,
    ...names.map(name => megabytes(report.memory[name]?.[type]))
  ])
  const size = (bytes: number) => (bytes === 0 ? 'absent' : (bytes / 1024 / 1024).toFixed(2))
  return [
    ['MiB', '', ...names],
    ...rows.map(([what = '', ...cells], index) => [index === 0 ? what : '', ...cells]),
    ['file size', 'the largest plugin', ...report.contestants.map(one => size(one.largestFile))],
    ['', 'all plugins; links count once', ...report.contestants.map(one => size(one.allFiles))]
  ]
}
