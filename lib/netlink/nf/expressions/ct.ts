/**
 * What connection tracking knows about the packet's connection.
 *
 *     ct state                no direction
 *     ct original ip daddr    as it was before translation
 *
 * @source linux/netfilter/nf_tables.h enum nft_ct_attributes, enum nft_ct_keys; linux/netfilter/nf_conntrack_common.h
 *   enum ip_conntrack_status
 */
import { attributes, readU8, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_CT_DREG = 1
const NFTA_CT_KEY = 2
const NFTA_CT_DIRECTION = 3

export const NFT_CT_STATE = 0
export const NFT_CT_STATUS = 2
export const NFT_CT_MARK = 3
export const NFT_CT_DST_IP = 20

/** Bits of NFT_CT_STATE as nft names them: 1 << enum ip_conntrack_info, after 1 = invalid. */
export const CT_STATE_ESTABLISHED = 2
export const CT_STATE_RELATED = 4
export const IPS_DST_NAT = 32
export const IP_CT_DIR_ORIGINAL = 0

export interface CtExpression {
  readonly kind: 'ct'
  /** NFT_CT_* */
  readonly key: number
  readonly register: number
  /** IP_CT_DIR_*; undefined for keys without */
  readonly direction: number | undefined
}

export function writeCt(writer: Writer, ct: CtExpression): void {
  writer.attrU32be(NFTA_CT_KEY, ct.key)
  writer.attrU32be(NFTA_CT_DREG, ct.register)
  if (ct.direction !== undefined) writer.attrU8(NFTA_CT_DIRECTION, ct.direction)
}

export function readCt(bytes: Uint8Array): CtExpression {
  let key = 0
  let register = 0
  let direction: number | undefined
  for (const attribute of attributes(bytes, 'NFTA_CT')) {
    if (attribute.type === NFTA_CT_DREG) register = readU32be(attribute, 'NFTA_CT_DREG')
    if (attribute.type === NFTA_CT_KEY) key = readU32be(attribute, 'NFTA_CT_KEY')
    if (attribute.type === NFTA_CT_DIRECTION) direction = readU8(attribute, 'NFTA_CT_DIRECTION')
  }
  return { kind: 'ct', key, register, direction }
}
