/** Text to JSON values. */
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

/** Reads from left to right; every method leaves #at behind what it has read. */
class Parser {
  readonly #text: string
  #at = 0
  #values = 0

  constructor(text: string) {
    this.#text = text
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
    const first = this.#text.charAt(this.#at)
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return jsonString(this.#string())
    if (first === 't') return this.#word('true', 'boolean')
    if (first === 'f') return this.#word('false', 'boolean')
    if (first === 'n') return this.#word('null', 'null')
    return this.#number()
  }

  #object(depth: number): Json {
    const keys: string[] = []
    const items: Json[] = []
    this.#at += 1
    this.#skipSpace()
    if (this.#take('}')) return { type: 'object', text: '', keys, items }
    for (;;) {
      this.#skipSpace()
      if (this.#text.charAt(this.#at) !== '"') throw this.#error('expected a key in double quotes')
      if (keys.length === MAX_KEYS) throw this.#error(`more than ${String(MAX_KEYS)} keys in one object`)
      keys.push(this.#string())
      this.#skipSpace()
      if (!this.#take(':')) throw this.#error('expected ":"')
      items.push(this.#value(depth + 1))
      this.#skipSpace()
      if (this.#take('}')) return { type: 'object', text: '', keys, items }
      if (!this.#take(',')) throw this.#error('expected "," or "}"')
    }
  }

  #array(depth: number): Json {
    const items: Json[] = []
    this.#at += 1
    this.#skipSpace()
    if (this.#take(']')) return jsonArray(items)
    for (;;) {
      items.push(this.#value(depth + 1))
      this.#skipSpace()
      if (this.#take(']')) return jsonArray(items)
      if (!this.#take(',')) throw this.#error('expected "," or "]"')
    }
  }

  #word(word: string, type: 'boolean' | 'null'): Json {
    if (this.#text.slice(this.#at, this.#at + word.length) !== word) throw this.#error('expected a value')
    this.#at += word.length
    return { type, text: word, keys: NO_KEYS, items: NO_ITEMS }
  }

  #number(): Json {
    const start = this.#at
    this.#take('-')
    if (!this.#take('0') && this.#digits() === 0) {
      this.#at = start
      throw this.#error('expected a value')
    }
    if (this.#take('.') && this.#digits() === 0) throw this.#error('expected a digit')
    if (this.#take('e') || this.#take('E')) {
      if (!this.#take('+')) this.#take('-')
      if (this.#digits() === 0) throw this.#error('expected a digit')
    }
    return { type: 'number', text: this.#text.slice(start, this.#at), keys: NO_KEYS, items: NO_ITEMS }
  }

  #digits(): number {
    const start = this.#at
    for (;;) {
      const code = this.#code()
      if (code < 48 || code > 57) return this.#at - start
      this.#at += 1
    }
  }

  #string(): string {
    let value = ''
    this.#at += 1
    let start = this.#at
    for (;;) {
      const code = this.#code()
      if (code < 32) throw this.#error(code < 0 ? 'the text ends inside a string' : 'control character inside a string')
      if (code === 34) break
      this.#at += 1
      if (code !== 92) continue
      value += this.#text.slice(start, this.#at - 1) + this.#escape()
      start = this.#at
    }
    value += this.#text.slice(start, this.#at)
    this.#at += 1
    return value
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
    if (unit < 0xdc00 && this.#take('\\') && this.#take('u')) {
      const low = this.#hex()
      if (low >= 0xdc00 && low <= 0xdfff) return characterOf((unit - 0xd800) * 1024 + (low - 0xdc00) + 0x10000)
    }
    this.#at = start
    return '\ufffd'
  }

  #hex(): number {
    const digits = this.#text.slice(this.#at, this.#at + 4)
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#error('expected four hexadecimal digits')
    this.#at += 4
    return parseInt(digits, 16)
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#code()
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return
      this.#at += 1
    }
  }

  #take(character: string): boolean {
    if (this.#text.charAt(this.#at) !== character) return false
    this.#at += 1
    return true
  }

  /** The code unit at #at, -1 behind the end. */
  #code(): number {
    return this.#at < this.#text.length ? this.#text.charCodeAt(this.#at) : -1
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
