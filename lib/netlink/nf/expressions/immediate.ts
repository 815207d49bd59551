/**
 * A constant into a register; a verdict into register 0, which is how rules end.
 *
 *     accept                  immediate reg 0 accept
 *     jump portmap            immediate reg 0 jump -> portmap
 *
 * @source linux/netfilter/nf_tables.h enum nft_immediate_attributes
 */
import type { Rows } from '../../rows.ts'
import { type NfVerdict, NO_BYTES, nestConstant } from '../data.ts'

export interface ImmediateExpression {
  readonly kind: 'immediate'
  readonly register: number
  /** Empty when `verdict` is set. */
  readonly value: Uint8Array
  readonly verdict: NfVerdict | undefined
}

export function immediateRows(rows: Rows, immediate: ImmediateExpression | undefined): ImmediateExpression {
  const register = rows.u32be(1, 'NFTA_IMMEDIATE_DREG', immediate?.register) ?? 0
  const constant = nestConstant(rows, 2, 'NFTA_IMMEDIATE_DATA', immediate)
  return { kind: 'immediate', register, value: constant?.value ?? NO_BYTES, verdict: constant?.verdict }
}
