/** TCP over IPv4 by the C library's own blocking calls: no event loop and no copies but the kernel's. */
import { dlopen, getInt32 } from 'node:ffi'
import { getSystemErrorMap } from 'node:util'

const { functions: c } = dlopen('libc.so.6', {
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
  listen: { arguments: ['i32', 'i32'], return: 'i32' },
  accept4: { arguments: ['i32', 'u64', 'u64', 'i32'], return: 'i32' },
  connect: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  recv: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  shutdown: { arguments: ['i32', 'i32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  sched_setaffinity: { arguments: ['i32', 'u64', 'buffer'], return: 'i32' },
  __errno_location: { arguments: [], return: 'pointer' }
})

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_LINGER = 13
const SO_RCVTIMEO = 20
const SO_SNDTIMEO = 21
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40
const MSG_WAITALL = 0x100
const MSG_NOSIGNAL = 0x4000
const SHUT_WR = 1
const ECONNRESET = 104

/** No path of a test is so slow: whoever waits longer is told so instead of waiting for ever. */
const PATIENCE_SECONDS = 10n

/** What receiveNow returns when nothing has come yet. */
export const WOULD_BLOCK = -1

function lastErrno(): number {
  return getInt32(c.__errno_location())
}

function check(result: number, operation: string): number {
  if (result >= 0) return result
  const errno = lastErrno()
  throw new Error(`${operation}: ${getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`}`)
}

/** struct sockaddr_in */
function socketAddress(address: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_INET, true)
  view.setUint16(2, port)
  bytes.set(address.split('.').map(Number), 4)
  return bytes
}

function open(): number {
  return check(c.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 'socket')
}

function setNumber(fd: number, level: number, option: number, ...values: readonly number[]): void {
  const bytes = new Uint8Array(Int32Array.from(values).buffer)
  check(c.setsockopt(fd, level, option, bytes, bytes.length), `setsockopt ${option}`)
}

function prepare(fd: number): number {
  setNumber(fd, IPPROTO_TCP, TCP_NODELAY, 1)
  const patience = new Uint8Array(BigInt64Array.of(PATIENCE_SECONDS, 0n).buffer)
  check(c.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, patience, patience.length), 'setsockopt SO_RCVTIMEO')
  check(c.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, patience, patience.length), 'setsockopt SO_SNDTIMEO')
  return fd
}

export function listen(address: string, port: number): number {
  const fd = open()
  setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  check(c.bind(fd, socketAddress(address, port), 16), `bind ${address}:${port}`)
  check(c.listen(fd, 16), 'listen')
  return fd
}

export function accept(listener: number): number {
  return prepare(check(c.accept4(listener, 0n, 0n, SOCK_CLOEXEC), 'accept'))
}

export function connect(address: string, port: number): number {
  const fd = prepare(open())
  check(c.connect(fd, socketAddress(address, port), 16), `connect to ${address}:${port}`)
  return fd
}

/** Sends all bytes. */
export function send(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const rest = done === 0 ? bytes : bytes.subarray(done)
    done += check(Number(c.send(fd, rest, BigInt(rest.length), MSG_NOSIGNAL)), 'send')
  }
}

/** A reset is how our connections end. */
function received(count: number): number {
  return count < 0 && lastErrno() === ECONNRESET ? 0 : check(count, 'recv')
}

/**
 * Waits for bytes.
 *
 * @param dropped leave them in the kernel: counted but not copied, as many as there are up to the buffer's size
 * @returns how many, 0 at the end
 */
export function receive(fd: number, bytes: Uint8Array, dropped = false): number {
  const flags = dropped ? MSG_TRUNC : MSG_WAITALL
  return received(Number(c.recv(fd, bytes, BigInt(bytes.length), flags)))
}

/**
 * The error's number is not looked at but for a reset: between the call and the reading of it, work of the engine's own
 * on this thread may have set another, once in millions of calls.
 *
 * @returns how many bytes, 0 at the end, WOULD_BLOCK when none have come
 */
export function receiveNow(fd: number, bytes: Uint8Array): number {
  const count = Number(c.recv(fd, bytes, BigInt(bytes.length), MSG_DONTWAIT))
  if (count >= 0) return count
  return lastErrno() === ECONNRESET ? 0 : WOULD_BLOCK
}

export function shutdownWriting(fd: number): void {
  check(c.shutdown(fd, SHUT_WR), 'shutdown')
}

/** Closes without a trace: no connection waits for stragglers afterwards. */
export function reset(fd: number): void {
  setNumber(fd, SOL_SOCKET, SO_LINGER, 1, 0)
  check(c.close(fd), 'close')
}

/** Keeps this thread on one processor. */
export function pinTo(cpu: number): void {
  const mask = new Uint8Array(128)
  mask[cpu >> 3] = 1 << (cpu & 7)
  check(c.sched_setaffinity(0, BigInt(mask.length), mask), 'sched_setaffinity')
}
