/**
 * The resolver of one container: sockets in its own namespace, at 127.0.0.11. No firewall of the host stands between, no
 * gateway is needed, and the socket says who asks.
 *
 *     container: resolver -> 127.0.0.11:53 -- nat of the container's own nf_tables --> 127.0.0.11:41234 (ours)
 *
 * The sockets have high ports, so that a container may run a server of its own at 0.0.0.0:53; where its kernel has no
 * nf_tables, they have port 53 itself.
 */

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { closeSync } from 'node:fs'
import { createServer, type Server, type Socket as TcpSocket } from 'node:net'
import { parseAddress } from '../../lib/ip/address.ts'
import { RESOLVER } from '../../lib/names/record.ts'
import type { Net } from '../../lib/net/net.ts'
import { addressField, concatenate, type Nft, NftBatch, portField, protocolField } from '../../lib/nft/nft.ts'
import { rule, translateFrom } from '../../lib/nft/rule.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { bindLoopback } from '../../lib/sys/loopback-sockets.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import type { Transport } from './answer.ts'

const TABLE = 'patchbay-dns'
const MAP = 'resolver'
/** As NF_IP_PRI_NAT_DST, which nft has no word for in the hook output. */
const PRIORITY = -100
const DNS_PORT = 53
const IPPROTO_UDP = 17
const IPPROTO_TCP = 6
/** A container's own: what it opens beyond is closed at once. */
const MOST_CONNECTIONS = 32
/** ms without a question on a connection (RFC 7766 section 6.2.3 leaves it to the server). */
const IDLE_MS = 10_000
const LONGEST_QUESTION = 4096
/** Bytes of answers that wait for a container to read them. */
const MOST_UNREAD = 262_144

/** Answers a question; undefined says nothing. */
export type Respond = (question: Uint8Array, transport: Transport) => Promise<Uint8Array | undefined>

export class Listener {
  readonly #udp: UdpSocket
  readonly #tcp: Server
  readonly #connections = new Set<TcpSocket>()
  readonly #respond: Respond

  private constructor(udp: UdpSocket, tcp: Server, respond: Respond) {
    this.#udp = udp
    this.#tcp = tcp
    this.#respond = respond
    udp.on('message', (message, from) => {
      void this.#respond(message, 'udp').then(answer => {
        // Whoever has gone meanwhile gets none.
        if (answer !== undefined) udp.send(answer, from.port, from.address, () => undefined)
      })
    })
    udp.on('error', () => undefined)
    tcp.on('connection', socket => this.#serve(socket))
    tcp.on('error', () => undefined)
  }

  /**
   * Opens the resolver of a container.
   *
   * @param nft of the container's namespace
   * @param log hears what falls short: port 53 itself where there is no nf_tables
   * @throws {SysError} EADDRINUSE when the container's kernel has no nf_tables and the container its own server at port 53
   */
  static async open(container: Net, nft: Nft, respond: Respond, log: (message: string) => void): Promise<Listener> {
    const high = await bindIn(container, 0)
    try {
      translate(nft, high.udp.address().port, portOf(high.tcp))
      return new Listener(high.udp, high.tcp, respond)
    } catch (error) {
      high.udp.close()
      high.tcp.close()
      log(`${JSON.stringify(container.path())}: ${messageOf(error)}; its resolver has port ${DNS_PORT} itself`)
    }
    const low = await bindIn(container, DNS_PORT)
    return new Listener(low.udp, low.tcp, respond)
  }

  /** Closes it; what it put into the container's nf_tables goes too. */
  close(nft: Nft | undefined): void {
    this.#udp.close()
    this.#tcp.close()
    for (const socket of this.#connections) socket.destroy()
    if (nft?.findTable('ip', TABLE) === undefined) return
    const batch = new NftBatch()
    batch.removeTable('ip', TABLE)
    nft.commit(batch, undefined)
  }

  #serve(socket: TcpSocket): void {
    if (this.#connections.size >= MOST_CONNECTIONS) {
      socket.destroy()
      return
    }
    this.#connections.add(socket)
    let bytes = Buffer.alloc(0)
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    socket.on('error', () => undefined)
    socket.on('close', () => this.#connections.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      for (;;) {
        const length = bytes.length < 2 ? 0 : bytes.readUInt16BE()
        if (length > LONGEST_QUESTION) socket.destroy()
        if (bytes.length < 2 || bytes.length < 2 + length) return
        const question = Uint8Array.from(bytes.subarray(2, 2 + length))
        bytes = bytes.subarray(2 + length)
        void this.#respond(question, 'tcp').then(answer => {
          if (answer === undefined || socket.destroyed) return
          // It asks and does not read.
          if (socket.writableLength > MOST_UNREAD) {
            socket.destroy()
            return
          }
          const head = Buffer.alloc(2)
          head.writeUInt16BE(answer.length)
          socket.write(Buffer.concat([head, answer]))
        })
      }
    })
  }
}

