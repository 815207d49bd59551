// needs: flock
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LockHolder } from '../testing/lock-holder.ts'
import { assert, suite } from '../testing/suite.ts'
import { holdLock, withLock } from './file-lock.ts'
import { closeDescriptor } from './files.ts'

const test = suite('lib/sys/file-lock')

function inDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'lock-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('a lock that another process holds: EAGAIN after the time, named by its path; free, it is taken', () =>
  inDirectory(directory => {
    const path = join(directory, 'below', 'lock')
    assert.is(
      withLock(path, 0o600, () => 'done'),
      'done'
    )
    const holder = LockHolder.of(path)
    try {
      assert.throws(() => withLock(path, 0o600, () => 'never', 50), /^lock ".*\/below\/lock": EAGAIN \(another process/)
    } finally {
      holder.release()
    }
    assert.is(
      withLock(path, 0o600, () => 'again'),
      'again'
    )
  }))

test('a lock that is held is nobody else’s until it is closed', () =>
  inDirectory(directory => {
    const path = join(directory, 'lock')
    const held = holdLock(path, 0o600, 0)
    assert.throws(() => holdLock(path, 0o600, 0), /EAGAIN/)
    closeDescriptor(held)
    closeDescriptor(holdLock(path, 0o600, 0))
  }))

test('a lock file that others could open is closed to them', () =>
  inDirectory(directory => {
    const path = join(directory, 'lock')
    writeFileSync(path, '')
    chmodSync(path, 0o666)
    withLock(path, 0o600, () => undefined)
    assert.is(statSync(path).mode & 0o777, 0o600)
  }))

test('what the work throws lets go of the lock', () =>
  inDirectory(directory => {
    const path = join(directory, 'lock')
    const fail = (): never => {
      throw new Error('failed')
    }
    assert.throws(() => withLock(path, 0o600, fail), /failed/)
    assert.is(
      withLock(path, 0o600, () => 'done', 0),
      'done'
    )
  }))

test.run()
