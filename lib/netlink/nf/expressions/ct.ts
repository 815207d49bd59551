/**
 * What connection tracking knows about the packet's connection.
 *
 *     ct state                no direction
 *     ct original ip daddr    as it was before translation
 *
 * @source linux/netfilter/nf_tables.h enum nft_ct_attributes, enum nft_ct_keys; linux/netfilter/nf_conntrack_common.h
 *   enum ip_conntrack_status
 */
import type { Rows } from '../../rows.ts'

export const NFT_CT_STATE = 0
export const NFT_CT_STATUS = 2
export const NFT_CT_PROTO_DST = 12
export const NFT_CT_DST_IP = 20
export const NFT_CT_DST_IP6 = 22

export const IP_CT_DIR_ORIGINAL = 0

/** Bits of NFT_CT_STATE as nft names them: 1 << enum ip_conntrack_info, after 1 = invalid. */
export const CT_STATE_ESTABLISHED = 2
export const CT_STATE_RELATED = 4
export const IPS_DST_NAT = 32

export interface CtExpression {
  readonly kind: 'ct'
  /** NFT_CT_* */
  readonly key: number
  readonly register: number
  /** IP_CT_DIR_*; undefined for keys without */
  readonly direction: number | undefined
}

export function ctRows(rows: Rows, ct: CtExpression | undefined): CtExpression {
  return {
    kind: 'ct',
    key: rows.u32be(2, 'NFTA_CT_KEY', ct?.key) ?? 0,
    register: rows.u32be(1, 'NFTA_CT_DREG', ct?.register) ?? 0,
    direction: rows.u8(3, 'NFTA_CT_DIRECTION', ct?.direction)
  }
}
