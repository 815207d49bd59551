/**
 * A question to a daemon on this host: one line to a unix socket, one line back, in bounded time.
 *
 * @source man 7 unix, man 7 socket SO_RCVTIMEO, SO_SNDTIMEO
 */
import * as libc from '#libc'
import { SysError } from './errors.ts'

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_SNDTIMEO = 21
const MSG_NOSIGNAL = 0x4000
/** sizeof sun_path, with the NUL */
const PATH_BYTES = 108
const CHUNK = 65_536
/** An answer that does not end is no answer. */
const ANSWER_LIMIT = 16 * 1024 * 1024
const NEWLINE = 10

/**
 * Sends the line and waits for one.
 *
 * @param milliseconds for each step; the daemon's own bound has to be shorter to be heard
 * @returns the answer without its line end
 * @throws {SysError} ENOENT or ECONNREFUSED when no daemon is there, EAGAIN when it takes too long, ECONNRESET when it
 *   went away over the question
 */
export function askDaemon(path: string, line: string, milliseconds: number): string {
  const object = JSON.stringify(path)
  const fd = openSocket(object, milliseconds)
  try {
    if (libc.connect(fd, addressOf(path)) < 0) throw new SysError('connect to', object, libc.errnoName(), '')
    sendAll(fd, object, new TextEncoder().encode(`${line}\n`))
    return receiveLine(fd, object)
  } finally {
    libc.close(fd)
  }
}

function openSocket(object: string, milliseconds: number): number {
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SysError('open socket for', object, libc.errnoName(), '')
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeValue(milliseconds))
  libc.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeValue(milliseconds))
  return fd
}

/** struct timeval of a 64-bit system */
function timeValue(milliseconds: number): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, Math.floor(milliseconds / 1000), true)
  view.setUint32(8, (milliseconds % 1000) * 1000, true)
  return bytes
}

/** struct sockaddr_un */
function addressOf(path: string): Uint8Array {
  const text = new TextEncoder().encode(path)
  if (text.length >= PATH_BYTES) {
    throw new SysError('connect to', JSON.stringify(path), 'ENAMETOOLONG', 'a socket path has 107 bytes at most')
  }
  const address = new Uint8Array(2 + PATH_BYTES)
  new DataView(address.buffer).setUint16(0, AF_UNIX, true)
  address.set(text, 2)
  return address
}

function sendAll(fd: number, object: string, bytes: Uint8Array): void {
  let at = 0
  while (at < bytes.length) {
    const sent = libc.send(fd, bytes.subarray(at), MSG_NOSIGNAL)
    if (sent > 0) at += sent
    else failUnlessInterrupted('send to', object)
  }
}

function receiveLine(fd: number, object: string): string {
  let buffer = new Uint8Array(CHUNK)
  let length = 0
  for (;;) {
    const count = libc.recv(fd, buffer.subarray(length), 0)
    if (count === 0) throw new SysError('receive from', object, 'ECONNRESET', 'it closed the connection')
    if (count < 0) {
      failUnlessInterrupted('receive from', object)
      continue
    }
    length += count
    if (buffer[length - 1] === NEWLINE) return new TextDecoder().decode(buffer.subarray(0, length - 1))
    if (length > ANSWER_LIMIT) throw new SysError('receive from', object, 'EMSGSIZE', 'its answer does not end')
    if (length === buffer.length) {
      const larger = new Uint8Array(2 * length)
      larger.set(buffer, 0)
      buffer = larger
    }
  }
}

function failUnlessInterrupted(operation: string, object: string): void {
  const errno = libc.errnoName()
  if (errno === 'EINTR') return
  throw new SysError(operation, object, errno, errno === 'EAGAIN' ? 'no answer in time' : '')
}
