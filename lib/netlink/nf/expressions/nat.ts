/**
 * Gives the connection another address, and a port when `portRegister` is set.
 *
 *     dnat ip to meta l4proto . th dport map @ports
 *
 * @source linux/netfilter/nf_tables.h enum nft_nat_attributes, enum nft_nat_types
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_NAT_TYPE = 1
const NFTA_NAT_FAMILY = 2
const NFTA_NAT_REG_ADDR_MIN = 3
const NFTA_NAT_REG_PROTO_MIN = 5

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

export function writeNat(writer: Writer, nat: NatExpression): void {
  writer.attrU32be(NFTA_NAT_TYPE, nat.type)
  writer.attrU32be(NFTA_NAT_FAMILY, nat.family)
  writer.attrU32be(NFTA_NAT_REG_ADDR_MIN, nat.addressRegister)
  if (nat.portRegister !== undefined) writer.attrU32be(NFTA_NAT_REG_PROTO_MIN, nat.portRegister)
}

export function readNat(bytes: Uint8Array): NatExpression {
  let type = 0
  let family = 0
  let addressRegister = 0
  let portRegister: number | undefined
  for (const attribute of attributes(bytes, 'NFTA_NAT')) {
    if (attribute.type === NFTA_NAT_TYPE) type = readU32be(attribute, 'NFTA_NAT_TYPE')
    if (attribute.type === NFTA_NAT_FAMILY) family = readU32be(attribute, 'NFTA_NAT_FAMILY')
    if (attribute.type === NFTA_NAT_REG_ADDR_MIN) addressRegister = readU32be(attribute, 'NFTA_NAT_REG_ADDR_MIN')
    if (attribute.type === NFTA_NAT_REG_PROTO_MIN) portRegister = readU32be(attribute, 'NFTA_NAT_REG_PROTO_MIN')
  }
  return { kind: 'nat', type, family, addressRegister, portRegister }
}
