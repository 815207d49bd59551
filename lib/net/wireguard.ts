/** `wg`: keys, port and peers of WireGuard's devices. The links themselves are of kind `wireguard` (links.ts). */
import { hex } from '../ip/mac.ts'
import { type Conn, refusal } from '../netlink/conn.ts'
import {
  decodeDevice,
  encodeGetDevice,
  encodeSetDevice,
  type WgDevice,
  type WgPeer,
  WIREGUARD_FAMILY
} from '../netlink/wg/wireguard.ts'
import { NETLINK_GENERIC } from '../sys/netlink-socket.ts'
import { familyNumber } from './generic-family.ts'
import { connectToKernel } from './kernel-net.ts'
import type { Namespace } from './namespace.ts'

export type { WgDevice, WgEndpoint, WgPeer } from '../netlink/wg/wireguard.ts'
export { WGPEER_F_REMOVE_ME, WGPEER_F_REPLACE_ALLOWEDIPS } from '../netlink/wg/wireguard.ts'

/** An attribute has room for 64 KiB, a peer with a few addresses takes 200 bytes. */
const PEERS_AT_ONCE = 200

/** The devices of one namespace. */
export class WireGuard {
  readonly #conn: Conn
  #family = 0

  constructor(netns: Namespace) {
    this.#conn = connectToKernel(NETLINK_GENERIC, netns.namespaceFd())
  }

  /**
   * A device with all of its peers.
   *
   * @throws {KernelError} ENODEV, EOPNOTSUPP for a link of another kind and for a kernel without WireGuard
   */
  get(name: string): WgDevice {
    const object = JSON.stringify(name)
    const type = this.#number('get wireguard device', object)
    const parts = this.#conn.dump('get wireguard device', object, type, encodeGetDevice(name)).map(decodeDevice)
    return joined(parts)
  }

  /**
   * Sets what is given; peers are added, changed or removed one by one, as their flags say.
   *
   * @throws {KernelError} ENODEV, EOPNOTSUPP; EADDRINUSE for a port that is taken
   */
  set(name: string, change: WgDevice): void {
    const operation = 'set wireguard device'
    const object = JSON.stringify(name)
    const type = this.#number(operation, object)
    for (let at = 0; at === 0 || at < change.peers.length; at += PEERS_AT_ONCE) {
      const peers = change.peers.slice(at, at + PEERS_AT_ONCE)
      const payload = encodeSetDevice(at === 0 ? { ...change, name, peers } : { name, peers })
      const answer = this.#conn.attempt({ operation, object, type, flags: 0, payload, answer: 'acknowledgement' })
      if (answer.errno !== '') throw refusal(answer)
    }
  }

  close(): void {
    this.#conn.close()
  }

  #number(operation: string, object: string): number {
    if (this.#family === 0) this.#family = familyNumber(this.#conn, WIREGUARD_FAMILY, operation, object)
    return this.#family
  }
}

/** The messages of a dump as one device; a peer that went on in the next message is one peer. */
function joined(parts: readonly WgDevice[]): WgDevice {
  const peers = new Map<string, WgPeer>()
  for (const peer of parts.flatMap(part => part.peers)) {
    const key = hex(peer.publicKey)
    const before = peers.get(key)
    const allowedIps = [...(before?.allowedIps ?? []), ...peer.allowedIps]
    peers.set(key, { ...(before ?? peer), allowedIps })
  }
  return { ...parts[0], peers: [...peers.values()] }
}
