/**
 * Ends the rule unless a register compares so with a constant.
 *
 *     ip saddr 10.4.0.0/24    payload load 3b @ network header + 12 => reg 1; cmp eq reg 1 0a0400
 *
 * @source linux/netfilter/nf_tables.h enum nft_cmp_attributes, enum nft_cmp_ops
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'
import { readValue, writeValue } from '../data.ts'

const NFTA_CMP_SREG = 1
const NFTA_CMP_OP = 2
const NFTA_CMP_DATA = 3

export const NFT_CMP_EQ = 0
export const NFT_CMP_NEQ = 1
export const NFT_CMP_LT = 2
export const NFT_CMP_LTE = 3
export const NFT_CMP_GT = 4
export const NFT_CMP_GTE = 5

export interface CmpExpression {
  readonly kind: 'cmp'
  readonly register: number
  /** NFT_CMP_* */
  readonly operator: number
  readonly value: Uint8Array
}

export function writeCmp(writer: Writer, cmp: CmpExpression): void {
  writer.attrU32be(NFTA_CMP_SREG, cmp.register)
  writer.attrU32be(NFTA_CMP_OP, cmp.operator)
  writeValue(writer, NFTA_CMP_DATA, cmp.value)
}

export function readCmp(bytes: Uint8Array): CmpExpression {
  let register = 0
  let operator = 0
  let value: Uint8Array = new Uint8Array(0)
  for (const attribute of attributes(bytes, 'NFTA_CMP')) {
    if (attribute.type === NFTA_CMP_SREG) register = readU32be(attribute, 'NFTA_CMP_SREG')
    if (attribute.type === NFTA_CMP_OP) operator = readU32be(attribute, 'NFTA_CMP_OP')
    if (attribute.type === NFTA_CMP_DATA) value = readValue(attribute, 'NFTA_CMP_DATA')
  }
  return { kind: 'cmp', register, operator, value }
}
