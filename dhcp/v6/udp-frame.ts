/**
 * A DHCPv6 message on its way: Ethernet, IPv6, UDP around it. All that a client sends goes to every server and relay of the
 * link; servers have what they send back forwarded to the client's link-local address.
 *
 * @source RFC 8200 section 3, RFC 8415 section 7.1, RFC 2464 section 7 (multicast over Ethernet)
 */
import { Writer } from '../../lib/bytes/writer.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { DhcpDecodeError } from '../message.ts'
import { checksum } from '../udp-frame.ts'

export const CLIENT_PORT = 546
const SERVER_PORT = 547
/** ff02::1:2 */
const ALL_SERVERS: Uint8Array = new Uint8Array([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2])
const ALL_SERVERS_MAC: Uint8Array = new Uint8Array([0x33, 0x33, 0, 1, 0, 2])
const ETHERNET_BYTES = 14
const IPV6_BYTES = 40
const UDP_BYTES = 8
const ETH_P_IPV6 = 0x86dd
const VERSION = 0x60000000
const UDP = 17
/** It stays on the link. */
const HOP_LIMIT = 1

/** A client's message to all servers. @param from the interface's link-local address */
export function encodeFrame(mac: Uint8Array, from: IpAddress, payload: Uint8Array): Uint8Array {
  const length = UDP_BYTES + payload.length
  const udp = new Writer().u16be(CLIENT_PORT).u16be(SERVER_PORT).u16be(length).u16be(0).bytes(payload)
  const pseudo = new Writer().bytes(from.bytes).bytes(ALL_SERVERS).u32be(length).zeros(3).u8(UDP)
  const sum = checksum(pseudo.bytes(udp.finish()).finish())
  // 0 would mean that there is none, which IPv6 does not allow.
  udp.patchU16be(6, sum === 0 ? 0xffff : sum)
  const frame = new Writer().bytes(ALL_SERVERS_MAC).bytes(mac).u16be(ETH_P_IPV6)
  frame.u32be(VERSION).u16be(length).u8(UDP).u8(HOP_LIMIT).bytes(from.bytes).bytes(ALL_SERVERS)
  return frame.bytes(udp.finish()).finish()
}

/**
 * The message in a datagram to a client's port. UDP's checksum is not looked at, for the reason that the IPv4 one is not.
 *
 * @throws {DhcpDecodeError} for anything else
 */
export function decodeFrame(frame: Uint8Array): Uint8Array {
  if (frame.length < ETHERNET_BYTES + IPV6_BYTES + UDP_BYTES) throw new DhcpDecodeError('decode frame: it is too short')
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const isUdp = view.getUint16(12) === ETH_P_IPV6 && view.getUint8(14) >> 4 === 6 && view.getUint8(20) === UDP
  if (!isUdp) throw new DhcpDecodeError('decode frame: not UDP over IPv6')
  const at = ETHERNET_BYTES + IPV6_BYTES
  if (view.getUint16(at + 2) !== CLIENT_PORT) throw new DhcpDecodeError('decode frame: not for a DHCPv6 client')
  const length = view.getUint16(at + 4)
  if (length < UDP_BYTES || length > view.getUint16(18) || frame.length < at + length) {
    throw new DhcpDecodeError('decode frame: its lengths do not fit')
  }
  return frame.slice(at + UDP_BYTES, at + length)
}
