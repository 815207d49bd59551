/**
 * Sockets of a namespace, named by their two ends.
 *
 *     ss -K dst 10.4.0.100 dport = 80
 *
 * @source linux/sock_diag.h SOCK_DESTROY; linux/inet_diag.h struct inet_diag_req_v2, struct inet_diag_sockid
 */
import type { IpAddress } from '../ip/address.ts'
import { encodeRows, type Rows } from './rows.ts'

export const SOCK_DESTROY = 21

const AF_INET = 2
const AF_INET6 = 10
const ALL_STATES = 0xffffffff
/** INET_DIAG_NOCOOKIE: whichever socket it is now */
const NO_COOKIE = 0xffffffff
const ADDRESS_BYTES = 16

/** A connection as the socket knows it: before any translation. */
export interface SocketEnds {
  /** IPPROTO_* */
  readonly protocol: number
  readonly source: IpAddress
  readonly sourcePort: number
  readonly destination: IpAddress
  readonly destinationPort: number
}

/** struct inet_diag_req_v2 */
function requestRows(rows: Rows, ends: SocketEnds): SocketEnds {
  rows.fixedU8('sdiag_family', ends.source.family === 4 ? AF_INET : AF_INET6)
  rows.fixedU8('sdiag_protocol', ends.protocol)
  rows.fixedU8('idiag_ext', 0)
  rows.fixedU8('pad', 0)
  rows.fixedU32('idiag_states', ALL_STATES)
  rows.fixedU16be('idiag_sport', ends.sourcePort)
  rows.fixedU16be('idiag_dport', ends.destinationPort)
  addressRows(rows, 'idiag_src', ends.source)
  addressRows(rows, 'idiag_dst', ends.destination)
  rows.fixedU32('idiag_if', 0)
  rows.fixedU32('idiag_cookie', NO_COOKIE)
  rows.fixedU32('idiag_cookie', NO_COOKIE)
  return ends
}

function addressRows(rows: Rows, symbol: string, address: IpAddress): void {
  for (let i = 0; i < ADDRESS_BYTES; i += 1) rows.fixedU8(symbol, address.bytes[i] ?? 0)
}

/** For SOCK_DESTROY. */
export function encodeSocketEnds(ends: SocketEnds): Uint8Array {
  return encodeRows(ends, requestRows)
}
