/**
 * Ends the rule when packets (or bytes) come faster than this.
 *
 *     limit rate 10/second burst 5 packets
 *
 * @source linux/netfilter/nf_tables.h enum nft_limit_attributes, enum nft_limit_type
 */
import { attributes, readU32be, readU64be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_LIMIT_RATE = 1
const NFTA_LIMIT_UNIT = 2
const NFTA_LIMIT_BURST = 3
const NFTA_LIMIT_TYPE = 4
const NFTA_LIMIT_FLAGS = 5

export const NFT_LIMIT_PKTS = 0
export const NFT_LIMIT_PKT_BYTES = 1

export interface LimitExpression {
  readonly kind: 'limit'
  /** So many per unit. */
  readonly rate: number
  /** seconds */
  readonly unit: number
  readonly burst: number
  /** NFT_LIMIT_* */
  readonly type: number
  /** 1 = match above the limit instead of below */
  readonly flags: number
}

export function writeLimit(writer: Writer, limit: LimitExpression): void {
  writer.attrU64be(NFTA_LIMIT_RATE, limit.rate)
  writer.attrU64be(NFTA_LIMIT_UNIT, limit.unit)
  writer.attrU32be(NFTA_LIMIT_BURST, limit.burst)
  writer.attrU32be(NFTA_LIMIT_TYPE, limit.type)
  writer.attrU32be(NFTA_LIMIT_FLAGS, limit.flags)
}

export function readLimit(bytes: Uint8Array): LimitExpression {
  let rate = 0
  let unit = 0
  let burst = 0
  let type = 0
  let flags = 0
  for (const attribute of attributes(bytes, 'NFTA_LIMIT')) {
    if (attribute.type === NFTA_LIMIT_RATE) rate = readU64be(attribute, 'NFTA_LIMIT_RATE')
    if (attribute.type === NFTA_LIMIT_UNIT) unit = readU64be(attribute, 'NFTA_LIMIT_UNIT')
    if (attribute.type === NFTA_LIMIT_BURST) burst = readU32be(attribute, 'NFTA_LIMIT_BURST')
    if (attribute.type === NFTA_LIMIT_TYPE) type = readU32be(attribute, 'NFTA_LIMIT_TYPE')
    if (attribute.type === NFTA_LIMIT_FLAGS) flags = readU32be(attribute, 'NFTA_LIMIT_FLAGS')
  }
  return { kind: 'limit', rate, unit, burst, type, flags }
}
