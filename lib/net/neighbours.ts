/** `ip neighbour` and `bridge fdb`. */
import type { IpAddress } from '../ip/address.ts'

export type NeighbourState =
  | 'none'
  | 'incomplete'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'noarp'
  | 'permanent'

/** An entry of the ARP or neighbour discovery table. */
export interface Neighbour {
  readonly index: number
  readonly address: IpAddress
  readonly mac: Uint8Array | undefined
  readonly state: NeighbourState
  readonly proxy: boolean
  readonly router: boolean
  readonly extLearn: boolean
}

/** An entry of a forwarding database, as listed and as to be added. */
export interface FdbEntry {
  readonly mac: Uint8Array
  /** VXLAN: the host behind which `mac` is. */
  readonly dst?: IpAddress | undefined
  readonly vlan?: number | undefined
  /** In the device's own table; the default when neither is set. */
  readonly self?: boolean | undefined
  /** In the table of the bridge that the device is a port of. */
  readonly master?: boolean | undefined
  /** Never expires; the default when adding. */
  readonly permanent?: boolean | undefined
  /** In a bridge's table: an address of the host, not of what is behind the port. */
  readonly local?: boolean | undefined
  readonly extLearn?: boolean | undefined
  /** VXLAN: another network identifier than the device's. */
  readonly vni?: number | undefined
  /** VXLAN: another UDP port than the device's. */
  readonly port?: number | undefined
  /** VXLAN: the link to send by. */
  readonly viaIndex?: number | undefined
}

export abstract class Neighbours {
  /** Of one link, or of all. */
  abstract list(index?: number): readonly Neighbour[]
}

export abstract class Fdb {
  /** The entries in the link's own table, and those in its bridge's table that lead out of it. */
  abstract list(index: number): readonly FdbEntry[]
  /** Adds the entry or gives the one of this MAC a new destination. */
  abstract set(index: number, entry: FdbEntry): void
  /** One more destination for a MAC; VXLAN only (several for 00:00:00:00:00:00 flood). */
  abstract append(index: number, entry: FdbEntry): void
  /** @returns false when there was none; of a MAC with several destinations the kernel tells only whether it has any */
  abstract remove(index: number, entry: FdbEntry): boolean
}
