/**
 * The generation of a ruleset: a number that every change of it raises.
 *
 * @source linux/netfilter/nf_tables.h enum nft_gen_attributes
 */
import { encodeRows, type Rows } from '../rows.ts'
import { familyRows, NFPROTO_UNSPEC, readingNfRows } from './nfnetlink.ts'

function generationRows(rows: Rows, generation: number | undefined): number | undefined {
  familyRows(rows, NFPROTO_UNSPEC)
  return rows.u32be(1, 'NFTA_GEN_ID', generation)
}

/** For GETGEN. */
export function encodeGetGeneration(): Uint8Array {
  return encodeRows(undefined, generationRows)
}

export function decodeGeneration(payload: Uint8Array): number {
  return generationRows(readingNfRows(payload), undefined) ?? 0
}
