import { assert, suite } from '../lib/testing/suite.ts'
import { withoutHeld } from './held-values.ts'

const test = suite('build/held-values')

/** The lines of a function after the change, those of `lines` being indented unless they are labels. */
function changed(...lines: readonly string[]): readonly string[] {
  const body = lines.map(one => (one.endsWith(':') ? `${one}\n` : `  ${one}\n`)).join('')
  const text = withoutHeld(`define internal void @f() #0 {\n${body}}`)
  return text
    .split('\n')
    .slice(1, -1)
    .map(line => line.trim())
}

const LOAD = '%t0 = load ptr, ptr %sc_l_name_0'
const RETAIN = '%t1 = call ptr @scr_str_retain_v(ptr %t0)'
const USE = '%t2 = call double @scr_str_utf16_len(ptr %t1)'
const USED = '%t2 = call double @scr_str_utf16_len(ptr %t0)'
const RELEASE = 'call void @scr_str_release(ptr %t1)'
/** The end of the variable. */
const END = ['%t8 = load ptr, ptr %sc_l_name_0', 'call void @scr_str_release(ptr %t8)', 'ret void']
const FORK = 'br i1 %t2, label %a, label %b'

function stays(...lines: readonly string[]): void {
  assert.equal(changed(...lines), lines)
}

test('what a variable holds is not counted once more', () => {
  assert.equal(changed(LOAD, RETAIN, USE, RELEASE, ...END), [LOAD, USED, ...END])
  const [a, b] = [
    ['a:', RELEASE, ...END],
    ['b:', RELEASE, ...END]
  ]
  assert.equal(changed(LOAD, RETAIN, USE, FORK, ...a, ...b), [LOAD, USED, FORK, 'a:', ...END, 'b:', ...END])
})

test('who lets go of it by himself gets a reference of his own, on one way or on all', () => {
  stays(LOAD, RETAIN, 'call void @sc_f_keep(ptr %t1)', ...END)
  stays(LOAD, RETAIN, USE, FORK, 'a:', RELEASE, ...END, 'b:', ...END)
  stays(LOAD, RETAIN, 'store ptr %t1, ptr %t5', RELEASE, ...END)
  stays(LOAD, RETAIN, RELEASE, ...END.slice(0, 2), 'ret ptr %t1')
})

test('the variable must hold it as long', () => {
  stays(LOAD, RETAIN, ...END.slice(0, 2), USE, RELEASE, 'ret void')
  stays(LOAD, RETAIN, 'store ptr %t6, ptr %sc_l_name_0', USE, RELEASE, ...END)
  stays(LOAD, RETAIN, USE, RELEASE, 'ret void')
  stays(LOAD, RETAIN, 'call void @sc_f_change(ptr %sc_l_name_0)', USE, RELEASE, ...END)
  stays(LOAD, RETAIN, USE, RELEASE, '%t9 = load ptr, ptr %sc_l_name_0', 'call void @sc_f_keep(ptr %t9)', ...END)
  stays('%t0 = load ptr, ptr %t7', RETAIN, USE, RELEASE, ...END)
})

test('a way that comes round without having taken it back', () => {
  stays('loop:', LOAD, RETAIN, USE, 'br i1 %t2, label %loop, label %b', 'b:', RELEASE, ...END)
})

test('a text that another is appended to: with one reference it would be changed in place', () => {
  stays(LOAD, RETAIN, '%t3 = call ptr @scr_str_concat(ptr %t1, ptr %t4)', RELEASE, ...END)
})

test.run()
