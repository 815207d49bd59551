/** One interface's DHCPv6 traffic while an exchange lasts. */
import { sameBytes } from '../../lib/bytes/compare.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { inNamespace } from '../../lib/sys/netns.ts'
import { closePacketSocket, occupyUdpPort, openIpv6PacketSocket } from '../../lib/sys/packet-socket.ts'
import { FramePort } from '../frame-port.ts'
import { DhcpDecodeError } from '../message.ts'
import { askNeighbours } from '../socket.ts'
import { CLIENT_ID, decodeMessage, encodeMessage, type Message, optionOf } from './message.ts'
import { CLIENT_PORT, decodeFrame, encodeFrame } from './udp-frame.ts'

/** What an exchange needs of an interface; in tests a server in memory. */
export interface DhcpSocket6 {
  /** To all servers. @throws SysError when the interface is down or gone */
  readonly send: (message: Message) => void
  /** The next message for this client, undefined when none came until then (`clock()`). Rejects with the signal's reason. */
  readonly receive: (until: number, signal: AbortSignal) => Promise<Message | undefined>
  /** Asks the link for so many milliseconds who has an address. @returns a MAC address, undefined when nobody says so */
  readonly holderOf: (address: IpAddress, milliseconds: number, signal: AbortSignal) => Promise<Uint8Array | undefined>
  readonly close: () => void
}

export interface Place6 {
  readonly index: number
  readonly mac: Uint8Array
  /** The interface's link-local address, at which the kernel answers whoever looks for it. */
  readonly from: IpAddress
  /** Who the messages are for. */
  readonly duid: Uint8Array
}

/**
 * Opens the socket.
 *
 * @param netns descriptor of the namespace
 * @throws SysError ENODEV when the interface is gone
 */
export function openSocket6(netns: number, { index, mac, from, duid }: Place6): DhcpSocket6 {
  const [fd, occupied] = inNamespace(netns, () => [
    openIpv6PacketSocket(index, CLIENT_PORT),
    occupyUdpPort(CLIENT_PORT, 6)
  ])
  const port = new FramePort(fd)
  return {
    send: message => port.send(encodeFrame(mac, from, encodeMessage(message))),
    receive: (until, signal) => port.next(until, signal, frame => messageIn(frame, duid)),
    holderOf: (address, milliseconds, signal) =>
      askNeighbours(netns, { index, mac, address }, { milliseconds, signal }),
    close: () => {
      port.close()
      if (occupied >= 0) closePacketSocket(occupied)
    }
  }
}

/** Whatever is no message to this client is nothing, however it is broken. */
function messageIn(frame: Uint8Array, duid: Uint8Array): Message | undefined {
  try {
    const message = decodeMessage(decodeFrame(frame))
    return sameBytes(optionOf(message.options, CLIENT_ID), duid) ? message : undefined
  } catch (error) {
    if (error instanceof DhcpDecodeError) return undefined
    throw error
  }
}
