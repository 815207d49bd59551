/** Locks on what is open already. */
import * as libc from '#libc'
import { SysError } from './errors.ts'

const LOCK_EX = 2
const LOCK_UN = 8

/**
 * Runs `work` while no other process that locks the same file runs. The lock goes with the process.
 *
 * @param object what is locked, for the error
 * @throws {SysError} when the file cannot be locked, never for waiting
 * @source man 2 flock
 */
export function withDescriptorLock(fd: number, object: string, work: () => void): void {
  while (libc.flock(fd, LOCK_EX) < 0) {
    const errno = libc.errnoName()
    if (errno !== 'EINTR') throw new SysError('lock', object, errno, '')
  }
  try {
    work()
  } finally {
    libc.flock(fd, LOCK_UN)
  }
}
