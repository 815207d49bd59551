/** Locks between processes, on a file of their own or on what is open already. They go with the process. */
import { constants, openSync } from 'node:fs'
import { dirname } from 'node:path'
import * as libc from '#libc'
import { errnoOf, SysError } from './errors.ts'
import { closeDescriptor, ensureDirectory, fileError } from './files.ts'

const LOCK_EX = 2
const LOCK_UN = 8

/**
 * Runs `work` while this process alone holds the lock file, which is made if missing and stays.
 *
 * @throws {SysError} when the lock file cannot be made, never for waiting: it waits as long as the holder lives
 */
export function withLock<T>(path: string, mode: number, work: () => T): T {
  const fd = openLock(path, mode)
  try {
    return withDescriptorLock(fd, JSON.stringify(path), work)
  } finally {
    closeDescriptor(fd)
  }
}

/**
 * Runs `work` while no other process that locks the same file runs.
 *
 * @param object what is locked, for the error
 * @throws {SysError} when the file cannot be locked, never for waiting
 * @source man 2 flock
 */
export function withDescriptorLock<T>(fd: number, object: string, work: () => T): T {
  while (libc.flock(fd, LOCK_EX) < 0) {
    const errno = libc.errnoName()
    if (errno !== 'EINTR') throw new SysError('lock', object, errno, '')
  }
  try {
    return work()
  } finally {
    libc.flock(fd, LOCK_UN)
  }
}

function openLock(path: string, mode: number): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, mode)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      ensureDirectory(dirname(path), 0o700)
      return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, mode)
    }
    throw fileError('open lock', path, error)
  }
}
