/**
 * What the kernel knows about a packet beside its bytes.
 *
 *     meta l4proto            loads into a register
 *     meta mark set …         stores from one
 *
 * @source linux/netfilter/nf_tables.h enum nft_meta_attributes, enum nft_meta_keys
 */
import type { Rows } from '../../rows.ts'

export const NFT_META_PROTOCOL = 1
export const NFT_META_MARK = 3
export const NFT_META_IIFNAME = 6
export const NFT_META_OIFNAME = 7
export const NFT_META_NFTRACE = 12
export const NFT_META_L4PROTO = 16

export interface MetaExpression {
  readonly kind: 'meta'
  /** NFT_META_* */
  readonly key: number
  /** The register it is loaded into, or stored from. */
  readonly register: number
  readonly isStore: boolean
}

export function metaRows(rows: Rows, meta: MetaExpression | undefined): MetaExpression {
  const isStore = meta?.isStore === true
  const key = rows.u32be(2, 'NFTA_META_KEY', meta?.key) ?? 0
  const destination = rows.u32be(1, 'NFTA_META_DREG', isStore ? undefined : meta?.register)
  const source = rows.u32be(3, 'NFTA_META_SREG', isStore ? meta?.register : undefined)
  return { kind: 'meta', key, register: source ?? destination ?? 0, isStore: source !== undefined }
}
