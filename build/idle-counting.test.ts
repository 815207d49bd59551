import { assert, suite } from '../lib/testing/suite.ts'
import { withoutIdleCounting } from './idle-counting.ts'

const test = suite('build/idle-counting')

const HEAD = '@sc_lit_4 = internal global { i64, i64, i64, [2 x i8] } { i64 -1, i64 1, i64 1, [2 x i8] c"a\\00" }\n'

/** The lines of a function after the change. */
function changed(...lines: readonly string[]): readonly string[] {
  const text = withoutIdleCounting(
    `${HEAD}define internal void @f() #0 {\n${lines.map(one => `  ${one}\n`).join('')}}\n`
  )
  return text
    .slice(HEAD.length)
    .split('\n')
    .slice(1, -2)
    .map(line => line.trim())
}

const RETAIN = '%t1 = call ptr @sc_retain__x25_m3_Writer(ptr %t0)'
const FIELD = '%t2 = getelementptr inbounds %Writer, ptr %t1, i64 0, i32 2'
const LOAD = '%t3 = load double, ptr %t2'
const RELEASE = 'call void @sc_release__x25_m3_Writer(ptr %t1)'
const LOOKED = ['%t2 = getelementptr inbounds %Writer, ptr %t0, i64 0, i32 2', LOAD]

test('a look is left of a look between two changes of the count', () => {
  assert.equal(changed(RETAIN, FIELD, LOAD, RELEASE), LOOKED)
  assert.equal(changed(RETAIN, FIELD, LOAD, 'store double %t3, ptr %sc_l_a_0', RELEASE), [
    ...LOOKED,
    'store double %t3, ptr %sc_l_a_0'
  ])
})

test('one pair within another', () => {
  const inner = ['%t4 = call ptr @scr_bytes_retain_v(ptr %t3)', '%t5 = load i64, ptr %t4']
  const outer = ['%t3 = load ptr, ptr %t1']
  const lines = [RETAIN, ...outer, ...inner, RELEASE, 'call void @scr_bytes_release(ptr %t4)']
  assert.equal(changed(...lines), ['%t3 = load ptr, ptr %t0', '%t5 = load i64, ptr %t3'])
})

test('the count stays where something is called, the pointer is kept, or the block ends', () => {
  const kept = (...lines: readonly string[]) => assert.equal(changed(...lines), lines)
  kept(RETAIN, 'call void @sc_f_other()', RELEASE)
  kept(RETAIN, 'call void @sc_release__x25_m3_Writer(ptr %t0)', FIELD, LOAD, RELEASE)
  kept(RETAIN, 'store ptr %t1, ptr %sc_l_a_0', RELEASE)
  kept(RETAIN, 'br label %next', 'next:', RELEASE)
  kept(RETAIN, FIELD, LOAD, RELEASE, RELEASE)
  kept(RETAIN, FIELD, LOAD, RELEASE, 'ret ptr %t1')
  kept(RETAIN, FIELD, LOAD, 'call void @sc_release__x25_m3_Writer(ptr %t10)')
})

test('a literal is used as it is, and nothing is not let go of', () => {
  const lines = ['%t7 = call ptr @scr_str_retain_v(ptr @sc_lit_4)', '%t8 = call ptr @scr_str_concat(ptr %t7, ptr %t70)']
  const freed = ['call void @scr_str_release(ptr %t7)', 'call void @sc_rrelease_r0(ptr null)', 'ret ptr %t7']
  assert.equal(changed(...lines, ...freed), [
    '%t8 = call ptr @scr_str_concat(ptr @sc_lit_4, ptr %t70)',
    'ret ptr @sc_lit_4'
  ])
  const other = ['%t7 = call ptr @scr_str_retain_v(ptr @sc_lit_5)', 'call void @scr_str_release(ptr %t7)']
  assert.equal(changed(...other), other, 'one that is counted')
})

test.run()
