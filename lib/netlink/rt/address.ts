/**
 * Addresses of links: RTM_NEWADDR, RTM_GETADDR, RTM_DELADDR.
 *
 * @source linux/if_addr.h struct ifaddrmsg, struct ifa_cacheinfo, enum IFA_*; types by net/ipv4/devinet.c
 *   ifa_ipv4_policy, net/ipv6/addrconf.c ifa_ipv6_policy
 */

import { Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import type { IpAddress } from '../../ip/address.ts'
import { type Attribute, encodeRows, type Rows, readingRows } from '../rows.ts'

export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
export const RTM_GETADDR = 22

export const IFA_F_NODAD = 0x02
export const IFA_F_DADFAILED = 0x08
export const IFA_F_TENTATIVE = 0x40
export const IFA_F_PERMANENT = 0x80
export const IFA_F_NOPREFIXROUTE = 0x200

/** struct ifaddrmsg and its attributes. */
export interface AddressMessage {
  readonly family: number
  readonly prefixLength: number
  /** The low eight of IFA_F_*. */
  readonly shortFlags: number
  /** RT_SCOPE_* */
  readonly scope: number
  readonly index: number
  /** The far end of a point-to-point address, else the same as `local`. */
  readonly address?: IpAddress | undefined
  readonly local?: IpAddress | undefined
  readonly label?: string | undefined
  readonly broadcast?: IpAddress | undefined
  readonly anycast?: IpAddress | undefined
  readonly cache?: AddressCache | undefined
  readonly multicast?: IpAddress | undefined
  /** All of IFA_F_*. */
  readonly flags?: number | undefined
  /** The metric of the prefix's route. */
  readonly routeMetric?: number | undefined
  /** IFAPROT_* */
  readonly protocol?: number | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

/** struct ifa_cacheinfo: lifetimes in s, 2^32-1 = for ever; times of creation and change in 1/100 s since boot. */
export interface AddressCache {
  readonly preferred: number
  readonly valid: number
  readonly created: number
  readonly updated: number
}

export const EMPTY_ADDRESS: AddressMessage = { family: 0, prefixLength: 0, shortFlags: 0, scope: 0, index: 0 }

function addressRows(rows: Rows, a: AddressMessage): AddressMessage {
  return {
    family: rows.fixedU8('ifa_family', a.family),
    prefixLength: rows.fixedU8('ifa_prefixlen', a.prefixLength),
    shortFlags: rows.fixedU8('ifa_flags', a.shortFlags),
    scope: rows.fixedU8('ifa_scope', a.scope),
    index: rows.fixedU32('ifa_index', a.index),
    address: rows.address(1, 'IFA_ADDRESS', a.address),
    local: rows.address(2, 'IFA_LOCAL', a.local),
    label: rows.text(3, 'IFA_LABEL', a.label, 16),
    broadcast: rows.address(4, 'IFA_BROADCAST', a.broadcast),
    anycast: rows.address(5, 'IFA_ANYCAST', a.anycast),
    cache: decodeCache(rows.bytes(6, 'IFA_CACHEINFO', encodeCache(a.cache), 16)),
    multicast: rows.address(7, 'IFA_MULTICAST', a.multicast),
    flags: rows.u32(8, 'IFA_FLAGS', a.flags),
    routeMetric: rows.u32(9, 'IFA_RT_PRIORITY', a.routeMetric),
    protocol: rows.u8(11, 'IFA_PROTO', a.protocol),
    unknown: rows.unknown(a.unknown)
  }
}

function encodeCache(cache: AddressCache | undefined): Uint8Array | undefined {
  if (cache === undefined) return undefined
  return new Writer().u32(cache.preferred).u32(cache.valid).u32(cache.created).u32(cache.updated).finish()
}

function decodeCache(bytes: Uint8Array | undefined): AddressCache | undefined {
  if (bytes === undefined) return undefined
  const reader = new Reader(bytes, 'ifa_cacheinfo')
  return { preferred: reader.u32(), valid: reader.u32(), created: reader.u32(), updated: reader.u32() }
}

/** @throws {EncodeError} */
export function encodeAddress(address: AddressMessage): Uint8Array {
  return encodeRows(address, addressRows)
}

/**
 * @param keepsUnknown whether attributes that AddressMessage has no field for are wanted
 * @throws {DecodeError}
 */
export function decodeAddress(bytes: Uint8Array, keepsUnknown = true): AddressMessage {
  return addressRows(readingRows(bytes, 'ifaddrmsg', keepsUnknown), EMPTY_ADDRESS)
}
