/**
 * Sets and maps: keys of one or several fields, looked up at once whatever their number.
 *
 *     map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
 *     set ports { type ifname; }
 *     map sources { type ipv4_addr : verdict; }
 *     set sent { type ipv4_addr . ipv4_addr; counter; }
 *     set sent { type ipv4_addr . ipv4_addr; flags dynamic; }
 *
 * @source linux/netfilter/nf_tables.h enum nft_set_attributes, enum nft_set_flags, enum nft_set_desc_attributes;
 *   nftables include/datatype.h enum datatypes (numbers that the kernel stores and only nft reads)
 */
import { DecodeError } from '../../bytes/reader.ts'
import { encodeRows, nest, nestList, type Rows } from '../rows.ts'
import { NO_BYTES } from './data.ts'
import { type Expression, oneRows } from './expression.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'
import { familyRows, readingNfRows } from './nfnetlink.ts'

const NFT_SET_INTERVAL = 0x4
const NFT_SET_MAP = 0x8
const NFT_SET_EVAL = 0x20
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

interface NfSet {
  readonly family: number
  readonly table: string
  readonly name: string
  readonly key: readonly NfField[]
  /** undefined = a set; an empty list = a map to verdicts */
  readonly data: readonly NfField[] | undefined
  /** Keys may be ranges. */
  readonly isInterval: boolean
  /** Each element counts the packets that were found in it; since Linux 5.7. */
  readonly counts?: boolean
  /** Packets may bring elements. */
  readonly isDynamic?: boolean
  /** A number that tells the sets of one batch apart. */
  readonly id: number
}

function fieldType(field: NfField): FieldType {
  for (const type of FIELD_TYPES) if (type.field === field) return type
  throw new DecodeError('NFTA_SET_KEY_TYPE', `unknown field ${field}`)
}

/** Bytes that a field takes inside a concatenation. */
function paddedLength(field: NfField): number {
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

/** In bytes, one per field. */
type FieldLengths = readonly number[]

/** struct nfgenmsg and the set's attributes. */
interface SetMessage {
  readonly family: number
  readonly table?: string | undefined
  readonly name?: string | undefined
  /** NFT_SET_* */
  readonly flags?: number | undefined
  readonly keyType?: number | undefined
  readonly keyLength?: number | undefined
  readonly dataType?: number | undefined
  readonly dataLength?: number | undefined
  readonly id?: number | undefined
  /** The length of each field, of a concatenation with ranges. */
  readonly fieldLengths?: FieldLengths | undefined
  readonly userData?: Uint8Array | undefined
  /** What every new element gets a copy of. */
  readonly expression?: Expression | undefined
}

function setRows(rows: Rows, set: SetMessage): SetMessage {
  return {
    family: familyRows(rows, set.family),
    table: rows.text(1, 'NFTA_SET_TABLE', set.table, NFT_NAME_MAXLEN),
    name: rows.text(2, 'NFTA_SET_NAME', set.name, NFT_NAME_MAXLEN),
    flags: rows.u32be(3, 'NFTA_SET_FLAGS', set.flags),
    keyType: rows.u32be(4, 'NFTA_SET_KEY_TYPE', set.keyType),
    keyLength: rows.u32be(5, 'NFTA_SET_KEY_LEN', set.keyLength),
    dataType: rows.u32be(6, 'NFTA_SET_DATA_TYPE', set.dataType),
    dataLength: rows.u32be(7, 'NFTA_SET_DATA_LEN', set.dataLength),
    id: rows.u32be(10, 'NFTA_SET_ID', set.id),
    fieldLengths: nest(rows.at(9, 'NFTA_SET_DESC'), set.fieldLengths, [], descriptionRows),
    userData: rows.bytes(13, 'NFTA_SET_USERDATA', set.userData),
    expression: nest(rows.at(17, 'NFTA_SET_EXPR'), set.expression, NO_EXPRESSION, oneRows)
  }
}

const NO_EXPRESSION: Expression = { kind: 'other', name: '', attributes: NO_BYTES }
const COUNTER: Expression = { kind: 'counter', bytes: 0, packets: 0 }

function descriptionRows(rows: Rows, lengths: FieldLengths): FieldLengths {
  return nest(rows.at(2, 'NFTA_SET_DESC_CONCAT'), lengths, [], concatenationRows) ?? []
}

function concatenationRows(rows: Rows, lengths: FieldLengths): FieldLengths {
  return nestList(rows.at(1, 'NFTA_LIST_ELEM'), lengths, 0, fieldRows)
}

function fieldRows(rows: Rows, length: number): number {
  return rows.u32be(1, 'NFTA_SET_FIELD_LEN', length) ?? 0
}

/** For NEWSET. */
export function encodeSet(set: NfSet): Uint8Array {
  const { family, table, name, key, data, id } = set
  const isConcatenatedInterval = set.isInterval && key.length > 1
  let flags = set.isInterval ? NFT_SET_INTERVAL : 0
  if (data !== undefined) flags |= NFT_SET_MAP
  if (set.isDynamic === true) flags |= NFT_SET_EVAL
  if (isConcatenatedInterval) flags |= NFT_SET_CONCAT
  const message: SetMessage = {
    family,
    table,
    name,
    flags,
    keyType: typeNumber(key),
    keyLength: typeLength(key),
    dataType: data === undefined ? undefined : data.length === 0 ? NFT_DATA_VERDICT : typeNumber(data),
    dataLength: data === undefined ? undefined : typeLength(data),
    id,
    fieldLengths: isConcatenatedInterval ? key.map(field => fieldType(field).length) : undefined,
    userData: userData(key, data),
    expression: set.counts === true ? COUNTER : undefined
  }
  return encodeRows(message, setRows)
}

function userData(key: readonly NfField[], data: readonly NfField[] | undefined): Uint8Array {
  const bytes = [UDATA_KEY_BYTEORDER, 4, byteOrder(key), 0, 0, 0]
  if (data !== undefined) bytes.push(UDATA_DATA_BYTEORDER, 4, byteOrder(data), 0, 0, 0)
  return new Uint8Array(bytes)
}

/** @throws {DecodeError} for a set with fields of other types than ours */
export function decodeSet(payload: Uint8Array): NfSet {
  const set = setRows(readingNfRows(payload), { family: 0 })
  const flags = set.flags ?? 0
  const data = set.dataType === NFT_DATA_VERDICT ? [] : fieldsOf(set.dataType ?? 0)
  return {
    family: set.family,
    table: set.table ?? '',
    name: set.name ?? '',
    key: fieldsOf(set.keyType ?? 0),
    data: (flags & NFT_SET_MAP) !== 0 ? data : undefined,
    isInterval: (flags & NFT_SET_INTERVAL) !== 0,
    counts: set.expression !== undefined && set.expression.kind === 'counter',
    isDynamic: (flags & NFT_SET_EVAL) !== 0,
    id: set.id ?? 0
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
