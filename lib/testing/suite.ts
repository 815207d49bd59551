/**
 * The test API of this repository: a thin layer over uvu that closes uvu's silent gaps.
 *
 *     import { assert, suite, throwsLike } from '../testing/suite.ts'
 *     const test = suite('lib/ip')
 *     test('parse: refuses a leading zero', () => { ... })
 *     test.run()
 *
 * There are no hooks: a throwing `before` leaves uvu green. Set up in the test's body, clean up in `finally`.
 */
import { writeSync } from 'node:fs'
import { suite as uvuSuite } from 'uvu'
import { Assertion } from 'uvu/assert'

export * as assert from 'uvu/assert'

/** One group of tests; call it to add a test, `run()` once at the end of the file. */
export interface Suite {
  (name: string, body: () => void | Promise<void>): void
  /**
   * Adds a test that cannot be run where `reason` is a text, and an ordinary one where it is undefined.
   * The gate counts such a test as skipped and fails unless build/allowed-skips.ts lists the reason.
   */
  readonly unless: (reason: string | undefined, name: string, body: () => void | Promise<void>) => void
  readonly run: () => void
}

const waiting = new Set<string>()

// uvu forgets the tests of a suite nobody runs and exits 0: say so and fail instead.
process.on('exit', () => {
  for (const name of waiting) {
    writeSync(2, `suite ${JSON.stringify(name)}: run() is missing at the end of the file\n`)
    process.exitCode = 1
  }
})

/** Makes a suite. `name` is shown before its tests. */
export function suite(name: string): Suite {
  const inner = uvuSuite(name)
  const names = new Set<string>()
  waiting.add(name)

  function add(title: string, body: () => void | Promise<void>): void {
    if (names.has(title))
      throw new Error(`add test: two tests of ${JSON.stringify(name)} are named ${JSON.stringify(title)}`)
    names.add(title)
    inner(title, body)
  }
  function unless(reason: string | undefined, title: string, body: () => void | Promise<void>): void {
    if (reason === undefined) {
      add(title, body)
      return
    }
    const skip = inner.skip
    skip(title)
    writeSync(1, `skipped: ${JSON.stringify(title)}: ${reason}\n`)
  }
  function run(): void {
    waiting.delete(name)
    inner.run()
  }
  return Object.assign(add, { unless, run })
}

/** What an error must look like. Every field given must match; `message` is a pattern, never a text. */
export interface ErrorShape {
  readonly name?: string
  readonly code?: string | number
  readonly errno?: string | number
  readonly message?: RegExp
}

/**
 * Runs `body`, which must throw an Error that looks like `shape`.
 * @returns the error, for further questions
 */
export function throwsLike(body: () => unknown, shape: ErrorShape): Error {
  let value: unknown
  try {
    value = body()
  } catch (error) {
    return checkShape(error, shape)
  }
  if (value instanceof Promise) fail('the function returned a promise: use rejectsLike', 'a promise', 'an error')
  return fail(`expected an error like ${show(shape)}, but nothing was thrown`, undefined, shape)
}

/** The same for a promise or an async function. */
export async function rejectsLike(
  body: Promise<unknown> | (() => Promise<unknown>),
  shape: ErrorShape
): Promise<Error> {
  try {
    await (typeof body === 'function' ? body() : body)
  } catch (error) {
    return checkShape(error, shape)
  }
  return fail(`expected a rejection like ${show(shape)}, but the promise was fulfilled`, undefined, shape)
}

function checkShape(error: unknown, shape: ErrorShape): Error {
  if (!(error instanceof Error)) return fail(`expected an Error, got ${show(error)}`, error, shape)
  const fields = new Map<string, unknown>(Object.entries(error))
  const seen = { name: error.name, code: fields.get('code'), errno: fields.get('errno'), message: error.message }
  const wrong =
    (shape.name !== undefined && shape.name !== seen.name) ||
    (shape.code !== undefined && shape.code !== seen.code) ||
    (shape.errno !== undefined && shape.errno !== seen.errno) ||
    (shape.message !== undefined && !shape.message.test(seen.message))
  if (wrong) return fail(`expected an error like ${show(shape)}, got ${show(seen)}\n${error.stack ?? ''}`, seen, shape)
  return error
}

/** Compares two byte strings to their last byte; on a difference prints both side by side, four bytes a line. */
export function bytesEqual(actual: Uint8Array, expected: Uint8Array, what = 'bytes'): void {
  const length = Math.max(actual.length, expected.length)
  let first = -1
  for (let i = 0; i < length && first < 0; i += 1) if (actual[i] !== expected[i]) first = i
  if (first < 0) return
  const head = `${what} differ first at offset ${first} (actual ${actual.length} bytes, expected ${expected.length})`
  const lines = [`${head}:`, '  offset  actual        expected']
  for (let at = 0; at < length; at += 4) {
    const left = dumpLine(actual, at)
    const right = dumpLine(expected, at)
    lines.push(`${left === right ? ' ' : '!'} ${String(at).padStart(6)}  ${left.padEnd(12)}  ${right}`)
  }
  fail(lines.join('\n    '), undefined, undefined)
}

function dumpLine(bytes: Uint8Array, at: number): string {
  const shown = Array.from(bytes.subarray(at, at + 4), byte => byte.toString(16).padStart(2, '0'))
  return shown.length === 0 ? '(end)' : shown.join(' ')
}

function fail(message: string, actual: unknown, expects: unknown): never {
  throw new Assertion({ message, generated: false, operator: 'not like', expects, actual, details: '' })
}

function show(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (part instanceof RegExp ? String(part) : part)) ?? String(value)
}
