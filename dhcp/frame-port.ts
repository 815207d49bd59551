/**
 * Frames of one interface, as far as a filter of the kernel's lets them through.
 *
 * The socket cannot be waited for together with Node's own. It is looked into, at first every few milliseconds and then
 * less and less often; there is one only while an exchange lasts, so a thousand leases that wait cost nothing.
 */
import { errnoOf } from '../lib/sys/errors.ts'
import { closePacketSocket, receiveFrame, sendFrame } from '../lib/sys/packet-socket.ts'
import { clock, pause } from './time.ts'

const FIRST_LOOK = 2
const RAREST_LOOK = 100

export class FramePort {
  readonly #fd: number
  #sentAt = clock()

  /** @param fd a packet socket, which is this port's from now on */
  constructor(fd: number) {
    this.#fd = fd
  }

  /** @throws SysError when the interface is down or gone */
  send(frame: Uint8Array): void {
    this.#sentAt = clock()
    sendFrame(this.#fd, frame)
  }

  /**
   * The first that `read` makes something of, undefined when none came until then (`clock()`). Rejects with the signal's
   * reason.
   */
  async next<T>(
    until: number,
    signal: AbortSignal,
    read: (frame: Uint8Array) => T | undefined
  ): Promise<T | undefined> {
    for (;;) {
      signal.throwIfAborted()
      for (let frame = nextFrame(this.#fd); frame !== undefined; frame = nextFrame(this.#fd)) {
        const found = read(frame)
        if (found !== undefined) return found
      }
      const now = clock()
      if (now >= until) return undefined
      const rest = Math.min(RAREST_LOOK, FIRST_LOOK + (now - this.#sentAt) / 10)
      await pause(Math.min(rest, until - now), signal)
    }
  }

  close(): void {
    closePacketSocket(this.#fd)
  }
}

/** A link that goes down says so once; it may come back. */
function nextFrame(fd: number): Uint8Array | undefined {
  try {
    return receiveFrame(fd)
  } catch (error) {
    if (errnoOf(error) === 'ENETDOWN') return undefined
    throw error
  }
}
