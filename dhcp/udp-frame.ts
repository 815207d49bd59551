/**
 * A DHCP message on its way: Ethernet, IPv4, UDP around it.
 *
 * @source RFC 791 section 3.1, RFC 768, RFC 1071 (checksum)
 */
import { Reader } from '../lib/bytes/reader.ts'
import { Writer } from '../lib/bytes/writer.ts'
import type { IpAddress } from '../lib/ip/address.ts'
import { DhcpDecodeError } from './message.ts'

export const CLIENT_PORT = 68
const SERVER_PORT = 67
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
  const udp = new Writer()
    .u16be(CLIENT_PORT)
    .u16be(SERVER_PORT)
    .u16be(UDP_BYTES + payload.length)
    .u16be(0)
  udp.bytes(payload)
  const pseudo = new Writer().bytes(route.from.bytes).bytes(route.to.bytes).u8(0).u8(UDP).u16be(udp.length())
  const sum = checksum(pseudo.bytes(udp.finish()).finish())
  // 0 would mean that there is none.
  udp.patchU16be(6, sum === 0 ? 0xffff : sum)
  // Version and length; then "internetwork control", as other clients mark theirs; not to be fragmented on the way.
  const ip = new Writer()
    .u8(0x45)
    .u8(0xc0)
    .u16be(IP_BYTES + udp.length())
    .u16be(0)
    .u16be(0x4000)
  ip.u8(TIME_TO_LIVE).u8(UDP).u16be(0).bytes(route.from.bytes).bytes(route.to.bytes)
  ip.patchU16be(10, checksum(ip.finish()))
  const frame = new Writer().bytes(route.toMac).bytes(route.fromMac).u16be(ETH_P_IP)
  return frame.bytes(ip.finish()).bytes(udp.finish()).finish()
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
  if (frame.length < ETHERNET_BYTES + IP_BYTES + UDP_BYTES) throw new DhcpDecodeError('decode frame: it is too short')
  const reader = new Reader(frame, 'frame')
  reader.skip(6)
  const fromMac = reader.bytes(6).slice()
  const isIp = reader.u16be() === ETH_P_IP
  const version = reader.u8()
  const header = (version & 0x0f) * 4
  reader.skip(1)
  const total = reader.u16be()
  reader.skip(2)
  const fragment = reader.u16be() & 0x3fff
  reader.skip(1)
  const isUdp = isIp && version >> 4 === 4 && reader.u8() === UDP
  if (!isUdp) throw new DhcpDecodeError('decode frame: not UDP over IPv4')
  if (header < IP_BYTES || total < header + UDP_BYTES || frame.length < ETHERNET_BYTES + total) {
    throw new DhcpDecodeError('decode frame: its lengths do not fit')
  }
  if (fragment !== 0) throw new DhcpDecodeError('decode frame: a fragment')
  if (checksum(frame.subarray(ETHERNET_BYTES, ETHERNET_BYTES + header)) !== 0) {
    throw new DhcpDecodeError('decode frame: wrong checksum')
  }
  reader.skip(2)
  const from: IpAddress = { family: 4, bytes: reader.bytes(4).slice() }
  const udp = new Reader(frame.subarray(ETHERNET_BYTES + header, ETHERNET_BYTES + total), 'UDP')
  udp.skip(2)
  const port = udp.u16be()
  const length = udp.u16be()
  if (port !== CLIENT_PORT) throw new DhcpDecodeError('decode frame: not for a DHCP client')
  if (length < UDP_BYTES || header + length > total) throw new DhcpDecodeError('decode frame: its lengths do not fit')
  udp.skip(2)
  return { fromMac, from, payload: udp.bytes(length - UDP_BYTES).slice() }
}

/** The one's complement of the one's complement sum; 0 over bytes that hold their own right one. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}
