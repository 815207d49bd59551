/**
 * The connections that the host follows, with what each has carried where the kernel counts it (sysctl
 * net.netfilter.nf_conntrack_acct, off by default). Plugins never ask for that, so their codec has no place for it.
 *
 * @source linux/netfilter/nfnetlink_conntrack.h enum ctattr_type, enum ctattr_counters
 */
import { connectToKernel } from '../net/kernel-net.ts'
import {
  type ConntrackEntry,
  decodeConntrackEntry,
  encodeConntrackEntry,
  IPCTNL_MSG_CT_GET
} from '../netlink/nf/conntrack.ts'
import { NFNL_SUBSYS_CTNETLINK, nfType } from '../netlink/nf/nfnetlink.ts'
import { PayloadReader } from '../netlink/payload-reader.ts'
import { errnoOf } from '../sys/errors.ts'
import { NETLINK_NETFILTER } from '../sys/netlink-socket.ts'
import { ownNetns } from '../sys/netns.ts'
import { type CountersView, NO_COUNTERS } from './model.ts'

const NFGENMSG_BYTES = 4
const CTA_COUNTERS_ORIG = 9
const CTA_COUNTERS_REPLY = 10
const CTA_ID = 12
const CTA_COUNTERS_PACKETS = 1
const CTA_COUNTERS_BYTES = 2

export interface Connection extends ConntrackEntry {
  /** Another one between the same ends, later, has another. */
  readonly id: string
  /** As who is asked sees it: what the original direction carries is received. Zeros where nothing is counted. */
  readonly counters: CountersView
}

/** Of this process's namespace; none without root, or where the kernel follows none. */
export function followedConnections(): readonly Connection[] {
  const conn = connectToKernel(NETLINK_NETFILTER, ownNetns())
  const type = nfType(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET)
  try {
    return ([4, 6] as const).flatMap(family =>
      conn.dump('list', 'connection table', type, encodeConntrackEntry(family, undefined)).map(connectionOf)
    )
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return []
  } finally {
    conn.close()
  }
}

/** @param payload of a message of the connection table */
function connectionOf(payload: Uint8Array): Connection {
  const reader = new PayloadReader(payload, 'nfgenmsg', false)
  reader.fixed(NFGENMSG_BYTES)
  const place = reader.find(CTA_ID)
  const received = countersAt(payload, reader, CTA_COUNTERS_ORIG)
  const sent = countersAt(payload, reader, CTA_COUNTERS_REPLY)
  return {
    ...decodeConntrackEntry(payload),
    id: place < 0 ? '' : String(reader.view.getUint32(place)),
    counters: {
      ...NO_COUNTERS,
      rxBytes: received.bytes,
      rxPackets: received.packets,
      txBytes: sent.bytes,
      txPackets: sent.packets
    }
  }
}

function countersAt(
  payload: Uint8Array,
  reader: PayloadReader,
  type: number
): { readonly packets: number; readonly bytes: number } {
  const place = reader.find(type)
  if (place < 0) return { packets: 0, bytes: 0 }
  const inner = new PayloadReader(payload.subarray(place, place + reader.length(place)), 'CTA_COUNTERS', false)
  const at = (field: number): number => {
    const found = inner.find(field)
    return found < 0 || inner.length(found) < 8 ? 0 : Number(inner.view.getBigUint64(found))
  }
  return { packets: at(CTA_COUNTERS_PACKETS), bytes: at(CTA_COUNTERS_BYTES) }
}
