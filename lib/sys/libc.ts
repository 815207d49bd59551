/**
 * The C library as Patchbay uses it: the calls that `node:fs` does not offer.
 *
 * Two modules implement this interface and `#libc` names the right one: `libc.node.ts` over node:ffi for the
 * Node engine, `libc.native.ts` as compiled-in foreign functions for the native engine. Both return what the C
 * function returns, -1 on failure; `errnoName()` right after a failing call says why. Nothing outside lib/sys
 * calls these: the rest of the code uses the throwing forms in this folder.
 *
 * @source POSIX and the Linux man-pages, section 2, under the function's own name
 */
import type * as native from './libc.native.ts'
import type * as node from './libc.node.ts'

export interface Libc {
  readonly socket: (domain: number, type: number, protocol: number) => number
  readonly bind: (fd: number, address: Uint8Array) => number
  readonly connect: (fd: number, address: Uint8Array) => number
  readonly send: (fd: number, bytes: Uint8Array, flags: number) => number
  /** Fills `buffer` from its start; returns the count, or with MSG_TRUNC the full length of the datagram. */
  readonly recv: (fd: number, buffer: Uint8Array, flags: number) => number
  readonly listen: (fd: number, backlog: number) => number
  /** Sends `bytes` as one datagram with two descriptors beside it (SCM_RIGHTS), without waiting or SIGPIPE. */
  readonly sendDescriptors: (fd: number, bytes: Uint8Array, first: number, second: number) => number
  readonly setsockopt: (fd: number, level: number, name: number, value: Uint8Array) => number
  readonly close: (fd: number) => number
  readonly setns: (fd: number, kind: number) => number
  readonly unshare: (flags: number) => number
  readonly flock: (fd: number, operation: number) => number
  /** Fills `buffer` (at least 120 bytes) with struct statfs. */
  readonly fstatfs: (fd: number, buffer: Uint8Array) => number
  /** `times` is two struct timespec (seconds, nanoseconds as 64-bit little endian): of access, of modification. */
  readonly utimens: (path: string, times: Uint8Array) => number
  readonly ioctl: (fd: number, request: number, argument: Uint8Array) => number
  /** For requests whose argument is a number (32 bits), not a pointer. */
  readonly ioctlNumber: (fd: number, request: number, argument: number) => number
  /** Fills `buffer` with random bytes. */
  readonly getrandom: (buffer: Uint8Array) => number
  readonly dup: (fd: number) => number
  readonly dup2: (from: number, to: number) => number
  /** Fills `fds` (8 bytes) with two descriptors as 32-bit little endian: the end to read from, the end to write to. */
  readonly pipe: (fds: Uint8Array) => number
  /** An anonymous file, close-on-exec. */
  readonly memfdCreate: () => number
  /** Makes a write to a closed pipe fail with EPIPE instead of killing the process. */
  readonly ignoreSigpipe: () => void
  /** Opens a file for reading, close-on-exec; a FIFO without waiting for who writes to it. */
  readonly openToRead: (path: string) => number
  /** Opens a file that is there for writing at its beginning, close-on-exec. */
  readonly openToWrite: (path: string) => number
  /** Fills `buffer` from its start with what stands at the file's offset; returns the count, 0 at the end. */
  readonly read: (fd: number, buffer: Uint8Array) => number
  readonly mkdir: (path: string, mode: number) => number
  readonly rmdir: (path: string) => number
  readonly unlink: (path: string) => number
  /** The parent's process id; 0 when it is in another process namespace. */
  readonly getppid: () => number
  /** Writes `bytes` at the file's offset; returns the count, which may be smaller. */
  readonly write: (fd: number, bytes: Uint8Array) => number
  /** `length` below 2^31. */
  readonly ftruncate: (fd: number, length: number) => number
  /** Renames a file unless the new name is taken: then EEXIST. EINVAL where the file system cannot promise it. */
  readonly renameNew: (from: string, to: string) => number
  /** Fills `buffer` (256 bytes) with struct statx: type, mode, owner, inode. @param flags AT_SYMLINK_NOFOLLOW or 0 */
  readonly statx: (path: string, flags: number, buffer: Uint8Array) => number
  /** The same of an open file. */
  readonly fstatx: (fd: number, buffer: Uint8Array) => number
  readonly umask: (mask: number) => number
  readonly usleep: (microseconds: number) => number
  /** The symbol of the last failing call's errno, such as `EPERM`. */
  readonly errnoName: () => string
}

/** Holds only if both implementations are complete: a missing or differing function is a type error here. */
type Implements<Implementation extends Libc> = Implementation
export type LibcImplementations = [Implements<typeof node>, Implements<typeof native>]
