import { assert, suite } from './testing/suite.ts'
import { Undo, UndoError } from './undo.ts'

const test = suite('lib/undo')

test('rollback: newest first, once, and gives the cause back', () => {
  const undo = new Undo()
  const done: string[] = []
  for (const what of ['a', 'b', 'c']) undo.push(what, () => done.push(what))
  const cause = new Error('add link "x": EBUSY')
  assert.is(undo.rollback(cause), cause)
  assert.equal(done, ['c', 'b', 'a'])
  assert.is(undo.rollback(cause), cause)
  assert.equal(done, ['c', 'b', 'a'])
})

test('rollback: a failing step does not stop the rest and is named', () => {
  const undo = new Undo()
  const done: string[] = []
  undo.push('link "a"', () => done.push('a'))
  undo.push('lease "10.0.0.2"', () => {
    throw new Error('EIO')
  })
  undo.push('link "c"', () => done.push('c'))
  const cause = new Error('add route: EINVAL')
  const error = undo.rollback(cause)
  assert.equal(done, ['c', 'a'])
  assert.ok(error instanceof UndoError)
  assert.is(error.message, 'add route: EINVAL; could not undo lease "10.0.0.2" (EIO)')
  assert.is(error instanceof UndoError ? error.reason : undefined, cause)
})

test('clear: what has been done stays', () => {
  const undo = new Undo()
  undo.push('a', () => assert.unreachable('undone after clear'))
  undo.clear()
  undo.rollback(new Error('x'))
})

test.run()
