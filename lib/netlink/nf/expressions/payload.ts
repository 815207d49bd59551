/**
 * Bytes of the packet.
 *
 *     ip daddr                4 bytes at offset 16 of the network header
 *     th dport                2 bytes at offset 2 of the transport header
 *
 * @source linux/netfilter/nf_tables.h enum nft_payload_attributes, enum nft_payload_bases
 */
import type { Rows } from '../../rows.ts'

export const NFT_PAYLOAD_LL_HEADER = 0
export const NFT_PAYLOAD_NETWORK_HEADER = 1
export const NFT_PAYLOAD_TRANSPORT_HEADER = 2

export interface PayloadExpression {
  readonly kind: 'payload'
  readonly register: number
  /** NFT_PAYLOAD_*_HEADER */
  readonly base: number
  /** bytes from the start of that header */
  readonly offset: number
  readonly length: number
}

export function payloadRows(rows: Rows, payload: PayloadExpression | undefined): PayloadExpression {
  return {
    kind: 'payload',
    register: rows.u32be(1, 'NFTA_PAYLOAD_DREG', payload?.register) ?? 0,
    base: rows.u32be(2, 'NFTA_PAYLOAD_BASE', payload?.base) ?? 0,
    offset: rows.u32be(3, 'NFTA_PAYLOAD_OFFSET', payload?.offset) ?? 0,
    length: rows.u32be(4, 'NFTA_PAYLOAD_LEN', payload?.length) ?? 0
  }
}
