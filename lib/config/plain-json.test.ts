import { assert, suite } from '../testing/suite.ts'
import { jsonText, parseJson } from './json.ts'
import { jsonOf, type Plain } from './plain-json.ts'

const test = suite('lib/config/plain-json')

test('what JSON.stringify makes of it, for every kind of value', () => {
  const values: readonly Plain[] = [
    'é"\n',
    0,
    -1.5,
    2 ** 53,
    true,
    false,
    null,
    [],
    {},
    [1, ['a', [null]], { b: [] }],
    { z: 1, a: { absent: undefined, list: ['x', undefined] }, '': '' }
  ]
  for (const value of values) assert.is(jsonText(jsonOf(value)), JSON.stringify(value))
})

test('a Map keeps the order of its keys, whatever they are', () => {
  const labels = new Map([
    ['b', 'x'],
    ['2', 'y'],
    ['__proto__', 'z'],
    ['1', 'w']
  ])
  assert.is(jsonText(jsonOf({ labels })), '{"labels":{"b":"x","2":"y","__proto__":"z","1":"w"}}')
})

test('a tree stands for itself, digits and all; an object that only looks like one does not', () => {
  const tree = parseJson('{"rate":18446744073709551615,"keys":["a"],"type":"object","text":""}')
  assert.is(jsonText(jsonOf({ tree, list: [tree] })), `{"tree":${jsonText(tree)},"list":[${jsonText(tree)}]}`)
  assert.is(jsonText(jsonOf({ type: 'a', text: 'b', keys: 'c' })), '{"type":"a","text":"b","keys":"c"}')
})

test.run()
