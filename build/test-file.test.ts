import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { ROOT } from './project.ts'
import { countsOf, runPatiently, runProblems, sourceProblems, timeoutOf } from './test-file.ts'
import type { Suite, TestResult } from './test-kinds.ts'

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
  assert.is(timeoutOf('const x = 1'), 120)
})

/** Runs a test file that fails until it has been run `failures` times. */
async function runFailing(failures: number, suiteName: Suite): Promise<TestResult> {
  const directory = mkdtempSync(join(tmpdir(), 'test-file-'))
  const path = join(directory, 'x.test.ts')
  const lines = [
    "import { appendFileSync, readFileSync } from 'node:fs'",
    `import { assert, suite } from ${JSON.stringify(join(ROOT, 'lib/testing/suite.ts'))}`,
    "const test = suite('x')",
    `const tries = ${JSON.stringify(join(directory, 'tries'))}`,
    "test('a', () => {",
    "  appendFileSync(tries, '.')",
    `  assert.ok(readFileSync(tries).length > ${failures}, 'not yet')`,
    '})',
    'test.run()'
  ]
  writeFileSync(path, lines.join('\n'))
  try {
    return await runPatiently({ path: relative(ROOT, path), suite: suiteName, engine: undefined }, true)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('a kernel test is tried twice, its first failure stays visible; a pure one is tried once', async () => {
  const steady = await runFailing(0, 'kernel')
  assert.equal([steady.passed, steady.failed, steady.firstTry], [1, 0, ''])
  const unsteady = await runFailing(1, 'kernel')
  assert.equal([unsteady.passed, unsteady.failed], [1, 0])
  assert.match(unsteady.firstTry, /not yet/)
  const broken = await runFailing(2, 'blackbox')
  assert.equal([broken.passed, broken.failed, broken.firstTry], [0, 1, ''])
  assert.is(broken.output.split('and again:').length, 2)
  assert.is((await runFailing(1, 'pure')).failed, 1)
})

test.run()
