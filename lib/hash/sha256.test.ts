import { createHash } from 'node:crypto'
import { assert, suite } from '../testing/suite.ts'
import { sha256 } from './sha256.ts'

const test = suite('lib/hash/sha256')

test('the examples of FIPS 180-4 and the same as node:crypto for every length around the blocks', () => {
  const hexOf = (text: string): string => Buffer.from(sha256(text)).toString('hex')
  assert.is(hexOf('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  assert.is(hexOf(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  for (let length = 0; length < 200; length += 1) {
    const text = 'aé€😀'.repeat(length).slice(0, length)
    assert.is(hexOf(text), createHash('sha256').update(text).digest('hex'), `length ${length}`)
  }
})

test.run()
