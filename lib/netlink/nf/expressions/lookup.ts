/**
 * Looks a register up in a set or map of the same table; ends the rule when it is not there.
 *
 *     iifname @ports                                   membership
 *     iifname . ether saddr != @allowed                inverted
 *     dnat ip to meta l4proto . th dport map @ports    the map's data go to a register
 *     ip saddr vmap @sources                           the map's verdict goes to register 0
 *
 * @source linux/netfilter/nf_tables.h enum nft_lookup_attributes, enum nft_lookup_flags
 */
import { attributes, readText, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_LOOKUP_SET = 1
const NFTA_LOOKUP_SREG = 2
const NFTA_LOOKUP_DREG = 3
const NFTA_LOOKUP_SET_ID = 4
const NFTA_LOOKUP_FLAGS = 5
const NFT_LOOKUP_F_INV = 1

export interface LookupExpression {
  readonly kind: 'lookup'
  readonly set: string
  /** The set's id in the same batch, which the kernel needs only for sets without a name of their own; 0 for none. */
  readonly setId: number
  readonly register: number
  /** Where a map's data go; undefined for a set. */
  readonly dataRegister: number | undefined
  readonly isInverted: boolean
}

export function writeLookup(writer: Writer, lookup: LookupExpression): void {
  writer.attrU32be(NFTA_LOOKUP_SREG, lookup.register)
  if (lookup.dataRegister !== undefined) writer.attrU32be(NFTA_LOOKUP_DREG, lookup.dataRegister)
  writer.attrText(NFTA_LOOKUP_SET, lookup.set)
  if (lookup.setId !== 0) writer.attrU32be(NFTA_LOOKUP_SET_ID, lookup.setId)
  if (lookup.isInverted) writer.attrU32be(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV)
}

export function readLookup(bytes: Uint8Array): LookupExpression {
  let set = ''
  let setId = 0
  let register = 0
  let dataRegister: number | undefined
  let flags = 0
  for (const attribute of attributes(bytes, 'NFTA_LOOKUP')) {
    if (attribute.type === NFTA_LOOKUP_SET) set = readText(attribute, 'NFTA_LOOKUP_SET')
    if (attribute.type === NFTA_LOOKUP_SREG) register = readU32be(attribute, 'NFTA_LOOKUP_SREG')
    if (attribute.type === NFTA_LOOKUP_DREG) dataRegister = readU32be(attribute, 'NFTA_LOOKUP_DREG')
    if (attribute.type === NFTA_LOOKUP_SET_ID) setId = readU32be(attribute, 'NFTA_LOOKUP_SET_ID')
    if (attribute.type === NFTA_LOOKUP_FLAGS) flags = readU32be(attribute, 'NFTA_LOOKUP_FLAGS')
  }
  return { kind: 'lookup', set, setId, register, dataRegister, isInverted: (flags & NFT_LOOKUP_F_INV) !== 0 }
}
