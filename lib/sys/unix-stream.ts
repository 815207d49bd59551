/**
 * A unix stream socket that stays open for several messages.
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

export class UnixStream {
  readonly #fd: number
  readonly #object: string

  /**
   * Connects.
   *
   * @param milliseconds how long one step may take
   * @throws {SysError} ENOENT or ECONNREFUSED when nobody listens
   */
  constructor(path: string, milliseconds: number) {
    this.#object = JSON.stringify(path)
    const address = socketAddress(path)
    this.#fd = openStream(this.#object, milliseconds)
    if (libc.connect(this.#fd, address) < 0) {
      const errno = libc.errnoName()
      libc.close(this.#fd)
      throw new SysError('connect to', this.#object, errno, '')
    }
  }

  /** @throws {SysError} EPIPE when the other side has closed, EAGAIN when it takes too long */
  send(bytes: Uint8Array): void {
    let offset = 0
    while (offset < bytes.length) {
      const sent = libc.send(this.#fd, bytes.subarray(offset), MSG_NOSIGNAL)
      if (sent >= 0) offset += sent
      else this.#failUnlessInterrupted('send to')
    }
  }

  /**
   * Waits for bytes.
   *
   * @returns at least one
   * @throws {SysError} ECONNRESET when the other side has closed, EAGAIN when it takes too long
   */
  receive(): Uint8Array {
    const buffer = new Uint8Array(CHUNK)
    for (;;) {
      const count = libc.recv(this.#fd, buffer, 0)
      if (count > 0) return buffer.slice(0, count)
      if (count === 0) throw new SysError('receive from', this.#object, 'ECONNRESET', 'it closed the connection')
      this.#failUnlessInterrupted('receive from')
    }
  }

  close(): void {
    libc.close(this.#fd)
  }

  #failUnlessInterrupted(operation: string): void {
    const errno = libc.errnoName()
    if (errno === 'EINTR') return
    throw new SysError(operation, this.#object, errno, errno === 'EAGAIN' ? 'no answer in time' : '')
  }
}

function openStream(object: string, milliseconds: number): number {
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SysError('open socket for', object, libc.errnoName(), '')
  const timeout = new Uint8Array(16)
  const view = new DataView(timeout.buffer)
  view.setUint32(0, Math.floor(milliseconds / 1000), true)
  view.setUint32(8, (milliseconds % 1000) * 1000, true)
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout)
  libc.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeout)
  return fd
}

/**
 * struct sockaddr_un
 *
 * @throws {SysError} ENAMETOOLONG
 */
export function socketAddress(path: string): Uint8Array {
  const name = new TextEncoder().encode(path)
  if (name.length >= PATH_BYTES) {
    throw new SysError('connect to', JSON.stringify(path), 'ENAMETOOLONG', 'a socket path has 107 bytes at most')
  }
  const address = new Uint8Array(2 + name.length + 1)
  address[0] = AF_UNIX
  address.set(name, 2)
  return address
}
