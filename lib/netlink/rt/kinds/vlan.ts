/**
 * A VLAN link: the frames of one 802.1Q tag on the parent link.
 *
 * @source linux/if_link.h enum IFLA_VLAN_*, struct ifla_vlan_flags; types by net/8021q/vlan_netlink.c vlan_policy
 */
import { Reader } from '../../../bytes/reader.ts'
import { Writer } from '../../../bytes/writer.ts'
import type { Attribute, Rows } from '../../rows.ts'

export interface VlanInfo {
  readonly kind: 'vlan'
  /** 0 to 4094 */
  readonly id?: number | undefined
  readonly flags?: VlanFlags | undefined
  /** ETH_P_8021Q 0x8100 or ETH_P_8021AD 0x88a8 */
  readonly protocol?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** VLAN_FLAG_* of linux/if_vlan.h and which of them are meant. */
interface VlanFlags {
  readonly flags: number
  readonly mask: number
}

export function vlanRows(rows: Rows, vlan: VlanInfo): VlanInfo {
  return {
    kind: 'vlan',
    id: rows.u16(1, 'IFLA_VLAN_ID', vlan.id),
    flags: decodeFlags(rows.bytes(2, 'IFLA_VLAN_FLAGS', encodeFlags(vlan.flags), 8)),
    protocol: rows.u16be(5, 'IFLA_VLAN_PROTOCOL', vlan.protocol),
    unknown: rows.unknown(vlan.unknown)
  }
}

function encodeFlags(flags: VlanFlags | undefined): Uint8Array | undefined {
  return flags === undefined ? undefined : new Writer().u32(flags.flags).u32(flags.mask).finish()
}

function decodeFlags(bytes: Uint8Array | undefined): VlanFlags | undefined {
  if (bytes === undefined) return undefined
  const reader = new Reader(bytes, 'ifla_vlan_flags')
  return { flags: reader.u32(), mask: reader.u32() }
}
