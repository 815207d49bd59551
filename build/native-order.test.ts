import { assert, suite } from '../lib/testing/suite.ts'
import { Functions, orderedNames } from './native-order.ts'

const test = suite('build/native-order')

const define = (symbol: string, ...named: readonly string[]): string =>
  `define internal void @${symbol}() #0 { ; a comment\nentry:\n${named.map(one => `  call void @${one}()\n`).join('')}  ret void\n}\n`

const PROGRAM = [
  define('sc_rnew_r7'),
  define('sc_f__x25_fn3'),
  define('sc_f__x25_fn4'),
  define('sc_f__x25_m5_open', 'sc_f__x25_fn3', 'sc_rnew_r7', 'sc_f__x25_m6_add'),
  define('sc_f__x25_m5_add'),
  define('sc_f__x25_m6_close'),
  define('sc_f__x25_m6_add', 'malloc'),
  define('sc_f__x25_init_5', 'sc_f__x25_fn4', 'sc_f__x25_init_6'),
  define('sc_f__x25_init_6'),
  define('sc_f__x25_main', 'sc_f__x25_init_5'),
  define('main', 'sc_f__x25_main')
].join('\n')

test('a function is named by itself and the first one of its module, whatever number that has', () => {
  const now = new Functions(PROGRAM)
  const later = new Functions(PROGRAM.replaceAll('_m6_', '_m19_'))
  assert.is(now.nameOf('sc_f__x25_m6_add'), 'sc_f__x25_m_add@close')
  assert.is(later.nameOf('sc_f__x25_m19_add'), 'sc_f__x25_m_add@close')
  assert.is(now.nameOf('sc_f__x25_m5_add'), 'sc_f__x25_m_add@open')
  assert.equal(
    ['sc_f__x25_fn3', 'sc_rnew_r7', 'sc_f__x25_init_5', 'malloc', 'main'].map(one => now.nameOf(one)),
    ['', '', '', 'malloc', 'main']
  )
})

test('helpers lie behind the first function that names them; what is in no list is left to the linker', () => {
  const names = ['main', 'malloc', 'sc_f__x25_m_add@close', 'sc_f__x25_m_open@open', 'sc_f__x25_m_gone@open']
  const order = new Functions(PROGRAM).symbolOrder(names)
  assert.equal(order.slice(0, 6), [
    'main',
    'sc_f__x25_main',
    'sc_f__x25_init_5',
    'sc_f__x25_init_6',
    'malloc',
    'sc_f__x25_m6_add'
  ])
  assert.equal(order.slice(6, 9), ['sc_f__x25_m5_open', 'sc_f__x25_fn3', 'sc_rnew_r7'])
  assert.not.ok(order.includes('sc_f__x25_fn4'), 'a closure that nobody has called')
})

test('the list has each name once, and begins where a process begins', () => {
  const names = orderedNames()
  assert.is(names[0], '_start')
  assert.is(new Set(names).size, names.length)
  assert.ok(names.length > 500, String(names.length))
})

test.run()
