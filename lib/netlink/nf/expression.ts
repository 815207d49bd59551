/**
 * The expressions of a rule: each has a name and attributes of its own, in expressions/.
 *
 * @source linux/netfilter/nf_tables.h enum nft_list_attributes, enum nft_expr_attributes
 */
import { nestList, type Rows } from '../rows.ts'
import { NO_BYTES } from './data.ts'
import { type BitwiseExpression, bitwiseRows } from './expressions/bitwise.ts'
import { type CmpExpression, cmpRows } from './expressions/cmp.ts'
import { type CounterExpression, counterRows } from './expressions/counter.ts'
import { type CtExpression, ctRows } from './expressions/ct.ts'
import { type DynsetExpression, dynsetRows } from './expressions/dynset.ts'
import { type FibExpression, fibRows } from './expressions/fib.ts'
import { type HashExpression, hashRows } from './expressions/hash.ts'
import { type ImmediateExpression, immediateRows } from './expressions/immediate.ts'
import { type LimitExpression, limitRows } from './expressions/limit.ts'
import { type LookupExpression, lookupRows } from './expressions/lookup.ts'
import { type MasqExpression, masqRows } from './expressions/masq.ts'
import { type MetaExpression, metaRows } from './expressions/meta.ts'
import { type NatExpression, natRows } from './expressions/nat.ts'
import { type NumgenExpression, numgenRows } from './expressions/numgen.ts'
import { type PayloadExpression, payloadRows } from './expressions/payload.ts'
import { type RangeExpression, rangeRows } from './expressions/range.ts'
import { type RedirExpression, redirRows } from './expressions/redir.ts'
import { type RejectExpression, rejectRows } from './expressions/reject.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'

export type Expression =
  | BitwiseExpression
  | CmpExpression
  | CounterExpression
  | CtExpression
  | DynsetExpression
  | FibExpression
  | HashExpression
  | ImmediateExpression
  | LimitExpression
  | LookupExpression
  | MasqExpression
  | MetaExpression
  | NatExpression
  | NumgenExpression
  | PayloadExpression
  | RangeExpression
  | RedirExpression
  | RejectExpression
  | OtherExpression

/** One that has no codec here, kept as it came so that a rule read back loses nothing. */
interface OtherExpression {
  readonly kind: 'other'
  readonly name: string
  readonly attributes: Uint8Array
}

/** The list inside NFTA_RULE_EXPRESSIONS. */
export function expressionRows(rows: Rows, expressions: readonly Expression[]): readonly Expression[] {
  return nestList(rows.at(1, 'NFTA_LIST_ELEM'), expressions, { kind: 'other', name: '', attributes: NO_BYTES }, oneRows)
}

/** An expression that stands alone: of each element of a set. */
export function oneRows(rows: Rows, one: Expression): Expression {
  const name = rows.text(1, 'NFTA_EXPR_NAME', one.kind === 'other' ? one.name : one.kind, NFT_NAME_MAXLEN) ?? ''
  const data = rows.at(2, 'NFTA_EXPR_DATA').enter(true)
  if (data === undefined) return { kind: 'other', name, attributes: NO_BYTES }
  const read = dataRows(data, name, one)
  data.leave()
  return read
}

/** @param one its kind is the name when it is written, any when it is read */
function dataRows(rows: Rows, name: string, one: Expression): Expression {
  switch (name) {
    case 'bitwise':
      return bitwiseRows(rows, one.kind === 'bitwise' ? one : undefined)
    case 'cmp':
      return cmpRows(rows, one.kind === 'cmp' ? one : undefined)
    case 'counter':
      return counterRows(rows, one.kind === 'counter' ? one : undefined)
    case 'ct':
      return ctRows(rows, one.kind === 'ct' ? one : undefined)
    case 'dynset':
      return dynsetRows(rows, one.kind === 'dynset' ? one : undefined)
    case 'fib':
      return fibRows(rows, one.kind === 'fib' ? one : undefined)
    case 'hash':
      return hashRows(rows, one.kind === 'hash' ? one : undefined)
    case 'immediate':
      return immediateRows(rows, one.kind === 'immediate' ? one : undefined)
    case 'limit':
      return limitRows(rows, one.kind === 'limit' ? one : undefined)
    case 'lookup':
      return lookupRows(rows, one.kind === 'lookup' ? one : undefined)
    case 'masq':
      return masqRows(rows, one.kind === 'masq' ? one : undefined)
    case 'meta':
      return metaRows(rows, one.kind === 'meta' ? one : undefined)
    case 'nat':
      return natRows(rows, one.kind === 'nat' ? one : undefined)
    case 'numgen':
      return numgenRows(rows, one.kind === 'numgen' ? one : undefined)
    case 'payload':
      return payloadRows(rows, one.kind === 'payload' ? one : undefined)
    case 'range':
      return rangeRows(rows, one.kind === 'range' ? one : undefined)
    case 'redir':
      return redirRows(rows, one.kind === 'redir' ? one : undefined)
    case 'reject':
      return rejectRows(rows, one.kind === 'reject' ? one : undefined)
    default:
      return { kind: 'other', name, attributes: rows.raw(one.kind === 'other' ? one.attributes : NO_BYTES) }
  }
}
