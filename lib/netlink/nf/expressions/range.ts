/**
 * Ends the rule unless a register lies in a range, or with NEQ unless it lies outside.
 *
 *     tcp dport != 1000-2000
 *
 * @source linux/netfilter/nf_tables.h enum nft_range_attributes, enum nft_range_ops
 */
import type { Rows } from '../../rows.ts'
import { NO_BYTES, nestValue } from '../data.ts'

export const NFT_RANGE_NEQ = 1

export interface RangeExpression {
  readonly kind: 'range'
  readonly register: number
  /** NFT_RANGE_* */
  readonly operator: number
  readonly first: Uint8Array
  /** included */
  readonly last: Uint8Array
}

export function rangeRows(rows: Rows, range: RangeExpression | undefined): RangeExpression {
  return {
    kind: 'range',
    register: rows.u32be(1, 'NFTA_RANGE_SREG', range?.register) ?? 0,
    operator: rows.u32be(2, 'NFTA_RANGE_OP', range?.operator) ?? 0,
    first: nestValue(rows, 3, 'NFTA_RANGE_FROM_DATA', range?.first) ?? NO_BYTES,
    last: nestValue(rows, 4, 'NFTA_RANGE_TO_DATA', range?.last) ?? NO_BYTES
  }
}
