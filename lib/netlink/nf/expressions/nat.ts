/**
 * Gives the connection another address, and a port when `portRegister` is set.
 *
 *     dnat ip to meta l4proto . th dport map @ports
 *
 * @source linux/netfilter/nf_tables.h enum nft_nat_attributes, enum nft_nat_types
 */
import type { Rows } from '../../rows.ts'

export const NFT_NAT_SNAT = 0
export const NFT_NAT_DNAT = 1

export interface NatExpression {
  readonly kind: 'nat'
  /** NFT_NAT_* */
  readonly type: number
  /** NFPROTO_IPV4 or NFPROTO_IPV6 */
  readonly family: number
  readonly addressRegister: number
  /** undefined keeps the port */
  readonly portRegister: number | undefined
}

export function natRows(rows: Rows, nat: NatExpression | undefined): NatExpression {
  return {
    kind: 'nat',
    type: rows.u32be(1, 'NFTA_NAT_TYPE', nat?.type) ?? 0,
    family: rows.u32be(2, 'NFTA_NAT_FAMILY', nat?.family) ?? 0,
    addressRegister: rows.u32be(3, 'NFTA_NAT_REG_ADDR_MIN', nat?.addressRegister) ?? 0,
    portRegister: rows.u32be(5, 'NFTA_NAT_REG_PROTO_MIN', nat?.portRegister)
  }
}
