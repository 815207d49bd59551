/**
 * The packet that is sent: what address translation leaves as it is tells it apart from all others, wherever it is seen.
 *
 * @source RFC 791, 792, 768, 9293, 8200, 4443; RFC 1071 for the checksum
 */
import { Writer } from '../../lib/bytes/writer.ts'
import type { IpAddress } from '../../lib/ip/address.ts'

export type Protocol = 'icmp' | 'tcp' | 'udp'

export interface Probe {
  readonly protocol: Protocol
  readonly source: IpAddress
  readonly destination: IpAddress
  /** Of ICMP the identifier. */
  readonly sourcePort: number
  /** 0 for ICMP. */
  readonly port: number
  /** 32 bits: the sequence number of TCP, else the first bytes of the data. */
  readonly token: number
  /** The identification of IPv4 (16 bits), the flow label of IPv6 (20 bits): what errors about it quote. */
  readonly id: number
  /** Bytes with the IP header; what is smaller than the headers is as small as they allow. */
  readonly size: number
}

export const PROTOCOL_NUMBERS = { tcp: 6, udp: 17 } as const
export const ICMP = { 4: 1, 6: 58 } as const
export const ECHO_REQUEST = { 4: 8, 6: 128 } as const
export const ECHO_REPLY = { 4: 0, 6: 129 } as const
export const IP_HEADER = { 4: 20, 6: 40 } as const

const DONT_FRAGMENT = 0x4000
const TTL = 64
const SYN = 0x02
const WINDOW = 64_240
const TOKEN_BYTES = 4
const HEADERS: Readonly<Record<Protocol, number>> = { icmp: 8 + TOKEN_BYTES, tcp: 20, udp: 8 + TOKEN_BYTES }

export function protocolNumber({ protocol, source }: Probe): number {
  return protocol === 'icmp' ? ICMP[source.family] : PROTOCOL_NUMBERS[protocol]
}

/** From the IP header on; it must not be fragmented. */
export function buildProbe(probe: Probe): Uint8Array {
  const { source, destination, id } = probe
  const number = protocolNumber(probe)
  const body = bodyOf(probe)
  const writer = new Writer()
  if (source.family === 6) {
    writer
      .u32be(0x60000000 + id)
      .u16be(body.length)
      .u8(number)
      .u8(TTL)
    return writer.bytes(source.bytes).bytes(destination.bytes).bytes(body).finish()
  }
  writer
    .u8(0x45)
    .u8(0)
    .u16be(IP_HEADER[4] + body.length)
  writer.u16be(id).u16be(DONT_FRAGMENT).u8(TTL).u8(number).u16be(0)
  const header = writer.bytes(source.bytes).bytes(destination.bytes).finish()
  setU16(header, 10, checksum([header]))
  return new Writer().bytes(header).bytes(body).finish()
}

function bodyOf(probe: Probe): Uint8Array {
  const { protocol, source, sourcePort, port, token, size } = probe
  const length = Math.max(HEADERS[protocol], size - IP_HEADER[source.family])
  const writer = new Writer()
  switch (protocol) {
    case 'icmp':
      writer.u8(ECHO_REQUEST[source.family]).u8(0).u16be(0).u16be(sourcePort).u16be(1).u32be(token)
      break
    case 'udp':
      writer.u16be(sourcePort).u16be(port).u16be(length).u16be(0).u32be(token)
      break
    case 'tcp':
      writer.u16be(sourcePort).u16be(port).u32be(token).u32be(0).u8(0x50).u8(SYN).u16be(WINDOW).u16be(0).u16be(0)
  }
  const body = writer.zeros(length - writer.length()).finish()
  // RFC 768: a sum of 0 would mean that there is none.
  setU16(body, CHECKSUM_AT[protocol], checksum(covered(probe, body)) || 0xffff)
  return body
}

const CHECKSUM_AT: Readonly<Record<Protocol, number>> = { icmp: 2, tcp: 16, udp: 6 }

/** ICMP of IPv4 alone has no pseudo header. */
function covered(probe: Probe, body: Uint8Array): readonly Uint8Array[] {
  const { protocol, source, destination } = probe
  if (protocol === 'icmp' && source.family === 4) return [body]
  const end = new Writer().u32be(body.length).u32be(protocolNumber(probe)).finish()
  return [source.bytes, destination.bytes, end, body]
}

/** @param parts each of an even length, but the last */
function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += (part[i] ?? 0) * 256 + (part[i + 1] ?? 0)
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return 0xffff - sum
}

function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value & 0xff
}
