/**
 * The C library of the Node engine, through node:ffi of Node 26: no native addon and no compiler.
 */
import { dlopen, getInt32 } from 'node:ffi'
import { constants } from 'node:fs'
import { getSystemErrorMap } from 'node:util'

const { functions: c } = dlopen('libc.so.6', {
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
  connect: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
  send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  recv: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  setns: { arguments: ['i32', 'i32'], return: 'i32' },
  unshare: { arguments: ['i32'], return: 'i32' },
  flock: { arguments: ['i32', 'i32'], return: 'i32' },
  fstatfs: { arguments: ['i32', 'buffer'], return: 'i32' },
  utimensat: { arguments: ['i32', 'buffer', 'buffer', 'i32'], return: 'i32' },
  ioctl: { arguments: ['i32', 'u64', 'buffer'], return: 'i32' },
  getrandom: { arguments: ['buffer', 'u64', 'u32'], return: 'i64' },
  dup: { arguments: ['i32'], return: 'i32' },
  dup2: { arguments: ['i32', 'i32'], return: 'i32' },
  pipe: { arguments: ['buffer'], return: 'i32' },
  memfd_create: { arguments: ['buffer', 'u32'], return: 'i32' },
  usleep: { arguments: ['u32'], return: 'i32' },
  open: { arguments: ['buffer', 'i32'], return: 'i32' },
  read: { arguments: ['i32', 'buffer', 'u64'], return: 'i64' },
  mkdir: { arguments: ['buffer', 'u32'], return: 'i32' },
  rmdir: { arguments: ['buffer'], return: 'i32' },
  unlink: { arguments: ['buffer'], return: 'i32' },
  getppid: { arguments: [], return: 'i32' },
  write: { arguments: ['i32', 'buffer', 'u64'], return: 'i64' },
  renameat2: { arguments: ['i32', 'buffer', 'i32', 'buffer', 'u32'], return: 'i32' },
  ftruncate: { arguments: ['i32', 'i64'], return: 'i32' },
  statx: { arguments: ['i32', 'buffer', 'i32', 'u32', 'buffer'], return: 'i32' },
  __errno_location: { arguments: [], return: 'pointer' }
})

/** The same function once more, for the requests that take a number where others take a pointer. */
const { functions: variadic } = dlopen('libc.so.6', { ioctl: { arguments: ['i32', 'u64', 'u64'], return: 'i32' } })

const MFD_CLOEXEC = 1
/** fcntl.h: paths are those of the working directory. */
const AT_FDCWD = -100
/** linux/fcntl.h: of the descriptor itself, with the path ''. */
const AT_EMPTY_PATH = 0x1000
/** asm-generic/fcntl.h */
const O_CLOEXEC = 0o2000000
/** linux/fs.h */
const RENAME_NOREPLACE = 1
/** linux/stat.h: STATX_TYPE, STATX_MODE, STATX_UID, STATX_GID, STATX_INO */
const STATX_MASK = 0x11b

export function socket(domain: number, type: number, protocol: number): number {
  return c.socket(domain, type, protocol)
}
export function bind(fd: number, address: Uint8Array): number {
  return c.bind(fd, address, address.length)
}
export function connect(fd: number, address: Uint8Array): number {
  return c.connect(fd, address, address.length)
}
export function send(fd: number, bytes: Uint8Array, flags: number): number {
  return Number(c.send(fd, bytes, BigInt(bytes.length), flags))
}
export function recv(fd: number, buffer: Uint8Array, flags: number): number {
  return Number(c.recv(fd, buffer, BigInt(buffer.length), flags))
}
export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): number {
  return c.setsockopt(fd, level, name, value, value.length)
}
export function close(fd: number): number {
  return c.close(fd)
}
export function setns(fd: number, kind: number): number {
  return c.setns(fd, kind)
}
export function unshare(flags: number): number {
  return c.unshare(flags)
}
export function flock(fd: number, operation: number): number {
  return c.flock(fd, operation)
}
export function fstatfs(fd: number, buffer: Uint8Array): number {
  return c.fstatfs(fd, buffer)
}
export function ioctl(fd: number, request: number, argument: Uint8Array): number {
  return c.ioctl(fd, BigInt(request >>> 0), argument)
}
export function ioctlNumber(fd: number, request: number, argument: number): number {
  return variadic.ioctl(fd, BigInt(request >>> 0), BigInt(argument >>> 0))
}
export function getrandom(buffer: Uint8Array): number {
  return Number(c.getrandom(buffer, BigInt(buffer.length), 0))
}
export function dup(fd: number): number {
  return c.dup(fd)
}
export function dup2(from: number, to: number): number {
  return c.dup2(from, to)
}
export function pipe(fds: Uint8Array): number {
  return c.pipe(fds)
}
export function memfdCreate(): number {
  return c.memfd_create(new Uint8Array(1), MFD_CLOEXEC)
}
/** Node ignores SIGPIPE from its start. */
export function ignoreSigpipe(): void {}
export function umask(mask: number): number {
  return process.umask(mask)
}
export function usleep(microseconds: number): number {
  return c.usleep(microseconds)
}
export function write(fd: number, bytes: Uint8Array): number {
  return Number(c.write(fd, bytes, BigInt(bytes.length)))
}
export function ftruncate(fd: number, length: number): number {
  return c.ftruncate(fd, BigInt(length))
}
export function renameNew(from: string, to: string): number {
  return c.renameat2(AT_FDCWD, terminated(from), AT_FDCWD, terminated(to), RENAME_NOREPLACE)
}
export function statx(path: string, flags: number, buffer: Uint8Array): number {
  return c.statx(AT_FDCWD, terminated(path), flags, STATX_MASK, buffer)
}

export function fstatx(fd: number, buffer: Uint8Array): number {
  return c.statx(fd, terminated(''), AT_EMPTY_PATH, STATX_MASK, buffer)
}
export function utimens(path: string, times: Uint8Array): number {
  return c.utimensat(AT_FDCWD, terminated(path), times, 0)
}
export function openToRead(path: string): number {
  return c.open(terminated(path), constants.O_RDONLY | constants.O_NONBLOCK | O_CLOEXEC)
}
export function openToWrite(path: string): number {
  return c.open(terminated(path), constants.O_WRONLY | O_CLOEXEC)
}
export function read(fd: number, buffer: Uint8Array): number {
  return Number(c.read(fd, buffer, BigInt(buffer.length)))
}
export function mkdir(path: string, mode: number): number {
  return c.mkdir(terminated(path), mode)
}
export function rmdir(path: string): number {
  return c.rmdir(terminated(path))
}
export function unlink(path: string): number {
  return c.unlink(terminated(path))
}
export function getppid(): number {
  return c.getppid()
}

/** As C has texts: up to a NUL. */
function terminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}

export function errnoName(): string {
  const errno = getInt32(c.__errno_location())
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`
}
