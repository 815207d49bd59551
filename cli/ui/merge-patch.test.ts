import { assert, suite } from '../../lib/testing/suite.ts'
import { mergePatch, patched } from './merge-patch.ts'

const test = suite('cli/ui: merge patch')

/** Without prototypes, as what was patched has none. */
function same(actual: unknown, expected: unknown, what = ''): void {
  assert.is(JSON.stringify(actual), JSON.stringify(expected), what)
}

/** @source RFC 7396, appendix A: those whose original holds no null */
const CASES: readonly (readonly [original: unknown, patch: unknown, result: unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd']
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, 'bar', 'bar'],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }]
]

test('patches of the RFC', () => {
  for (const [original, patch, result] of CASES) same(patched(original, patch), result, JSON.stringify(patch))
})

test('a patch is what changed, and nothing else', () => {
  const before = { a: { b: 1, c: [1, { d: 2 }], gone: 'x' }, same: { e: [1] } }
  const after = { a: { b: 2, c: [1, { d: 2 }], come: { f: true } }, same: { e: [1] } }
  same(mergePatch(before, after), { a: { b: 2, gone: null, come: { f: true } } })
  assert.is(mergePatch(before, structuredClone(before)), undefined)
  same(mergePatch({ a: [1, { d: 2 }] }, { a: [1, { d: 3 }] }), { a: [1, { d: 3 }] }, 'an array as a whole')
})

test('of any two documents, the first with the patch is the second', () => {
  const values: readonly unknown[] = ['', 'x', 0, true, [], [1], [{}], {}, { a: 1 }, { a: {} }, { a: { b: [] }, c: 1 }]
  const documents = values.flatMap(a => values.map(b => ({ a, b, ['__proto__x']: a, n: { a: b } })))
  for (const before of documents) {
    for (const after of documents) {
      const patch = mergePatch(before, after)
      const made = patch === undefined ? before : patched(before, JSON.parse(JSON.stringify(patch)))
      assert.is(mergePatch(made, after), undefined, JSON.stringify({ before, after, patch }))
    }
  }
})

test('a key called __proto__ is a key', () => {
  const patch = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}')
  const made = patched({}, patch)
  assert.is(JSON.stringify(made), JSON.stringify(patch))
  assert.is(Reflect.get({}, 'polluted'), undefined)
})

test.run()
