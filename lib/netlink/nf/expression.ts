/**
 * The expressions of a rule: each has a name and attributes of its own, in expressions/.
 *
 * @source linux/netfilter/nf_tables.h enum nft_list_attributes, enum nft_expr_attributes
 */
import { type Attribute, attributes, readText } from '../reader.ts'
import type { Writer } from '../writer.ts'
import { type BitwiseExpression, readBitwise, writeBitwise } from './expressions/bitwise.ts'
import { type CmpExpression, readCmp, writeCmp } from './expressions/cmp.ts'
import { type CounterExpression, readCounter, writeCounter } from './expressions/counter.ts'
import { type CtExpression, readCt, writeCt } from './expressions/ct.ts'
import { type FibExpression, readFib, writeFib } from './expressions/fib.ts'
import { type ImmediateExpression, readImmediate, writeImmediate } from './expressions/immediate.ts'
import { type LimitExpression, readLimit, writeLimit } from './expressions/limit.ts'
import { type LookupExpression, readLookup, writeLookup } from './expressions/lookup.ts'
import { type MasqExpression, readMasq, writeMasq } from './expressions/masq.ts'
import { type MetaExpression, readMeta, writeMeta } from './expressions/meta.ts'
import { type NatExpression, readNat, writeNat } from './expressions/nat.ts'
import { type PayloadExpression, readPayload, writePayload } from './expressions/payload.ts'
import { type RangeExpression, readRange, writeRange } from './expressions/range.ts'
import { type RedirExpression, readRedir, writeRedir } from './expressions/redir.ts'

const NFTA_LIST_ELEM = 1
const NFTA_EXPR_NAME = 1
const NFTA_EXPR_DATA = 2

export type Expression =
  | BitwiseExpression
  | CmpExpression
  | CounterExpression
  | CtExpression
  | FibExpression
  | ImmediateExpression
  | LimitExpression
  | LookupExpression
  | MasqExpression
  | MetaExpression
  | NatExpression
  | PayloadExpression
  | RangeExpression
  | RedirExpression
  | OtherExpression

/** One that has no codec here, kept as it came so that a rule read back loses nothing. */
export interface OtherExpression {
  readonly kind: 'other'
  readonly name: string
  readonly attributes: Uint8Array
}

/** The list inside NFTA_RULE_EXPRESSIONS. */
export function writeExpressions(writer: Writer, expressions: readonly Expression[]): void {
  for (const expression of expressions) {
    writer.nested(NFTA_LIST_ELEM, () => {
      writer.attrText(NFTA_EXPR_NAME, expression.kind === 'other' ? expression.name : expression.kind)
      writer.nested(NFTA_EXPR_DATA, () => {
        writeExpression(writer, expression)
      })
    })
  }
}

function writeExpression(writer: Writer, expression: Expression): void {
  switch (expression.kind) {
    case 'bitwise':
      writeBitwise(writer, expression)
      break
    case 'cmp':
      writeCmp(writer, expression)
      break
    case 'counter':
      writeCounter(writer, expression)
      break
    case 'ct':
      writeCt(writer, expression)
      break
    case 'fib':
      writeFib(writer, expression)
      break
    case 'immediate':
      writeImmediate(writer, expression)
      break
    case 'limit':
      writeLimit(writer, expression)
      break
    case 'lookup':
      writeLookup(writer, expression)
      break
    case 'masq':
      writeMasq(writer, expression)
      break
    case 'meta':
      writeMeta(writer, expression)
      break
    case 'nat':
      writeNat(writer, expression)
      break
    case 'payload':
      writePayload(writer, expression)
      break
    case 'range':
      writeRange(writer, expression)
      break
    case 'redir':
      writeRedir(writer, expression)
      break
    case 'other':
      writer.bytes(expression.attributes)
  }
}

export function readExpressions(list: Uint8Array): readonly Expression[] {
  return attributes(list, 'NFTA_RULE_EXPRESSIONS').map(one => readOne(one))
}

function readOne(one: Attribute): Expression {
  let name = ''
  let data = new Uint8Array(0)
  for (const attribute of attributes(one.value, 'NFTA_EXPR')) {
    if (attribute.type === NFTA_EXPR_NAME) name = readText(attribute, 'NFTA_EXPR_NAME')
    if (attribute.type === NFTA_EXPR_DATA) data = attribute.value.slice(0)
  }
  return readExpression(name, data)
}

function readExpression(name: string, data: Uint8Array): Expression {
  switch (name) {
    case 'bitwise':
      return readBitwise(data)
    case 'cmp':
      return readCmp(data)
    case 'counter':
      return readCounter(data)
    case 'ct':
      return readCt(data)
    case 'fib':
      return readFib(data)
    case 'immediate':
      return readImmediate(data)
    case 'limit':
      return readLimit(data)
    case 'lookup':
      return readLookup(data)
    case 'masq':
      return readMasq(data)
    case 'meta':
      return readMeta(data)
    case 'nat':
      return readNat(data)
    case 'payload':
      return readPayload(data)
    case 'range':
      return readRange(data)
    case 'redir':
      return readRedir(data)
    default:
      return { kind: 'other', name, attributes: data }
  }
}