interface Sockets {
  readonly udp: UdpSocket
  readonly tcp: Server
}

/** Made in the container's namespace by one visit; they stay there when the process has come back. */
async function bindIn(container: Net, port: number): Promise<Sockets> {
  const address = parseAddress(RESOLVER)?.bytes ?? new Uint8Array(4)
  const [udpFd, tcpFd] = inNamespace(container.namespaceFd(), () => {
    const first = bindLoopback('udp', address, port)
    try {
      return [first, bindLoopback('tcp', address, port)] as const
    } catch (error) {
      closeSync(first)
      throw error
    }
  })
  const udp = createSocket('udp4')
  const tcp = createServer()
  await Promise.all([
    new Promise<void>((resolve, reject) => {
      udp.once('error', reject)
      udp.bind({ fd: udpFd }, resolve)
    }),
    new Promise<void>((resolve, reject) => {
      tcp.once('error', reject)
      tcp.listen({ fd: tcpFd }, resolve)
    })
  ])
  return { udp, tcp }
}

function portOf(server: Server): number {
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

/**
 *     table ip patchbay-dns {
 *       map resolver { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
 *                      elements = { 127.0.0.11 . udp . 53 : 127.0.0.11 . 41234, 127.0.0.11 . tcp . 53 : 127.0.0.11 . 35001 } }
 *       chain output { type nat hook output priority -100; dnat ip to ip daddr . meta l4proto . th dport map @resolver }
 *     }
 */
function translate(nft: Nft, udpPort: number, tcpPort: number): void {
  const batch = new NftBatch()
  // What an agent before us has left: made, so that it can be removed, and made anew, in one transaction.
  batch.addTable('ip', TABLE)
  batch.removeTable('ip', TABLE)
  batch.addTable('ip', TABLE)
  const key = ['ipv4_addr', 'inet_proto', 'inet_service'] as const
  batch.addSet('ip', TABLE, { name: MAP, key, data: ['ipv4_addr', 'inet_service'], isInterval: false })
  const address = parseAddress(RESOLVER)
  if (address === undefined) throw new Error(`no address: ${RESOLVER}`)
  const elements = [
    [IPPROTO_UDP, udpPort],
    [IPPROTO_TCP, tcpPort]
  ].map(([protocol = 0, port = 0]) => ({
    key: concatenate([addressField(address), protocolField(protocol), portField(DNS_PORT)]),
    keyEnd: undefined,
    data: concatenate([addressField(address), portField(port)]),
    verdict: undefined,
    comment: ''
  }))
  batch.addElements('ip', TABLE, MAP, elements)
  batch.addChain('ip', TABLE, 'output', { type: 'nat', hook: 'output', priority: PRIORITY, policy: undefined })
  batch.addRule('ip', TABLE, 'output', rule([translateFrom('ip', ['daddr', 'l4proto', 'dport'], MAP, true)]))
  nft.commit(batch, undefined)
}
