/** The plugin's side of a handover (see handover.ts): the sockets of a container's resolver, for the agent to answer at. */
import { existsSync } from 'node:fs'
import { parseAddress } from '../ip/address.ts'
import { SysError } from '../sys/errors.ts'
import { SocketTaker } from '../sys/handed-sockets.ts'
import { bindPairIn, closePair, listenOn, type SocketPair } from '../sys/loopback-sockets.ts'
import { type HandedOver, handoverPath, handoverToBytes, waitingDirectory } from './handover.ts'
import { RESOLVER } from './record.ts'
import { USUAL_PORTS } from './translation.ts'

export type { SocketTaker } from '../sys/handed-sockets.ts'

/** @returns undefined where the agent has to be asked: there is none, it is an older one, or more than a resolver is needed */
export function findTaker(stateDir: string, network: string): SocketTaker | undefined {
  if (existsSync(`${waitingDirectory(stateDir)}/${network}`)) return undefined
  try {
    return new SocketTaker(handoverPath(stateDir))
  } catch (error) {
    if (error instanceof SysError) return undefined
    throw error
  }
}

export class ResolverSockets {
  readonly #pair: SocketPair

  /**
   * Listens in a namespace at 127.0.0.11, at the usual ports.
   *
   * @throws {SysError} EADDRINUSE when somebody has one of them, EADDRNOTAVAIL while `lo` is down
   */
  constructor(namespaceFd: number) {
    const address = parseAddress(RESOLVER)
    if (address === undefined) throw new Error(`no address: ${RESOLVER}`)
    this.#pair = bindPairIn(namespaceFd, address.bytes, USUAL_PORTS)
    try {
      listenOn(this.#pair.tcp)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** @throws {SysError} EAGAIN while too many others wait to be taken */
  handTo(taker: SocketTaker, about: HandedOver): void {
    taker.hand(handoverToBytes(about), this.#pair)
  }

  /** Whoever they were handed to has them still. */
  close(): void {
    closePair(this.#pair)
  }
}
