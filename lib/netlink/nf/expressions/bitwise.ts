/**
 * register = (register & mask) ^ xor.
 *
 *     meta mark set meta mark | 0x2000      mask ~0x2000, xor 0x2000
 *     ip daddr 224.0.0.0/4                  mask f0000000, xor 0, then cmp
 *
 * @source linux/netfilter/nf_tables.h enum nft_bitwise_attributes
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'
import { readValue, writeValue } from '../data.ts'

const NFTA_BITWISE_SREG = 1
const NFTA_BITWISE_DREG = 2
const NFTA_BITWISE_LEN = 3
const NFTA_BITWISE_MASK = 4
const NFTA_BITWISE_XOR = 5

export interface BitwiseExpression {
  readonly kind: 'bitwise'
  /** Source and destination. */
  readonly register: number
  readonly mask: Uint8Array
  /** As long as the mask. */
  readonly xor: Uint8Array
}

export function writeBitwise(writer: Writer, bitwise: BitwiseExpression): void {
  writer.attrU32be(NFTA_BITWISE_SREG, bitwise.register)
  writer.attrU32be(NFTA_BITWISE_DREG, bitwise.register)
  writer.attrU32be(NFTA_BITWISE_LEN, bitwise.mask.length)
  writeValue(writer, NFTA_BITWISE_MASK, bitwise.mask)
  writeValue(writer, NFTA_BITWISE_XOR, bitwise.xor)
}

export function readBitwise(bytes: Uint8Array): BitwiseExpression {
  let register = 0
  let mask: Uint8Array = new Uint8Array(0)
  let xor: Uint8Array = new Uint8Array(0)
  for (const attribute of attributes(bytes, 'NFTA_BITWISE')) {
    if (attribute.type === NFTA_BITWISE_DREG) register = readU32be(attribute, 'NFTA_BITWISE_DREG')
    if (attribute.type === NFTA_BITWISE_MASK) mask = readValue(attribute, 'NFTA_BITWISE_MASK')
    if (attribute.type === NFTA_BITWISE_XOR) xor = readValue(attribute, 'NFTA_BITWISE_XOR')
  }
  return { kind: 'bitwise', register, mask, xor }
}
