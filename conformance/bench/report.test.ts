import { assert, suite } from '../../lib/testing/suite.ts'
import type { BenchReport } from './measurements.ts'
import { apart, plots, ticksOf } from './plot.ts'
import { jsonReport, markdownReport, remarks, rounded, shortMarkdown, textReport, verdicts } from './report.ts'
import { withResults } from './results-block.ts'
import type { ScenarioResult } from './run.ts'

const test = suite('conformance/bench/report')

const sample = (median: number) => ({ median, low: median * 0.9, high: median * 1.1, runs: 30 })

function timed(times: Readonly<Record<string, number>>, missing: Readonly<Record<string, string>> = {}) {
  const samples = Object.fromEntries(Object.entries(times).map(([name, time]) => [name, sample(time)]))
  return {
    state: 'measured' as const,
    samples,
    calls: { ADD: { systemCalls: 223, programs: 1, instructions: 2_728_354 } },
    missing
  }
}

function scenario(id: string, group: string, contestants: ScenarioResult['contestants']): ScenarioResult {
  return { id, title: `title of ${id}`, group, contestants }
}

const unknown = 'bridge STATUS: exit 1: unknown CNI_COMMAND: STATUS'
const lacks = { state: 'not measurable' as const, why: 'this kernel makes no interface of kind vlan' }
const estimate = (median: number) => ({ median, low: median - 0.02, high: median + 0.02 })

const REPORT: BenchReport = {
  machine: { kernel: 'Linux 6.18', date: '2026-11-21' },
  runs: 30,
  minutes: 14,
  contestants: [
    { name: 'reference', largestFile: 3_000_000, allFiles: 30_000_000 },
    { name: 'native', largestFile: 2_000_000, allFiles: 2_000_000 }
  ],
  bareNode: sample(30),
  results: [
    scenario('bridge', 'plugins', {
      reference: timed({ ADD: 10.123456, DEL: 30 }, { STATUS: unknown }),
      native: timed({ ADD: 3, CHECK: 2, DEL: 20, STATUS: 1 })
    }),
    scenario('ptp', 'plugins', {
      reference: timed({ ADD: 10, DEL: 20 }, { STATUS: unknown.replace('bridge', 'ptp') }),
      native: timed({ ADD: 5, DEL: 10, STATUS: 1 })
    }),
    scenario('vlan', 'plugins', { reference: lacks, native: lacks }),
    scenario('leases-0', 'leases', { reference: timed({ ADD: 2, DEL: 2 }), native: timed({ ADD: 1, DEL: 1 }) }),
    scenario('leases-10000', 'leases', { reference: timed({ ADD: 150, DEL: 150 }), native: timed({ ADD: 2, DEL: 1 }) })
  ],
  paths: [
    {
      id: 'path-vxlan',
      title: 'vxlan, containers on two hosts',
      subjects: [
        { name: 'by hand', samples: { throughput: sample(10e9), latency: sample(20e-6) }, ratios: {} },
        {
          name: 'native',
          samples: { throughput: sample(9.6e9), latency: sample(22e-6) },
          ratios: { throughput: estimate(0.96), latency: estimate(1.1) }
        }
      ]
    }
  ],
  memory: { native: { bridge: 4096 } },
  leftOut: []
}

const rowOf = (text: string, beginning: string) => text.split('\n').find(line => line.startsWith(beginning))

test('markdownReport: ratio and target beside the time; what failed and what the kernel lacks is said', () => {
  const text = markdownReport(REPORT, undefined)
  const row = '| title of bridge | ADD | 10.1 (9.11-11.1) | 3.00 (2.70-3.30) | 0.30 (MISSED 0.2) |'
  assert.is(rowOf(text, '| title of bridge'), row)
  assert.ok(text.includes('|  | STATUS | failed | 1.00 (0.90-1.10) | - |'))
  assert.ok(text.includes('| title of ptp | ADD | 10.0 (9.00-11.0) | 5.00 (4.50-5.50) | 0.50 (MISSED 0.4) |'))
  assert.is(rowOf(text, '| title of vlan'), '| title of vlan | - | not measurable | not measurable | - |')
})

test('markdownReport: calls and programs in a table of their own', () => {
  const text = markdownReport(REPORT, undefined)
  assert.is(
    rowOf(text.slice(text.indexOf('System calls')), '| title of bridge'),
    '| title of bridge | ADD | 223 | 1 | 2.73 M | 223 | 1 | 2.73 M |'
  )
})

test('markdownReport: growth by number, with a link to its plot', () => {
  const text = markdownReport(REPORT, 'benchmark')
  assert.is(rowOf(text, '| host-local, ms'), '| host-local, ms | leases present | 0 | 10000 | last / first |')
  assert.is(rowOf(text, '| native | ADD'), '| native | ADD | 1.00 | 2.00 | 2.00 |')
  assert.ok(text.includes('](benchmark/leases.svg)'))
  assert.ok(!text.includes('](benchmark/mappings.svg)'))
})

