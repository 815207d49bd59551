/** Tells the probe, its answer, and errors about it from everything else, whatever was translated on the way. */
import type { IpAddress } from '../../lib/ip/address.ts'
import { ECHO_REPLY, ECHO_REQUEST, ICMP, IP_HEADER, PROTOCOL_NUMBERS, type Probe } from './probe.ts'

/** An error of ICMP or ICMPv6, and the MTU that it tells (0 for none). */
export interface IcmpError {
  readonly type: number
  readonly code: number
  readonly mtu: number
}

/**
 * What a packet is to the probe: itself, what its target says to it, what somebody on the way says about it; a question for a
 * neighbour at one of its ends (ARP, neighbour discovery), or the answer to it.
 */
export interface Recognised {
  readonly role: 'request' | 'answer' | 'error' | 'question'
  readonly source: IpAddress
  readonly destination: IpAddress
  /** 0 for ICMP. */
  readonly sourcePort: number
  readonly destinationPort: number
  readonly ttl: number
  /** Of an answer by TCP. */
  readonly isReset: boolean
  readonly error: IcmpError | undefined
}

/** Bytes that may end early: trace events hold the beginning of a packet. */
class Bytes {
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get length(): number {
    return this.#view.byteLength
  }

  u8(at: number): number {
    return at + 1 <= this.length ? this.#view.getUint8(at) : -1
  }

  u16(at: number): number {
    return at + 2 <= this.length ? this.#view.getUint16(at, false) : -1
  }

  u32(at: number): number {
    return at + 4 <= this.length ? this.#view.getUint32(at, false) : -1
  }
}

/**
 * @param packet from the IP header on; the first bytes behind the headers are enough
 * @returns undefined for what has nothing to do with the probe
 */
export function recognise(probe: Probe, packet: Uint8Array): Recognised | undefined {
  const { family } = probe.source
  const ip = new Bytes(packet)
  if (ip.u32(0) === ETHERNET_IPV4)
    return isArpAbout(probe, packet) ? { ...QUESTION, source: probe.source, destination: probe.destination } : undefined
  if (ip.u8(0) >> 4 !== family || packet.length < IP_HEADER[family]) return undefined
  const start = family === 4 ? (ip.u8(0) & 0x0f) * 4 : IP_HEADER[6]
  const width = family === 4 ? 4 : 16
  const first = family === 4 ? 12 : 8
  const body = new Bytes(packet.subarray(start))
  const common = {
    source: { family, bytes: packet.slice(first, first + width) },
    destination: { family, bytes: packet.slice(first + width, first + 2 * width) },
    ttl: family === 4 ? ip.u8(8) : ip.u8(7),
    sourcePort: 0,
    destinationPort: 0,
    isReset: false,
    error: undefined
  }
  const protocol = family === 4 ? ip.u8(9) : ip.u8(6)
  if (protocol === ICMP[family]) {
    const isNeighbours = [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT].includes(body.u8(0)) && family === 6
    const target = packet.subarray(start + 8)
    if (isNeighbours)
      return [probe.source, probe.destination].some(one => startsSo(target, one.bytes))
        ? { ...common, role: 'question' }
        : undefined
    const seen = recogniseIcmp(probe, body)
    return seen === undefined ? undefined : { ...common, ...seen }
  }
  if (probe.protocol === 'icmp' || protocol !== PROTOCOL_NUMBERS[probe.protocol]) return undefined
  const role = probe.protocol === 'tcp' ? roleOfTcp(probe, body) : roleOfUdp(probe, body)
  if (role === undefined) return undefined
  const isReset = probe.protocol === 'tcp' && (body.u8(13) & 0x04) !== 0
  return { ...common, role, sourcePort: body.u16(0), destinationPort: body.u16(2), isReset }
}

/** Of ARP: hardware Ethernet, protocol IPv4. */
const ETHERNET_IPV4 = 0x00010800
const [ARP_SENDER, ARP_TARGET] = [14, 24]
const NEIGHBOUR_SOLICITATION = 135
const NEIGHBOUR_ADVERTISEMENT = 136
const QUESTION = {
  role: 'question',
  sourcePort: 0,
  destinationPort: 0,
  ttl: 0,
  isReset: false,
  error: undefined
} as const

function isArpAbout({ source, destination }: Probe, arp: Uint8Array): boolean {
  return [source, destination].some(({ bytes }) =>
    [ARP_SENDER, ARP_TARGET].some(at => startsSo(arp.subarray(at), bytes))
  )
}

/** Of what is there: a trace holds only the beginning. */
function startsSo(seen: Uint8Array, wanted: Uint8Array): boolean {
  const length = Math.min(seen.length, wanted.length)
  return length >= 4 && wanted.subarray(0, length).every((byte, at) => seen[at] === byte)
}

function roleOfTcp(probe: Probe, tcp: Bytes): Recognised['role'] | undefined {
  const isAcknowledging = (tcp.u8(13) & 0x10) !== 0
  if (!isAcknowledging && tcp.u32(4) === probe.token) return 'request'
  return isAcknowledging && tcp.u32(8) === (probe.token + 1) >>> 0 ? 'answer' : undefined
}

/** An echo service sends the token back: so who it is sent to is looked at first. */
function roleOfUdp(probe: Probe, udp: Bytes): Recognised['role'] | undefined {
  if (udp.u16(2) === probe.sourcePort) return 'answer'
  return udp.u32(8) === probe.token ? 'request' : undefined
}

type OfIcmp = Pick<Recognised, 'role' | 'error'>

function recogniseIcmp(probe: Probe, icmp: Bytes): OfIcmp | undefined {
  const { family } = probe.source
  const [type, code] = [icmp.u8(0), icmp.u8(1)]
  if (type === ECHO_REQUEST[family] || type === ECHO_REPLY[family]) {
    if (probe.protocol !== 'icmp' || icmp.u32(8) !== probe.token) return undefined
    return { role: type === ECHO_REQUEST[family] ? 'request' : 'answer', error: undefined }
  }
  if (!isAbout(probe, icmp)) return undefined
  const mtu = family === 4 ? (type === 3 && code === 4 ? icmp.u16(6) : 0) : type === 2 ? icmp.u32(4) : 0
  return { role: 'error', error: { type, code, mtu } }
}

/** It quotes the packet that it is about, behind its eight bytes. */
function isAbout(probe: Probe, icmp: Bytes): boolean {
  if (probe.source.family === 4) return icmp.u8(8) >> 4 === 4 && icmp.u16(12) === probe.id
  return icmp.u8(8) >> 4 === 6 && (icmp.u32(8) & 0xfffff) === probe.id
}
