/**
 * Whether somebody on the link has an address that a server has given: a host of which the server knows nothing.
 *
 *     who has 192.0.2.7?  tell nobody                ARP, from 0.0.0.0, which no neighbour remembers
 *     who has fd00::7?                               a neighbour solicitation, from ::
 *
 * Whoever answers has it; so has whoever asks the same at this moment.
 *
 * @source RFC 5227 section 2.1.1 (IPv4), RFC 4862 section 5.4 (IPv6)
 */
import { compareBytes, sameBytes } from '../lib/bytes/compare.ts'
import { Writer } from '../lib/bytes/writer.ts'
import type { IpAddress } from '../lib/ip/address.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import type { FramePort } from './frame-port.ts'
import { clock } from './time.ts'
import { BROADCAST_MAC, checksum } from './udp-frame.ts'

/** RFC 5227 has three; a lost one must not make a taken address look free. */
const PROBES = 3
const ETHERNET_BYTES = 14
const ARP_BYTES = 28
const IPV6_BYTES = 40
const NEIGHBOUR_BYTES = 24
const ETH_P_ARP = 0x0806
const ETH_P_IPV6 = 0x86dd
const REQUEST = 1
const ICMPV6 = 58
const SOLICITATION = 135
const ADVERTISEMENT = 136
/** A router would have lowered it: the neighbour is on this link. */
const HOP_LIMIT = 255

/**
 * Asks, and listens for so long.
 *
 * @param mac the asker's
 * @returns the MAC address of who has it; undefined when nobody says so, or nobody could be asked
 */
export async function holderOf(
  port: FramePort,
  mac: Uint8Array,
  address: IpAddress,
  { milliseconds, signal }: { readonly milliseconds: number; readonly signal: AbortSignal }
): Promise<Uint8Array | undefined> {
  const frame = address.family === 4 ? arpProbe(mac, address) : solicitation(mac, address)
  const began = clock()
  for (let sent = 1; sent <= PROBES; sent += 1) {
    if (!trySend(port, frame)) return undefined
    const until = began + (milliseconds * sent) / PROBES
    const holder = await port.next(until, signal, received => {
      const found = holderIn(received, address)
      return sameBytes(found, mac) ? undefined : found
    })
    if (holder !== undefined) return holder
  }
  return undefined
}

/** An interface that is going down is no reason to refuse the address. */
function trySend(port: FramePort, frame: Uint8Array): boolean {
  try {
    port.send(frame)
    return true
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENETDOWN' || errno === 'ENOBUFS' || errno === 'EAGAIN') return false
    throw error
  }
}

export function arpProbe(mac: Uint8Array, address: IpAddress): Uint8Array {
  const frame = new Writer().bytes(BROADCAST_MAC).bytes(mac).u16be(ETH_P_ARP)
  frame.u16be(1).u16be(0x0800).u8(6).u8(4).u16be(REQUEST)
  return frame.bytes(mac).zeros(4).zeros(6).bytes(address.bytes).finish()
}

export function solicitation(mac: Uint8Array, address: IpAddress): Uint8Array {
  const lastBytes = address.bytes.subarray(13)
  const to = new Uint8Array([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...lastBytes])
  const icmp = new Writer().u8(SOLICITATION).u8(0).u16be(0).zeros(4).bytes(address.bytes)
  const pseudo = new Writer().zeros(16).bytes(to).u32be(NEIGHBOUR_BYTES).zeros(3).u8(ICMPV6)
  icmp.patchU16be(2, checksum(pseudo.bytes(icmp.finish()).finish()))
  const frame = new Writer()
    .bytes(new Uint8Array([0x33, 0x33, 0xff, ...lastBytes]))
    .bytes(mac)
    .u16be(ETH_P_IPV6)
  frame.u32be(0x60000000).u16be(NEIGHBOUR_BYTES).u8(ICMPV6).u8(HOP_LIMIT).zeros(16).bytes(to)
  return frame.bytes(icmp.finish()).finish()
}

/** The MAC address of who says in this frame that it has the address, or is about to take it. */
export function holderIn(frame: Uint8Array, address: IpAddress): Uint8Array | undefined {
  return address.family === 4 ? arpHolder(frame, address.bytes) : neighbourHolder(frame, address.bytes)
}

function arpHolder(frame: Uint8Array, wanted: Uint8Array): Uint8Array | undefined {
  if (frame.length < ETHERNET_BYTES + ARP_BYTES) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  if (view.getUint16(12) !== ETH_P_ARP || view.getUint32(14) !== 0x00010800 || view.getUint16(18) !== 0x0604) {
    return undefined
  }
  const sender = frame.subarray(28, 32)
  const isProbe = view.getUint16(20) === REQUEST && sender.every(byte => byte === 0)
  const claimed = isProbe ? frame.subarray(38, 42) : sender
  return compareBytes(claimed, wanted) === 0 ? frame.slice(22, 28) : undefined
}

function neighbourHolder(frame: Uint8Array, wanted: Uint8Array): Uint8Array | undefined {
  if (frame.length < ETHERNET_BYTES + IPV6_BYTES + NEIGHBOUR_BYTES) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  if (view.getUint16(12) !== ETH_P_IPV6 || frame[20] !== ICMPV6 || frame[21] !== HOP_LIMIT) return undefined
  const type = frame[54]
  const isProbe = type === SOLICITATION && frame.subarray(22, 38).every(byte => byte === 0)
  if (type !== ADVERTISEMENT && !isProbe) return undefined
  return compareBytes(frame.subarray(62, 78), wanted) === 0 ? frame.slice(6, 12) : undefined
}
