/** Text to JSON values. */
import { consistsOf, isDigit, isHexDigit } from '../bytes/characters.ts'
import { type Json, jsonArray, jsonString, NO_ITEMS, NO_KEYS } from './json-value.ts'

/** The text is not JSON. The message tells line and column. */
export class JsonError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'JsonError'
  }
}

/** Deeper nesting is refused: no configuration needs it, and the reader's own stack has an end. */
const MAX_DEPTH = 128

/** Values in one text: what 100,000 published ports need, and read in a third of a second. */
const MAX_VALUES = 500_000
/** Keys of one object, through all of which every look-up goes. */
const MAX_KEYS = 50_000

/**
 * Reads one JSON value with nothing but white space around it.
 *
 * @throws {JsonError} when the text is anything else, nested deeper than 128 levels, or of more than 500,000 values or 50,000
 *   keys in one object
 * @source RFC 8259
 */
export function parseJson(text: string): Json {
  return new Parser(text).parse()
}

const QUOTE = 0x22
const PLUS = 0x2b
const COMMA = 0x2c
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const COLON = 0x3a
const LARGE_E = 0x45
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const SMALL_E = 0x65
const SMALL_U = 0x75
const CLOSE_OBJECT = 0x7d
/** What stands for every character beyond ASCII: inside of strings they are all alike, elsewhere all wrong. */
const BEYOND = 0xff

/**
 * The text's characters, one number for each of its units, so that places in one are places in the other, and a NUL behind the
 * last, at which whatever is looked for ends. The native engine takes three hundred instructions for a character of a text,
 * and ten for a number of an array; it throws where Node reads nothing behind an array's end.
 */
function codesOf(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(`${text}\0`)
  const size = text.length
  if (bytes.length === size + 1) return bytes
  const codes = new Uint8Array(size + 1)
  for (let i = 0; i < size; i += 1) codes[i] = Math.min(text.charCodeAt(i), BEYOND)
  return codes
}

/** Where white space ends that begins at `from`. */
function endOfSpace(codes: Uint8Array, from: number): number {
  for (let at = from; ; at += 1) {
    const code = codes[at] ?? 0
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at
  }
}

function endOfDigits(codes: Uint8Array, from: number): number {
  let at = from
  while (isDigit(codes[at] ?? 0)) at += 1
  return at
}

/** The place of the next quote, backslash or control character, or of the text's end. */
function endOfPlain(codes: Uint8Array, from: number): number {
  for (let at = from; ; at += 1) {
    const code = codes[at] ?? 0
    if (code < 0x20 || code === QUOTE || code === BACKSLASH) return at
  }
}

/** Reads from left to right; every method leaves #at behind what it has read. */
class Parser {
  readonly #text: string
  readonly #codes: Uint8Array
  #at = 0
  #values = 0

  constructor(text: string) {
    this.#text = text
    this.#codes = codesOf(text)
  }

