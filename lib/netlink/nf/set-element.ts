/**
 * Elements of sets and maps.
 *
 *     add element ip patchbay-portmap ports { tcp . 8080 comment "net id eth0" : 10.4.0.5 . 80 }
 *     add element ip patchbay-masquerade sources { 10.4.0.5 comment "net id eth0" : goto from-10.4.0.0/24 }
 *
 * @source linux/netfilter/nf_tables.h enum nft_set_elem_list_attributes, enum nft_set_elem_attributes
 */
import { encodeRows, nest, nestList, type Rows } from '../rows.ts'
import { type NfVerdict, NO_BYTES, nestConstant, nestValue } from './data.ts'
import { type Expression, oneRows } from './expression.ts'
import { NFT_NAME_MAXLEN } from './nf-tables.ts'
import { familyRows, readingNfRows } from './nfnetlink.ts'
import { commentRow } from './user-data.ts'

export interface NfElement {
  /** The fields of the key, each padded to 4 bytes when there are several. */
  readonly key: Uint8Array
  /** The last key of a range, included; undefined for a single key. */
  readonly keyEnd: Uint8Array | undefined
  /** Of a map to data. */
  readonly data: Uint8Array | undefined
  /** Of a map to verdicts. */
  readonly verdict: NfVerdict | undefined
  /** The empty string for none. */
  readonly comment: string
  /** What it has counted, where its set counts; not part of a request. */
  readonly counter?: NfCounter | undefined
}

/** Both exact up to 2^53. */
export interface NfCounter {
  readonly packets: number
  readonly bytes: number
}

export interface NfElementList {
  readonly family: number
  readonly table: string
  readonly set: string
  /** The set's id in the same batch, which the kernel needs only for sets without a name of their own; 0 for none. */
  readonly setId: number
  readonly elements: readonly NfElement[]
}

const NO_LIST: NfElementList = { family: 0, table: '', set: '', setId: 0, elements: [] }

function listRows(rows: Rows, list: NfElementList): NfElementList {
  const family = familyRows(rows, list.family)
  const table = rows.text(1, 'NFTA_SET_ELEM_LIST_TABLE', list.table, NFT_NAME_MAXLEN) ?? ''
  const set = rows.text(2, 'NFTA_SET_ELEM_LIST_SET', list.set, NFT_NAME_MAXLEN) ?? ''
  const setId = rows.u32be(4, 'NFTA_SET_ELEM_LIST_SET_ID', list.setId === 0 ? undefined : list.setId) ?? 0
  const given = list.elements.length === 0 ? undefined : list.elements
  const elements = nest(rows.at(3, 'NFTA_SET_ELEM_LIST_ELEMENTS'), given, [], elementsRows) ?? []
  return { family, table, set, setId, elements }
}

function elementsRows(rows: Rows, elements: readonly NfElement[]): readonly NfElement[] {
  const none: NfElement = { key: NO_BYTES, keyEnd: undefined, data: undefined, verdict: undefined, comment: '' }
  return nestList(rows.at(1, 'NFTA_LIST_ELEM'), elements, none, elementRows)
}

function elementRows(rows: Rows, element: NfElement): NfElement {
  const { verdict } = element
  const hasData = element.data !== undefined || verdict !== undefined
  const given = hasData ? { value: element.data ?? NO_BYTES, verdict } : undefined
  const key = nestValue(rows, 1, 'NFTA_SET_ELEM_KEY', element.key) ?? NO_BYTES
  const keyEnd = nestValue(rows, 10, 'NFTA_SET_ELEM_KEY_END', element.keyEnd)
  const constant = nestConstant(rows, 2, 'NFTA_SET_ELEM_DATA', given)
  const expression = nest(rows.at(7, 'NFTA_SET_ELEM_EXPR'), undefined, NO_EXPRESSION, oneRows)
  return {
    key,
    keyEnd,
    data: constant?.verdict === undefined ? constant?.value : undefined,
    verdict: constant?.verdict,
    comment: commentRow(rows, 6, 'NFTA_SET_ELEM_USERDATA', element.comment),
    counter: counterOf(expression)
  }
}

const NO_EXPRESSION: Expression = { kind: 'other', name: '', attributes: NO_BYTES }

function counterOf(expression: Expression | undefined): NfCounter | undefined {
  if (expression === undefined || expression.kind !== 'counter') return undefined
  return { packets: expression.packets, bytes: expression.bytes }
}

/** For NEWSETELEM. An attribute holds at most 64 KiB: pass a few hundred elements at once. */
export function encodeElements(list: NfElementList): Uint8Array {
  return encodeRows(list, listRows)
}

/** For DELSETELEM and GETSETELEM: the keys alone. Without elements GETSETELEM dumps the set and DELSETELEM empties it. */
export function encodeElementKeys(list: NfElementList): Uint8Array {
  return encodeElements({ ...list, elements: list.elements.map(element => keyOnly(element)) })
}

function keyOnly(element: NfElement): NfElement {
  return { key: element.key, keyEnd: element.keyEnd, data: undefined, verdict: undefined, comment: '' }
}

/** @throws {DecodeError} */
export function decodeElements(payload: Uint8Array): NfElementList {
  return listRows(readingNfRows(payload), NO_LIST)
}
