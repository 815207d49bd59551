/**
 * Sets and maps: keys of one or several fields, looked up at once whatever their number.
 *
 *     map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
 *     set ports { type ifname; }
 *     map sources { type ipv4_addr : verdict; }
 *
 * @source linux/netfilter/nf_tables.h enum nft_set_attributes, enum nft_set_flags, enum nft_set_desc_attributes;
 *   nftables include/datatype.h enum datatypes (numbers that the kernel stores and only nft reads)
 */
import { attributes, DecodeError, readText, readU32be } from '../reader.ts'
import type { Writer } from '../writer.ts'
import { decodeNfMessage, nfMessage } from './nfnetlink.ts'

const NFTA_SET_TABLE = 1
const NFTA_SET_NAME = 2
const NFTA_SET_FLAGS = 3
const NFTA_SET_KEY_TYPE = 4
const NFTA_SET_KEY_LEN = 5
const NFTA_SET_DATA_TYPE = 6
const NFTA_SET_DATA_LEN = 7
const NFTA_SET_DESC = 9
const NFTA_SET_ID = 10
const NFTA_SET_USERDATA = 13

const NFTA_SET_DESC_CONCAT = 2
const NFTA_LIST_ELEM = 1
const NFTA_SET_FIELD_LEN = 1

const NFT_SET_INTERVAL = 0x4
const NFT_SET_MAP = 0x8
const NFT_SET_CONCAT = 0x80

const NFT_DATA_VERDICT = 0xffffff00

/** libnftnl/udata.h enum nftnl_udata_set_types: how nft shows keys and data */
const UDATA_KEY_BYTEORDER = 0
const UDATA_DATA_BYTEORDER = 1
const HOST_ENDIAN = 1
const BIG_ENDIAN = 2

/** One field of a key or of data, by nft's own name for its type. */
export type NfField = 'ipv4_addr' | 'ipv6_addr' | 'ether_addr' | 'inet_proto' | 'inet_service' | 'mark' | 'ifname'

interface FieldType {
  readonly field: NfField
  /** enum datatypes */
  readonly number: number
  /** bytes; in a concatenation padded to a multiple of 4 */
  readonly length: number
  readonly byteOrder: number
}

const FIELD_TYPES: readonly FieldType[] = [
  { field: 'ipv4_addr', number: 7, length: 4, byteOrder: BIG_ENDIAN },
  { field: 'ipv6_addr', number: 8, length: 16, byteOrder: BIG_ENDIAN },
  { field: 'ether_addr', number: 9, length: 6, byteOrder: BIG_ENDIAN },
  { field: 'inet_proto', number: 12, length: 1, byteOrder: BIG_ENDIAN },
  { field: 'inet_service', number: 13, length: 2, byteOrder: BIG_ENDIAN },
  { field: 'mark', number: 19, length: 4, byteOrder: HOST_ENDIAN },
  { field: 'ifname', number: 41, length: 16, byteOrder: HOST_ENDIAN }
]
const FIELD_BITS = 64

export interface NfSet {
  readonly family: number
  readonly table: string
  readonly name: string
  readonly key: readonly NfField[]
  /** undefined = a set; an empty list = a map to verdicts */
  readonly data: readonly NfField[] | undefined
  /** Keys may be ranges. */
  readonly isInterval: boolean
  /** A number that tells the sets of one batch apart. */
  readonly id: number
}

function fieldType(field: NfField): FieldType {
  const found = FIELD_TYPES.find(type => type.field === field)
  if (found === undefined) throw new DecodeError('NFTA_SET_KEY_TYPE', `unknown field ${field}`)
  return found
}

/** Bytes that a field takes inside a concatenation. */
export function paddedLength(field: NfField): number {
  return (fieldType(field).length + 3) & ~3
}

/** Several fields are one number of 6 bits per field. */
function typeNumber(fields: readonly NfField[]): number {
  let number = 0
  for (const field of fields) number = number * FIELD_BITS + fieldType(field).number
  return number
}

function typeLength(fields: readonly NfField[]): number {
  const first = fields[0]
  if (fields.length === 1 && first !== undefined) return fieldType(first).length
  let length = 0
  for (const field of fields) length += paddedLength(field)
  return length
}

/** nft asks for the byte order only to print: that of a concatenation is undefined, written as 0. */
function byteOrder(fields: readonly NfField[]): number {
  const first = fields[0]
  return fields.length === 1 && first !== undefined ? fieldType(first).byteOrder : 0
}

