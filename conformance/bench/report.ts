/** The benchmark's outcome as a text for people, as JSON and as Markdown. */
import type { BenchReport } from './measurements.ts'
import { DRAWN } from './plot.ts'
import {
  type Cells,
  callTable,
  GROWTH_GROUPS,
  growthTable,
  measured,
  memoryTable,
  millions,
  milliseconds,
  pathTable,
  sampleIn,
  type Table,
  timeTable,
  type Verdict,
  verdictOf
} from './tables.ts'
import {
  ABSOLUTE_TARGETS,
  COMMAND_OWN_WORK_MS,
  INNER_TARGETS,
  isMet,
  NATIVE_FILE_MIB,
  NATIVE_PEAK_MIB,
  NODE_OWN_WORK,
  PATH_TARGETS,
  TARGETS
} from './targets.ts'

/** The report with as many digits as mean something, so that what is written equals what is read back. */
export function rounded(report: BenchReport): BenchReport {
  const digits = (_key: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value
  return JSON.parse(JSON.stringify(report, digits))
}

/** JSON with a line for each object that holds no other. */
export function jsonReport(report: BenchReport): string {
  const inOneLine = (text: string) => text.replaceAll(/\s*\n\s*/g, ' ')
  return `${JSON.stringify(report, null, 1).replaceAll(/\{\n[^{}[\]]*\}/g, inOneLine)}\n`
}

type Say = (verdict: boolean | Verdict, text: string) => void

function ratioVerdicts(report: BenchReport, say: Say): void {
  for (const target of TARGETS) {
    const { scenario, measure, contestant, ratio, orMilliseconds } = target
    const [own, reference] = [contestant, 'reference'].map(
      name => sampleIn(report.results, scenario, name, measure)?.median
    )
    if (own === undefined || reference === undefined) continue
    const seen = `${contestant}: ${scenario} ${measure}: ${(own / reference).toFixed(3)} x the reference's`
    const bound = orMilliseconds === undefined ? `at most ${ratio}` : `at most ${ratio}, or ${orMilliseconds} ms`
    say(isMet(target, own, reference), `${seen}, ${milliseconds(own)} ms (${bound})`)
  }
}

function innerVerdicts(report: BenchReport, say: Say): void {
  for (const { contestant, above, below, ratio } of INNER_TARGETS) {
    const a = sampleIn(report.results, above[0], contestant, above[1])
    const b = sampleIn(report.results, below[0], contestant, below[1])
    if (a === undefined || b === undefined) continue
    const seen = a.median / b.median
    const names = above[1] === below[1] ? [above[0], below[0]] : [above[1], below[1]]
    const measure = above[1] === below[1] ? ` ${above[1]}` : ''
    say(seen <= ratio, `${contestant}${measure}: ${names[0]} is ${seen.toFixed(2)} x ${names[1]} (at most ${ratio})`)
  }
}

function pathVerdicts(report: BenchReport, say: Say): void {
  for (const target of PATH_TARGETS) {
    const path = report.paths.find(({ id }) => id === target.path)
    const ratio = path?.subjects.find(({ name }) => name === target.subject)?.ratios[target.measure]
    if (path === undefined || ratio === undefined) continue
    const bound = target.measure === 'throughput' ? 'at least' : 'at most'
    const seen = `${ratio.median.toFixed(3)} x ${path.subjects[0]?.name}'s`
    const range = `95 % interval ${ratio.low.toFixed(3)}-${ratio.high.toFixed(3)}`
    const text = `${target.subject} ${target.measure}: ${path.title}: ${seen} (${range}; ${bound} ${target.ratio})`
    say(verdictOf(target, ratio), text)
  }
}

function absoluteVerdicts(report: BenchReport, say: Say): void {
  for (const { scenario, measure, contestant, milliseconds: most } of ABSOLUTE_TARGETS) {
    const seen = sampleIn(report.results, scenario, contestant, measure)
    if (seen === undefined) continue
    say(seen.median <= most, `${scenario}: ${measure}: ${milliseconds(seen.median)} ms (at most ${most})`)
  }
}

/** Each absolute and growth target with what was measured, in words. */
export function verdicts(report: BenchReport): readonly string[] {
  const lines: string[] = []
  const say: Say = (verdict, text) => {
    const word = typeof verdict === 'string' ? verdict : verdict ? 'met' : 'MISSED'
    lines.push(`${word.padEnd(6)} ${text}`)
  }
  ratioVerdicts(report, say)
  innerVerdicts(report, say)
  absoluteVerdicts(report, say)
  pathVerdicts(report, say)
  const peak = Math.max(...Object.values(report.memory['native'] ?? {})) / 1024
  if (peak > 0) say(peak <= NATIVE_PEAK_MIB, `native peak memory ${peak.toFixed(1)} MiB (at most ${NATIVE_PEAK_MIB})`)
  const file = (report.contestants.find(({ name }) => name === 'native')?.largestFile ?? 0) / 1048576
  if (file > 0) say(file <= NATIVE_FILE_MIB, `native plugin file ${file.toFixed(2)} MiB (at most ${NATIVE_FILE_MIB})`)
  const { scenario, call, bare, milliseconds: most } = NODE_OWN_WORK
  const [add, start] = [call, bare].map(measure => sampleIn(report.results, scenario, 'node', measure)?.median)
  if (add !== undefined && start !== undefined) {
    const text = `node engine: ${call} ${milliseconds(add)} ms - ${bare} ${milliseconds(start)} ms`
    say(add - start <= most, `${text} = ${milliseconds(add - start)} ms of its own (at most ${most})`)
  }
  const command = report.commandStart
  if (command !== undefined) {
    const own = command.median - report.bareNode.median
    const text = `patchbay network ls ${milliseconds(command.median)} ms - bare Node ${milliseconds(report.bareNode.median)} ms`
    say(own <= COMMAND_OWN_WORK_MS, `${text} = ${milliseconds(own)} ms of its own (at most ${COMMAND_OWN_WORK_MS})`)
  }
  return lines
}

/** Each reason why somebody has no number, with where that was. */
export function remarks(report: BenchReport): readonly string[] {
  const places = new Map<string, string[]>()
  const note = (why: string, place: string) => {
    const text = why.slice(0, 240)
    const list = places.get(text) ?? []
    list.push(place)
    places.set(text, list)
  }
  for (const { id, contestants } of report.results) {
    for (const [name, one] of Object.entries(contestants)) {
      if (one.state !== 'measured') note(`${name} ${one.state}: ${one.why}`, id)
      else
        for (const [measure, why] of Object.entries(one.missing))
          note(`${name} failed: ${plain(why)}`, `${id} ${measure}`)
    }
  }
  for (const { id, subjects } of report.paths) {
    for (const { name, why } of subjects) if (why !== undefined) note(`${name} failed: ${why}`, id)
  }
  return [...[...places].map(([why, list]) => `${why}: ${list.join(', ')}`), ...report.leftOut]
}

/** A plugin's failure without its own name before it, so that equal ones are told once. */
function plain(why: string): string {
  return why.replace(/^[a-z-]+ [A-Z]+: /, '')
}

/** Columns in line, for a terminal. */
function alignedTable(rows: Table): string {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const line = (row: Cells) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  const rule = widths.map(width => '-'.repeat(width)).join('  ')
  return rows.flatMap((row, index) => (index === 0 ? [line(row), rule] : [line(row).trimEnd()])).join('\n')
}

function markdownTable(rows: Table): string {
  const line = (row: Cells) => `| ${row.join(' | ')} |`
  const [head = [], ...body] = rows
  const rule = `|${head.map((_cell, column) => (column < 2 ? '---' : '--:')).join('|')}|`
  return [line(head), rule, ...body.map(line)].join('\n')
}

interface Section {
  readonly title: string
  readonly table: Table
}

function growthSections(report: BenchReport): readonly (Section & { readonly group: string })[] {
  return GROWTH_GROUPS.map(one => ({
    group: one.group,
    title: `${one.title}: by ${one.counted}`,
    table: growthTable(report, one)
  }))
}

const isFilled = ({ table }: Section): boolean => table.length > 1

function sections(report: BenchReport): readonly Section[] {
  return [
    { title: 'Time', table: timeTable(report) },
    ...growthSections(report),
    { title: 'System calls, programs started and instructions per call', table: callTable(report) },
    { title: 'Traffic over what was made', table: pathTable(report) },
    { title: 'Memory and size', table: memoryTable(report) }
  ].filter(isFilled)
}

function machineLine(report: BenchReport): string {
  return Object.entries(report.machine)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ')
}

export function textReport(report: BenchReport): string {
  const notes = [...verdicts(report), ...remarks(report)]
  return [
    machineLine(report),
    `median (tenth and ninetieth percentile) of ${report.runs} runs, taken in turns; ratio = median / reference's median`,
    ...sections(report).flatMap(({ title, table }) => ['', title, '', alignedTable(table)]),
    ...(notes.length === 0 ? [] : ['', ...notes]),
    ''
  ].join('\n')
}

/** @param plots where the plots are, as a link from the file; undefined when there are none */
export function markdownReport(report: BenchReport, plots: string | undefined): string {
  const growth = growthSections(report)
  const plot = (title: string) => {
    const group = growth.find(one => one.title === title)?.group
    return group === undefined || plots === undefined || !DRAWN.includes(group)
      ? []
      : ['', `![${title}](${plots}/${group}.svg)`]
  }
  return [
    `${machineLine(report)}. Median (tenth and ninetieth percentile) of ${report.runs} runs, taken in turns; all in ${report.minutes} minutes.`,
    ...sections(report).flatMap(({ title, table }) => ['', `### ${title}`, '', markdownTable(table), ...plot(title)]),
    '',
    '### Targets, and what has no number',
    '',
    ...[...verdicts(report), ...remarks(report)].map(line => `- ${line.trim()}`),
    ''
  ].join('\n')
}

/** What the README shows of it: a scenario's id and measure. */
const IN_SHORT: readonly (readonly [id: string, measure: string])[] = [
  ['bridge', 'ADD'],
  ['portmap', 'ADD'],
  ['nerdctl', 'start'],
  ['nerdctl', 'stop'],
  ['cri', 'pod start'],
  ['leases-10000', 'ADD']
]

/** Columns of the README's table beside the two that tell the call: their headings, and what a call has in them. */
const SHORT_COLUMNS: readonly (readonly [head: string, cell: (call: ShortCall) => string])[] = [
  ['reference ms', ({ reference }) => milliseconds(reference)],
  ['native ms', ({ native }) => milliseconds(native)],
  ['ratio', ({ reference, native }) => (native / reference).toFixed(2)],
  ['floor ms', ({ floor }) => (floor === undefined ? '-' : milliseconds(floor))],
  ['native instructions', ({ instructions }) => millions(instructions)]
]

interface ShortCall {
  readonly reference: number
  readonly native: number
  readonly floor: number | undefined
  readonly instructions: number | undefined
}

function shortCall({ results }: BenchReport, id: string, measure: string): ShortCall | undefined {
  const [reference, native, floor] = ['reference', 'native', 'floor'].map(
    name => sampleIn(results, id, name, measure)?.median
  )
  if (reference === undefined || native === undefined) return undefined
  return { reference, native, floor, instructions: measured(results, id, 'native')?.calls[measure]?.instructions }
}

/** Ten lines for the README; the rest is in docs/benchmark.md. A column that nobody has a number for is left out. */
export function shortMarkdown(report: BenchReport): string {
  const calls = IN_SHORT.flatMap(([id, measure]) => {
    const title = report.results.find(result => result.id === id)?.title
    const call = shortCall(report, id, measure)
    return title === undefined || call === undefined ? [] : [{ title, measure, call }]
  })
  const columns = SHORT_COLUMNS.filter(([, cell]) => calls.some(({ call }) => cell(call) !== '-'))
  const rows = calls.map(({ title, measure, call }) => [title, measure, ...columns.map(([, cell]) => cell(call))])
  const { processor, kernel, date } = report.machine
  return [
    `Medians of ${report.runs} runs; ${processor}, ${kernel}, ${date}.`,
    '',
    markdownTable([['scenario', 'call', ...columns.map(([head]) => head)], ...rows])
  ].join('\n')
}
