/**
 * Counts the packets that come by.
 *
 *     counter
 *
 * @source linux/netfilter/nf_tables.h enum nft_counter_attributes
 */
import { attributes, readU64be } from '../../reader.ts'
import type { Writer } from '../../writer.ts'

const NFTA_COUNTER_BYTES = 1
const NFTA_COUNTER_PACKETS = 2

export interface CounterExpression {
  readonly kind: 'counter'
  /** Exact up to 2^53. */
  readonly bytes: number
  /** Exact up to 2^53. */
  readonly packets: number
}

export function writeCounter(writer: Writer, counter: CounterExpression): void {
  if (counter.bytes !== 0) writer.attrU64be(NFTA_COUNTER_BYTES, counter.bytes)
  if (counter.packets !== 0) writer.attrU64be(NFTA_COUNTER_PACKETS, counter.packets)
}

export function readCounter(value: Uint8Array): CounterExpression {
  let bytes = 0
  let packets = 0
  for (const attribute of attributes(value, 'NFTA_COUNTER')) {
    if (attribute.type === NFTA_COUNTER_BYTES) bytes = readU64be(attribute, 'NFTA_COUNTER_BYTES')
    if (attribute.type === NFTA_COUNTER_PACKETS) packets = readU64be(attribute, 'NFTA_COUNTER_PACKETS')
  }
  return { kind: 'counter', bytes, packets }
}
