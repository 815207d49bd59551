/**
 * Sends the packet to this host, to a port from a register.
 *
 *     redirect to :99         immediate reg 1 99; redir proto_min reg 1 flags 0x2
 *
 * @source linux/netfilter/nf_tables.h enum nft_redir_attributes; linux/netfilter/nf_nat.h NF_NAT_RANGE_PROTO_SPECIFIED
 */
import type { Rows } from '../../rows.ts'

const NF_NAT_RANGE_PROTO_SPECIFIED = 2

export interface RedirExpression {
  readonly kind: 'redir'
  /** undefined keeps the port */
  readonly portRegister: number | undefined
}

export function redirRows(rows: Rows, redir: RedirExpression | undefined): RedirExpression {
  const portRegister = rows.u32be(1, 'NFTA_REDIR_REG_PROTO_MIN', redir?.portRegister)
  rows.u32be(3, 'NFTA_REDIR_FLAGS', redir?.portRegister === undefined ? undefined : NF_NAT_RANGE_PROTO_SPECIFIED)
  return { kind: 'redir', portRegister }
}
