import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { ALL_CLAUSES } from './all-clauses.ts'
import { CASES } from './cases/all.ts'
import { forceOf } from './clauses/clause.ts'
import { uncovered } from './coverage.ts'
import { PROFILES } from './profiles.ts'
import { isFor } from './run-case.ts'
import { listedLines } from './spec-lines.ts'
import { OTHERS, TEXT_POINTS } from './spec-text.ts'
import type { Version } from './versions.ts'

const test = suite('conformance/clauses')
const clauses = ALL_CLAUSES

test('every clause has a case that judges it', () => {
  const proved = new Set(CASES.flatMap(one => one.clauses))
  assert.equal(
    clauses.map(({ id }) => id).filter(id => !proved.has(id)),
    []
  )
})

test('no case claims a clause that does not exist', () => {
  const known = new Set(clauses.map(({ id }) => id))
  assert.equal(
    CASES.flatMap(one => one.clauses).filter(id => !known.has(id)),
    []
  )
})

test('ids of clauses and of cases are unique', () => {
  assert.is(new Set(clauses.map(({ id }) => id)).size, clauses.length)
  assert.is(new Set(CASES.map(({ id }) => id)).size, CASES.length)
})

test('every case is for at least one plugin that the suite knows', () => {
  assert.equal(
    CASES.filter(one => !PROFILES.some(profile => isFor(one, profile))).map(({ id }) => id),
    []
  )
})

test('ids that were published stay', () => {
  const path = join(import.meta.dirname, 'frozen-ids.json')
  const frozen: { readonly clauses: readonly string[]; readonly cases: readonly string[] } = JSON.parse(
    readFileSync(path, 'utf8')
  )
  const clauseIds = new Set(clauses.map(({ id }) => id))
  const caseIds = new Set(CASES.map(({ id }) => id))
  const gone = [...frozen.clauses.filter(id => !clauseIds.has(id)), ...frozen.cases.filter(id => !caseIds.has(id))]
  assert.equal(gone, [])
})

test('clauses are sentences', () => {
  for (const { id, text } of clauses) assert.match(text, /^\S.*\.$/, `the text of ${id}`)
})

test('every line of the specification that binds a plugin is judged, or excused with a reason', () => {
  assert.equal(
    uncovered().map(({ line, asks }) => `${line}: ${asks}`),
    []
  )
})

test('every line in the lists is known by its words, so that a newer text can be compared', () => {
  const listed = [...TEXT_POINTS.map(({ line }) => line), ...Object.values(OTHERS).flat()]
  assert.equal([...new Set(listed)].sort(), [...listedLines()].sort())
})

test('every clause of the specification cites lines that are in the list of what binds a plugin', () => {
  const listed = new Set(TEXT_POINTS.map(({ line }) => line))
  const fromSpec = clauses.filter(({ source }) => source === 'spec')
  assert.ok(fromSpec.length > 80)
  for (const { id, lines } of fromSpec) {
    assert.ok(lines.length > 0, `${id} cites a line`)
    assert.equal(
      lines.filter(line => !listed.has(line)),
      [],
      id
    )
  }
})

test('force per version, where the text changed', () => {
  const force = (id: string, version: Version) => {
    const clause = clauses.find(one => one.id === id)
    return clause === undefined ? 'no clause' : forceOf(clause, version)
  }
  // 0.4.0, Result: errors must be indicated by the JSON; 1.0.0, Error: plugins should output it.
  assert.equal([force('error.object', '0.4.0'), force('error.object', '1.0.0')], ['MUST', 'SHOULD'])
  // 1.0.0, Parameters: the first text with a form.
  assert.equal(
    [force('env.container-id-form', '0.4.0'), force('env.container-id-form', '1.0.0')],
    [undefined, 'SHOULD']
  )
  // 1.0.0, VERSION Success: the value specified on input.
  assert.equal([force('version.echo', '0.4.0'), force('version.echo', '1.0.0')], [undefined, 'MUST'])
  // 0.4.0, CHECK: should call CHECK on delegated plugins; 1.0.0, Delegated plugin execution procedure: must.
  assert.equal([force('delegate.check', '0.4.0'), force('delegate.check', '1.1.0')], ['SHOULD', 'MUST'])
  // 1.0.0, ADD: the first text that says so.
  assert.equal([force('add.exists', '0.4.0'), force('add.exists', '1.0.0')], [undefined, 'MUST'])
})

test.run()
