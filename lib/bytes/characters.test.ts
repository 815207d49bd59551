import { assert, suite } from '../testing/suite.ts'
import { consistsOf, hasSpaceOr, isDigit, isHexDigit, isLetter } from './characters.ts'

const test = suite('lib/bytes/characters')

test('every byte is judged as the regular expression judges its character', () => {
  for (let code = 0; code < 256; code += 1) {
    const character = String.fromCharCode(code)
    assert.is(isDigit(code), /[0-9]/.test(character), String(code))
    assert.is(isLetter(code), /[A-Za-z]/.test(character), String(code))
    assert.is(isHexDigit(code), /[0-9a-f]/.test(character), String(code))
  }
})

test('a text consists of what each of its bytes is; an empty one of nothing', () => {
  assert.ok(consistsOf('0123', isDigit))
  for (const text of ['', '01a3', '12\n', '١٢']) assert.not.ok(consistsOf(text, isDigit), text)
})

test('white space is what \\s finds, in all of Unicode', () => {
  for (let code = 0; code < 0x10000; code += 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue
    const text = `a${String.fromCharCode(code)}b`
    assert.is(hasSpaceOr(text, '/:\0'), /[/:\s\0]/.test(text), code.toString(16))
  }
})

test.run()
