// time-out: 300 s
// needs: ip nft strace
/** One round of the benchmark on the built plugins, beside a set that can do nothing: times are not judged here. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { makeFloor } from './bench/floor.ts'
import type { BenchReport } from './bench/measurements.ts'

const test = suite('conformance/bench')
const bin = process.env['PATCHBAY_BIN_DIR'] ?? ''

/** Runs the benchmark, in which only `ours` and `broken` take part. */
function bench(directory: string, only: string, { engine = '', runs = ['--runs', '1'] } = {}): BenchReport {
  const broken = join(directory, 'static')
  writeFileSync(broken, '#!/bin/sh\necho \'{"code": 11, "msg": "not today"}\'\nexit 1\n')
  chmodSync(broken, 0o755)
  const json = join(directory, 'report.json')
  const sets = ['--plugin-dir', `ours=${bin}`, '--plugin-dir', `broken=${directory}`]
  const who = ['--engine', engine, '--reference', '/nonexistent', ...sets]
  const argv = [...runs, ...who, '--only', only, '--json', json]
  const script = join(import.meta.dirname, 'bench.ts')
  const child = spawnSync(process.execPath, ['--no-warnings', script, ...argv], { encoding: 'utf8' })
  assert.is(child.status, 0, child.stderr)
  return JSON.parse(readFileSync(json, 'utf8'))
}

function inDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-bench-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test('a call is timed and its system calls and programs counted; who fails is said and stops nobody', () =>
  inDirectory(directory => {
    const [result] = bench(directory, 'static').results
    const ours = result?.contestants['ours']
    assert.ok(ours?.state === 'measured', JSON.stringify(ours))
    assert.equal(Object.keys(ours.samples), ['ADD', 'CHECK', 'DEL', 'DEL again', 'STATUS'])
    for (const { median } of Object.values(ours.samples)) assert.ok(median > 0.1 && median < 10_000, String(median))
    for (const [verb, { systemCalls, programs }] of Object.entries(ours.calls)) {
      assert.is(programs, 1)
      // No call does with less than execve, read, the read that finds the end, and exit_group; ADD also writes its result.
      assert.ok(systemCalls >= (verb === 'ADD' ? 5 : 4), `${verb}: ${String(systemCalls)}`)
    }
    assert.equal(result?.contestants['broken'], {
      state: 'failed',
      why: 'static ADD: exit 1: {"code": 11, "msg": "not today"}'
    })
  }))

test('a quick look has few runs and counts nothing', () =>
  inDirectory(directory => {
    const report = bench(directory, 'static', { runs: ['--quick'] })
    const ours = report.results[0]?.contestants['ours']
    assert.ok(ours?.state === 'measured', JSON.stringify(ours))
    assert.is(ours.samples['ADD']?.runs, 5)
    assert.equal(ours.calls, {})
    assert.equal(report.leftOut, ['system calls and programs are not counted: asked to be quick'])
  }))

function whyNoFloor(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-floor-'))
  try {
    return makeFloor(directory) === undefined ? 'install clang 15 or newer or another C compiler' : undefined
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test.unless(whyNoFloor(), 'the floor does what ADD and DEL do, with fewer calls', () =>
  inDirectory(directory => {
    const [start, result] = bench(directory, 'bare,bridge', { engine: 'floor' }).results
    assert.is(start?.contestants['floor']?.state, 'measured')
    const { floor, ours } = result?.contestants ?? {}
    assert.ok(floor?.state === 'measured' && ours?.state === 'measured', JSON.stringify({ floor, ours }))
    assert.equal(Object.keys(floor.samples), ['ADD', 'DEL', 'DEL again'])
    for (const verb of ['ADD', 'DEL']) {
      const [least, own] = [floor.calls[verb]?.systemCalls ?? 0, ours.calls[verb]?.systemCalls ?? 0]
      assert.ok(least > 20 && least < own, `${verb}: ${String(least)}, ours ${String(own)}`)
    }
  })
)

test('a bridge of ours and one made by hand carry traffic', () =>
  inDirectory(directory => {
    const [path] = bench(directory, 'path-bridge').paths
    assert.equal(
      path?.subjects.map(({ name, why }) => [name, why]),
      [
        ['by hand', undefined],
        ['ours', undefined]
      ]
    )
    for (const { samples } of path?.subjects ?? []) {
      assert.ok((samples.throughput?.median ?? 0) > 1e7, 'ten megabits a second at the very least')
      assert.ok((samples.latency?.median ?? 0) > 1e-7, 'light itself needs as long for thirty metres')
      assert.ok((samples.connection?.median ?? 0) > 1e-7)
    }
    assert.ok((path?.subjects[1]?.ratios.throughput?.median ?? 0) > 0)
  }))

test.run()
