/**
 * What must hold for every netlink codec, as tests made from a list of them:
 *
 * - what was encoded decodes to the same value, and encodes to the same bytes again;
 * - bytes cut short anywhere are a DecodeError, or (cut between attributes) a smaller message that is decoded in full;
 * - an attribute one byte longer or shorter is a DecodeError, or its new value is seen; it is never ignored;
 * - every length field with every value of its low byte is a DecodeError or decoded; nothing else is ever thrown;
 * - attributes nobody knows come through, at every level.
 */
import { EncodeError } from '../netlink/field.ts'
import { assert, bytesEqual, type Suite } from './suite.ts'

export interface Codec<T> {
  /** The pair's name: `Link` for encodeLink and decodeLink. */
  readonly name: string
  readonly encode: (value: T) => Uint8Array
  readonly decode: (bytes: Uint8Array) => T
  /** Bytes before the attributes. */
  readonly header: number
  /** Values that between them use every field. */
  readonly samples: readonly T[]
  /** Set for a codec that reads only what Patchbay needs: then attributes may get lost, and changes go unseen. */
  readonly isPartial?: boolean
}

const NLA_HEADER = 4
const NLA_F_NESTED = 0x8000
const UNKNOWN_TYPE = 0x3ffe
const MARK = new Uint8Array([0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03])

/** Adds the tests of one codec to a suite. */
export function testCodec<T>(test: Suite, codec: Codec<T>): void {
  const { name } = codec
  test(`${name}: what was encoded decodes and encodes to the same`, () => {
    assert.ok(codec.samples.length > 0, 'a codec without samples proves nothing')
    for (const sample of codec.samples) {
      const bytes = codec.encode(sample)
      assert.equal(plain(codec.decode(bytes)), plain(sample))
      bytesEqual(codec.encode(codec.decode(bytes)), bytes, name)
    }
  })
  test(`${name}: bytes cut short are refused`, () => {
    for (const sample of codec.samples) checkCuts(codec, codec.encode(sample))
  })
  test(`${name}: a length that changed is refused or seen`, () => {
    for (const sample of codec.samples) {
      const bytes = codec.encode(sample)
      checkResized(codec, bytes)
      checkLengthBytes(codec, bytes)
    }
  })
  if (codec.isPartial === true) return
  test(`${name}: unknown attributes survive`, () => {
    for (const sample of codec.samples) checkUnknown(codec, codec.encode(sample))
  })
}

function checkCuts<T>(codec: Codec<T>, bytes: Uint8Array): void {
  const boundaries = new Set(topLevel(bytes, codec.header).map(one => one.start))
  for (let length = 0; length < bytes.length; length += 1) {
    const cut = bytes.slice(0, length)
    const value = attempt(codec, cut)
    if (value === undefined) continue
    // The padding after the last attribute may be missing.
    const isWhole = boundaries.has(length) || isPadding(bytes, codec.header, length)
    assert.ok(isWhole, `${codec.name}: the first ${length} of ${bytes.length} bytes are taken for a whole message`)
    if (codec.isPartial !== true)
      bytesEqual(codec.encode(value).slice(0, length), cut, `${codec.name} cut at ${length}`)
  }
}

/** Every attribute one byte longer and one byte shorter, with the lengths of those around it set right. */
function checkResized<T>(codec: Codec<T>, bytes: Uint8Array): void {
  const before = JSON.stringify(plain(codec.decode(bytes)))
  for (const path of paths(bytes, codec.header)) {
    for (const change of [1, -1]) {
      const resized = edit(bytes, codec.header, path, value => {
        if (change > 0) return concat(value, new Uint8Array([0x5a]))
        return value.length === 0 ? value : value.slice(0, -1)
      })
      const lost = attributeAt(bytes, codec.header, path).at(-1)
      const value = attempt(codec, resized)
      if (value === undefined || codec.isPartial === true) continue
      // A text without its NUL is the same text, and nothing is shorter than nothing.
      if (change < 0 && (lost === 0 || lost === undefined)) continue
      assert.is.not(JSON.stringify(plain(value)), before, `${codec.name}: attribute ${path.join('.')} ${change} byte`)
    }
  }
}

/** Every length field with all values of its low byte. */
function checkLengthBytes<T>(codec: Codec<T>, bytes: Uint8Array): void {
  for (const path of paths(bytes, codec.header)) {
    const start = startOf(bytes, codec.header, path)
    for (let length = 0; length < 256; length += 1) {
      const changed = bytes.slice()
      changed[start] = length
      attempt(codec, changed)
    }
  }
}

