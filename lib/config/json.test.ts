import { assert, suite, throwsLike } from '../testing/suite.ts'
import {
  type Json,
  jsonArray,
  jsonBoolean,
  jsonNull,
  jsonNumber,
  jsonObject,
  jsonString,
  jsonText,
  memberOf,
  parseJson,
  withMember
} from './json.ts'

const test = suite('lib/config/json')

const valid = [
  ...['{}', '[]', ' [ ] ', 'null', 'true', 'false', '0', '-0', '-1.5e+10', '1E5', '""', '"a\\n\\t\\"\\\\\\/\\b\\f\\r"'],
  ...[
    '{"a":1,"b":[true,{"c":null}]}',
    '\n{\r"a"\t: "é😀" }\n',
    '"\\u00e9\\ud83d\\ude00"',
    '[[],[[]],{}]',
    '"\u007f\u2028"'
  ]
]

test('parseJson: agrees with JSON.parse on valid texts', () => {
  for (const text of valid) {
    assert.equal(JSON.parse(jsonText(parseJson(text))), JSON.parse(text), text)
    if (!/^-0|e/i.test(text))
      assert.is(jsonText(parseJson(text), 2), JSON.stringify(JSON.parse(text), undefined, 2), text)
  }
})

test('parseJson: more values, or more keys of one object, than anybody needs are refused', () => {
  const keys = (count: number): string => `{${Array.from({ length: count }, (_, i) => `"k${i}":1`).join()}}`
  const values = (count: number): string => `[${'1,'.repeat(count - 2)}1]`
  assert.is(parseJson(keys(50_000)).keys.length, 50_000)
  assert.throws(() => parseJson(keys(50_001)), /more than 50000 keys in one object at line 1 column/)
  assert.is(parseJson(values(500_000)).items.length, 499_999)
  assert.throws(() => parseJson(values(500_001)), /more than 500000 values at line 1 column/)
})

test('parseJson: refuses what JSON.parse refuses', () => {
  const wrong = [
    ...[
      '',
      ' ',
      '{',
      '}',
      '[',
      '[1',
      '[1,',
      '[1,]',
      '[,1]',
      '[1 2]',
      '{"a"}',
      '{"a":}',
      '{"a":1,}',
      '{a:1}',
      "{'a':1}"
    ],
    ...['01', '-', '+1', '1.', '.5', '1e', '1e+', '0x1', 'NaN', 'Infinity', 'tru', 'True', 'nul', 'nulls', '"a', '"\\'],
    ...[
      '"a\nb"',
      '"\\q"',
      '"\\u12"',
      '"\\u12g4"',
      '"\t"',
      '{}{}',
      '{} x',
      '\ufeff{}',
      '[1]]',
      '{"a":1}}',
      '//x\n1',
      '\u00a01'
    ]
  ]
  for (const text of wrong) {
    assert.throws(() => JSON.parse(text), /./, `JSON.parse takes ${JSON.stringify(text)}`)
    throwsLike(() => parseJson(text), { name: 'JsonError', message: /^read JSON: .* at line \d+ column \d+$/ })
  }
})

test('parseJson: names line and column of the mistake', () => {
  throwsLike(() => parseJson('{\n  "a": 1\n  "b": 2\n}'), { message: /expected "," or "}" at line 3 column 3$/ })
})

test('parseJson: every prefix of a text is refused, every cut is survived', () => {
  const text = '{"a":[1,-2.5e3,"x\\u00e9\\n"],"b":{"c":true,"d":null}}'
  for (let end = 0; end < text.length; end += 1)
    throwsLike(() => parseJson(text.slice(0, end)), { name: 'JsonError', message: /^read JSON: / })
})

test('parseJson: numbers keep their digits', () => {
  for (const text of ['18446744073709551615', '9007199254740993', '0.10', '1e400', '-0'])
    assert.is(jsonText(parseJson(`[${text}]`)), `[${text}]`)
})

test('parseJson: half of a surrogate pair becomes U+FFFD, as in Go', () => {
  assert.is(parseJson('"\\ud800"').text, '\ufffd')
  assert.is(parseJson('"\\udc00x"').text, '\ufffdx')
  assert.is(parseJson('"\\ud800\\u0041"').text, '\ufffdA')
  assert.is(parseJson('"\\ud800\\n"').text, '\ufffd\n')
})

test('parseJson: 1 MB of nesting is refused, 128 levels are not', () => {
  throwsLike(() => parseJson('['.repeat(1 << 20)), { name: 'JsonError', message: /nested deeper than 128 levels/ })
  throwsLike(() => parseJson('{"a":'.repeat(1 << 18)), { name: 'JsonError', message: /nested deeper than 128 levels/ })
  parseJson('['.repeat(128) + ']'.repeat(128))
})

test('memberOf: exact spelling first, then any case, the last of several', () => {
  const json = parseJson('{"Subnet":"a","subnet":"b","SUBNET":"c","Gw":1,"gW":2,"subnet":"d"}')
  assert.is(memberOf(json, 'subnet')?.text, 'd')
  assert.is(memberOf(json, 'Subnet')?.text, 'a')
  assert.is(memberOf(json, 'gw')?.text, '2')
  assert.is(memberOf(json, 'none'), undefined)
  assert.is(memberOf(parseJson('["a"]'), 'a'), undefined)
})

test('withMember: replaces every spelling, leaves the rest and the original alone', () => {
  const json = parseJson('{"CNIVersion":"x","a":1}')
  assert.is(jsonText(withMember(json, 'cniVersion', jsonString('1.1.0'))), '{"a":1,"cniVersion":"1.1.0"}')
  assert.is(jsonText(json), '{"CNIVersion":"x","a":1}')
})

test('builders: the same text as JSON.stringify', () => {
  const items: readonly Json[] = [jsonString('q"\n'), jsonBoolean(false), jsonNull, jsonNumber(-1.5), jsonArray([])]
  const json = jsonObject([
    ['gone', undefined],
    ['list', jsonArray(items)],
    ['empty', jsonObject([])]
  ])
  const same = { list: ['q"\n', false, null, -1.5, []], empty: {} }
  assert.is(jsonText(json), JSON.stringify(same))
  assert.is(jsonText(json, 4), JSON.stringify(same, undefined, 4))
})

test.run()
