/**
 * What every netfilter message begins with, and the batch around the ones that change nf_tables.
 *
 * @source linux/netfilter/nfnetlink.h struct nfgenmsg, enum nfnl_batch_attributes; linux/netfilter.h NFPROTO_*
 */
import { attributes, Reader, readU32be } from '../reader.ts'
import { Writer } from '../writer.ts'

/** NFPROTO_*: which packets a table sees. */
export const NFPROTO_UNSPEC = 0
export const NFPROTO_INET = 1
export const NFPROTO_IPV4 = 2
export const NFPROTO_NETDEV = 5
export const NFPROTO_BRIDGE = 7
export const NFPROTO_IPV6 = 10

export const NFNL_SUBSYS_CTNETLINK = 1
export const NFNL_SUBSYS_NFTABLES = 10

export const NFNL_MSG_BATCH_BEGIN = 16
export const NFNL_MSG_BATCH_END = 17
const NFNL_BATCH_GENID = 1

/** struct nfgenmsg: family, version, resource id. */
export const NFGENMSG = 4
const NFNETLINK_V0 = 0

/** The nlmsg_type of a message of a subsystem. */
export function nfType(subsystem: number, message: number): number {
  return subsystem * 256 + message
}

/** A Writer that already holds struct nfgenmsg. */
export function nfMessage(family: number, resource = 0): Writer {
  return new Writer().u8(family).u8(NFNETLINK_V0).u16be(resource)
}

/** struct nfgenmsg as read; `rest` are the attributes after it. */
export interface NfMessage {
  readonly family: number
  readonly resource: number
  readonly rest: Uint8Array
}

export function decodeNfMessage(payload: Uint8Array): NfMessage {
  const reader = new Reader(payload, 'nfgenmsg')
  const family = reader.u8()
  reader.u8()
  const resource = reader.u16be()
  return { family, resource, rest: reader.rest() }
}

/**
 * The payload of NFNL_MSG_BATCH_BEGIN.
 *
 * @param generation the kernel refuses the batch with ERESTART when its ruleset has another generation by now
 */
export function encodeBatchBegin(generation: number | undefined): Uint8Array {
  const writer = nfMessage(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES)
  if (generation !== undefined) writer.attrU32be(NFNL_BATCH_GENID, generation)
  return writer.finish()
}

export function encodeBatchEnd(): Uint8Array {
  return nfMessage(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES).finish()
}

/** The generation that a batch begin names. */
export function decodeBatchBegin(payload: Uint8Array): number | undefined {
  for (const attribute of attributes(decodeNfMessage(payload).rest, 'NFNL_BATCH')) {
    if (attribute.type === NFNL_BATCH_GENID) return readU32be(attribute, 'NFNL_BATCH_GENID')
  }
  return undefined
}