function checkUnknown<T>(codec: Codec<T>, bytes: Uint8Array): void {
  const extra = attribute(UNKNOWN_TYPE, MARK)
  const containers = paths(bytes, codec.header).filter(path => isNested(bytes, codec.header, path))
  for (const path of [[], ...containers]) {
    const extended = path.length === 0 ? concat(bytes, extra) : edit(bytes, codec.header, path, v => concat(v, extra))
    const encoded = codec.encode(codec.decode(extended))
    bytesEqual(encoded, extended, `${codec.name} with an unknown attribute in ${path.join('.') || 'the message'}`)
  }
}

/** @returns undefined when it is refused; anything thrown but a DecodeError goes on */
function attempt<T>(codec: Codec<T>, bytes: Uint8Array): T | undefined {
  try {
    return codec.decode(bytes)
  } catch (error) {
    if (error instanceof Error && error.name === 'DecodeError') return undefined
    throw error
  }
}

/** A value that the encoder must refuse. */
export function refusesToEncode(encode: () => Uint8Array): void {
  assert.throws(encode, (error: unknown) => error instanceof EncodeError)
}

/** The value with bytes as hexadecimal digits and without fields that are undefined, as JSON would print it. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(entries.map(([name, field]) => [name, plain(field)]))
}

interface Place {
  readonly start: number
  readonly end: number
  readonly type: number
}

/** The attributes of a message or of another attribute's value. */
function topLevel(bytes: Uint8Array, from: number): Place[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const places: Place[] = []
  let start = from
  while (start + NLA_HEADER <= bytes.length) {
    const length = view.getUint16(start, true)
    const end = Math.min(bytes.length, start + length)
    places.push({ start, end, type: view.getUint16(start + 2, true) })
    start += (length + 3) & ~3
  }
  return places
}

/** Every attribute as the list of its places from the outside in. */
function paths(bytes: Uint8Array, from: number): number[][] {
  const found: number[][] = []
  for (const [at, place] of topLevel(bytes, from).entries()) {
    found.push([at])
    if ((place.type & NLA_F_NESTED) === 0) continue
    for (const inner of paths(bytes.slice(place.start + NLA_HEADER, place.end), 0)) found.push([at, ...inner])
  }
  return found
}

function placeAt(bytes: Uint8Array, from: number, at: number): Place {
  const place = topLevel(bytes, from)[at]
  if (place === undefined) throw new Error(`no attribute ${at}`)
  return place
}

function attributeAt(bytes: Uint8Array, from: number, path: readonly number[]): Uint8Array {
  const [at, ...rest] = path
  if (at === undefined) return bytes
  const place = placeAt(bytes, from, at)
  return attributeAt(bytes.slice(place.start + NLA_HEADER, place.end), 0, rest)
}

function startOf(bytes: Uint8Array, from: number, path: readonly number[]): number {
  const [at, ...rest] = path
  if (at === undefined) return 0
  const { start, end } = placeAt(bytes, from, at)
  if (rest.length === 0) return start
  return start + NLA_HEADER + startOf(bytes.slice(start + NLA_HEADER, end), 0, rest)
}

function isNested(bytes: Uint8Array, from: number, path: readonly number[]): boolean {
  const start = startOf(bytes, from, path)
  return ((bytes[start + 3] ?? 0) & 0x80) !== 0
}

/** Whether only padding is missing from `length` on. */
function isPadding(bytes: Uint8Array, from: number, length: number): boolean {
  return topLevel(bytes, from).some(place => place.end <= length && length < ((place.end + 3) & ~3))
}

/** The bytes with one attribute's value changed. */
function edit(
  bytes: Uint8Array,
  from: number,
  path: readonly number[],
  change: (value: Uint8Array) => Uint8Array
): Uint8Array {
  const [at, ...rest] = path
  if (at === undefined) return change(bytes)
  const places = topLevel(bytes, from)
  const parts = places.map((place, i) => {
    const value = bytes.slice(place.start + NLA_HEADER, place.end)
    return attribute(place.type, i === at ? edit(value, 0, rest, change) : value)
  })
  return concat(bytes.slice(0, from), ...parts)
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((NLA_HEADER + value.length + 3) & ~3)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, NLA_HEADER + value.length, true)
  view.setUint16(2, type, true)
  bytes.set(value, NLA_HEADER)
  return bytes
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}
