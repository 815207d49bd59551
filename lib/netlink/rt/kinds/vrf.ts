/**
 * A VRF: a routing table that its ports look up.
 *
 * @source linux/if_link.h enum IFLA_VRF_*; types by drivers/net/vrf.c vrf_nl_policy
 */
import type { Attribute, Rows } from '../../rows.ts'

export interface VrfInfo {
  readonly kind: 'vrf'
  readonly table?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export function vrfRows(rows: Rows, vrf: VrfInfo): VrfInfo {
  return {
    kind: 'vrf',
    table: rows.u32(1, 'IFLA_VRF_TABLE', vrf.table),
    unknown: rows.unknown(vrf.unknown)
  }
}
