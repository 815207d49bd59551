/**
 * A link's settings as a port of a bridge.
 *
 * @source linux/if_link.h enum IFLA_BRPORT_*; types by net/bridge/br_netlink.c br_port_policy
 */
import type { Attribute, Choice, Rows } from '../../rows.ts'

type BridgePortState = 'disabled' | 'listening' | 'learning' | 'forwarding' | 'blocking'

export interface BridgePort {
  readonly state?: BridgePortState | undefined
  readonly priority?: number | undefined
  readonly cost?: number | undefined
  /** Frames may go out of the port they came in by. */
  readonly hairpin?: boolean | undefined
  readonly bpduGuard?: boolean | undefined
  readonly rootBlock?: boolean | undefined
  readonly fastLeave?: boolean | undefined
  readonly learning?: boolean | undefined
  /** Frames to an unknown MAC go out here too. */
  readonly flood?: boolean | undefined
  readonly proxyArp?: boolean | undefined
  readonly multicastFlood?: boolean | undefined
  readonly broadcastFlood?: boolean | undefined
  /** ARP and ND are answered from the neighbour table. */
  readonly neighbourSuppress?: boolean | undefined
  /** No frames to or from other isolated ports. */
  readonly isolated?: boolean | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** linux/if_bridge.h BR_STATE_* */
const STATES: readonly Choice[] = [
  { value: 0, name: 'disabled' },
  { value: 1, name: 'listening' },
  { value: 2, name: 'learning' },
  { value: 3, name: 'forwarding' },
  { value: 4, name: 'blocking' }
]

export function bridgePortRows(rows: Rows, port: BridgePort): BridgePort {
  return {
    state: rows.choiceU8(1, 'IFLA_BRPORT_STATE', port.state, STATES) as BridgePortState | undefined,
    priority: rows.u16(2, 'IFLA_BRPORT_PRIORITY', port.priority),
    cost: rows.u32(3, 'IFLA_BRPORT_COST', port.cost),
    hairpin: rows.bool(4, 'IFLA_BRPORT_MODE', port.hairpin),
    bpduGuard: rows.bool(5, 'IFLA_BRPORT_GUARD', port.bpduGuard),
    rootBlock: rows.bool(6, 'IFLA_BRPORT_PROTECT', port.rootBlock),
    fastLeave: rows.bool(7, 'IFLA_BRPORT_FAST_LEAVE', port.fastLeave),
    learning: rows.bool(8, 'IFLA_BRPORT_LEARNING', port.learning),
    flood: rows.bool(9, 'IFLA_BRPORT_UNICAST_FLOOD', port.flood),
    proxyArp: rows.bool(10, 'IFLA_BRPORT_PROXYARP', port.proxyArp),
    multicastFlood: rows.bool(27, 'IFLA_BRPORT_MCAST_FLOOD', port.multicastFlood),
    broadcastFlood: rows.bool(30, 'IFLA_BRPORT_BCAST_FLOOD', port.broadcastFlood),
    neighbourSuppress: rows.bool(32, 'IFLA_BRPORT_NEIGH_SUPPRESS', port.neighbourSuppress),
    isolated: rows.bool(33, 'IFLA_BRPORT_ISOLATED', port.isolated),
    unknown: rows.unknown(port.unknown)
  }
}
