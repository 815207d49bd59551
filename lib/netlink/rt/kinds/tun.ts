/**
 * A tun or tap link. The kernel reports these attributes; making one goes by ioctl TUNSETIFF.
 *
 * @source linux/if_link.h enum IFLA_TUN_*; types by drivers/net/tun.c tun_fill_info
 */
import type { Attribute, Choice, Rows } from '../../rows.ts'

export interface TunInfo {
  readonly kind: 'tun'
  /** user id */
  readonly owner?: number | undefined
  /** group id */
  readonly group?: number | undefined
  readonly type?: 'tun' | 'tap' | undefined
  readonly packetInfo?: boolean | undefined
  readonly vnetHeader?: boolean | undefined
  readonly persist?: boolean | undefined
  readonly multiQueue?: boolean | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** linux/if_tun.h IFF_TUN, IFF_TAP */
const TYPES: readonly Choice[] = [
  { value: 1, name: 'tun' },
  { value: 2, name: 'tap' }
]

export function tunRows(rows: Rows, tun: TunInfo): TunInfo {
  return {
    kind: 'tun',
    owner: rows.u32(1, 'IFLA_TUN_OWNER', tun.owner),
    group: rows.u32(2, 'IFLA_TUN_GROUP', tun.group),
    type: rows.choiceU8(3, 'IFLA_TUN_TYPE', tun.type, TYPES) as 'tun' | 'tap' | undefined,
    packetInfo: rows.bool(4, 'IFLA_TUN_PI', tun.packetInfo),
    vnetHeader: rows.bool(5, 'IFLA_TUN_VNET_HDR', tun.vnetHeader),
    persist: rows.bool(6, 'IFLA_TUN_PERSIST', tun.persist),
    multiQueue: rows.bool(7, 'IFLA_TUN_MULTI_QUEUE', tun.multiQueue),
    unknown: rows.unknown(tun.unknown)
  }
}
