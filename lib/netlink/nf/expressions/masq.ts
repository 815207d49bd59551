/**
 * Gives the connection the address of the interface it leaves by.
 *
 *     masquerade
 *     masquerade random,fully-random
 *
 * @source linux/netfilter/nf_tables.h enum nft_masq_attributes; linux/netfilter/nf_nat.h NF_NAT_RANGE_*
 */
import type { Rows } from '../../rows.ts'

export interface MasqExpression {
  readonly kind: 'masq'
  /** NF_NAT_RANGE_*; 0 for none */
  readonly flags: number
}

export function masqRows(rows: Rows, masq: MasqExpression | undefined): MasqExpression {
  return { kind: 'masq', flags: rows.u32be(1, 'NFTA_MASQ_FLAGS', masq?.flags === 0 ? undefined : masq?.flags) ?? 0 }
}
