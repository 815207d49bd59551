import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { CASES } from './cases/all.ts'
import { KEYS } from './keys.ts'
import { CLAUSES } from './main.ts'
import { NOT_JUDGED, PROFILES } from './profiles.ts'

const test = suite('conformance/keys')
const root = join(import.meta.dirname, '..')

/** The keys in the first columns of all tables of fields. */
function documentedKeys(path: string): readonly string[] {
  const keys: string[] = []
  let isFields = false
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line.startsWith('| field |')) isFields = true
    else if (!line.startsWith('|')) isFields = false
    else if (isFields) for (const [, key] of (line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)) keys.push(String(key))
  }
  return [...new Set(keys)]
}

function readmes(): readonly (readonly [string, string])[] {
  return ['plugins', 'ipam'].flatMap(folder =>
    readdirSync(join(root, folder))
      .map(name => [name, join(root, folder, name, 'README.md')] as const)
      .filter(([name, path]) => existsSync(path) && (PROFILES.some(({ type }) => type === name) || name in KEYS))
  )
}

test('every documented key has a clause that judges it, or a reason why none does', () => {
  const found = readmes()
  assert.ok(found.length > 15, 'the README files are found')
  const missing = found.flatMap(([plugin, path]) =>
    documentedKeys(path)
      .filter(key => KEYS[plugin]?.[key] === undefined)
      .map(key => `${plugin}: ${key}`)
  )
  assert.equal(missing, [])
})

test('no key is claimed that is not documented', () => {
  const stale = readmes().flatMap(([plugin, path]) => {
    const keys = documentedKeys(path)
    return Object.keys(KEYS[plugin] ?? {})
      .filter(key => !keys.includes(key))
      .map(key => `${plugin}: ${key}`)
  })
  assert.equal(stale, [])
})

test('the clauses of keys exist and have cases', () => {
  const proved = new Set(CASES.flatMap(({ clauses }) => clauses))
  const ids = Object.values(KEYS).flatMap(keys =>
    Object.values(keys).flatMap(one => (typeof one === 'string' ? [] : one))
  )
  const known = new Set(CLAUSES.map(({ id }) => id))
  assert.equal(
    ids.filter(id => !known.has(id) || !proved.has(id)),
    []
  )
})

test('every plugin of the suite has its keys listed, or is excused', () => {
  const lacking = PROFILES.filter(({ type }) => KEYS[type] === undefined && !NOT_JUDGED.has(type)).map(
    ({ type }) => type
  )
  assert.equal(lacking, [])
})

test.run()
