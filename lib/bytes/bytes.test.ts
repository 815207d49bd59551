import { assert, bytesEqual, suite, throwsLike } from '../testing/suite.ts'
import { compareBytes, sameBytes } from './compare.ts'
import { DecodeError, Reader } from './reader.ts'
import { Writer } from './writer.ts'

const test = suite('lib/bytes')

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

test('Writer: every width in both orders', () => {
  const writer = new Writer().u8(0x01).u16(0x0203).u16be(0x0405).u32(0x06070809).u32be(0x0a0b0c0d).i32(-2)
  bytesEqual(writer.finish(), hex('01' + '0302' + '0405' + '09080706' + '0a0b0c0d' + 'feffffff'))
  // 2^40 + 1
  bytesEqual(new Writer().u64(1099511627777).finish(), hex('0100000000010000'))
  bytesEqual(new Writer().u64be(1099511627777).finish(), hex('0000010000000001'))
})

test('Writer: pads, and writes over what it has written', () => {
  const writer = new Writer().bytes(hex('aabbcc')).align(4).align(4).zeros(2).u8(1).align(8)
  assert.is(writer.length(), 8)
  writer.patchU16(4, 0x1122)
  writer.patchU16be(6, 0x3344)
  bytesEqual(writer.finish(), hex('aabbcc00' + '22113344'))
})

test('Writer: a number that needs more room than there is lands behind what was there', () => {
  const writes: readonly ((writer: Writer) => Writer)[] = [
    writer => writer.u8(0xff),
    writer => writer.u16(0xffff),
    writer => writer.u16be(0xffff),
    writer => writer.u32(0xffffffff),
    writer => writer.u32be(0xffffffff),
    writer => writer.i32(-1),
    writer => writer.bytes(hex('ff'.repeat(1000)))
  ]
  for (const write of writes) {
    for (let before = 250; before <= 256; before += 1) {
      const written = write(new Writer().bytes(hex('ab'.repeat(before)))).finish()
      bytesEqual(written, hex('ab'.repeat(before) + 'ff'.repeat(written.length - before)), `${before} bytes before`)
    }
  }
})

test('Reader: what was written, and nothing behind the end', () => {
  const reader = new Reader(
    hex('01' + '0302' + '0405' + '000000' + '09080706' + '0a0b0c0d' + 'feffffff' + 'aabb'),
    'thing'
  )
  assert.is(reader.u8(), 1)
  assert.is(reader.u16(), 0x0203)
  assert.is(reader.u16be(), 0x0405)
  reader.align(8)
  assert.is(reader.offset(), 8)
  assert.is(reader.u32(), 0x06070809)
  assert.is(reader.u32be(), 0x0a0b0c0d)
  assert.is(reader.i32(), -2)
  bytesEqual(reader.bytes(1), hex('aa'))
  throwsLike(() => reader.u16(), {
    name: 'DecodeError',
    message: /^decode thing: needs 23 bytes, got 22$/
  })
  bytesEqual(reader.rest(), hex('bb'))
  assert.throws(
    () => reader.skip(1),
    (error: unknown) => error instanceof DecodeError
  )
})

test('comparison: by the first byte that differs, then by length', () => {
  assert.ok(compareBytes(hex('01ff'), hex('0200')) < 0)
  assert.ok(compareBytes(hex('0201'), hex('02')) > 0)
  assert.is(compareBytes(hex('0201'), hex('0201')), 0)
  assert.ok(sameBytes(hex('0201'), hex('0201')))
  assert.not.ok(sameBytes(hex('02'), hex('0201')))
  assert.not.ok(sameBytes(undefined, undefined))
})

test.run()
