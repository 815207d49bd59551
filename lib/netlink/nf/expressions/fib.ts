/**
 * Asks the routing table about an address of the packet.
 *
 *     fib daddr type          2 = local: an address of this host
 *
 * @source linux/netfilter/nf_tables.h enum nft_fib_attributes, enum nft_fib_result, enum nft_fib_flags
 */
import type { Rows } from '../../rows.ts'

export const NFT_FIB_RESULT_ADDRTYPE = 3
export const NFTA_FIB_F_SADDR = 1
export const NFTA_FIB_F_DADDR = 2

export interface FibExpression {
  readonly kind: 'fib'
  readonly register: number
  /** NFT_FIB_RESULT_* */
  readonly result: number
  /** NFTA_FIB_F_* */
  readonly flags: number
}

export function fibRows(rows: Rows, fib: FibExpression | undefined): FibExpression {
  const flags = rows.u32be(3, 'NFTA_FIB_FLAGS', fib?.flags) ?? 0
  const result = rows.u32be(2, 'NFTA_FIB_RESULT', fib?.result) ?? 0
  return { kind: 'fib', register: rows.u32be(1, 'NFTA_FIB_DREG', fib?.register) ?? 0, result, flags }
}
