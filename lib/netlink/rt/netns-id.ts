/**
 * Numbers of other namespaces: RTM_GETNSID.
 *
 * @source linux/net_namespace.h enum NETNSA_*; types by net/core/net_namespace.c rtnl_net_policy
 */
import { type Attribute, encodeRows, type Rows, readingRows } from '../rows.ts'

export const RTM_GETNSID = 90

/** struct rtgenmsg and its attributes. */
export interface NetnsIdMessage {
  readonly family: number
  /** -1 = has none */
  readonly id?: number | undefined
  readonly pid?: number | undefined
  readonly fd?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

function netnsIdRows(rows: Rows, message: NetnsIdMessage): NetnsIdMessage {
  const family = rows.fixedU8('rtgen_family', message.family)
  // The structure is one byte long, and attributes begin at a multiple of four.
  rows.fixedU8('padding', 0)
  rows.fixedU16('padding', 0)
  return {
    family,
    id: rows.i32(1, 'NETNSA_NSID', message.id),
    pid: rows.u32(2, 'NETNSA_PID', message.pid),
    fd: rows.u32(3, 'NETNSA_FD', message.fd),
    unknown: rows.unknown(message.unknown)
  }
}

/** @throws {EncodeError} */
export function encodeNetnsId(message: NetnsIdMessage): Uint8Array {
  return encodeRows(message, netnsIdRows)
}

/** @throws {DecodeError} */
export function decodeNetnsId(bytes: Uint8Array): NetnsIdMessage {
  return netnsIdRows(readingRows(bytes, 'rtgenmsg'), { family: 0 })
}
