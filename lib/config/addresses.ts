/**
 * Addresses, prefixes and MACs as values of configuration keys. A wrong text is one of the section's problems; an
 * empty one counts as absent, because runtimes send fields they have no value for as "".
 */
import { type IpAddress, parseAddress } from '../ip/address.ts'
import { isUnicastMac, parseMac } from '../ip/mac.ts'
import { type IpPrefix, parsePrefix } from '../ip/prefix.ts'
import type { Section } from './section.ts'

/** `10.1.2.3` or `fd00::1`. */
export function readAddress(section: Section, key: string): IpAddress | undefined {
  const text = section.text(key) ?? ''
  const address = parseAddress(text)
  if (address === undefined && text !== '') section.problem(key, 'must be an IP address')
  return address
}

/** `10.1.2.3/24` or `fd00::1/64`, host bits kept. */
export function readPrefix(section: Section, key: string): IpPrefix | undefined {
  const text = section.text(key) ?? ''
  const prefix = parsePrefix(text)
  if (prefix === undefined && text !== '') section.problem(key, 'must be an IP address with prefix length')
  return prefix
}

/** `0a:58:0a:01:00:05`, of an interface: no group's, and not all zero. */
export function readMac(section: Section, key: string): Uint8Array | undefined {
  const text = section.text(key) ?? ''
  const mac = parseMac(text)
  if (mac === undefined && text !== '') section.problem(key, 'must be a MAC address of six bytes')
  if (mac === undefined || isUnicastMac(mac)) return mac
  section.problem(key, 'must be a unicast MAC address')
  return undefined
}
