/**
 * What the kernel knows about a packet beside its bytes.
 *
 *     meta l4proto            loads into a register
 *     meta mark set …         stores from one
 *
 * @source linux/netfilter/nf_tables.h enum nft_meta_attributes, enum nft_meta_keys
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_META_DREG = 1
const NFTA_META_KEY = 2
const NFTA_META_SREG = 3

export const NFT_META_MARK = 3
export const NFT_META_IIFNAME = 6
export const NFT_META_OIFNAME = 7
export const NFT_META_NFPROTO = 15
export const NFT_META_L4PROTO = 16

export interface MetaExpression {
  readonly kind: 'meta'
  /** NFT_META_* */
  readonly key: number
  /** The register it is loaded into, or stored from. */
  readonly register: number
  readonly isStore: boolean
}

export function writeMeta(writer: Writer, meta: MetaExpression): void {
  writer.attrU32be(NFTA_META_KEY, meta.key)
  writer.attrU32be(meta.isStore ? NFTA_META_SREG : NFTA_META_DREG, meta.register)
}

export function readMeta(bytes: Uint8Array): MetaExpression {
  let key = 0
  let register = 0
  let isStore = false
  for (const attribute of attributes(bytes, 'NFTA_META')) {
    if (attribute.type === NFTA_META_DREG) register = readU32be(attribute, 'NFTA_META_DREG')
    if (attribute.type === NFTA_META_KEY) key = readU32be(attribute, 'NFTA_META_KEY')
    if (attribute.type === NFTA_META_SREG) {
      register = readU32be(attribute, 'NFTA_META_SREG')
      isStore = true
    }
  }
  return { kind: 'meta', key, register, isStore }
}
