/**
 * Counts the packets that come by.
 *
 *     counter
 *
 * @source linux/netfilter/nf_tables.h enum nft_counter_attributes
 */
import type { Rows } from '../../rows.ts'

export interface CounterExpression {
  readonly kind: 'counter'
  /** Exact up to 2^53. */
  readonly bytes: number
  /** Exact up to 2^53. */
  readonly packets: number
}

export function counterRows(rows: Rows, counter: CounterExpression | undefined): CounterExpression {
  return {
    kind: 'counter',
    bytes: rows.u64be(1, 'NFTA_COUNTER_BYTES', counter?.bytes === 0 ? undefined : counter?.bytes) ?? 0,
    packets: rows.u64be(2, 'NFTA_COUNTER_PACKETS', counter?.packets === 0 ? undefined : counter?.packets) ?? 0
  }
}
