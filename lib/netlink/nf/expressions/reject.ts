/**
 * Refuses the packet, and tells its sender.
 *
 *     reject with tcp reset
 *     reject with icmp port-unreachable
 *
 * @source linux/netfilter/nf_tables.h enum nft_reject_attributes, enum nft_reject_types
 */
import type { Rows } from '../../rows.ts'

export const NFT_REJECT_ICMP_UNREACH = 0
export const NFT_REJECT_TCP_RST = 1

export interface RejectExpression {
  readonly kind: 'reject'
  /** NFT_REJECT_* */
  readonly type: number
  /** Of ICMP or ICMPv6, as the table's family is. */
  readonly code: number
}

export function rejectRows(rows: Rows, reject: RejectExpression | undefined): RejectExpression {
  const type = rows.u32be(1, 'NFTA_REJECT_TYPE', reject?.type) ?? 0
  const code = rows.u8(2, 'NFTA_REJECT_ICMP_CODE', reject?.code) ?? 0
  return { kind: 'reject', type, code }
}
