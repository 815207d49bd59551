/**
 * The C library of the Node engine, through node:ffi of Node 26: no native addon and no compiler.
 *
 * Almost everything goes through syscall(2). Binding a function takes Node 70 us (it looks for a free page near its own code, at
 * every page in turn), and a plugin's call, which needs seventeen of them, takes eight milliseconds.
 */
import { dlopen, getInt32, getRawPointer } from 'node:ffi'
import { constants } from 'node:fs'
import { getSystemErrorMap } from 'node:util'

const { functions: c } = dlopen('libc.so.6', {
  syscall: { arguments: ['i64', 'i64', 'i64', 'i64', 'i64', 'i64'], return: 'i64' },
  // The system calls below these take one argument more than syscall(2) is bound for here.
  send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  recv: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  // Bound before anything fails: looking for a page writes over what it tells.
  __errno_location: { arguments: [], return: 'pointer' }
})

/**
 * Numbers of system calls: [x64, arm64].
 * @source asm/unistd_64.h of x86; asm-generic/unistd.h
 */
export const SYSTEM_CALLS = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  ioctl: [16, 29],
  dup: [32, 23],
  nanosleep: [35, 101],
  socket: [41, 198],
  connect: [42, 203],
  sendmsg: [46, 211],
  recvmsg: [47, 212],
  bind: [49, 200],
  listen: [50, 201],
  setsockopt: [54, 208],
  flock: [73, 32],
  ftruncate: [77, 46],
  getppid: [110, 173],
  fstatfs: [138, 44],
  exit_group: [231, 94],
  openat: [257, 56],
  mkdirat: [258, 34],
  unlinkat: [263, 35],
  unshare: [272, 97],
  utimensat: [280, 88],
  dup3: [292, 24],
  pipe2: [293, 59],
  setns: [308, 268],
  renameat2: [316, 276],
  getrandom: [318, 278],
  memfd_create: [319, 279],
  statx: [332, 291]
} as const

const PROCESSOR = process.arch === 'arm64' ? 1 : 0

type Argument = number | string | Uint8Array

/** The memory that the call under way is given: the kernel knows its address alone, and Node would free it. */
const held: Uint8Array[] = []

/** Calls the kernel. @param args texts are handed over as C has them. @returns -1 on failure; errnoName() says why */
function call(
  name: keyof typeof SYSTEM_CALLS,
  ...args: readonly [Argument?, Argument?, Argument?, Argument?, Argument?]
): number {
  const [a, b, d, e, f] = args
  const number = BigInt(SYSTEM_CALLS[name][PROCESSOR])
  return Number(c.syscall(number, word(a, 0), word(b, 1), word(d, 2), word(e, 3), word(f, 4)))
}

function word(argument: Argument | undefined, place: number): bigint {
  if (argument === undefined) return 0n
  if (typeof argument === 'number') return BigInt(argument)
  const bytes = typeof argument === 'string' ? terminated(argument) : argument
  held[place] = bytes
  return getRawPointer(bytes)
}

/** As C has texts: up to a NUL. */
function terminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}

const MFD_CLOEXEC = 1
/** fcntl.h: paths are those of the working directory. */
const AT_FDCWD = -100
/** fcntl.h: a directory is meant. */
const AT_REMOVEDIR = 0x200
/** linux/fcntl.h: the descriptor itself, with the path ''. */
const AT_EMPTY_PATH = 0x1000
/** asm-generic/fcntl.h */
const O_CLOEXEC = 0o2000000
/** linux/fs.h */
const RENAME_NOREPLACE = 1
/** linux/stat.h: STATX_TYPE, STATX_MODE, STATX_UID, STATX_GID, STATX_INO */
const STATX_MASK = 0x11b

export function socket(domain: number, type: number, protocol: number): number {
  return call('socket', domain, type, protocol)
}
export function bind(fd: number, address: Uint8Array): number {
  return call('bind', fd, address, address.length)
}
export function connect(fd: number, address: Uint8Array): number {
  return call('connect', fd, address, address.length)
}
export function send(fd: number, bytes: Uint8Array, flags: number): number {
  return Number(c.send(fd, bytes, BigInt(bytes.length), flags))
}
export function recv(fd: number, buffer: Uint8Array, flags: number): number {
  return Number(c.recv(fd, buffer, BigInt(buffer.length), flags))
}
export function listen(fd: number, backlog: number): number {
  return call('listen', fd, backlog)
}
export function sendDescriptors(fd: number, bytes: Uint8Array, first: number, second: number): number {
  const control = new Uint8Array(CONTROL_BYTES)
  const view = new DataView(control.buffer)
  view.setUint32(0, CONTROL_BYTES, true)
  view.setInt32(8, SOL_SOCKET, true)
  view.setInt32(12, SCM_RIGHTS, true)
  view.setInt32(16, first, true)
  view.setInt32(20, second, true)
  return call('sendmsg', fd, messageHeader(bytes, control), MSG_DONTWAIT | MSG_NOSIGNAL)
}

