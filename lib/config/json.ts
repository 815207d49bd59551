/**
 * JSON as a tree of one kind of record. JSON.parse gives values whose type is known only at run time, and rounds
 * numbers above 2^53; here every number keeps its digits and the tree has a static type.
 */

/**
 * One value. `text` is a string's value, a number's literal, or `true`, `false`, `null`; '' for the other two.
 * An object's `keys[i]` names `items[i]`, in the order written, duplicates kept; an array has only `items`.
 */
export interface Json {
  readonly type: 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'
  readonly text: string
  readonly keys: readonly string[]
  readonly items: readonly Json[]
}

/** The text is not JSON. The message tells line and column. */
export class JsonError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'JsonError'
  }
}

/** Deeper nesting is refused: no configuration needs it, and the reader's own stack has an end. */
const MAX_DEPTH = 128

const NO_KEYS: readonly string[] = []
const NO_ITEMS: readonly Json[] = []

/**
 * Reads one JSON value with nothing but white space around it.
 *
 * @throws {JsonError} when the text is anything else, or nested deeper than 128 levels
 * @source RFC 8259
 */
export function parseJson(text: string): Json {
  return new Parser(text).parse()
}

/** Writes the value; on one line, or with `indent` spaces per level. Numbers are written as they were read. */
export function jsonText(json: Json, indent?: number): string {
  return indent === undefined ? compactText(json) : indentedText(json, ' '.repeat(indent), '\n')
}

export function jsonString(value: string): Json {
  return { type: 'string', text: value, keys: NO_KEYS, items: NO_ITEMS }
}

/** @param value a finite number */
export function jsonNumber(value: number): Json {
  return { type: 'number', text: String(value), keys: NO_KEYS, items: NO_ITEMS }
}

export function jsonBoolean(value: boolean): Json {
  return { type: 'boolean', text: value ? 'true' : 'false', keys: NO_KEYS, items: NO_ITEMS }
}

export const jsonNull: Json = { type: 'null', text: 'null', keys: NO_KEYS, items: NO_ITEMS }

export function jsonArray(items: readonly Json[]): Json {
  return { type: 'array', text: '', keys: NO_KEYS, items }
}

/** An object with these members; one whose value is undefined is left out. */
export function jsonObject(entries: readonly (readonly [string, Json | undefined])[]): Json {
  const keys: string[] = []
  const items: Json[] = []
  for (const [key, value] of entries) {
    if (value === undefined) continue
    keys.push(key)
    items.push(value)
  }
  return { type: 'object', text: '', keys, items }
}

/**
 * The member of that name: the one spelled exactly so, else one that differs in case only; of several the last.
 * Runtimes written in Go send `HostPort` for `hostPort`, because Go's reader does not care.
 */
export function memberOf(json: Json, key: string): Json | undefined {
  const lower = key.toLowerCase()
  let similar: Json | undefined
  for (let i = json.keys.length - 1; i >= 0; i -= 1) {
    const name = json.keys[i] ?? ''
    if (name === key) return json.items[i]
    if (similar === undefined && name.toLowerCase() === lower) similar = json.items[i]
  }
  return similar
}

/**
 * The object with that member set. Members that differ from the key in case only are dropped, since a reader that
 * ignores case would take them for this one.
 */
export function withMember(json: Json, key: string, value: Json): Json {
  const lower = key.toLowerCase()
  const keys: string[] = []
  const items: Json[] = []
  for (let i = 0; i < json.keys.length; i += 1) {
    const name = json.keys[i] ?? ''
    if (name.toLowerCase() === lower) continue
    keys.push(name)
    items.push(json.items[i] ?? jsonNull)
  }
  keys.push(key)
  items.push(value)
  return { type: 'object', text: '', keys, items }
}

function compactText(json: Json): string {
  if (json.type === 'string') return JSON.stringify(json.text)
  if (json.type === 'array') return `[${json.items.map(compactText).join(',')}]`
  if (json.type !== 'object') return json.text
  return `{${json.items.map((item, i) => `${JSON.stringify(json.keys[i] ?? '')}:${compactText(item)}`).join(',')}}`
}

function indentedText(json: Json, step: string, newline: string): string {
  const isObject = json.type === 'object'
  if ((!isObject && json.type !== 'array') || json.items.length === 0) return compactText(json)
  const inner = newline + step
  const parts: string[] = []
  for (let i = 0; i < json.items.length; i += 1) {
    const text = indentedText(json.items[i] ?? jsonNull, step, inner)
    parts.push(isObject ? `${JSON.stringify(json.keys[i] ?? '')}: ${text}` : text)
  }
  const body = inner + parts.join(`,${inner}`) + newline
  return isObject ? `{${body}}` : `[${body}]`
}

/** Reads from left to right; every method leaves #at behind what it has read. */
class Parser {
  readonly #text: string
  #at = 0

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
