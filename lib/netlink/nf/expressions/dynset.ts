/**
 * Has a set get the key in a register as an element, or finds it there; each element counts the packets that bring it up.
 *
 *     add @sent { ct original ip daddr . ip daddr counter }
 *
 * @source linux/netfilter/nf_tables.h enum nft_dynset_attributes, enum nft_dynset_ops
 */
import { nest, type Rows } from '../../rows.ts'
import { NFT_NAME_MAXLEN } from '../nf-tables.ts'
import { type CounterExpression, counterRows } from './counter.ts'

export const NFT_DYNSET_OP_ADD = 0

export interface DynsetExpression {
  readonly kind: 'dynset'
  readonly set: string
  /** The set's id in the same batch, which the kernel needs only for sets without a name of their own; 0 for none. */
  readonly setId: number
  readonly register: number
  /** NFT_DYNSET_OP_* */
  readonly operation: number
  /** Whether its elements count. */
  readonly counts: boolean
}

const COUNTER: CounterExpression = { kind: 'counter', bytes: 0, packets: 0 }

export function dynsetRows(rows: Rows, dynset: DynsetExpression | undefined): DynsetExpression {
  const register = rows.u32be(4, 'NFTA_DYNSET_SREG_KEY', dynset?.register) ?? 0
  const operation = rows.u32be(3, 'NFTA_DYNSET_OP', dynset?.operation) ?? NFT_DYNSET_OP_ADD
  const set = rows.text(1, 'NFTA_DYNSET_SET_NAME', dynset?.set, NFT_NAME_MAXLEN) ?? ''
  const setId = rows.u32be(2, 'NFTA_DYNSET_SET_ID', dynset?.setId === 0 ? undefined : dynset?.setId) ?? 0
  const given = dynset?.counts === true ? true : undefined
  const counts = nest(rows.at(7, 'NFTA_DYNSET_EXPR'), given, false, counterOfElementRows) === true
  return { kind: 'dynset', set, setId, register, operation, counts }
}

/** An expression of each element: ours count, others' may be anything. */
function counterOfElementRows(rows: Rows, _counts: boolean): boolean {
  if (rows.text(1, 'NFTA_EXPR_NAME', COUNTER.kind, NFT_NAME_MAXLEN) !== COUNTER.kind) return false
  nest(rows.at(2, 'NFTA_EXPR_DATA'), COUNTER, COUNTER, counterRows)
  return true
}
