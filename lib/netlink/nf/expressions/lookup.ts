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
import type { Rows } from '../../rows.ts'
import { NFT_NAME_MAXLEN } from '../nf-tables.ts'

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

export function lookupRows(rows: Rows, lookup: LookupExpression | undefined): LookupExpression {
  const register = rows.u32be(2, 'NFTA_LOOKUP_SREG', lookup?.register) ?? 0
  const dataRegister = rows.u32be(3, 'NFTA_LOOKUP_DREG', lookup?.dataRegister)
  const set = rows.text(1, 'NFTA_LOOKUP_SET', lookup?.set, NFT_NAME_MAXLEN) ?? ''
  const setId = rows.u32be(4, 'NFTA_LOOKUP_SET_ID', lookup?.setId === 0 ? undefined : lookup?.setId) ?? 0
  const inverted = lookup?.isInverted === true ? NFT_LOOKUP_F_INV : undefined
  const flags = rows.u32be(5, 'NFTA_LOOKUP_FLAGS', inverted) ?? 0
  return { kind: 'lookup', set, setId, register, dataRegister, isInverted: (flags & NFT_LOOKUP_F_INV) !== 0 }
}
