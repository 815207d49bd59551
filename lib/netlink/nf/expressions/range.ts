/**
 * Ends the rule unless a register lies in a range, or with NEQ unless it lies outside.
 *
 *     tcp dport != 1000-2000
 *
 * @source linux/netfilter/nf_tables.h enum nft_range_attributes, enum nft_range_ops
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'
import { readValue, writeValue } from '../data.ts'

const NFTA_RANGE_SREG = 1
const NFTA_RANGE_OP = 2
const NFTA_RANGE_FROM_DATA = 3
const NFTA_RANGE_TO_DATA = 4

export const NFT_RANGE_EQ = 0
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

export function writeRange(writer: Writer, range: RangeExpression): void {
  writer.attrU32be(NFTA_RANGE_SREG, range.register)
  writer.attrU32be(NFTA_RANGE_OP, range.operator)
  writeValue(writer, NFTA_RANGE_FROM_DATA, range.first)
  writeValue(writer, NFTA_RANGE_TO_DATA, range.last)
}

export function readRange(bytes: Uint8Array): RangeExpression {
  let register = 0
  let operator = 0
  let first: Uint8Array = new Uint8Array(0)
  let last: Uint8Array = new Uint8Array(0)
  for (const attribute of attributes(bytes, 'NFTA_RANGE')) {
    if (attribute.type === NFTA_RANGE_SREG) register = readU32be(attribute, 'NFTA_RANGE_SREG')
    if (attribute.type === NFTA_RANGE_OP) operator = readU32be(attribute, 'NFTA_RANGE_OP')
    if (attribute.type === NFTA_RANGE_FROM_DATA) first = readValue(attribute, 'NFTA_RANGE_FROM_DATA')
    if (attribute.type === NFTA_RANGE_TO_DATA) last = readValue(attribute, 'NFTA_RANGE_TO_DATA')
  }
  return { kind: 'range', register, operator, first, last }
}
