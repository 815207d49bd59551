/**
 * register = (register & mask) ^ xor.
 *
 *     meta mark set meta mark | 0x2000      mask ~0x2000, xor 0x2000
 *     ip daddr 224.0.0.0/4                  mask f0000000, xor 0, then cmp
 *
 * @source linux/netfilter/nf_tables.h enum nft_bitwise_attributes
 */
import type { Rows } from '../../rows.ts'
import { NO_BYTES, nestValue } from '../data.ts'

export interface BitwiseExpression {
  readonly kind: 'bitwise'
  /** Source and destination. */
  readonly register: number
  readonly mask: Uint8Array
  /** As long as the mask. */
  readonly xor: Uint8Array
}

export function bitwiseRows(rows: Rows, bitwise: BitwiseExpression | undefined): BitwiseExpression {
  const register = bitwise?.register
  rows.u32be(1, 'NFTA_BITWISE_SREG', register)
  const destination = rows.u32be(2, 'NFTA_BITWISE_DREG', register) ?? 0
  rows.u32be(3, 'NFTA_BITWISE_LEN', bitwise?.mask.length)
  return {
    kind: 'bitwise',
    register: destination,
    mask: nestValue(rows, 4, 'NFTA_BITWISE_MASK', bitwise?.mask) ?? NO_BYTES,
    xor: nestValue(rows, 5, 'NFTA_BITWISE_XOR', bitwise?.xor) ?? NO_BYTES
  }
}
