/**
 * Sockets that one process hands over to another: datagrams to a unix socket, with descriptors beside them.
 *
 * @source man 7 unix, SCM_RIGHTS
 */
import * as libc from '#libc'
import { SysError } from './errors.ts'
import type { SocketPair } from './loopback-sockets.ts'
import { socketAddress } from './unix-stream.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000

/** A datagram socket of the unix family. @throws {SysError} EMFILE */
export function openDatagrams(object: string): number {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SysError('open socket for', object, libc.errnoName(), '')
  return fd
}

/** Whom sockets are handed over to. */
export class SocketTaker {
  readonly #fd: number
  readonly #object: string

  /** @throws {SysError} ENOENT or ECONNREFUSED when nobody takes any */
  constructor(path: string) {
    this.#object = JSON.stringify(path)
    const address = socketAddress(path)
    this.#fd = openDatagrams(this.#object)
    if (libc.connect(this.#fd, address) >= 0) return
    const errno = libc.errnoName()
    libc.close(this.#fd)
    throw new SysError('connect to', this.#object, errno, '')
  }

  /**
   * Never waits; the sender's own descriptors remain open.
   *
   * @throws {SysError} EAGAIN while too many wait to be taken (net.unix.max_dgram_qlen), ECONNREFUSED
   */
  hand(bytes: Uint8Array, { udp, tcp }: SocketPair): void {
    if (libc.sendDescriptors(this.#fd, bytes, udp, tcp) < 0)
      throw new SysError('hand sockets to', this.#object, libc.errnoName(), '')
  }

  close(): void {
    libc.close(this.#fd)
  }
}
