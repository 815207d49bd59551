/**
 * Tables.
 *
 *     table ip patchbay-portmap { }
 *
 * @source linux/netfilter/nf_tables.h enum nft_table_attributes, enum nft_table_flags
 */
import { encodeRows, type Rows } from '../rows.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'
import { familyRows, readingNfRows } from './nfnetlink.ts'

interface NfTable {
  readonly family: number
  readonly name: string
  /** NFT_TABLE_F_*: 1 = dormant */
  readonly flags: number
  /** How many chains and sets are in it; what the kernel answers, not part of a request. */
  readonly use: number
}

/** struct nfgenmsg and the table's attributes. */
interface TableMessage {
  readonly family: number
  readonly name?: string | undefined
  readonly flags?: number | undefined
  readonly use?: number | undefined
}

function tableRows(rows: Rows, table: TableMessage): TableMessage {
  return {
    family: familyRows(rows, table.family),
    name: rows.text(1, 'NFTA_TABLE_NAME', table.name, NFT_NAME_MAXLEN),
    flags: rows.u32be(2, 'NFTA_TABLE_FLAGS', table.flags),
    use: rows.u32be(3, 'NFTA_TABLE_USE', table.use)
  }
}

/** For NEWTABLE. */
export function encodeTable(table: NfTable): Uint8Array {
  return encodeRows({ family: table.family, name: table.name, flags: table.flags }, tableRows)
}

/** For GETTABLE and DELTABLE. */
export function encodeTableName(family: number, name: string): Uint8Array {
  return encodeRows({ family, name }, tableRows)
}

/** @throws {DecodeError} */
export function decodeTable(payload: Uint8Array): NfTable {
  const table = tableRows(readingNfRows(payload), { family: 0 })
  return { family: table.family, name: table.name ?? '', flags: table.flags ?? 0, use: table.use ?? 0 }
}

/**
 * The table that a chain, rule, set or element is in, or the table's own name: the kernel puts it first in each of their messages.
 *
 * @throws {DecodeError}
 */
export function decodeTableOf(payload: Uint8Array): string {
  return readingNfRows(payload).text(1, 'NFTA_TABLE_NAME', undefined, NFT_NAME_MAXLEN) ?? ''
}
