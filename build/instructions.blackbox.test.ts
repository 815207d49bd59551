// time-out: 600 s
// needs: ip nft strace valgrind
/**
 * What calls compute, against figures that are committed: a load of the machine, which hides a regression from a clock, changes
 * nothing here. Another compiler does, so figures are of one. PATCHBAY_WRITE_FIGURES=1 writes those of now.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchReport } from '../conformance/bench/measurements.ts'
import { binDir } from '../lib/testing/blackbox.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { findClang, staticObstacle } from './native-toolchain.ts'
import { ROOT } from './project.ts'

const test = suite('build/instructions')

const FIGURES = join(import.meta.dirname, 'instructions.json')
const SCENARIOS = ['loopback', 'host-local', 'bridge', 'bridge-masq', 'portmap', 'firewall', 'tuning']
const MEASURES = ['ADD', 'DEL', 'DEL again']
/** What may be added to a figure without a word. */
const TOLERANCE = 0.05

interface Figures {
  readonly compiler: string
  /** By scenario and call, such as `bridge ADD`. */
  readonly instructions: Readonly<Record<string, number>>
}

/** The compiler of the static form; the dynamic one has no figures. */
function compiler(): string {
  const clang = findClang()
  return clang === undefined || staticObstacle(clang) !== undefined ? 'none for the static form' : clang.version
}

function counted(): Figures['instructions'] {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-instructions-'))
  try {
    const json = join(directory, 'report.json')
    const who = ['--engine', '', '--reference', '/nonexistent', '--plugin-dir', `native=${binDir()}`]
    const argv = ['--runs', '1', '--instructions', '--only', SCENARIOS.join(','), '--json', json, ...who]
    const script = join(ROOT, 'conformance', 'bench.ts')
    const child = spawnSync(process.execPath, ['--no-warnings', script, ...argv], { encoding: 'utf8' })
    assert.is(child.status, 0, child.stderr)
    const report: BenchReport = JSON.parse(readFileSync(json, 'utf8'))
    return Object.fromEntries(report.results.flatMap(callsOf))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function callsOf({ id, contestants }: BenchReport['results'][number]): readonly (readonly [string, number])[] {
  const ours = contestants['native']
  assert.ok(ours?.state === 'measured', `${id}: ${JSON.stringify(ours)}`)
  return MEASURES.map(measure => [`${id} ${measure}`, ours.calls[measure]?.instructions ?? 0] as const)
}

const figures: Figures = JSON.parse(readFileSync(FIGURES, 'utf8'))
const isWriting = process.env['PATCHBAY_WRITE_FIGURES'] === '1'
const differs =
  figures.compiler === compiler() || isWriting ? undefined : `the figures are those of ${figures.compiler}`

test.unless(differs, 'no call computes a twentieth more than its figure says', () => {
  const now = counted()
  if (isWriting) {
    writeFileSync(FIGURES, `${JSON.stringify({ compiler: compiler(), instructions: now }, undefined, 2)}\n`)
    return
  }
  for (const [call, figure] of Object.entries(figures.instructions)) {
    const count = now[call] ?? 0
    assert.ok(count > 100_000, `${call}: ${count} instructions are too few to be true`)
    const most = Math.round(figure * (1 + TOLERANCE))
    assert.ok(count <= most, `${call}: ${count} instructions, ${figure} are committed, ${most} are allowed`)
  }
})

test.run()
