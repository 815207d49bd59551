/**
 * One interface's DHCP traffic while an exchange lasts: a packet socket in the container's namespace, since the interface
 * has no address yet.
 *
 * The socket cannot be waited for together with Node's own. It is looked into, at first every few milliseconds and then
 * less and less often; between exchanges there is no socket, so a thousand leases that wait cost nothing.
 */
import type { IpAddress } from '../lib/ip/address.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import { inNamespace } from '../lib/sys/netns.ts'
import {
  closePacketSocket,
  occupyUdpPort,
  openPacketSocket,
  receiveFrame,
  sendFrame
} from '../lib/sys/packet-socket.ts'
import { ANY_ADDRESS, DhcpDecodeError, decodeMessage, EVERYBODY, encodeMessage, type Message } from './message.ts'
import { clock, pause } from './time.ts'
import { BROADCAST_MAC, CLIENT_PORT, decodeFrame, encodeFrame } from './udp-frame.ts'

/** Whom a message goes to, and the address it comes from. */
export interface Destination {
  readonly address: IpAddress
  readonly mac: Uint8Array
  readonly from: IpAddress
}

/** Before there is an address. */
export const ALL_SERVERS: Destination = { address: EVERYBODY, mac: BROADCAST_MAC, from: ANY_ADDRESS }

/** A server's message, and the MAC it came from: the server's, or the last router's. */
export interface Reply {
  readonly message: Message
  readonly mac: Uint8Array
}

/** What an exchange needs of an interface; in tests a server in memory. */
export interface DhcpSocket {
  /** Of the interface. */
  readonly mac: Uint8Array
  /** @throws SysError when the interface is down or gone */
  readonly send: (message: Message, to: Destination) => void
  /** The next message for this client, undefined when none came until then (`clock()`). Rejects with the signal's reason. */
  readonly receive: (until: number, signal: AbortSignal) => Promise<Reply | undefined>
  readonly close: () => void
}

const FIRST_LOOK = 2
const RAREST_LOOK = 100

/**
 * Opens the socket.
 *
 * @param netns descriptor of the namespace
 * @throws SysError ENODEV when the interface is gone
 */
export function openSocket(netns: number, index: number, mac: Uint8Array): DhcpSocket {
  const [fd, port] = inNamespace(netns, () => [openPacketSocket(index, CLIENT_PORT), occupyUdpPort(CLIENT_PORT)])
  let sentAt = clock()
  return {
    mac,
    send: (message, to) => {
      sentAt = clock()
      const route = { fromMac: mac, toMac: to.mac, from: to.from, to: to.address }
      sendFrame(fd, encodeFrame(route, encodeMessage(message)))
    },
    receive: async (until, signal) => {
      for (;;) {
        signal.throwIfAborted()
        for (let frame = nextFrame(fd); frame !== undefined; frame = nextFrame(fd)) {
          const reply = replyIn(frame, mac)
          if (reply !== undefined) return reply
        }
        const now = clock()
        if (now >= until) return undefined
        const rest = Math.min(RAREST_LOOK, FIRST_LOOK + (now - sentAt) / 10)
        await pause(Math.min(rest, until - now), signal)
      }
    },
    close: () => {
      closePacketSocket(fd)
      if (port >= 0) closePacketSocket(port)
    }
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

/** Whatever is no answer to this client is nothing, however it is broken. */
function replyIn(frame: Uint8Array, mac: Uint8Array): Reply | undefined {
  try {
    const { payload, fromMac } = decodeFrame(frame)
    const message = decodeMessage(payload)
    return message.isReply && Buffer.compare(message.chaddr, mac) === 0 ? { message, mac: fromMac } : undefined
  } catch (error) {
    if (error instanceof DhcpDecodeError) return undefined
    throw error
  }
}
