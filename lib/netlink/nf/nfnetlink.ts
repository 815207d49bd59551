/**
 * What every netfilter message begins with, and the batch around the ones that change nf_tables.
 *
 * @source linux/netfilter/nfnetlink.h struct nfgenmsg, enum nfnl_batch_attributes; linux/netfilter.h NFPROTO_*
 */
import { encodeRows, type Rows, readingRows } from '../rows.ts'

/** NFPROTO_*: which packets a table sees. */
export const NFPROTO_UNSPEC = 0
export const NFPROTO_IPV4 = 2
export const NFPROTO_BRIDGE = 7
export const NFPROTO_IPV6 = 10

export const NFNL_SUBSYS_CTNETLINK = 1
export const NFNL_SUBSYS_NFTABLES = 10

export const NFNL_MSG_BATCH_BEGIN = 16
export const NFNL_MSG_BATCH_END = 17

/** The size of struct nfgenmsg. */
export const NFGENMSG = 4
const NFNETLINK_V0 = 0

/** The nlmsg_type of a message of a subsystem. */
export function nfType(subsystem: number, message: number): number {
  return subsystem * 256 + message
}

/** struct nfgenmsg of a message of nf_tables. @returns its family */
export function familyRows(rows: Rows, family: number): number {
  return headerRows(rows, family, NFNETLINK_V0, 0)
}

/** struct nfgenmsg. @returns its family */
export function headerRows(rows: Rows, family: number, version: number, resource: number): number {
  const read = rows.fixedU8('nfgen_family', family)
  rows.fixedU8('version', version)
  rows.fixedU16be('res_id', resource)
  return read
}

/** Rows that read a message, of which only what is named is wanted. */
export function readingNfRows(payload: Uint8Array): Rows {
  return readingRows(payload, 'nfgenmsg', false)
}

/** @returns the generation */
function batchRows(rows: Rows, generation: number | undefined): number | undefined {
  headerRows(rows, NFPROTO_UNSPEC, NFNETLINK_V0, NFNL_SUBSYS_NFTABLES)
  return rows.u32be(1, 'NFNL_BATCH_GENID', generation)
}

/**
 * The payload of NFNL_MSG_BATCH_BEGIN.
 *
 * @param generation the kernel refuses the batch with ERESTART when its ruleset has another generation by now
 */
export function encodeBatchBegin(generation: number | undefined): Uint8Array {
  return encodeRows(generation, batchRows)
}

export function encodeBatchEnd(): Uint8Array {
  return encodeBatchBegin(undefined)
}

/** The generation that a batch begin names. */
export function decodeBatchBegin(payload: Uint8Array): number | undefined {
  return batchRows(readingNfRows(payload), undefined)
}
