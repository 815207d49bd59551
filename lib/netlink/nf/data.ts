/**
 * Constants in nf_tables: plain bytes, or a verdict.
 *
 * @source linux/netfilter/nf_tables.h enum nft_data_attributes, enum nft_verdict_attributes, enum nft_verdicts
 */
import { DecodeError } from '../../bytes/reader.ts'
import { type Choice, nest, type Rows } from '../rows.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'

/** What becomes of the packet; jump and goto name a chain. */
export type VerdictName = 'drop' | 'accept' | 'continue' | 'return' | 'jump' | 'goto'

export interface NfVerdict {
  readonly name: VerdictName
  /** The target of jump and goto, else the empty string. */
  readonly chain: string
}

/** A constant of either kind; without a verdict it is bytes. */
interface NfConstant {
  /** Empty when `verdict` is set. */
  readonly value: Uint8Array
  readonly verdict: NfVerdict | undefined
}

/** enum nft_verdicts, NF_DROP, NF_ACCEPT, as the unsigned number on the wire */
export const VERDICTS: readonly Choice[] = [
  { value: 0, name: 'drop' },
  { value: 1, name: 'accept' },
  { value: 0xffffffff, name: 'continue' },
  { value: 0xfffffffd, name: 'jump' },
  { value: 0xfffffffc, name: 'goto' },
  { value: 0xfffffffb, name: 'return' }
]

export const NO_BYTES: Uint8Array = new Uint8Array(0)

/** An attribute that holds constant bytes. */
export function nestValue(
  rows: Rows,
  type: number,
  symbol: string,
  value: Uint8Array | undefined
): Uint8Array | undefined {
  return nest(rows.at(type, symbol), value, NO_BYTES, valueRows)
}

/** An attribute that holds a constant of either kind. */
export function nestConstant(
  rows: Rows,
  type: number,
  symbol: string,
  constant: NfConstant | undefined
): NfConstant | undefined {
  return nest(rows.at(type, symbol), constant, { value: NO_BYTES, verdict: undefined }, constantRows)
}

function valueRows(rows: Rows, value: Uint8Array): Uint8Array {
  return rows.bytes(1, 'NFTA_DATA_VALUE', value) ?? NO_BYTES
}

function constantRows(rows: Rows, constant: NfConstant): NfConstant {
  const { value, verdict } = constant
  return {
    value: rows.bytes(1, 'NFTA_DATA_VALUE', verdict === undefined ? value : undefined) ?? NO_BYTES,
    verdict: nest(rows.at(2, 'NFTA_DATA_VERDICT'), verdict, { name: 'drop', chain: '' }, verdictRows)
  }
}

function verdictRows(rows: Rows, verdict: NfVerdict): NfVerdict {
  const name = rows.choiceU32be(1, 'NFTA_VERDICT_CODE', verdict.name, VERDICTS)
  if (name === undefined) throw new DecodeError('NFTA_VERDICT_CODE', 'no verdict that is known')
  const chain = rows.text(2, 'NFTA_VERDICT_CHAIN', verdict.chain === '' ? undefined : verdict.chain, NFT_NAME_MAXLEN)
  return { name: name as VerdictName, chain: chain ?? '' }
}