/**
 * Receives one datagram and the descriptors beside it, close-on-exec, without waiting.
 *
 * @returns its bytes, and two descriptors, -1 for each that did not come; undefined when there is none
 */
export function receiveDescriptors(fd: number, room: Uint8Array): ReceivedDescriptors | undefined {
  const control = new Uint8Array(CONTROL_BYTES)
  const count = call('recvmsg', fd, messageHeader(room, control), MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
  if (count < 0) return undefined
  const view = new DataView(control.buffer)
  const length = view.getUint32(0, true)
  const [first, second] = [20, 24].map(end => (length < end ? -1 : view.getInt32(end - 4, true)))
  return { bytes: room.slice(0, count), descriptors: [first ?? -1, second ?? -1] }
}

export interface ReceivedDescriptors {
  readonly bytes: Uint8Array
  readonly descriptors: readonly [number, number]
}

/** struct cmsghdr, and two descriptors. @source man 3 cmsg */
const CONTROL_BYTES = 24
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x40000000

/** struct msghdr, with struct iovec behind it. @source man 2 sendmsg */
function messageHeader(bytes: Uint8Array, control: Uint8Array): Uint8Array {
  const header = new BigUint64Array(9)
  const memory = new Uint8Array(header.buffer)
  held[3] = bytes
  held[4] = control
  header[2] = getRawPointer(memory) + 56n
  header[3] = 1n
  header[4] = getRawPointer(control)
  header[5] = BigInt(control.length)
  header[7] = getRawPointer(bytes)
  header[8] = BigInt(bytes.length)
  return memory
}

export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): number {
  return call('setsockopt', fd, level, name, value, value.length)
}
export function close(fd: number): number {
  return call('close', fd)
}
export function setns(fd: number, kind: number): number {
  return call('setns', fd, kind)
}
export function unshare(flags: number): number {
  return call('unshare', flags)
}
export function flock(fd: number, operation: number): number {
  return call('flock', fd, operation)
}
export function fstatfs(fd: number, buffer: Uint8Array): number {
  return call('fstatfs', fd, buffer)
}
export function utimens(path: string, times: Uint8Array): number {
  return call('utimensat', AT_FDCWD, path, times, 0)
}
export function ioctl(fd: number, request: number, argument: Uint8Array): number {
  return call('ioctl', fd, request >>> 0, argument)
}
export function ioctlNumber(fd: number, request: number, argument: number): number {
  return call('ioctl', fd, request >>> 0, argument >>> 0)
}
export function getrandom(buffer: Uint8Array): number {
  return call('getrandom', buffer, buffer.length, 0)
}
export function dup(fd: number): number {
  return call('dup', fd)
}
export function dup2(from: number, to: number): number {
  return from === to ? to : call('dup3', from, to, 0)
}
export function pipe(fds: Uint8Array): number {
  return call('pipe2', fds, 0)
}
export function memfdCreate(): number {
  return call('memfd_create', '', MFD_CLOEXEC)
}
/** Node ignores SIGPIPE from its start. */
export function ignoreSigpipe(): void {}
export function umask(mask: number): number {
  return process.umask(mask)
}
export function usleep(microseconds: number): number {
  const seconds = Math.floor(microseconds / 1e6)
  const time = BigInt64Array.of(BigInt(seconds), BigInt(microseconds - seconds * 1e6) * 1000n)
  return call('nanosleep', new Uint8Array(time.buffer), 0)
}
export function write(fd: number, bytes: Uint8Array): number {
  return call('write', fd, bytes, bytes.length)
}
export function ftruncate(fd: number, length: number): number {
  return call('ftruncate', fd, length)
}
export function renameNew(from: string, to: string): number {
  return call('renameat2', AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)
}
export function statx(path: string, flags: number, buffer: Uint8Array): number {
  return call('statx', AT_FDCWD, path, flags, STATX_MASK, buffer)
}
export function fstatx(fd: number, buffer: Uint8Array): number {
  return call('statx', fd, '', AT_EMPTY_PATH, STATX_MASK, buffer)
}
export function openToRead(path: string): number {
  return call('openat', AT_FDCWD, path, constants.O_RDONLY | constants.O_NONBLOCK | O_CLOEXEC)
}
export function openToWrite(path: string): number {
  return call('openat', AT_FDCWD, path, constants.O_WRONLY | O_CLOEXEC)
}
export function read(fd: number, buffer: Uint8Array): number {
  return call('read', fd, buffer, buffer.length)
}
export function mkdir(path: string, mode: number): number {
  return call('mkdirat', AT_FDCWD, path, mode)
}
export function rmdir(path: string): number {
  return call('unlinkat', AT_FDCWD, path, AT_REMOVEDIR)
}
export function unlink(path: string): number {
  return call('unlinkat', AT_FDCWD, path, 0)
}
export function getppid(): number {
  return call('getppid')
}

/**
 * Ends the process without what Node does at its end, such as waiting for its threads: all that is to be written is written.
 * @public called by what build/plugin-assets.ts makes
 */
export function exitAtOnce(status: number): void {
  call('exit_group', status)
}

export function errnoName(): string {
  const errno = getInt32(c.__errno_location())
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`
}
