/** What V8 made of a program is used, or refused without harm. */
import { spawnSync } from 'node:child_process'
import { assert, suite } from '../lib/testing/suite.ts'
import { compiled, exportsOf } from './asset.ts'

const test = suite('cli/asset')

let serial = 0

/** A program that was never compiled here before: V8 would not look at a cache of one that was. */
function program(): string {
  serial += 1
  return `(function (exports, require) { exports.path = require('node:path').join('a', '${serial}') })`
}

/** The cache that a Node with these switches writes. */
function cacheOf(text: string, switches: readonly string[] = []): Buffer {
  const writer = `process.stdout.write(new (require('node:vm').Script)(${JSON.stringify(text)}).createCachedData())`
  const child = spawnSync(process.execPath, [...switches, '-e', writer], { env: {} })
  assert.is(child.status, 0, String(child.stderr))
  return child.stdout
}

/** Whatever becomes of the cache, the program runs. */
function isRefused(text: string, cache: Buffer | undefined): boolean | undefined {
  const script = compiled('asset.cjs', text, cache)
  assert.equal(exportsOf(script), { path: `a/${serial}` })
  return script.cachedDataRejected
}

/** Whether a cache is refused that was right before `change`. */
function refusedAfter(change: (cache: Buffer) => Buffer): boolean | undefined {
  const text = program()
  return isRefused(text, change(cacheOf(text)))
}

test('a cache of the same text and switches is used; without one the text is compiled', () => {
  assert.is(
    refusedAfter(cache => cache),
    false
  )
  assert.is(isRefused(program(), undefined), undefined)
})

test('a cache made under other switches, of another text or by another V8, or a torn one, is refused', () => {
  const text = program()
  assert.is(isRefused(text, cacheOf(text, ['--max-lazy'])), true, 'switches')
  const other = program()
  assert.is(isRefused(other, cacheOf(`${other} `)), true, 'text')
  const torn = refusedAfter(cache => Buffer.from(cache.subarray(0, cache.length - 64)))
  assert.is(torn, true, 'torn')
  const otherVersion = refusedAfter(cache => {
    cache.writeUInt32LE((cache.readUInt32LE(4) ^ 1) >>> 0, 4)
    return cache
  })
  assert.is(otherVersion, true, 'version')
  assert.is(
    refusedAfter(() => Buffer.alloc(0)),
    true,
    'empty'
  )
})

test.run()
