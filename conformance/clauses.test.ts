import { assert, suite } from '../lib/testing/suite.ts'
import { BEHAVIOUR_CLAUSES } from './behaviour-clauses.ts'
import { CASES } from './cases/all.ts'
import { PROTOCOL_CLAUSES } from './clauses.ts'
import { PROFILES } from './profiles.ts'
import { isFor } from './run-case.ts'

const test = suite('conformance/clauses')
const clauses = [...PROTOCOL_CLAUSES, ...BEHAVIOUR_CLAUSES]

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

test('clauses are sentences', () => {
  for (const { id, text } of clauses) assert.match(text, /^\S.*\.$/, `the text of ${id}`)
})

test.run()
