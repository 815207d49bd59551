/** The same test as recognise.ts in the kernel's two languages: of packet sockets, and of nf_tables. */
import type { Expression } from '../../lib/netlink/nf/expression.ts'
import { NFT_CMP_EQ } from '../../lib/netlink/nf/expressions/cmp.ts'
import { NFT_META_L4PROTO, NFT_META_NFTRACE, NFT_META_PROTOCOL } from '../../lib/netlink/nf/expressions/meta.ts'
import { NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER } from '../../lib/netlink/nf/expressions/payload.ts'
import { NFT_REG_1 } from '../../lib/netlink/nf/nf-tables.ts'
import {
  AND,
  type Filter,
  JUMP_IF_EQUAL,
  LOAD_BYTE,
  LOAD_HALF,
  LOAD_HALF_BEHIND_HEADER,
  LOAD_HEADER_LENGTH,
  LOAD_WORD,
  LOAD_WORD_BEHIND_HEADER,
  RETURN
} from '../../lib/sys/packet-filter.ts'
import { ICMP, IP_HEADER, type Probe, protocolNumber } from './probe.ts'

/** Bytes behind the IP header that have this value. */
interface Field {
  readonly protocol: number
  readonly at: number
  readonly length: 2 | 4
  /** The bits that count; all when absent. */
  readonly mask?: number
  readonly value: number
}

const ALL = 0xffffffff
const FLOW_LABEL = 0xfffff
const LARGEST_PACKET = 65_536

/** Any of them: the probe, its answer, an error about it. */
function fieldsOf(probe: Probe): readonly Field[] {
  const { family } = probe.source
  const protocol = protocolNumber(probe)
  const quoted: Field =
    family === 4
      ? { protocol: ICMP[4], at: 12, length: 2, value: probe.id }
      : { protocol: ICMP[6], at: 8, length: 4, mask: FLOW_LABEL, value: probe.id }
  switch (probe.protocol) {
    case 'icmp':
      return [{ protocol, at: 8, length: 4, value: probe.token }, quoted]
    case 'tcp':
      return [
        { protocol, at: 4, length: 4, value: probe.token },
        { protocol, at: 8, length: 4, value: (probe.token + 1) >>> 0 },
        quoted
      ]
    case 'udp':
      return [
        { protocol, at: 2, length: 2, value: probe.sourcePort },
        { protocol, at: 8, length: 4, value: probe.token },
        quoted
      ]
  }
}

/** Lets through more than it must where packets are odd: what comes is recognised once more. */
export function captureFilter(probe: Probe): Filter {
  const { family } = probe.source
  const lines: (readonly [number, number, number, number])[] = [
    [LOAD_BYTE, 0, 0, 0],
    [AND, 0, 0, 0xf0],
    [JUMP_IF_EQUAL, 1, 0, family << 4],
    [RETURN, 0, 0, 0]
  ]
  for (const field of fieldsOf(probe)) {
    const load = loadOf(family, field)
    lines.push([LOAD_BYTE, 0, 0, family === 4 ? 9 : 6])
    lines.push([JUMP_IF_EQUAL, 0, load.length + 2, field.protocol], ...load)
    lines.push([JUMP_IF_EQUAL, 0, 1, field.value], [RETURN, 0, 0, LARGEST_PACKET])
  }
  return [...lines, [RETURN, 0, 0, 0]]
}

function loadOf(family: 4 | 6, { at, length, mask }: Field): Filter {
  const isWord = length === 4
  const masked: Filter = mask === undefined ? [] : [[AND, 0, 0, mask]]
  if (family === 6) return [[isWord ? LOAD_WORD : LOAD_HALF, 0, 0, IP_HEADER[6] + at], ...masked]
  const load = isWord ? LOAD_WORD_BEHIND_HEADER : LOAD_HALF_BEHIND_HEADER
  return [[LOAD_HEADER_LENGTH, 0, 0, 0], [load, 0, 0, at], ...masked]
}

/** `meta l4proto tcp @th,32,32 0x12345678 meta nftrace set 1`, a rule for each of them. */
export function traceRules(probe: Probe): readonly (readonly Expression[])[] {
  return fieldsOf(probe).map(({ protocol, at, length, mask, value }) => [
    load(NFT_META_L4PROTO),
    equals(new Uint8Array([protocol])),
    { kind: 'payload', register: NFT_REG_1, base: NFT_PAYLOAD_TRANSPORT_HEADER, offset: at, length },
    ...((mask ?? ALL) === ALL
      ? []
      : [{ kind: 'bitwise', register: NFT_REG_1, mask: bytesOf(mask ?? ALL, 4), xor: bytesOf(0, 4) } as const]),
    equals(bytesOf(value, length)),
    ...SET_NFTRACE
  ])
}

/**
 * `ether type arp arp daddr ip 10.0.0.2 meta nftrace set 1`; of IPv6 neighbour discovery. For tables of family bridge: a rule
 * that drops the question for a neighbour drops everything.
 */
export function questionRules({ source, destination }: Probe): readonly (readonly Expression[])[] {
  const places = source.family === 4 ? [ARP_SENDER, ARP_TARGET] : [DISCOVERY_TARGET]
  const base = source.family === 4 ? NFT_PAYLOAD_NETWORK_HEADER : NFT_PAYLOAD_TRANSPORT_HEADER
  const kind: readonly Expression[] =
    source.family === 4
      ? [load(NFT_META_PROTOCOL), equals(bytesOf(ETH_P_ARP, 2))]
      : [load(NFT_META_L4PROTO), equals(new Uint8Array([ICMP[6]]))]
  return [source, destination].flatMap(({ bytes }) =>
    places.map(offset => [
      ...kind,
      { kind: 'payload', register: NFT_REG_1, base, offset, length: bytes.length } as const,
      equals(bytes),
      ...SET_NFTRACE
    ])
  )
}

const ETH_P_ARP = 0x0806
const [ARP_SENDER, ARP_TARGET] = [14, 24]
const DISCOVERY_TARGET = 8
const SET_NFTRACE: readonly Expression[] = [
  { kind: 'immediate', register: NFT_REG_1, value: new Uint8Array([1]), verdict: undefined },
  { kind: 'meta', key: NFT_META_NFTRACE, register: NFT_REG_1, isStore: true }
]

function load(key: number): Expression {
  return { kind: 'meta', key, register: NFT_REG_1, isStore: false }
}

function equals(value: Uint8Array): Expression {
  return { kind: 'cmp', register: NFT_REG_1, operator: NFT_CMP_EQ, value }
}

function bytesOf(value: number, length: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, false)
  return bytes.slice(4 - length)
}