test('the start of the command is judged by what it takes beyond bare Node', () => {
  const lineOf = (median: number): string =>
    verdicts({ ...REPORT, commandStart: sample(median) }).find(line => line.includes('network ls')) ?? ''
  assert.match(lineOf(129), /^met .*129 ms - bare Node 30(\.0)? ms = 99(\.0)? ms of its own \(at most 100\)/)
  assert.match(lineOf(131), /^MISSED /)
  assert.not.ok(verdicts(REPORT).some(line => line.includes('network ls')))
})

test('verdicts: an interval that reaches the bound leaves the matter open', () => {
  const lines = verdicts(REPORT)
  assert.ok(lines.some(line => line.startsWith('unsure native throughput')))
  assert.ok(lines.some(line => line.startsWith('MISSED native latency')))
  assert.ok(lines.some(line => line.startsWith('MISSED native ADD: leases-10000 is 2.00 x leases-0')))
})

test('remarks: one reason is told once, with all its places', () => {
  const lines = remarks(REPORT)
  assert.ok(lines.includes('reference failed: exit 1: unknown CNI_COMMAND: STATUS: bridge STATUS, ptp STATUS'))
  assert.ok(lines.includes('native not measurable: this kernel makes no interface of kind vlan: vlan'))
})

test('jsonReport: what is read back gives the same documents', () => {
  const report = rounded(REPORT)
  const back: BenchReport = JSON.parse(jsonReport(report))
  assert.equal(back, report)
  assert.is(markdownReport(back, 'x'), markdownReport(report, 'x'))
  assert.is(report.results[0]?.contestants['reference']?.state, 'measured')
  assert.ok(jsonReport(report).includes('"ADD": { "median": 10.12, "low": 9.111, "high": 11.14, "runs": 30 }'))
})

test('textReport and shortMarkdown: a report of one scenario does not fail', () => {
  const one = { ...REPORT, results: REPORT.results.slice(0, 1), paths: [], memory: {} }
  assert.ok(textReport(one).includes('title of bridge'))
  assert.match(shortMarkdown(one), /\n\| title of bridge \| ADD \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \| 2.73 M \|$/)
})

test('shortMarkdown: the floor has a column where it took part, and nobody else misses it', () => {
  const [bridge, ...others] = REPORT.results
  assert.ok(bridge)
  const withFloor = { ...bridge, contestants: { ...bridge.contestants, floor: timed({ ADD: 1.5 }) } }
  const text = shortMarkdown({ ...REPORT, results: [withFloor, ...others] })
  assert.is(
    rowOf(text, '| scenario'),
    '| scenario | call | reference ms | native ms | ratio | floor ms | native instructions |'
  )
  assert.is(rowOf(text, '| title of bridge'), '| title of bridge | ADD | 10.1 | 3.00 | 0.30 | 1.50 | 2.73 M |')
  assert.is(rowOf(text, '| title of leases'), '| title of leases-10000 | ADD | 150 | 2.00 | 0.01 | - | 2.73 M |')
})

test('targets: a ratio, or a time below which there is none; what Node takes is no part of the engine', () => {
  const again = (own: number) =>
    scenario('bridge', 'plugins', { reference: timed({ 'DEL again': 5 }), native: timed({ 'DEL again': own }) })
  const start = scenario('node-start', 'start', { node: timed({ 'bare Node': 23, 'bridge ADD': 30.5 }) })
  const lineOf = (own: number, words: string): string =>
    verdicts({ ...REPORT, results: [again(own), start] }).find(line => line.includes(words)) ?? ''
  const bound = "DEL again: 0.300 x the reference's, 1.50 ms (at most 0.08, or 0.8 ms)"
  assert.is(lineOf(1.5, 'again'), `MISSED native: bridge ${bound}`)
  assert.match(lineOf(0.79, 'again'), /^met /)
  assert.match(lineOf(0.39, 'again'), /^met /)
  assert.match(lineOf(1, 'bridge ADD 30.5 ms - bare Node 23.0 ms'), /^met .* = 7\.50 ms of its own \(at most 8\)$/)
})

test('plots: only what has two points, with units', () => {
  const drawn = plots(REPORT)
  assert.equal(
    drawn.map(([name]) => name),
    ['leases.svg']
  )
  const svg = drawn[0]?.[1] ?? ''
  for (const text of ['leases present', 'milliseconds', '10k', 'prefers-color-scheme'])
    assert.ok(svg.includes(text), text)
  assert.ok(!svg.includes('NaN') && svg.length < 8000)
})

test('ticksOf: encloses the range', () => {
  assert.equal(ticksOf(2.5, 150), [1, 3, 10, 30, 100, 300])
  assert.equal(ticksOf(0.1, 0.2), [0.1, 0.3])
})

test('apart: names that would overlap move down, others stay', () => {
  assert.equal(apart([100, 20, 102], 14), [100, 20, 114])
})

test('withResults: only what is between the marks changes', () => {
  const begin = '<!-- results: written by npm run bench -- --markdown FILE -->\n'
  const end = '<!-- end of results -->\n'
  assert.is(withResults(`a\n${begin}old\n${end}b\n`, 'new\n'), `a\n${begin}\nnew\n\n${end}b\n`)
  assert.is(withResults('no marks', 'new\n'), 'new\n')
})

test.run()
