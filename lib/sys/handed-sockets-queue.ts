/** The side that sockets are handed over to; on the Node engine alone, where daemons run. */
import * as libc from '#libc'
import { SysError } from './errors.ts'
import { openDatagrams } from './handed-sockets.ts'
import { receiveDescriptors } from './libc.node.ts'
import type { SocketPair } from './loopback-sockets.ts'
import { socketAddress } from './unix-stream.ts'

/** What comes with them is about an attachment: its names have no limit, but those of such a length are asked about otherwise. */
const LONGEST = 4096
/** Nobody but the owner may hand anything over. */
const OWNER_ONLY = 0o177

export interface Handed {
  readonly bytes: Uint8Array
  /** The taker's own; -1 for what did not come. */
  readonly sockets: SocketPair
}

export class HandedSockets {
  readonly #fd: number
  readonly #room = new Uint8Array(LONGEST)

  /** @param path nothing may be there @throws {SysError} EADDRINUSE, ENOENT, ENAMETOOLONG */
  constructor(path: string) {
    const object = JSON.stringify(path)
    const address = socketAddress(path)
    this.#fd = openDatagrams(object)
    const mask = libc.umask(OWNER_ONLY)
    const bound = libc.bind(this.#fd, address)
    const errno = bound < 0 ? libc.errnoName() : ''
    libc.umask(mask)
    if (errno === '') return
    libc.close(this.#fd)
    throw new SysError('bind', object, errno, '')
  }

  /** The next ones, without waiting. */
  take(): Handed | undefined {
    const received = receiveDescriptors(this.#fd, this.#room)
    if (received === undefined) return undefined
    const [udp, tcp] = received.descriptors
    return { bytes: received.bytes, sockets: { udp, tcp } }
  }

  close(): void {
    libc.close(this.#fd)
  }
}
