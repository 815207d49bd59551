/**
 * Elements of sets and maps.
 *
 *     add element ip patchbay-portmap ports { tcp . 8080 comment "net id eth0" : 10.4.0.5 . 80 }
 *     add element ip patchbay-masquerade sources { 10.4.0.5 comment "net id eth0" : goto from-10.4.0.0/24 }
 *
 * @source linux/netfilter/nf_tables.h enum nft_set_elem_list_attributes, enum nft_set_elem_attributes
 */
import { type Attribute, attributes, readText, readU32be } from '../reader.ts'
import type { Writer } from '../writer.ts'
import { type NfVerdict, readValue, readVerdict, writeValue, writeVerdict } from './data.ts'
import { decodeNfMessage, nfMessage } from './nfnetlink.ts'
import { decodeComment, encodeComment } from './user-data.ts'

const NFTA_SET_ELEM_LIST_TABLE = 1
const NFTA_SET_ELEM_LIST_SET = 2
const NFTA_SET_ELEM_LIST_ELEMENTS = 3
const NFTA_SET_ELEM_LIST_SET_ID = 4
const NFTA_LIST_ELEM = 1

const NFTA_SET_ELEM_KEY = 1
const NFTA_SET_ELEM_DATA = 2
const NFTA_SET_ELEM_USERDATA = 6
const NFTA_SET_ELEM_KEY_END = 10

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
}

export interface NfElementList {
  readonly family: number
  readonly table: string
  readonly set: string
  /** The set's id in the same batch, which the kernel needs only for sets without a name of their own; 0 for none. */
  readonly setId: number
  readonly elements: readonly NfElement[]
}

/** For NEWSETELEM. An attribute holds at most 64 KiB: pass a few hundred elements at once. */
export function encodeElements(list: NfElementList): Uint8Array {
  const writer = nfMessage(list.family)
  writer.attrText(NFTA_SET_ELEM_LIST_TABLE, list.table)
  writer.attrText(NFTA_SET_ELEM_LIST_SET, list.set)
  if (list.setId !== 0) writer.attrU32be(NFTA_SET_ELEM_LIST_SET_ID, list.setId)
  if (list.elements.length > 0) {
    writer.nested(NFTA_SET_ELEM_LIST_ELEMENTS, () => {
      for (const element of list.elements) writeElement(writer, element)
    })
  }
  return writer.finish()
}

function writeElement(writer: Writer, element: NfElement): void {
  const { keyEnd, data, verdict, comment } = element
  writer.nested(NFTA_LIST_ELEM, () => {
    writeValue(writer, NFTA_SET_ELEM_KEY, element.key)
    if (keyEnd !== undefined) writeValue(writer, NFTA_SET_ELEM_KEY_END, keyEnd)
    if (verdict !== undefined) writeVerdict(writer, NFTA_SET_ELEM_DATA, verdict)
    if (data !== undefined) writeValue(writer, NFTA_SET_ELEM_DATA, data)
    if (comment !== '') writer.attr(NFTA_SET_ELEM_USERDATA, encodeComment(comment))
  })
}

/** For DELSETELEM and GETSETELEM: the keys alone. Without elements GETSETELEM dumps the set and DELSETELEM empties it. */
export function encodeElementKeys(list: NfElementList): Uint8Array {
  return encodeElements({ ...list, elements: list.elements.map(element => keyOnly(element)) })
}

function keyOnly(element: NfElement): NfElement {
  return { key: element.key, keyEnd: element.keyEnd, data: undefined, verdict: undefined, comment: '' }
}

export function decodeElements(payload: Uint8Array): NfElementList {
  const message = decodeNfMessage(payload)
  let table = ''
  let set = ''
  let setId = 0
  const elements: NfElement[] = []
  for (const attribute of attributes(message.rest, 'NFTA_SET_ELEM_LIST')) {
    if (attribute.type === NFTA_SET_ELEM_LIST_TABLE) table = readText(attribute, 'NFTA_SET_ELEM_LIST_TABLE')
    if (attribute.type === NFTA_SET_ELEM_LIST_SET) set = readText(attribute, 'NFTA_SET_ELEM_LIST_SET')
    if (attribute.type === NFTA_SET_ELEM_LIST_SET_ID) setId = readU32be(attribute, 'NFTA_SET_ELEM_LIST_SET_ID')
    if (attribute.type === NFTA_SET_ELEM_LIST_ELEMENTS) {
      for (const one of attributes(attribute.value, 'NFTA_SET_ELEM_LIST_ELEMENTS')) elements.push(decodeElement(one))
    }
  }
  return { family: message.family, table, set, setId, elements }
}

function decodeElement(one: Attribute): NfElement {
  let key: Uint8Array = new Uint8Array(0)
  let keyEnd: Uint8Array | undefined
  let data: Uint8Array | undefined
  let verdict: NfVerdict | undefined
  let comment = ''
  for (const attribute of attributes(one.value, 'NFTA_SET_ELEM')) {
    if (attribute.type === NFTA_SET_ELEM_KEY) key = readValue(attribute, 'NFTA_SET_ELEM_KEY')
    if (attribute.type === NFTA_SET_ELEM_KEY_END) keyEnd = readValue(attribute, 'NFTA_SET_ELEM_KEY_END')
    if (attribute.type === NFTA_SET_ELEM_USERDATA) comment = decodeComment(attribute.value)
    if (attribute.type === NFTA_SET_ELEM_DATA) {
      verdict = readVerdict(attribute, 'NFTA_SET_ELEM_DATA')
      if (verdict === undefined) data = readValue(attribute, 'NFTA_SET_ELEM_DATA')
    }
  }
  return { key, keyEnd, data, verdict, comment }
}
