/** Inputs made at random: texts by their grammar, bytes by changing right ones where it hurts. */
import type { Random } from '../lib/testing/mutation.ts'

const BYTES: readonly number[] = [0, 1, 2, 3, 4, 5, 7, 8, 0x0f, 0x10, 0x7f, 0x80, 0xfe, 0xff]

/** Bytes changed in up to eight places: overwritten, cut, doubled, moved, joined with others. */
export function changedBytes(seeds: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = Uint8Array.from(random.pick(seeds))
  for (let times = 1 + random.below(8); times > 0; times -= 1) bytes = changed(bytes, seeds, random)
  return bytes.slice(0, 8192)
}

function changed(bytes: Uint8Array, seeds: readonly Uint8Array[], random: Random): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length + 1)
  const end = Math.min(bytes.length, at + 1 + random.below(32))
  const [head, body, tail] = [bytes.slice(0, at), bytes.slice(at, end), bytes.slice(end)]
  switch (random.below(8)) {
    case 0:
      return joined(head)
    case 1:
      return joined(head, tail)
    case 2:
      return joined(head, body, body, tail)
    case 3:
      return joined(head, random.pick(seeds))
    case 4:
      return joined(
        head,
        Uint8Array.from({ length: random.below(16) }, () => random.below(256)),
        body,
        tail
      )
    default: {
      const copy = joined(bytes)
      // Where lengths and types lie: aligned to four, often.
      const place = random.below(2) === 0 ? at & ~3 : at
      if (place < copy.length) copy[place] = random.below(2) === 0 ? random.pick(BYTES) : random.below(256)
      return copy
    }
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts))
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/** One of several ways to write a piece of text. */
export type Rule = (random: Random) => string

/** Each of them in turn. */
export function sequence(...rules: readonly (Rule | string)[]): Rule {
  return random => rules.map(rule => (typeof rule === 'string' ? rule : rule(random))).join('')
}

export function choice(...rules: readonly (Rule | string)[]): Rule {
  return random => {
    const rule = random.pick(rules)
    return typeof rule === 'string' ? rule : rule(random)
  }
}

export function repeated(rule: Rule, most: number, between = ''): Rule {
  return random => Array.from({ length: random.below(most + 1) }, () => rule(random)).join(between)
}

/** Now and then a byte of the text becomes another one. */
export function sometimesTorn(rule: Rule): (random: Random) => Uint8Array {
  return random => {
    const bytes = bytesOf(rule(random))
    if (random.below(4) === 0 && bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256)
    return bytes
  }
}

const digits = choice('0', '1', '9', '10', '99', '127', '128', '254', '255', '256', '007', '1000', '4294967296', '')
const hextet = choice('0', '1', 'ffff', 'FFFF', 'fe80', 'fd00', '2001', 'db8', '00001', 'g', '0000', '')

/** Addresses of both families, right ones and those that nearly are. */
export const addressText: Rule = choice(
  sequence(digits, '.', digits, '.', digits, '.', digits),
  repeated(digits, 6, '.'),
  sequence(repeated(hextet, 9, ':')),
  sequence(repeated(hextet, 5, ':'), '::', repeated(hextet, 5, ':')),
  sequence('::', choice('ffff:', ''), digits, '.', digits, '.', digits, '.', digits),
  sequence('fe80::1', choice('%eth0', '%', '/64', ''))
)

const space = repeated(choice(' ', '\n', '\t', '\r', '\u00a0', '\v'), 2)
const escape = choice(
  '\\n',
  '\\"',
  '\\\\',
  '\\/',
  '\\u0000',
  '\\ud800',
  '\\udc00',
  '\\uD83D\\uDE00',
  '\\u12',
  '\\x',
  '\\'
)
const character = choice('a', '0', ' ', 'é', '\u2028', '\u0000', '\u0007', '\u{1f600}', escape)
const jsonString = sequence('"', repeated(character, 6), '"')
const jsonNumber = choice(
  ...['0', '-0', '1', '-1', '1e3', '1E+3', '1.5', '1e400', '4294967296', '9007199254740993', '18446744073709551616'],
  ...['01', '1.', '.5', '+1', '1e', '-', '0x10', 'NaN', 'Infinity', '1_0']
)

/** JSON values, and what some readers take for them. */
export function jsonValue(depth: number): Rule {
  const leaf = choice(jsonString, jsonNumber, 'true', 'false', 'null', 'nul', '', "'a'", '//')
  if (depth === 0) return leaf
  const inner: Rule = random => jsonValue(depth - 1)(random)
  const member = sequence(space, jsonString, space, ':', space, inner, space)
  return choice(
    leaf,
    sequence('[', space, repeated(inner, 4, ','), choice('', '', '', ','), ']'),
    sequence('{', repeated(member, 4, ','), choice('', '', '', ','), '}'),
    sequence(space, inner, space)
  )
}
