/**
 * Address and prefix length, `10.1.2.3/24`: an interface's address or, with its host bits cleared, a network.
 */
import { consistsOf, isDigit } from '../bytes/characters.ts'
import { addressesEqual, addToAddress, formatAddress, type IpAddress, parseAddress } from './address.ts'

/** Host bits of `address` are kept as given. `length` is 0 to 32 for IPv4, 0 to 128 for IPv6. */
export interface IpPrefix {
  readonly address: IpAddress
  readonly length: number
}

/**
 * Reads `address/length`. The length has no leading zeros and no sign; netmasks are not understood.
 *
 * @returns undefined when the text is not that; never throws
 * @source RFC 4632 section 3.1, RFC 4291 section 2.3
 */
export function parsePrefix(text: string): IpPrefix | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const address = parseAddress(text.slice(0, slash))
  if (address === undefined) return undefined
  const digits = text.slice(slash + 1)
  if (digits.length > 3 || !consistsOf(digits, isDigit) || (digits !== '0' && digits.startsWith('0'))) return undefined
  const written = Number(digits)
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8 written as IPv6.
  const length = address.family === 4 && text.indexOf(':') >= 0 ? written - 96 : written
  return length < 0 || length > addressBits(address) ? undefined : { address, length }
}

/** `10.1.2.3/24`, host bits as they are. */
export function formatPrefix(prefix: IpPrefix): string {
  return `${formatAddress(prefix.address)}/${String(prefix.length)}`
}

/** The prefix with its host bits cleared: `10.1.2.3/24` becomes `10.1.2.0/24`. */
export function networkOf(prefix: IpPrefix): IpPrefix {
  return { address: withHostBits(prefix, 0), length: prefix.length }
}

/** The address with all host bits set; IPv4's broadcast address where the prefix has one. */
export function lastAddress(prefix: IpPrefix): IpAddress {
  return withHostBits(prefix, 255)
}

/** True when the address is of the prefix's family and inside its network. */
export function prefixContains(prefix: IpPrefix, address: IpAddress): boolean {
  if (prefix.address.family !== address.family) return false
  return addressesEqual(withHostBits(prefix, 0), withHostBits({ address, length: prefix.length }, 0))
}

/** True when one of the networks contains the other. */
export function prefixesOverlap(a: IpPrefix, b: IpPrefix): boolean {
  return a.length <= b.length ? prefixContains(a, b.address) : prefixContains(b, a.address)
}

/** The address alone: `/32` or `/128`. */
export function hostPrefix(address: IpAddress): IpPrefix {
  return { address, length: addressBits(address) }
}

/** True when address (host bits included) and length are the same. */
export function prefixesEqual(a: IpPrefix, b: IpPrefix): boolean {
  return a.length === b.length && addressesEqual(a.address, b.address)
}

function addressBits(address: IpAddress): number {
  return address.family === 4 ? 32 : 128
}

/** The prefix's address with its host bits replaced by those of `fill`, which is 0 or 255. */
function withHostBits(prefix: IpPrefix, fill: number): IpAddress {
  const bytes = prefix.address.bytes.slice(0)
  for (let i = 0; i < bytes.length; i += 1) {
    const networkBits = Math.max(0, Math.min(8, prefix.length - 8 * i))
    const hostMask = 255 >> networkBits
    bytes[i] = ((bytes[i] ?? 0) & (255 - hostMask)) | (fill & hostMask)
  }
  return { family: prefix.address.family, bytes }
}

/** The first address behind the network's own; undefined where the prefix has that itself or has no room for it. */
export function firstAddress(prefix: IpPrefix): IpAddress | undefined {
  const first = addToAddress(networkOf(prefix).address, 1)
  if (first === undefined || !prefixContains(prefix, first) || addressesEqual(first, prefix.address)) return undefined
  return first
}
