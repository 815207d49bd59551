import { spawnSync } from 'node:child_process'
import { assert, bytesEqual, rejectsLike, suite, throwsLike } from './suite.ts'

const test = suite('lib/testing/suite')

function boom(): never {
  throw Object.assign(new RangeError('set link "x": no such device'), { errno: 'ENODEV' })
}

/** Runs a test file given as text in a process of its own. */
function runFile(body: string): { readonly status: number | null; readonly output: string } {
  const at = JSON.stringify(new URL('./suite.ts', import.meta.url).href)
  const text = `import { assert, suite } from ${at}\n${body}`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' })
  return { status: child.status, output: child.stdout + child.stderr }
}

test('throwsLike: accepts the error it describes and returns it', () => {
  const error = throwsLike(boom, { name: 'RangeError', errno: 'ENODEV', message: /^set link/ })
  assert.is(error.message, 'set link "x": no such device')
})

test('throwsLike: refuses another name, errno, message, and silence', () => {
  for (const shape of [{ name: 'TypeError' }, { errno: 'EPERM' }, { code: 7 }, { message: /nothing/ }]) {
    throwsLike(() => throwsLike(boom, shape), { name: 'Assertion', message: /^expected an error like/ })
  }
  throwsLike(() => throwsLike(() => 1, { message: /x/ }), { message: /nothing was thrown/ })
  throwsLike(() => throwsLike(() => Promise.resolve(1), { message: /x/ }), { message: /use rejectsLike/ })
})

test('rejectsLike: judges rejections', async () => {
  await rejectsLike(async () => boom(), { errno: 'ENODEV' })
  await rejectsLike(rejectsLike(Promise.resolve(1), { errno: 'ENODEV' }), { message: /was fulfilled/ })
})

test('bytesEqual: demands that both sides end together and shows where they differ', () => {
  bytesEqual(new Uint8Array([1, 2]), Buffer.from([1, 2]))
  throwsLike(() => bytesEqual(new Uint8Array([1, 2, 3, 4]), new Uint8Array([1, 2, 3, 4, 5])), {
    message: /differ first at offset 4 [\s\S]*! {6}4 {2}\(end\) {9}05/
  })
  throwsLike(() => bytesEqual(new Uint8Array([1, 2, 255]), new Uint8Array([1, 2])), {
    message: /! {6}0 {2}01 02 ff {6}01 02$/
  })
})

test('suite: a file whose run() is missing fails', () => {
  const { status, output } = runFile(`const t = suite('lost'); t('a', () => {})`)
  assert.is(status, 1)
  assert.match(output, /suite "lost": run\(\) is missing/)
})

test('suite: a failing test makes the process fail, a passing one does not', () => {
  assert.is(runFile(`const t = suite('s'); t('a', () => { assert.is(1, 2) }); t.run()`).status, 1)
  assert.is(runFile(`const t = suite('s'); t('a', () => { assert.is(1, 1) }); t.run()`).status, 0)
})

test('suite: two tests of one name are refused', () => {
  const { status, output } = runFile(`const t = suite('s'); t('a', () => {}); t('a', () => {}); t.run()`)
  assert.is(status, 1)
  assert.match(output, /two tests of "s" are named "a"/)
})

test('unless: a test that cannot be run is counted as skipped, with its reason', () => {
  const { output } = runFile(`const t = suite('s'); t.unless('no moon', 'a', () => {}); t('b', () => {}); t.run()`)
  assert.match(output, /skipped: "a": no moon/)
  assert.match(output, /Skipped:\s+1/)
})

test.run()
