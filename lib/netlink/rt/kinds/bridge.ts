/**
 * A bridge.
 *
 * @source linux/if_link.h enum IFLA_BR_*; types by net/bridge/br_netlink.c br_policy
 */
import type { Attribute, Rows } from '../../rows.ts'

export interface BridgeInfo {
  readonly kind: 'bridge'
  /** 1/100 s */
  readonly forwardDelay?: number | undefined
  /** 1/100 s a learned MAC lives */
  readonly ageingTime?: number | undefined
  readonly stp?: boolean | undefined
  readonly priority?: number | undefined
  readonly vlanFiltering?: boolean | undefined
  /** ETH_P_8021Q 0x8100 or ETH_P_8021AD 0x88a8 */
  readonly vlanProtocol?: number | undefined
  /** Bit n set = forward link-local group 01-80-C2-00-00-0n. */
  readonly groupForwardMask?: number | undefined
  readonly multicastSnooping?: boolean | undefined
  /** The VLAN that new ports get; 0 = none. */
  readonly vlanDefaultPvid?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export function bridgeRows(rows: Rows, bridge: BridgeInfo): BridgeInfo {
  const stp = bridge.stp === undefined ? undefined : bridge.stp ? 1 : 0
  return {
    kind: 'bridge',
    forwardDelay: rows.u32(1, 'IFLA_BR_FORWARD_DELAY', bridge.forwardDelay),
    ageingTime: rows.u32(4, 'IFLA_BR_AGEING_TIME', bridge.ageingTime),
    stp: asBoolean(rows.u32(5, 'IFLA_BR_STP_STATE', stp)),
    priority: rows.u16(6, 'IFLA_BR_PRIORITY', bridge.priority),
    vlanFiltering: rows.bool(7, 'IFLA_BR_VLAN_FILTERING', bridge.vlanFiltering),
    vlanProtocol: rows.u16be(8, 'IFLA_BR_VLAN_PROTOCOL', bridge.vlanProtocol),
    groupForwardMask: rows.u16(9, 'IFLA_BR_GROUP_FWD_MASK', bridge.groupForwardMask),
    multicastSnooping: rows.bool(23, 'IFLA_BR_MCAST_SNOOPING', bridge.multicastSnooping),
    vlanDefaultPvid: rows.u16(39, 'IFLA_BR_VLAN_DEFAULT_PVID', bridge.vlanDefaultPvid),
    unknown: rows.unknown(bridge.unknown)
  }
}

function asBoolean(value: number | undefined): boolean | undefined {
  return value === undefined ? undefined : value !== 0
}
