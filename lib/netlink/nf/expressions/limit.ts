/**
 * Ends the rule when packets (or bytes) come faster than this.
 *
 *     limit rate 10/second burst 5 packets
 *
 * @source linux/netfilter/nf_tables.h enum nft_limit_attributes, enum nft_limit_type
 */
import type { Rows } from '../../rows.ts'

export interface LimitExpression {
  readonly kind: 'limit'
  /** So many per unit. */
  readonly rate: number
  /** seconds */
  readonly unit: number
  readonly burst: number
  /** NFT_LIMIT_*: 0 = packets, 1 = bytes */
  readonly type: number
  /** 1 = match above the limit instead of below */
  readonly flags: number
}

export function limitRows(rows: Rows, limit: LimitExpression | undefined): LimitExpression {
  return {
    kind: 'limit',
    rate: rows.u64be(1, 'NFTA_LIMIT_RATE', limit?.rate) ?? 0,
    unit: rows.u64be(2, 'NFTA_LIMIT_UNIT', limit?.unit) ?? 0,
    burst: rows.u32be(3, 'NFTA_LIMIT_BURST', limit?.burst) ?? 0,
    type: rows.u32be(4, 'NFTA_LIMIT_TYPE', limit?.type) ?? 0,
    flags: rows.u32be(5, 'NFTA_LIMIT_FLAGS', limit?.flags) ?? 0
  }
}
