/**
 * Gives the connection the address of the interface it leaves by.
 *
 *     masquerade
 *     masquerade random,fully-random
 *
 * @source linux/netfilter/nf_tables.h enum nft_masq_attributes; linux/netfilter/nf_nat.h NF_NAT_RANGE_*
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_MASQ_FLAGS = 1

export interface MasqExpression {
  readonly kind: 'masq'
  /** NF_NAT_RANGE_*; 0 for none */
  readonly flags: number
}

export function writeMasq(writer: Writer, masq: MasqExpression): void {
  if (masq.flags !== 0) writer.attrU32be(NFTA_MASQ_FLAGS, masq.flags)
}

export function readMasq(bytes: Uint8Array): MasqExpression {
  let flags = 0
  for (const attribute of attributes(bytes, 'NFTA_MASQ')) {
    if (attribute.type === NFTA_MASQ_FLAGS) flags = readU32be(attribute, 'NFTA_MASQ_FLAGS')
  }
  return { kind: 'masq', flags }
}
