/**
 * A veth pair; the attributes exist only to make one, the kernel does not report them.
 *
 * @source linux/veth.h VETH_INFO_PEER; drivers/net/veth.c veth_policy
 */
import type { Attribute, Rows } from '../../rows.ts'

export interface VethInfo {
  readonly kind: 'veth'
  /** The other end as a whole link message (`encodeLink`). */
  readonly peer?: Uint8Array | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

export function vethRows(rows: Rows, veth: VethInfo): VethInfo {
  return {
    kind: 'veth',
    peer: rows.bytes(1, 'VETH_INFO_PEER', veth.peer),
    unknown: rows.unknown(veth.unknown)
  }
}
