import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { ROOT } from './project.ts'
import {
  type Circumstances,
  countsOf,
  placeOf,
  runProblems,
  runTestFile,
  sourceProblems,
  timeoutOf
} from './test-file.ts'

const test = suite('build/test-file')

/** uvu's closing lines. */
function summary(total: number, passed: number, skipped: number): string {
  return `\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n  Duration:  1.00ms\n\n`
}

test('counts are read from one summary only', () => {
  assert.equal(countsOf(summary(3, 2, 1)), { total: 3, passed: 2, skipped: 1 })
  assert.is(countsOf(''), undefined)
  assert.is(countsOf(summary(3, 2, 1) + summary(3, 2, 1)), undefined)
})

test('a run passes only when every test passed and none was skipped without a known reason', () => {
  const run = (status: string, output: string, strict = false) => runProblems(status, output, strict).join('; ')
  assert.is(run('exit 0', summary(2, 2, 0)), '')
  assert.is(run('exit 1', summary(2, 2, 0)), 'exit 1')
  assert.is(run('exit 0', summary(2, 0, 0)), '2 of 2 tests failed')
  assert.is(run('exit 0', summary(0, 0, 0)), 'it holds no tests')
  assert.is(run('exit 0', 'nothing'), 'it printed no summary, or several')
  assert.is(run('exit 0', summary(2, 2, 1)), '1 tests skipped without a reason')
  assert.is(run('exit 0', `skipped: "a": no moon\n${summary(2, 2, 1)}`), 'a test was skipped: no moon')
  const known = `skipped: "a": needs the command nft (Debian package nftables)\n${summary(2, 2, 1)}`
  assert.is(run('exit 0', known), '')
  assert.match(run('exit 0', known, true), /a test was skipped: needs the command nft/)
})

test('hooks, singled out tests and a missing run() are found in the source', () => {
  const body = "test('a', () => {})\n"
  assert.equal(sourceProblems(`${body}test.run()`), [])
  assert.match(sourceProblems(body).join(), /run\(\) is missing/)
  for (const [word, problem] of [
    ['only', /singles tests out/],
    ['skip', /without a reason/],
    ['before', /hooks/],
    ['after.each', /hooks/]
  ] as const) {
    assert.match(sourceProblems(`test.${word}('a', () => {})\ntest.run()`).join(), problem)
  }
})

test('a file may ask for more time', () => {
  assert.is(timeoutOf('// time-out: 120 s\n'), 120)
  assert.is(timeoutOf('/**\n * What it tests.\n * time-out: 90 s\n */'), 90)
  assert.is(timeoutOf('const x = 1'), 300)
})

test('a file that must run alone, or waits most of the time, says why', () => {
  assert.is(placeOf('// time-out: 60 s\n// alone: it measures\n'), 'alone')
  assert.is(placeOf('/**\n * Leases.\n * waits: for servers\n */'), 'beside')
  assert.is(placeOf('// alone:\n'), 'pool')
  assert.is(placeOf('const x = 1 // alone: no'), 'pool')
})

/** Runs a file of its own with two tests, of which the second one fails. */
async function runFailing(first: (runs: string) => string, more?: Circumstances) {
  const directory = mkdtempSync(join(tmpdir(), 'test-file-'))
  const path = join(directory, 'x.test.ts')
  const lines = [
    "import { appendFileSync } from 'node:fs'",
    `import { assert, suite } from ${JSON.stringify(join(ROOT, 'lib/testing/suite.ts'))}`,
    first(join(directory, 'runs')),
    "const test = suite('x')",
    "test('a', () => {})",
    "test('b', () => assert.ok(false, 'not so'))",
    'test.run()'
  ]
  writeFileSync(path, lines.join('\n'))
  try {
    const result = await runTestFile({ path: relative(ROOT, path), suite: 'kernel', engine: undefined }, true, more)
    return { result, runs: readFileSync(join(directory, 'runs'), 'utf8') }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('a failing file is run once, however it fails', async () => {
  const { result, runs } = await runFailing(path => `appendFileSync(${JSON.stringify(path)}, '.')`)
  assert.equal([result.passed, result.failed], [1, 1])
  assert.match(result.output, /not so/)
  assert.is(runs, '.')
})

test('a file that does not end after its last test is ended, and its tests count', async () => {
  const endless = (path: string) => `appendFileSync(${JSON.stringify(path)}, '.'); setInterval(() => undefined, 1000)`
  const { result } = await runFailing(endless, { endSeconds: 1 })
  assert.equal([result.passed, result.failed], [1, 1])
  const expected = ['after its last test it went on for 1 s: something is still open', '1 of 2 tests failed']
  assert.equal(result.problems, expected)
})

test.run()
