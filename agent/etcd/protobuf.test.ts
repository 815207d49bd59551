import { assert, bytesEqual, suite, throwsLike } from '../../lib/testing/suite.ts'
import { MessageReader } from './grpc.ts'
import { ProtoWriter, protoFields } from './protobuf.ts'

const test = suite('agent/etcd, wire format')

/** The examples of the encoding's documentation (protobuf.dev, "Encoding"). */
test('varints, strings and messages as the documentation has them', () => {
  bytesEqual(new ProtoWriter().int(1, 150).finish(), Uint8Array.of(0x08, 0x96, 0x01))
  const text = Uint8Array.of(0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67)
  bytesEqual(new ProtoWriter().bytes(2, 'testing').finish(), text)
  const nested = new ProtoWriter().message(3, new ProtoWriter().int(1, 150)).finish()
  bytesEqual(nested, Uint8Array.of(0x1a, 0x03, 0x08, 0x96, 0x01))
  bytesEqual(new ProtoWriter().int(1, -2n).finish(), Uint8Array.of(8, 0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1))
  bytesEqual(new ProtoWriter().int(1, 0).bytes(2, '').bool(3, false).finish(), new Uint8Array())
})

test('numbers of every length survive', () => {
  for (const value of [1n, 127n, 128n, 16_383n, 2n ** 28n - 1n, 2n ** 28n, 2n ** 35n + 5n, 2n ** 63n - 1n, -1n]) {
    assert.equal(
      [...protoFields(new ProtoWriter().int(7, value).finish())],
      [{ field: 7, number: value, bytes: new Uint8Array() }]
    )
  }
})

test('fields of unknown and fixed types are passed over; torn messages are refused', () => {
  const bytes = Uint8Array.of(0x0d, 1, 2, 3, 4, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x18, 5)
  assert.equal(
    [...protoFields(bytes)].map(one => [one.field, one.number]),
    [[3, 5n]]
  )
  for (const torn of [[0x08], [0x08, 0x96], [0x12, 0x07, 0x74], [0x0b], [0x08, ...new Array(11).fill(0x80)]]) {
    throwsLike(() => [...protoFields(Uint8Array.from(torn))], { name: 'RangeError' })
  }
})

test('messages come out whole however the stream is cut; compressed and absurd ones are refused', () => {
  const stream = Uint8Array.of(0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9)
  for (let size = 1; size <= stream.length; size += 1) {
    const seen: number[][] = []
    const reader = new MessageReader(message => seen.push([...message]))
    for (let i = 0; i < stream.length; i += size) reader.take(stream.subarray(i, i + size))
    assert.equal(seen, [[1, 2], [], [9]], `cut every ${size} bytes`)
  }
  throwsLike(() => new MessageReader(() => undefined).take(Uint8Array.of(1, 0, 0, 0, 0)), { message: /compressed/ })
  throwsLike(() => new MessageReader(() => undefined).take(Uint8Array.of(0, 255, 0, 0, 0)), { message: /bytes/ })
})

test.run()
