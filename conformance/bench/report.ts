/** The benchmark's outcome as a table for people, as JSON and as Markdown. */
import type { ContestantResult, ScenarioResult } from './run.ts'
import type { Sample } from './statistics.ts'
import { GROWTH_TARGETS, NATIVE_FILE_BYTES, NATIVE_PEAK_KIB, NODE_OWN_WORK_MS, TARGETS } from './targets.ts'

export interface BenchReport {
  readonly machine: Readonly<Record<string, string>>
  readonly runs: number
  readonly contestants: readonly { readonly name: string; readonly largestFile: number; readonly allFiles: number }[]
  readonly bareNode: Sample
  readonly results: readonly ScenarioResult[]
  /** Peak memory of ADD, KiB, by contestant and plugin. */
  readonly memory: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export type Cells = readonly string[]

/** Milliseconds with three significant digits. */
export function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function spread(sample: Sample): string {
  return `${milliseconds(sample.median)} (${milliseconds(sample.low)}-${milliseconds(sample.high)})`
}

export function sampleIn(
  results: readonly ScenarioResult[],
  id: string,
  contestant: string,
  measure: string
): Sample | undefined {
  const found = results.find(result => result.id === id)?.contestants[contestant]
  return found?.state === 'measured' ? found.samples[measure] : undefined
}

function measuresOf(result: ScenarioResult): readonly string[] {
  const names = new Set<string>()
  for (const one of Object.values(result.contestants)) {
    if (one.state === 'measured') for (const name of Object.keys(one.samples)) names.add(name)
  }
  return names.size === 0 ? ['-'] : [...names]
}

function timeCell(result: ContestantResult | undefined, measure: string): string {
  if (result === undefined) return 'absent'
  if (result.state !== 'measured') return result.state
  const sample = result.samples[measure]
  return sample === undefined ? '-' : spread(sample)
}

function ratioCell(results: readonly ScenarioResult[], id: string, contestant: string, measure: string): string {
  const own = sampleIn(results, id, contestant, measure)
  const reference = sampleIn(results, id, 'reference', measure)
  if (own === undefined || reference === undefined) return '-'
  const ratio = own.median / reference.median
  const target = TARGETS.find(one => one.scenario === id && one.measure === measure && one.contestant === contestant)
  const verdict =
    target === undefined ? '' : ratio <= target.ratio ? ` (<= ${target.ratio})` : ` (MISSED ${target.ratio})`
  return `${ratio.toFixed(2)}${verdict}`
}

/** Header and rows of the table of times. */
export function timeTable(report: BenchReport): readonly Cells[] {
  const others = report.contestants.map(({ name }) => name).filter(name => name !== 'reference')
  const head = ['scenario', 'verb', 'reference ms', ...others.flatMap(name => [`${name} ms`, 'ratio'])]
  const rows = report.results.flatMap(result =>
    measuresOf(result).map((measure, index) => [
      index === 0 ? result.title : '',
      measure,
      timeCell(result.contestants['reference'], measure),
      ...others.flatMap(name => [
        timeCell(result.contestants[name], measure),
        ratioCell(report.results, result.id, name, measure)
      ])
    ])
  )
  return [head, ...rows]
}

export function memoryTable(report: BenchReport): readonly Cells[] {
  const names = report.contestants.map(({ name }) => name)
  const types = [...new Set(names.flatMap(name => Object.keys(report.memory[name] ?? {})))]
  const megabytes = (kib: number | undefined) => (kib === undefined ? 'absent' : (kib / 1024).toFixed(1))
  const rows = types.map(type => [type, ...names.map(name => megabytes(report.memory[name]?.[type]))])
  const size = (bytes: number) => (bytes === 0 ? 'absent' : (bytes / 1024 / 1024).toFixed(2))
  return [
    ['peak memory of ADD, MiB', ...names],
    ...rows,
    ['largest plugin file, MiB', ...report.contestants.map(one => size(one.largestFile))],
    ['all plugin files, MiB', ...report.contestants.map(one => size(one.allFiles))]
  ]
}

/** Each absolute and growth target with what was measured, in words. */
export function verdicts(report: BenchReport): readonly string[] {
  const lines: string[] = []
  const say = (holds: boolean, text: string) => lines.push(`${holds ? 'met   ' : 'MISSED'} ${text}`)
  for (const { large, small, measure, contestant, ratio } of GROWTH_TARGETS) {
    const a = sampleIn(report.results, large, contestant, measure)
    const b = sampleIn(report.results, small, contestant, measure)
    if (a === undefined || b === undefined) continue
    const seen = a.median / b.median
    say(seen <= ratio, `${contestant} ${measure}: ${large} is ${seen.toFixed(2)} x ${small} (at most ${ratio})`)
  }
  const peak = Math.max(...Object.values(report.memory['native'] ?? {}))
  if (peak > 0) say(peak <= NATIVE_PEAK_KIB, `native peak memory ${(peak / 1024).toFixed(1)} MiB (at most 5)`)
  const file = report.contestants.find(({ name }) => name === 'native')?.largestFile ?? 0
  if (file > 0) say(file <= NATIVE_FILE_BYTES, `native plugin file ${(file / 1048576).toFixed(2)} MiB (at most 2)`)
  const add = sampleIn(report.results, 'bridge', 'node', 'ADD')
  if (add !== undefined) {
    const own = add.median - report.bareNode.median
    const text = `node engine: bridge ADD ${milliseconds(add.median)} ms - bare Node ${milliseconds(report.bareNode.median)} ms`
    say(own <= NODE_OWN_WORK_MS, `${text} = ${milliseconds(own)} ms of its own (at most ${NODE_OWN_WORK_MS})`)
  }
  return lines
}

/** Why somebody has no times in a scenario. */
export function remarks(report: BenchReport): readonly string[] {
  return report.results.flatMap(result =>
    Object.entries(result.contestants).flatMap(([name, one]) =>
      one.state === 'failed' ? [`${result.id}: ${name} failed: ${one.why.slice(0, 300)}`] : []
    )
  )
}

/** Columns in line, for a terminal. */
export function alignedTable(rows: readonly Cells[]): string {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const line = (row: Cells) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  const rule = widths.map(width => '-'.repeat(width)).join('  ')
  return rows.flatMap((row, index) => (index === 0 ? [line(row), rule] : [line(row).trimEnd()])).join('\n')
}

export function markdownTable(rows: readonly Cells[]): string {
  const line = (row: Cells) => `| ${row.join(' | ')} |`
  const [head = [], ...body] = rows
  const rule = `|${head.map((_cell, column) => (column < 2 ? '---' : '--:')).join('|')}|`
  return [line(head), rule, ...body.map(line)].join('\n')
}

export function textReport(report: BenchReport): string {
  const machine = Object.entries(report.machine).map(([name, value]) => `${name}: ${value}`)
  const notes = [...verdicts(report), ...remarks(report)]
  return [
    machine.join('; '),
    `median (tenth and ninetieth percentile) of ${report.runs} runs, taken in turns; ratio = median / reference's median`,
    '',
    alignedTable(timeTable(report)),
    '',
    alignedTable(memoryTable(report)),
    ...(notes.length === 0 ? [] : ['', ...notes]),
    ''
  ].join('\n')
}

export function markdownReport(report: BenchReport): string {
  const machine = Object.entries(report.machine).map(([name, value]) => `${name}: ${value}`)
  return [
    `${machine.join('; ')}. Median (tenth and ninetieth percentile) of ${report.runs} runs, taken in turns.`,
    '',
    markdownTable(timeTable(report)),
    '',
    markdownTable(memoryTable(report)),
    '',
    ...[...verdicts(report), ...remarks(report)].map(line => `- ${line.trim()}`),
    ''
  ].join('\n')
}
