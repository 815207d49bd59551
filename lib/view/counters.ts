/**
 * What a link has counted. Plugins never ask for it, so their codec of links has no place for it.
 *
 * @source linux/if_link.h struct rtnl_link_stats64, IFLA_STATS64
 */
import { PayloadReader } from '../netlink/payload-reader.ts'
import { type CountersView, NO_COUNTERS } from './model.ts'

const IFINFOMSG_BYTES = 16
const IFLA_STATS64 = 23
const COUNTERS = 8

/**
 * @param payload of RTM_NEWLINK
 * @returns zeros where the kernel sent none
 */
export function countersOf(payload: Uint8Array): CountersView {
  const reader = new PayloadReader(payload, 'ifinfomsg', false)
  reader.fixed(IFINFOMSG_BYTES)
  const place = reader.find(IFLA_STATS64)
  if (place < 0 || reader.length(place) < COUNTERS * 8) return NO_COUNTERS
  // Above 2^53 the last digits are rounded: JSON has no larger integers that every reader takes.
  const at = (field: number): number => Number(reader.view.getBigUint64(place + field * 8, true))
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7)
  }
}
