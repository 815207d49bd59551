import { assert, suite } from '../lib/testing/suite.ts'
import type { TestResult } from './test-kinds.ts'
import { Report } from './test-report.ts'

const test = suite('build/test-report')

/** A report whose clock stands still until it is told to go. */
function stage(): { readonly report: Report; readonly pass: (seconds: number) => void; readonly told: () => string } {
  let now = 0
  let text = ''
  const write = (more: string): void => {
    text += more
  }
  const pass = (seconds: number): void => {
    for (let i = 0; i < seconds; i += 1) {
      now += 1000
      report.beat()
    }
  }
  const told = (): string => {
    const fresh = text
    text = ''
    return fresh
  }
  const report = new Report(true, { write, now: () => now })
  return { report, pass, told }
}

function result(path: string, more: Partial<TestResult> = {}): TestResult {
  const run = { path, suite: 'blackbox', engine: 'native' } as const
  return { run, passed: 2, failed: 0, skipped: 0, seconds: 1.25, problems: [], output: '', ...more }
}

test('each line says how many of all are done, and what', () => {
  const { report, pass, told } = stage()
  report.expect(12)
  report.begin('types')
  pass(2)
  report.step('types', '')
  assert.match(told(), /^ok {3}\[ 1\/12\] types +2\.0 s\n$/)
  report.begin('a.test.ts [native]')
  report.file(result('a.test.ts'))
  assert.match(told(), /^ok {3}\[ 2\/12\] a\.test\.ts \[native\] +2 passed +1\.3 s\n$/)
  report.file(result('b.test.ts', { failed: 1, problems: ['1 of 3 tests failed'], output: 'why' }))
  assert.match(
    told(),
    /^FAIL \[ 3\/12\] b\.test\.ts \[native\] +2 passed, 1 failed +1\.3 s\n {5}\| 1 of 3 tests failed\n/
  )
  assert.is(report.close(), 1)
  assert.is(told(), 'failed: b.test.ts [native]\n     | 1 of 3 tests failed\n     | why\n' + '4 passed, 1 failed\n')
})

test('why a file failed is told once more at the end, without what else it said', () => {
  const { report, told } = stage()
  const failure = '   FAIL  suite  "it holds"\n    Expected values to be deeply equal:\n\n      ++1\n\n'
  const output = `much\n${failure}\n\n  Total:     3\n  Passed:    2\n`
  report.file(result('b.test.ts', { failed: 1, problems: ['1 of 3 tests failed'], output }))
  report.file(result('c.test.ts'))
  report.step('build', 'it does not compile')
  told()
  report.close()
  const lines = [
    'failed: b.test.ts [native]',
    '     | 1 of 3 tests failed',
    '     | FAIL  suite  "it holds"',
    '     |     Expected values to be deeply equal:',
    '     |       ++1',
    'failed: build',
    '     | it does not compile',
    '4 passed, 2 failed',
    ''
  ]
  assert.is(told(), lines.join('\n'))
})

test('no ten seconds pass in silence: what runs is named, with the time since it began', () => {
  const { report, pass, told } = stage()
  report.expect(3)
  report.begin('slow')
  pass(5)
  report.begin('slower')
  pass(3)
  assert.is(told(), '')
  pass(1)
  assert.is(told(), '     [0/3] after 9 s; running: slow (9 s), slower (4 s)\n')
  pass(8)
  assert.is(told(), '')
  report.step('slow', '')
  told()
  pass(9)
  assert.is(told(), '     [1/3] after 26 s; running: slower (21 s)\n')
})

test('what was not run fails a strict run; nothing run fails any', () => {
  const { report, told } = stage()
  report.notRun('guest suite', 'needs qemu')
  report.file(result('a.test.ts'))
  told()
  assert.is(report.close(), 1)
  assert.is(told(), '2 passed, 1 failed\n')
  assert.is(new Report(false, { write: () => undefined, now: () => 0 }).close(), 1)
})

test.run()
