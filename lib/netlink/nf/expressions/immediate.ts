/**
 * A constant into a register; a verdict into register 0, which is how rules end.
 *
 *     accept                  immediate reg 0 accept
 *     jump portmap            immediate reg 0 jump -> portmap
 *
 * @source linux/netfilter/nf_tables.h enum nft_immediate_attributes
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'
import { type NfVerdict, readValue, readVerdict, writeValue, writeVerdict } from '../data.ts'

const NFTA_IMMEDIATE_DREG = 1
const NFTA_IMMEDIATE_DATA = 2

export interface ImmediateExpression {
  readonly kind: 'immediate'
  readonly register: number
  /** Empty when `verdict` is set. */
  readonly value: Uint8Array
  readonly verdict: NfVerdict | undefined
}

export function writeImmediate(writer: Writer, immediate: ImmediateExpression): void {
  const { verdict } = immediate
  writer.attrU32be(NFTA_IMMEDIATE_DREG, immediate.register)
  if (verdict !== undefined) writeVerdict(writer, NFTA_IMMEDIATE_DATA, verdict)
  else writeValue(writer, NFTA_IMMEDIATE_DATA, immediate.value)
}

export function readImmediate(bytes: Uint8Array): ImmediateExpression {
  let register = 0
  let value: Uint8Array = new Uint8Array(0)
  let verdict: NfVerdict | undefined
  for (const attribute of attributes(bytes, 'NFTA_IMMEDIATE')) {
    if (attribute.type === NFTA_IMMEDIATE_DREG) register = readU32be(attribute, 'NFTA_IMMEDIATE_DREG')
    if (attribute.type === NFTA_IMMEDIATE_DATA) {
      verdict = readVerdict(attribute, 'NFTA_IMMEDIATE_DATA')
      value = readValue(attribute, 'NFTA_IMMEDIATE_DATA')
    }
  }
  return { kind: 'immediate', register, value, verdict }
}
