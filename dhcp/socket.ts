/**
 * One interface's DHCP traffic while an exchange lasts: a packet socket in the container's namespace, since the interface
 * has no address yet.
 */
import type { IpAddress } from '../lib/ip/address.ts'
import { inNamespace } from '../lib/sys/netns.ts'
import { closePacketSocket, occupyUdpPort, openNeighbourSocket, openPacketSocket } from '../lib/sys/packet-socket.ts'
import { holderOf } from './duplicates.ts'
import { FramePort } from './frame-port.ts'
import { ANY_ADDRESS, DhcpDecodeError, decodeMessage, EVERYBODY, encodeMessage, type Message } from './message.ts'
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
  /** Asks the link for so many milliseconds who has an address. @returns a MAC address, undefined when nobody says so */
  readonly holderOf: (address: IpAddress, milliseconds: number, signal: AbortSignal) => Promise<Uint8Array | undefined>
  readonly close: () => void
}

/**
 * Opens the socket.
 *
 * @param netns descriptor of the namespace
 * @throws SysError ENODEV when the interface is gone
 */
export function openSocket(netns: number, index: number, mac: Uint8Array): DhcpSocket {
  const [fd, occupied] = inNamespace(netns, () => [openPacketSocket(index, CLIENT_PORT), occupyUdpPort(CLIENT_PORT)])
  const port = new FramePort(fd)
  return {
    mac,
    send: (message, to) => {
      const route = { fromMac: mac, toMac: to.mac, from: to.from, to: to.address }
      port.send(encodeFrame(route, encodeMessage(message)))
    },
    receive: (until, signal) => port.next(until, signal, frame => replyIn(frame, mac)),
    holderOf: (address, milliseconds, signal) =>
      askNeighbours(netns, { index, mac, address }, { milliseconds, signal }),
    close: () => {
      port.close()
      if (occupied >= 0) closePacketSocket(occupied)
    }
  }
}

/** Opens a socket of its own for it: what a server sends meanwhile is nothing to it. */
export async function askNeighbours(
  netns: number,
  { index, mac, address }: { readonly index: number; readonly mac: Uint8Array; readonly address: IpAddress },
  limits: { readonly milliseconds: number; readonly signal: AbortSignal }
): Promise<Uint8Array | undefined> {
  const port = new FramePort(inNamespace(netns, () => openNeighbourSocket(index)))
  try {
    return await holderOf(port, mac, address, limits)
  } finally {
    port.close()
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
