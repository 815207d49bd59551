/**
 * A DHCP message on its way: Ethernet, IPv4, UDP around it.
 *
 * @source RFC 791 section 3.1, RFC 768, RFC 1071 (checksum)
 */
import type { IpAddress } from '../lib/ip/address.ts'
import { DhcpDecodeError } from './message.ts'

export const CLIENT_PORT = 68
export const SERVER_PORT = 67
export const BROADCAST_MAC: Uint8Array = new Uint8Array([255, 255, 255, 255, 255, 255])

const ETHERNET_BYTES = 14
const IP_BYTES = 20
const UDP_BYTES = 8
const ETH_P_IP = 0x0800
const UDP = 17
const TIME_TO_LIVE = 64

/** From whom to whom. */
export interface Route {
  readonly fromMac: Uint8Array
  readonly toMac: Uint8Array
  readonly from: IpAddress
  readonly to: IpAddress
}

/** A client's message to a server's port. */
export function encodeFrame(route: Route, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ETHERNET_BYTES + IP_BYTES + UDP_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  bytes.set(route.toMac, 0)
  bytes.set(route.fromMac, 6)
  view.setUint16(12, ETH_P_IP)
  bytes[14] = 0x45
  // Internetwork control, as other clients mark theirs.
  bytes[15] = 0xc0
  view.setUint16(16, IP_BYTES + UDP_BYTES + payload.length)
  // Not to be fragmented on the way.
  view.setUint16(20, 0x4000)
  bytes[22] = TIME_TO_LIVE
  bytes[23] = UDP
  bytes.set(route.from.bytes, 26)
  bytes.set(route.to.bytes, 30)
  view.setUint16(24, checksum(bytes.subarray(ETHERNET_BYTES, ETHERNET_BYTES + IP_BYTES)))
  view.setUint16(34, CLIENT_PORT)
  view.setUint16(36, SERVER_PORT)
  view.setUint16(38, UDP_BYTES + payload.length)
  bytes.set(payload, 42)
  const pseudo = new Uint8Array([...route.from.bytes, ...route.to.bytes, 0, UDP, bytes[38] ?? 0, bytes[39] ?? 0])
  const sum = checksum(Buffer.concat([pseudo, bytes.subarray(34)]))
  // 0 would mean that there is none.
  view.setUint16(40, sum === 0 ? 0xffff : sum)
  return bytes
}

/** What came, and from which MAC: a router's when the server is not on this link. */
export interface Received {
  readonly fromMac: Uint8Array
  readonly from: IpAddress
  readonly payload: Uint8Array
}

/**
 * A datagram to a client's port.
 *
 * UDP's checksum is not looked at: a server on this very host leaves it to a network card that is never reached, and
 * the packet socket sees the frame before. What counts are transaction number and hardware address.
 *
 * @throws {DhcpDecodeError} for anything else
 */
export function decodeFrame(frame: Uint8Array): Received {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  if (frame.length < ETHERNET_BYTES + IP_BYTES + UDP_BYTES) throw new DhcpDecodeError('decode frame: it is too short')
  const header = ((frame[14] ?? 0) & 0x0f) * 4
  const total = view.getUint16(16)
  const isUdp = view.getUint16(12) === ETH_P_IP && (frame[14] ?? 0) >> 4 === 4 && frame[23] === UDP
  if (!isUdp) throw new DhcpDecodeError('decode frame: not UDP over IPv4')
  if (header < IP_BYTES || total < header + UDP_BYTES || frame.length < ETHERNET_BYTES + total) {
    throw new DhcpDecodeError('decode frame: its lengths do not fit')
  }
  if ((view.getUint16(20) & 0x3fff) !== 0) throw new DhcpDecodeError('decode frame: a fragment')
  if (checksum(frame.subarray(ETHERNET_BYTES, ETHERNET_BYTES + header)) !== 0) {
    throw new DhcpDecodeError('decode frame: wrong checksum')
  }
  const udp = ETHERNET_BYTES + header
  const length = view.getUint16(udp + 4)
  if (view.getUint16(udp + 2) !== CLIENT_PORT) throw new DhcpDecodeError('decode frame: not for a DHCP client')
  if (length < UDP_BYTES || header + length > total) throw new DhcpDecodeError('decode frame: its lengths do not fit')
  return {
    fromMac: frame.slice(6, 12),
    from: { family: 4, bytes: frame.slice(26, 30) },
    payload: frame.slice(udp + UDP_BYTES, udp + length)
  }
}

/** The one's complement of the one's complement sum; 0 over bytes that hold their own right one. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}
