/**
 * Bytes of the packet.
 *
 *     ip daddr                4 bytes at offset 16 of the network header
 *     th dport                2 bytes at offset 2 of the transport header
 *
 * @source linux/netfilter/nf_tables.h enum nft_payload_attributes, enum nft_payload_bases
 */
import { attributes, readU32be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_PAYLOAD_DREG = 1
const NFTA_PAYLOAD_BASE = 2
const NFTA_PAYLOAD_OFFSET = 3
const NFTA_PAYLOAD_LEN = 4

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

export function writePayload(writer: Writer, payload: PayloadExpression): void {
  writer.attrU32be(NFTA_PAYLOAD_DREG, payload.register)
  writer.attrU32be(NFTA_PAYLOAD_BASE, payload.base)
  writer.attrU32be(NFTA_PAYLOAD_OFFSET, payload.offset)
  writer.attrU32be(NFTA_PAYLOAD_LEN, payload.length)
}

export function readPayload(bytes: Uint8Array): PayloadExpression {
  let register = 0
  let base = 0
  let offset = 0
  let length = 0
  for (const attribute of attributes(bytes, 'NFTA_PAYLOAD')) {
    if (attribute.type === NFTA_PAYLOAD_DREG) register = readU32be(attribute, 'NFTA_PAYLOAD_DREG')
    if (attribute.type === NFTA_PAYLOAD_BASE) base = readU32be(attribute, 'NFTA_PAYLOAD_BASE')
    if (attribute.type === NFTA_PAYLOAD_OFFSET) offset = readU32be(attribute, 'NFTA_PAYLOAD_OFFSET')
    if (attribute.type === NFTA_PAYLOAD_LEN) length = readU32be(attribute, 'NFTA_PAYLOAD_LEN')
  }
  return { kind: 'payload', register, base, offset, length }
}