/** For NEWSET. */
export function encodeSet(set: NfSet): Uint8Array {
  const { key, data } = set
  const isConcatenatedInterval = set.isInterval && key.length > 1
  let flags = set.isInterval ? NFT_SET_INTERVAL : 0
  if (data !== undefined) flags |= NFT_SET_MAP
  if (isConcatenatedInterval) flags |= NFT_SET_CONCAT
  const writer = nfMessage(set.family)
  writer.attrText(NFTA_SET_TABLE, set.table)
  writer.attrText(NFTA_SET_NAME, set.name)
  writer.attrU32be(NFTA_SET_FLAGS, flags)
  writer.attrU32be(NFTA_SET_KEY_TYPE, typeNumber(key))
  writer.attrU32be(NFTA_SET_KEY_LEN, typeLength(key))
  if (data !== undefined) {
    writer.attrU32be(NFTA_SET_DATA_TYPE, data.length === 0 ? NFT_DATA_VERDICT : typeNumber(data))
    writer.attrU32be(NFTA_SET_DATA_LEN, data.length === 0 ? 0 : typeLength(data))
  }
  writer.attrU32be(NFTA_SET_ID, set.id)
  if (isConcatenatedInterval) writeDescription(writer, key)
  writer.attr(NFTA_SET_USERDATA, userData(key, data))
  return writer.finish()
}

function writeDescription(writer: Writer, key: readonly NfField[]): void {
  writer.nested(NFTA_SET_DESC, () => {
    writer.nested(NFTA_SET_DESC_CONCAT, () => {
      for (const field of key) {
        writer.nested(NFTA_LIST_ELEM, () => {
          writer.attrU32be(NFTA_SET_FIELD_LEN, fieldType(field).length)
        })
      }
    })
  })
}

function userData(key: readonly NfField[], data: readonly NfField[] | undefined): Uint8Array {
  const bytes = [UDATA_KEY_BYTEORDER, 4, byteOrder(key), 0, 0, 0]
  if (data !== undefined) bytes.push(UDATA_DATA_BYTEORDER, 4, byteOrder(data), 0, 0, 0)
  return new Uint8Array(bytes)
}

/** For GETSET and DELSET. */
export function encodeSetName(family: number, table: string, name: string): Uint8Array {
  return nfMessage(family).attrText(NFTA_SET_TABLE, table).attrText(NFTA_SET_NAME, name).finish()
}

/** @throws {DecodeError} for a set with fields of other types than ours */
export function decodeSet(payload: Uint8Array): NfSet {
  const message = decodeNfMessage(payload)
  let table = ''
  let name = ''
  let flags = 0
  let key = 0
  let data = 0
  let id = 0
  for (const attribute of attributes(message.rest, 'NFTA_SET')) {
    if (attribute.type === NFTA_SET_TABLE) table = readText(attribute, 'NFTA_SET_TABLE')
    if (attribute.type === NFTA_SET_NAME) name = readText(attribute, 'NFTA_SET_NAME')
    if (attribute.type === NFTA_SET_FLAGS) flags = readU32be(attribute, 'NFTA_SET_FLAGS')
    if (attribute.type === NFTA_SET_KEY_TYPE) key = readU32be(attribute, 'NFTA_SET_KEY_TYPE')
    if (attribute.type === NFTA_SET_DATA_TYPE) data = readU32be(attribute, 'NFTA_SET_DATA_TYPE')
    if (attribute.type === NFTA_SET_ID) id = readU32be(attribute, 'NFTA_SET_ID')
  }
  const isMap = (flags & NFT_SET_MAP) !== 0
  return {
    family: message.family,
    table,
    name,
    key: fieldsOf(key),
    data: isMap ? (data === NFT_DATA_VERDICT ? [] : fieldsOf(data)) : undefined,
    isInterval: (flags & NFT_SET_INTERVAL) !== 0,
    id
  }
}

function fieldsOf(number: number): readonly NfField[] {
  const fields: NfField[] = []
  let rest = number
  while (rest > 0) {
    const one = rest % FIELD_BITS
    const found = FIELD_TYPES.find(type => type.number === one)
    if (found === undefined) throw new DecodeError('NFTA_SET_KEY_TYPE', `unknown type ${String(one)}`)
    fields.push(found.field)
    rest = Math.floor(rest / FIELD_BITS)
  }
  fields.reverse()
  return fields
}
