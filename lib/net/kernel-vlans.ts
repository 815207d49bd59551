/**
 * VLANs of bridge ports by rtnetlink.
 *
 * @source linux/if_bridge.h; net/bridge/br_netlink.c br_afspec, net/bridge/br_vlan.c br_vlan_rtm_dump
 */
import { type Conn, type Request, refusal } from '../netlink/conn.ts'
import { AF_BRIDGE, RTM_DELLINK, RTM_SETLINK } from '../netlink/rt/link.ts'
import {
  BRIDGE_FLAGS_SELF,
  BRIDGE_VLAN_INFO_PVID,
  BRIDGE_VLAN_INFO_RANGE_BEGIN,
  BRIDGE_VLAN_INFO_RANGE_END,
  BRIDGE_VLAN_INFO_UNTAGGED,
  decodeVlanMessage,
  encodeBridgeLink,
  encodeVlanMessage,
  RTM_GETVLAN,
  type VlanDbEntry,
  type VlanEntry
} from '../netlink/rt/vlan.ts'
import { errnoOf } from '../sys/errors.ts'
import { linkNumber } from './kernel-links.ts'
import { type BridgeVlan, Vlans } from './vlans.ts'

export class KernelVlans extends Vlans {
  readonly #conn: Conn

  constructor(conn: Conn) {
    super()
    this.#conn = conn
  }

  /** One message per VLAN or range, so that an error says which one it is about. */
  override add(index: number, vlans: readonly BridgeVlan[]): void {
    const requests = vlans.map(vlan => vlanRequest('add', RTM_SETLINK, index, vlan))
    for (const answer of this.#conn.batch(requests)) if (answer.errno !== '') throw refusal(answer)
  }

  override remove(index: number, vlan: BridgeVlan): void {
    this.#conn.execute(vlanRequest('remove', RTM_DELLINK, index, vlan))
  }

  /** A kernel without VLAN filtering has no such request, and no VLANs to list. */
  override list(index: number): readonly BridgeVlan[] {
    const payload = encodeVlanMessage({ family: AF_BRIDGE, index, entries: [] })
    let answers: readonly Uint8Array[]
    try {
      answers = this.#conn.dump('list bridge vlans', `of ${linkNumber(index)}`, RTM_GETVLAN, payload)
    } catch (error) {
      if (errnoOf(error) === 'EOPNOTSUPP') return []
      throw error
    }
    const vlans: BridgeVlan[] = []
    for (const answer of answers) {
      for (const entry of decodeVlanMessage(answer).entries) {
        const vlan = vlanOf(entry)
        if (vlan !== undefined) vlans.push(vlan)
      }
    }
    return vlans
  }
}

function vlanOf({ info, lastVid }: VlanDbEntry): BridgeVlan | undefined {
  if (info === undefined) return undefined
  return {
    vid: info.vid,
    lastVid,
    pvid: (info.flags & BRIDGE_VLAN_INFO_PVID) !== 0,
    untagged: (info.flags & BRIDGE_VLAN_INFO_UNTAGGED) !== 0
  }
}

function vlanRequest(verb: string, type: number, index: number, vlan: BridgeVlan): Request {
  const isRange = vlan.lastVid !== undefined && vlan.lastVid !== vlan.vid
  const range = isRange ? `${String(vlan.vid)}-${String(vlan.lastVid)}` : String(vlan.vid)
  const flags =
    (vlan.pvid === true ? BRIDGE_VLAN_INFO_PVID : 0) | (vlan.untagged === true ? BRIDGE_VLAN_INFO_UNTAGGED : 0)
  const vlans: VlanEntry[] = []
  if (isRange && vlan.lastVid !== undefined) {
    vlans.push({ flags: flags | BRIDGE_VLAN_INFO_RANGE_BEGIN, vid: vlan.vid })
    vlans.push({ flags: flags | BRIDGE_VLAN_INFO_RANGE_END, vid: vlan.lastVid })
  } else {
    vlans.push({ flags, vid: vlan.vid })
  }
  const spec = { flags: vlan.self === true ? BRIDGE_FLAGS_SELF : undefined, vlans }
  return {
    operation: `${verb} bridge vlan`,
    object: `${range} of ${linkNumber(index)}`,
    type,
    flags: 0,
    payload: encodeBridgeLink({ family: AF_BRIDGE, index, spec }),
    answer: 'acknowledgement'
  }
}
