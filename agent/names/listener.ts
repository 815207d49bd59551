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
import { createServer, type Server, type Socket as TcpSocket } from 'node:net'
import { parseAddress } from '../../lib/ip/address.ts'
import { RESOLVER } from '../../lib/names/record.ts'
import {
  DNS_PORT,
  type FormerTable,
  formerTable,
  IPPROTO_UDP,
  leadsTo,
  type Ports,
  removeTranslation,
  translate,
  USUAL_PORTS
} from '../../lib/names/translation.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import { errnoOf, messageOf, SysError } from '../../lib/sys/errors.ts'
import { bindPairIn, type SocketPair } from '../../lib/sys/loopback-sockets.ts'
import type { Transport } from './answer.ts'

/** The kernel chooses. */
const ANY: Ports = { udp: 0, tcp: 0 }
/** A container's own: one more closes the one that has been quiet longest (RFC 7766 section 6.2.3). */
const MOST_CONNECTIONS = 32
/** ms without a question on a connection (RFC 7766 section 6.2.3 leaves it to the server). */
const IDLE_MS = 10_000
const LONGEST_QUESTION = 4096
/** Bytes of answers that wait for a container to read them. */
const MOST_UNREAD = 262_144

/** A container to listen in. */
export interface ListenerPlace {
  readonly container: Net
  /** Of the container's namespace. */
  readonly nft: Nft
  /** Descriptors of the sockets that port 53 leads to already, where the plugin has made them. */
  readonly handed: SocketPair | undefined
}

/** An answer, at once or later; undefined says nothing. */
export type Response = Uint8Array | undefined | Promise<Uint8Array | undefined>
type Respond = (question: Buffer, transport: Transport) => Response

export class Listener {
  readonly #udp: UdpSocket
  readonly #tcp: Server
  readonly #connections = new Set<TcpSocket>()
  readonly #respond: Respond
  readonly #ports: Ports
  #isOpen = true

