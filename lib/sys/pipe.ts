/** Pipes of the kernel. Node's own "pipe" between processes is a socket, which cannot be opened by its path. */
import * as libc from '#libc'
import { SysError } from './errors.ts'

/** asm-generic/ioctls.h: close-on-exec. */
const FIOCLEX = 0x5451

/** Two descriptors, close-on-exec, for the caller to close. */
export interface Pipe {
  readonly readEnd: number
  readonly writeEnd: number
}

/**
 * @throws {SysError} EMFILE, ENFILE
 * @source man 2 pipe, man 7 pipe
 */
export function openPipe(): Pipe {
  const fds = new Uint8Array(8)
  if (libc.pipe(fds) < 0) throw new SysError('pipe', '', libc.errnoName(), '')
  const view = new DataView(fds.buffer)
  const pipe = { readEnd: view.getInt32(0, true), writeEnd: view.getInt32(4, true) }
  for (const fd of [pipe.readEnd, pipe.writeEnd]) libc.ioctlNumber(fd, FIOCLEX, 0)
  return pipe
}
