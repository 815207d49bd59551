/**
 * The three standard streams of a process that a runtime starts: pipes that may be short, full, or closed on the other
 * side.
 */
import { closeSync, constants, openSync, readSync, realpathSync } from 'node:fs'
import * as libc from '#libc'
import { errnoOf, SysError } from './errors.ts'

/** What one call's configuration fits into with room to spare: every page of a buffer that is filled with zeros is fetched. */
const CHUNK = 8192

/**
 * Puts /dev/null where a runtime has closed one of the three streams, as Node does at its start.
 *
 * Sequence prevented: standard output is closed; the first file or socket that is opened gets descriptor 1; the result is
 * written into it. Opened for reading only, so that a result that nobody can get is still an error.
 */
export function occupyStandardStreams(): void {
  try {
    for (;;) {
      const fd = openSync('/dev/null', constants.O_RDONLY)
      if (fd <= 2) continue
      closeSync(fd)
      return
    }
  } catch {
    return // no /dev/null or no descriptor left: the call itself will say so, if it matters
  }
}

/**
 * Reads standard input to its end, or until `limit` bytes are there.
 * @throws {SysError} when it cannot be read, for instance because it is closed
 */
export function readStdin(limit: number): Uint8Array {
  let buffer = new Uint8Array(CHUNK)
  let length = 0
  while (length < limit) {
    if (length === buffer.length) {
      const larger = new Uint8Array(buffer.length * 2)
      larger.set(buffer, 0)
      buffer = larger
    }
    const count = readSome(buffer, length, Math.min(buffer.length, limit) - length)
    if (count === 0) break
    length += count
  }
  return buffer.subarray(0, length)
}

function readSome(buffer: Uint8Array, offset: number, length: number): number {
  for (;;) {
    try {
      return readSync(0, buffer, offset, length, null)
    } catch (error) {
      const errno = errnoOf(error)
      // A pipe that its other end made non-blocking says EAGAIN while the writer is thinking.
      if (errno !== 'EAGAIN' && errno !== 'EINTR') throw new SysError('read', 'standard input', errno, '')
      libc.usleep(500)
    }
  }
}

/** Whether standard input is a terminal or /dev/null: nobody wrote anything there before we were started. */
export function stdinIsDevice(): boolean {
  try {
    return realpathSync('/proc/self/fd/0').startsWith('/dev/')
  } catch {
    return false // a pipe or a socket has no path
  }
}

/**
 * Writes all of `text` to a descriptor.
 * @throws {SysError} EPIPE when nobody reads any more, ENOSPC, EBADF
 */
export function writeFully(fd: number, text: string): void {
  // Without this, the native engine's process would die of SIGPIPE instead of saying what went wrong.
  libc.ignoreSigpipe()
  const bytes = new TextEncoder().encode(text)
  let at = 0
  while (at < bytes.length) {
    const written = libc.write(fd, at === 0 ? bytes : bytes.subarray(at))
    if (written >= 0) {
      at += written
      continue
    }
    const errno = libc.errnoName()
    if (errno !== 'EAGAIN' && errno !== 'EINTR') throw new SysError('write', streamName(fd), errno, '')
    libc.usleep(500)
  }
}

function streamName(fd: number): string {
  if (fd === 1) return 'standard output'
  return fd === 2 ? 'standard error' : `fd ${String(fd)}`
}

/** Waits. For retries that a person would not notice; nothing of this process runs meanwhile. */
export function sleepMilliseconds(milliseconds: number): void {
  libc.usleep(milliseconds * 1000)
}
