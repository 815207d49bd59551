/**
 * Sends the packet to this host, to a port from a register.
 *
 *     redirect to :99         immediate reg 1 99; redir proto_min reg 1 flags 0x2
 *
 * @source linux/netfilter/nf_tables.h enum nft_redir_attributes; linux/netfilter/nf_nat.h NF_NAT_RANGE_PROTO_SPECIFIED
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_REDIR_REG_PROTO_MIN = 1
const NFTA_REDIR_FLAGS = 3
const NF_NAT_RANGE_PROTO_SPECIFIED = 2

export interface RedirExpression {
  readonly kind: 'redir'
  /** undefined keeps the port */
  readonly portRegister: number | undefined
}

export function writeRedir(writer: Writer, redir: RedirExpression): void {
  if (redir.portRegister === undefined) return
  writer.attrU32be(NFTA_REDIR_REG_PROTO_MIN, redir.portRegister)
  writer.attrU32be(NFTA_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED)
}

export function readRedir(bytes: Uint8Array): RedirExpression {
  let portRegister: number | undefined
  for (const attribute of attributes(bytes, 'NFTA_REDIR')) {
    if (attribute.type === NFTA_REDIR_REG_PROTO_MIN) portRegister = readU32be(attribute, 'NFTA_REDIR_REG_PROTO_MIN')
  }
  return { kind: 'redir', portRegister }
}
