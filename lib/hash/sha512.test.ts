import { createHash } from 'node:crypto'
import { assert, suite } from '../testing/suite.ts'
import { sha512, sha512Hex } from './sha512.ts'

const test = suite('lib/hash/sha512')

// The examples of FIPS 180-4 (csrc.nist.gov, "SHA512.pdf"): one block, and two.
test('sha512: the one-block example of FIPS 180-4', () => {
  assert.is(
    sha512Hex('abc'),
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f'
  )
})

test('sha512: the two-block example of FIPS 180-4', () => {
  const text =
    'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu'
  assert.is(
    sha512Hex(text),
    '8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909'
  )
})

test('sha512: agrees with OpenSSL for every length around the block boundaries', () => {
  for (let length = 0; length <= 300; length += 1) {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + length * 7) % 256
    const expected = createHash('sha512').update(bytes).digest('hex')
    assert.is(Buffer.from(sha512(bytes)).toString('hex'), expected, `length ${length}`)
  }
})

test('sha512: hashes the UTF-8 form of a text', () => {
  assert.is(sha512Hex('Länge 𝄞'), createHash('sha512').update('Länge 𝄞', 'utf8').digest('hex'))
})

test.run()
