/**
 * Ends the rule unless a register compares so with a constant.
 *
 *     ip saddr 10.4.0.0/24    payload load 3b @ network header + 12 => reg 1; cmp eq reg 1 0a0400
 *
 * @source linux/netfilter/nf_tables.h enum nft_cmp_attributes, enum nft_cmp_ops
 */
import type { Rows } from '../../rows.ts'
import { NO_BYTES, nestValue } from '../data.ts'

export const NFT_CMP_EQ = 0
export const NFT_CMP_NEQ = 1
export const NFT_CMP_LTE = 3
export const NFT_CMP_GTE = 5

export interface CmpExpression {
  readonly kind: 'cmp'
  readonly register: number
  /** NFT_CMP_* */
  readonly operator: number
  readonly value: Uint8Array
}

export function cmpRows(rows: Rows, cmp: CmpExpression | undefined): CmpExpression {
  return {
    kind: 'cmp',
    register: rows.u32be(1, 'NFTA_CMP_SREG', cmp?.register) ?? 0,
    operator: rows.u32be(2, 'NFTA_CMP_OP', cmp?.operator) ?? 0,
    value: nestValue(rows, 3, 'NFTA_CMP_DATA', cmp?.value) ?? NO_BYTES
  }
}