  private constructor({ udp, tcp }: Sockets, respond: Respond) {
    this.#udp = udp
    this.#tcp = tcp
    this.#ports = portsOf({ udp, tcp })
    this.#respond = respond
    udp.on('message', (message, from) => {
      // What a raw socket sends may come from port 0. Nothing can be sent there, and who tries throws.
      if (from.port === 0) return
      // Without a callback nobody hears that it could not be sent: whoever has gone meanwhile gets none.
      const send = (answer: Uint8Array | undefined): void => {
        if (answer !== undefined) udp.send(answer, from.port, from.address)
      }
      const response = this.#respond(message, 'udp')
      // A promise costs a turn of the event loop's queue, and garbage.
      if (response instanceof Promise) void response.then(send)
      else send(response)
    })
    udp.on('error', () => undefined)
    tcp.on('connection', socket => this.#serve(socket))
    tcp.on('error', () => undefined)
  }

  /**
   * Opens the resolver of a container.
   *
   * @param log hears what falls short: port 53 itself where there is no nf_tables
   * @throws {SysError} EADDRINUSE when the container's kernel has no nf_tables and the container its own server at port 53
   * @throws {SysError} EADDRNOTAVAIL while its lo is down: a socket that was bound all the same would answer from
   *   127.0.0.1 when it is up, which nobody has asked
   */
  static open(place: ListenerPlace, respond: Respond, log: (message: string) => void): Listener {
    const { container, nft } = place
    try {
      const { formerPort, ...sockets } = bindTranslated(place)
      const listener = new Listener(sockets, respond)
      // Whoever has asked before can wait for that, a container that is being started need not.
      if (formerPort !== undefined)
        setImmediate(() => (listener.#isOpen ? forgetQuestions(nft, formerPort) : undefined))
      return listener
    } catch (error) {
      // Its lo is down: the address is not there, whatever the port.
      if (errnoOf(error) === 'EADDRNOTAVAIL') throw error
      log(`${JSON.stringify(container.path())}: ${messageOf(error)}; its resolver has port ${DNS_PORT} itself`)
    }
    return new Listener(bindIn(container, { udp: DNS_PORT, tcp: DNS_PORT }), respond)
  }

  /** Whether what the container asks at port 53 comes here: it may have flushed its rules. */
  isReached(nft: Nft): boolean {
    return this.#ports.udp === DNS_PORT || leadsTo(nft, this.#ports)
  }

  /** Closes it; what it put into the container's nf_tables goes too. */
  close(nft: Nft | undefined): void {
    this.#isOpen = false
    this.#udp.close()
    this.#tcp.close()
    for (const socket of this.#connections) socket.destroy()
    if (nft !== undefined) removeTranslation(nft)
  }

  #serve(socket: TcpSocket): void {
    const [quietest] = this.#connections
    if (this.#connections.size >= MOST_CONNECTIONS && quietest !== undefined) {
      this.#connections.delete(quietest)
      quietest.destroy()
    }
    this.#connections.add(socket)
    let bytes = Buffer.alloc(0)
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    socket.on('error', () => undefined)
    socket.on('close', () => this.#connections.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      // The set keeps the order in which connections were heard of last.
      this.#connections.delete(socket)
      if (socket.destroyed) return
      this.#connections.add(socket)
      bytes = Buffer.concat([bytes, chunk])
      for (;;) {
        const length = bytes.length < 2 ? 0 : bytes.readUInt16BE()
        if (length > LONGEST_QUESTION) {
          socket.destroy()
          return
        }
        if (bytes.length < 2 || bytes.length < 2 + length) return
        const question = Buffer.from(bytes.subarray(2, 2 + length))
        bytes = bytes.subarray(2 + length)
        void Promise.resolve(this.#respond(question, 'tcp')).then(answer => write(socket, answer))
      }
    })
  }
}

function write(socket: TcpSocket, answer: Uint8Array | undefined): void {
  if (answer === undefined || socket.destroyed) return
  // It asks and does not read.
  if (socket.writableLength > MOST_UNREAD) {
    socket.destroy()
    return
  }
  const head = Buffer.alloc(2)
  head.writeUInt16BE(answer.length)
  socket.write(Buffer.concat([head, answer]))
}

interface Sockets {
  readonly udp: UdpSocket
  readonly tcp: Server
}

/** Sockets at high ports, to which port 53 leads; `formerPort` where questions have gone by UDP until now, if elsewhere. */
function bindTranslated(place: ListenerPlace): Sockets & { readonly formerPort: number | undefined } {
  const { container, nft, handed } = place
  if (handed !== undefined) return { ...serveAt(handed), formerPort: DNS_PORT }
  // Those of the agent before us, so that programs that ask from one socket for hours go on to be translated to where
  // somebody listens. The container may have taken them meanwhile.
  const former = formerTable(nft)
  const sockets = bindIfFree(container, former?.ports ?? USUAL_PORTS) ?? bindIn(container, ANY)
  try {
    const own = portsOf(sockets)
    translateAnew(nft, own, former)
    const formerPort = former?.ports?.udp ?? DNS_PORT
    return { ...sockets, formerPort: formerPort === own.udp ? undefined : formerPort }
  } catch (error) {
    sockets.udp.close()
    sockets.tcp.close()
    throw error
  }
}

/** The plugin may just have made the rules. */
function translateAnew(nft: Nft, ports: Ports, former: FormerTable | undefined): void {
  try {
    translate(nft, ports, former)
  } catch (error) {
    if (former !== undefined || errnoOf(error) !== 'EEXIST') throw error
    translate(nft, ports, formerTable(nft))
  }
}

function bindIfFree(container: Net, ports: Ports): Sockets | undefined {
  try {
    return bindIn(container, ports)
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') return undefined
    throw error
  }
}

function bindIn(container: Net, ports: Ports): Sockets {
  const address = parseAddress(RESOLVER)?.bytes ?? new Uint8Array(4)
  return serveAt(bindPairIn(container.namespaceFd(), address, ports))
}

function serveAt(sockets: SocketPair): Sockets {
  // Answers go to addresses, which need not be looked up.
  const udp = createSocket({ type: 'udp4', lookup: (address, _options, done) => done(null, address, 4) })
  udp.bind({ fd: sockets.udp })
  const tcp = createServer().on('error', () => undefined)
  tcp.listen({ fd: sockets.tcp })
  if (tcp.listening) return { udp, tcp }
  // Somebody else listens there since.
  udp.close()
  throw new SysError('listen', 'tcp', 'EADDRINUSE', '')
}

function portsOf({ udp, tcp }: Sockets): Ports {
  const address = tcp.address()
  return { udp: udp.address().port, tcp: address !== null && typeof address === 'object' ? address.port : 0 }
}

/**
 * A program that asked before the rules were there, and asks on from the same socket, would be sent where the kernel sent
 * its first question for as long as it asks. What has gone to us already is left alone: its answer would come from a port that nobody
 * has asked.
 */
function forgetQuestions(nft: Nft, replyPort: number): void {
  const address = parseAddress(RESOLVER)
  const [lastPort, replySource] = [undefined, undefined]
  try {
    nft.flushConntrack({ family: 4, protocol: IPPROTO_UDP, port: DNS_PORT, lastPort, address, replySource, replyPort })
  } catch {
    // Other programs are answered all the same.
  }
}
