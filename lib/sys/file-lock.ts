/**
 * Locks between processes, on files that only root (or whoever runs the plugin) can open. They go with the process.
 *
 * Never on what others can open too, such as a namespace: `flock(open("/proc/self/ns/net"), LOCK_SH)` needs no right at
 * all, and an ADD that wants the same file for itself waits for as long as anybody likes.
 */
import { constants, fchmodSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import * as libc from '#libc'
import { errnoOf, SysError } from './errors.ts'
import { openFileStatus } from './file-status.ts'
import { closeDescriptor, ensureDirectory, fileError } from './files.ts'

/** Where the locks are that hold whatever `stateDir` a network has: of the host's tables, and of namespaces. */
export const LOCK_DIRECTORY = '/run/patchbay/.locks'

/**
 * How long to wait for a holder that is alive, in milliseconds. The longest that one holds a lock on purpose is what
 * iptables waits for another iptables, 30 s.
 */
const PATIENCE_MS = 60_000
/** Between two looks, in microseconds: so much more each time, and never longer than that. A plugin holds a lock for half a millisecond. */
const NAP_US = 100
const LONGEST_NAP_US = 10_000

/** sys/stat.h: all of a mode but S_IFMT. */
const PERMISSIONS = 0o7777
const LOCK_EX = 2
const LOCK_NB = 4
const LOCK_UN = 8

/**
 * Runs `work` while this process alone holds the lock file, which is made if missing and stays.
 *
 * @param mode of the file; what is there and open to more is closed to it
 * @param patience milliseconds
 * @throws {SysError} EAGAIN when another process holds it for longer than `patience`; else when it cannot be made, or
 *   belongs to somebody else
 */
export function withLock<T>(path: string, mode: number, work: () => T, patience = PATIENCE_MS): T {
  const fd = openLock(path, mode)
  try {
    acquire(fd, path, patience)
    try {
      return work()
    } finally {
      libc.flock(fd, LOCK_UN)
    }
  } finally {
    closeDescriptor(fd)
  }
}

/**
 * Takes the lock for as long as this process lives, or until it is closed; programs that it starts do not have it.
 *
 * @returns the file's descriptor
 * @throws as `withLock`
 */
export function holdLock(path: string, mode: number, patience: number): number {
  const fd = openLock(path, mode)
  try {
    acquire(fd, path, patience)
    return fd
  } catch (error) {
    closeDescriptor(fd)
    throw error
  }
}

/**
 * Takes the lock. It looks again and again, for a wait in flock(2) itself has no end.
 *
 * @source man 2 flock
 */
function acquire(fd: number, path: string, patience: number): void {
  const deadline = Date.now() + patience
  for (let nap = NAP_US; libc.flock(fd, LOCK_EX | LOCK_NB) < 0; nap = Math.min(nap + NAP_US, LONGEST_NAP_US)) {
    const errno = libc.errnoName()
    if (errno !== 'EINTR' && errno !== 'EAGAIN' && errno !== 'EWOULDBLOCK') {
      throw new SysError('lock', JSON.stringify(path), errno, '')
    }
    if (Date.now() >= deadline) {
      const seconds = String(Math.round(patience / 1000))
      throw new SysError('lock', JSON.stringify(path), 'EAGAIN', `another process has held it for ${seconds} s`)
    }
    libc.usleep(nap)
  }
}

function openLock(path: string, mode: number): number {
  try {
    return closedToOthers(openFile(path, mode), mode)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      ensureDirectory(dirname(path), 0o700)
      return closedToOthers(openFile(path, mode), mode)
    }
    throw fileError('open lock', path, error)
  }
}

/** O_NONBLOCK: a FIFO in the file's place is locked like any other file instead of being waited for. */
function openFile(path: string, mode: number): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode)
}

/** Somebody else may have made it, with a mode that lets others hold it. Looked at first, since a change is a write to the disk. */
function closedToOthers(fd: number, mode: number): number {
  try {
    const status = openFileStatus(fd)
    if (status === undefined || (status.mode & PERMISSIONS) !== mode) fchmodSync(fd, mode)
    return fd
  } catch (error) {
    closeDescriptor(fd)
    throw error
  }
}
