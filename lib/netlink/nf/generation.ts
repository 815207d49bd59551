/**
 * The generation of a ruleset: a number that every change of it raises.
 *
 * @source linux/netfilter/nf_tables.h enum nft_gen_attributes
 */
import { attributes, readU32be } from '../reader.ts'
import { decodeNfMessage, NFPROTO_UNSPEC, nfMessage } from './nfnetlink.ts'

const NFTA_GEN_ID = 1

/** For GETGEN. */
export function encodeGetGeneration(): Uint8Array {
  return nfMessage(NFPROTO_UNSPEC).finish()
}

export function decodeGeneration(payload: Uint8Array): number {
  for (const attribute of attributes(decodeNfMessage(payload).rest, 'NFTA_GEN')) {
    if (attribute.type === NFTA_GEN_ID) return readU32be(attribute, 'NFTA_GEN_ID')
  }
  return 0
}
