/**
 * The next number of a row, or one by chance.
 *
 *     numgen inc mod 5        0, 1, 2, 3, 4, 0, …
 *     numgen random mod 5
 *
 * @source linux/netfilter/nf_tables.h enum nft_ng_attributes, enum nft_ng_types
 */
import type { Rows } from '../../rows.ts'

export const NFT_NG_INCREMENTAL = 0

export interface NumgenExpression {
  readonly kind: 'numgen'
  /** Four bytes, in the host's order. */
  readonly register: number
  /** Numbers are below it. */
  readonly modulus: number
  /** NFT_NG_* */
  readonly type: number
}

export function numgenRows(rows: Rows, numgen: NumgenExpression | undefined): NumgenExpression {
  const register = rows.u32be(1, 'NFTA_NG_DREG', numgen?.register) ?? 0
  const modulus = rows.u32be(2, 'NFTA_NG_MODULUS', numgen?.modulus) ?? 0
  const type = rows.u32be(3, 'NFTA_NG_TYPE', numgen?.type) ?? 0
  // What is added to each number: nft always sends it.
  rows.u32be(4, 'NFTA_NG_OFFSET', numgen === undefined ? undefined : 0)
  return { kind: 'numgen', register, modulus, type }
}