  parse(): Json {
    const value = this.#value(0)
    this.#skipSpace()
    if (this.#at < this.#text.length) throw this.#error('expected the end of the text')
    return value
  }

  #value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.#error(`nested deeper than ${String(MAX_DEPTH)} levels`)
    this.#values += 1
    if (this.#values > MAX_VALUES) throw this.#error(`more than ${String(MAX_VALUES)} values`)
    this.#skipSpace()
    const first = this.#code()
    if (first === QUOTE) return jsonString(this.#string())
    if (first === 0x7b) return this.#object(depth) // "{"
    if (first === 0x5b) return this.#array(depth) // "["
    if (first === 0x74) return this.#word('true', 'boolean')
    if (first === 0x66) return this.#word('false', 'boolean')
    if (first === 0x6e) return this.#word('null', 'null')
    return this.#number()
  }

  #object(depth: number): Json {
    const keys: string[] = []
    const items: Json[] = []
    this.#at += 1
    this.#skipSpace()
    if (this.#take(CLOSE_OBJECT)) return { type: 'object', text: '', keys, items }
    for (;;) {
      this.#skipSpace()
      if (this.#code() !== QUOTE) throw this.#error('expected a key in double quotes')
      if (keys.length === MAX_KEYS) throw this.#error(`more than ${String(MAX_KEYS)} keys in one object`)
      keys.push(this.#string())
      this.#skipSpace()
      if (!this.#take(COLON)) throw this.#error('expected ":"')
      items.push(this.#value(depth + 1))
      this.#skipSpace()
      if (this.#take(CLOSE_OBJECT)) return { type: 'object', text: '', keys, items }
      if (!this.#take(COMMA)) throw this.#error('expected "," or "}"')
    }
  }

  #array(depth: number): Json {
    const items: Json[] = []
    this.#at += 1
    this.#skipSpace()
    if (this.#take(CLOSE_ARRAY)) return jsonArray(items)
    for (;;) {
      items.push(this.#value(depth + 1))
      this.#skipSpace()
      if (this.#take(CLOSE_ARRAY)) return jsonArray(items)
      if (!this.#take(COMMA)) throw this.#error('expected "," or "]"')
    }
  }

  #word(word: string, type: 'boolean' | 'null'): Json {
    if (this.#text.slice(this.#at, this.#at + word.length) !== word) throw this.#error('expected a value')
    this.#at += word.length
    return { type, text: word, keys: NO_KEYS, items: NO_ITEMS }
  }

  #number(): Json {
    const start = this.#at
    this.#take(MINUS)
    if (!this.#take(ZERO) && this.#digits() === 0) {
      this.#at = start
      throw this.#error('expected a value')
    }
    if (this.#take(DOT) && this.#digits() === 0) throw this.#error('expected a digit')
    if (this.#take(SMALL_E) || this.#take(LARGE_E)) {
      if (!this.#take(PLUS)) this.#take(MINUS)
      if (this.#digits() === 0) throw this.#error('expected a digit')
    }
    return { type: 'number', text: this.#text.slice(start, this.#at), keys: NO_KEYS, items: NO_ITEMS }
  }

  #digits(): number {
    const start = this.#at
    this.#at = endOfDigits(this.#codes, start)
    return this.#at - start
  }

  #string(): string {
    const codes = this.#codes
    let value = ''
    let start = this.#at + 1
    for (;;) {
      const end = endOfPlain(codes, start)
      const code = codes[end] ?? 0
      this.#at = end + 1
      if (code === QUOTE) return value + this.#text.slice(start, end)
      if (code !== BACKSLASH) {
        this.#at = end
        throw this.#error(
          end === this.#text.length ? 'the text ends inside a string' : 'control character inside a string'
        )
      }
      value += this.#text.slice(start, end) + this.#escape()
      start = this.#at
    }
  }

  #escape(): string {
    const letter = this.#text.charAt(this.#at)
    this.#at += 1
    if (letter === '"' || letter === '\\' || letter === '/') return letter
    if (letter === 'b') return '\b'
    if (letter === 'f') return '\f'
    if (letter === 'n') return '\n'
    if (letter === 'r') return '\r'
    if (letter === 't') return '\t'
    this.#at -= 1
    if (letter !== 'u') throw this.#error('unknown escape inside a string')
    this.#at += 1
    return this.#unicode(this.#hex())
  }

  /** The character of a \u escape; half of a pair on its own becomes U+FFFD, as in Go. */
  #unicode(unit: number): string {
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit)
    const start = this.#at
    if (unit < 0xdc00 && this.#take(BACKSLASH) && this.#take(SMALL_U)) {
      const low = this.#hex()
      if (low >= 0xdc00 && low <= 0xdfff) return characterOf((unit - 0xd800) * 1024 + (low - 0xdc00) + 0x10000)
    }
    this.#at = start
    return '\ufffd'
  }

  #hex(): number {
    const digits = this.#text.slice(this.#at, this.#at + 4)
    if (digits.length !== 4 || !consistsOf(digits.toLowerCase(), isHexDigit))
      throw this.#error('expected four hexadecimal digits')
    this.#at += 4
    return parseInt(digits, 16)
  }

  #skipSpace(): void {
    this.#at = endOfSpace(this.#codes, this.#at)
  }

  #take(code: number): boolean {
    if (this.#code() !== code) return false
    this.#at += 1
    return true
  }

  /** 0 behind the end. */
  #code(): number {
    return this.#codes[this.#at] ?? 0
  }

  #error(what: string): JsonError {
    const before = this.#text.slice(0, this.#at).split('\n')
    const column = (before[before.length - 1] ?? '').length + 1
    return new JsonError(`read JSON: ${what} at line ${String(before.length)} column ${String(column)}`)
  }
}

/** The character of a code point above 0xffff (String.fromCodePoint has no static form). */
function characterOf(point: number): string {
  const bytes = new Uint8Array([
    0xf0 | (point >> 18),
    0x80 | ((point >> 12) & 0x3f),
    0x80 | ((point >> 6) & 0x3f),
    0x80 | (point & 0x3f)
  ])
  return new TextDecoder().decode(bytes)
}
