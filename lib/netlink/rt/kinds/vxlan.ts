/**
 * A VXLAN tunnel end.
 *
 * @source linux/if_link.h enum IFLA_VXLAN_*; types by drivers/net/vxlan/vxlan_core.c vxlan_policy
 */
import type { IpAddress } from '../../../ip/address.ts'
import type { Attribute, Choice, Rows } from '../../rows.ts'

/** The don't-fragment bit of the outer IPv4 header. */
type VxlanDf = 'unset' | 'set' | 'inherit'

export interface VxlanInfo {
  readonly kind: 'vxlan'
  /** The network identifier, 24 bits. */
  readonly id?: number | undefined
  /** Where frames to unknown and group MACs go: a multicast group or one host. */
  readonly group?: IpAddress | undefined
  /** The link below; 0 = by route. */
  readonly parentIndex?: number | undefined
  /** The source of outgoing packets. */
  readonly local?: IpAddress | undefined
  /** 0 = inherit (or 1 to a multicast group) */
  readonly ttl?: number | undefined
  /** 1 = inherit */
  readonly tos?: number | undefined
  readonly learning?: boolean | undefined
  /** s a learned MAC lives */
  readonly ageing?: number | undefined
  /** How many MACs may be learned; 0 = any number. */
  readonly limit?: number | undefined
  readonly sourcePorts?: PortRange | undefined
  /** ARP is answered from the neighbour table. */
  readonly proxy?: boolean | undefined
  readonly routeShortCircuit?: boolean | undefined
  readonly l2miss?: boolean | undefined
  readonly l3miss?: boolean | undefined
  /** UDP, destination and listening */
  readonly port?: number | undefined
  readonly udpChecksum?: boolean | undefined
  readonly udpZeroChecksum6Tx?: boolean | undefined
  readonly udpZeroChecksum6Rx?: boolean | undefined
  /** Group Policy extension. */
  readonly gbp?: boolean | undefined
  /** Tunnel parameters per packet, by route or program (`external`). */
  readonly collectMetadata?: boolean | undefined
  /** The IPv6 flow label, 20 bits. */
  readonly label?: number | undefined
  readonly df?: VxlanDf | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** UDP ports, both ends included. */
interface PortRange {
  readonly low: number
  readonly high: number
}

const DF: readonly Choice[] = [
  { value: 0, name: 'unset' },
  { value: 1, name: 'set' },
  { value: 2, name: 'inherit' }
]

export function vxlanRows(rows: Rows, vxlan: VxlanInfo): VxlanInfo {
  const id = rows.u32(1, 'IFLA_VXLAN_ID', vxlan.id)
  const group4 = rows.addressOf(4, 2, 'IFLA_VXLAN_GROUP', vxlan.group)
  const parentIndex = rows.u32(3, 'IFLA_VXLAN_LINK', vxlan.parentIndex)
  const local4 = rows.addressOf(4, 4, 'IFLA_VXLAN_LOCAL', vxlan.local)
  const ttl = rows.u8(5, 'IFLA_VXLAN_TTL', vxlan.ttl)
  const tos = rows.u8(6, 'IFLA_VXLAN_TOS', vxlan.tos)
  const learning = rows.bool(7, 'IFLA_VXLAN_LEARNING', vxlan.learning)
  const ageing = rows.u32(8, 'IFLA_VXLAN_AGEING', vxlan.ageing)
  const limit = rows.u32(9, 'IFLA_VXLAN_LIMIT', vxlan.limit)
  const sourcePorts = rows.bytes(10, 'IFLA_VXLAN_PORT_RANGE', encodePorts(vxlan.sourcePorts), 4)
  const proxy = rows.bool(11, 'IFLA_VXLAN_PROXY', vxlan.proxy)
  const routeShortCircuit = rows.bool(12, 'IFLA_VXLAN_RSC', vxlan.routeShortCircuit)
  const l2miss = rows.bool(13, 'IFLA_VXLAN_L2MISS', vxlan.l2miss)
  const l3miss = rows.bool(14, 'IFLA_VXLAN_L3MISS', vxlan.l3miss)
  const port = rows.u16be(15, 'IFLA_VXLAN_PORT', vxlan.port)
  const group6 = rows.addressOf(6, 16, 'IFLA_VXLAN_GROUP6', vxlan.group)
  const local6 = rows.addressOf(6, 17, 'IFLA_VXLAN_LOCAL6', vxlan.local)
  return {
    kind: 'vxlan',
    id,
    group: group4 ?? group6,
    parentIndex,
    local: local4 ?? local6,
    ttl,
    tos,
    learning,
    ageing,
    limit,
    sourcePorts: decodePorts(sourcePorts),
    proxy,
    routeShortCircuit,
    l2miss,
    l3miss,
    port,
    udpChecksum: rows.bool(18, 'IFLA_VXLAN_UDP_CSUM', vxlan.udpChecksum),
    udpZeroChecksum6Tx: rows.bool(19, 'IFLA_VXLAN_UDP_ZERO_CSUM6_TX', vxlan.udpZeroChecksum6Tx),
    udpZeroChecksum6Rx: rows.bool(20, 'IFLA_VXLAN_UDP_ZERO_CSUM6_RX', vxlan.udpZeroChecksum6Rx),
    gbp: rows.flag(23, 'IFLA_VXLAN_GBP', vxlan.gbp),
    collectMetadata: rows.bool(25, 'IFLA_VXLAN_COLLECT_METADATA', vxlan.collectMetadata),
    label: rows.u32be(26, 'IFLA_VXLAN_LABEL', vxlan.label),
    df: rows.choiceU8(29, 'IFLA_VXLAN_DF', vxlan.df, DF) as VxlanDf | undefined,
    unknown: rows.unknown(vxlan.unknown)
  }
}

/** struct ifla_vxlan_port_range: two ports in network order */
function encodePorts(ports: PortRange | undefined): Uint8Array | undefined {
  if (ports === undefined) return undefined
  return new Uint8Array([ports.low >> 8, ports.low & 255, ports.high >> 8, ports.high & 255])
}

function decodePorts(bytes: Uint8Array | undefined): PortRange | undefined {
  if (bytes === undefined) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { low: view.getUint16(0, false), high: view.getUint16(2, false) }
}
