/**
 * Tables.
 *
 *     table ip patchbay-portmap { }
 *
 * @source linux/netfilter/nf_tables.h enum nft_table_attributes, enum nft_table_flags
 */
import { attributes, readText, readU32be } from '../reader.ts'
import { decodeNfMessage, nfMessage } from './nfnetlink.ts'

const NFTA_TABLE_NAME = 1
const NFTA_TABLE_FLAGS = 2
const NFTA_TABLE_USE = 3

export interface NfTable {
  readonly family: number
  readonly name: string
  /** NFT_TABLE_F_*: 1 = dormant */
  readonly flags: number
  /** How many chains and sets are in it; what the kernel answers, not part of a request. */
  readonly use: number
}

/** For NEWTABLE. */
export function encodeTable(table: NfTable): Uint8Array {
  return nfMessage(table.family).attrText(NFTA_TABLE_NAME, table.name).attrU32be(NFTA_TABLE_FLAGS, table.flags).finish()
}

/** For GETTABLE and DELTABLE. */
export function encodeTableName(family: number, name: string): Uint8Array {
  return nfMessage(family).attrText(NFTA_TABLE_NAME, name).finish()
}

export function decodeTable(payload: Uint8Array): NfTable {
  const message = decodeNfMessage(payload)
  let name = ''
  let flags = 0
  let use = 0
  for (const attribute of attributes(message.rest, 'NFTA_TABLE')) {
    if (attribute.type === NFTA_TABLE_NAME) name = readText(attribute, 'NFTA_TABLE_NAME')
    if (attribute.type === NFTA_TABLE_FLAGS) flags = readU32be(attribute, 'NFTA_TABLE_FLAGS')
    if (attribute.type === NFTA_TABLE_USE) use = readU32be(attribute, 'NFTA_TABLE_USE')
  }
  return { family: message.family, name, flags, use }
}
