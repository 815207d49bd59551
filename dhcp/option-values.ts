/**
 * The values of options that a server sends: each length is checked, and what would reach a container's resolv.conf
 * consists of what names consist of.
 *
 * @source RFC 2132; RFC 3397 with RFC 1035 section 4.1.4 (search list); RFC 3442 (classless routes)
 */
import { Reader } from '../lib/bytes/reader.ts'
import type { IpAddress } from '../lib/ip/address.ts'
import type { IpPrefix } from '../lib/ip/prefix.ts'
import {
  CLASSLESS_ROUTES,
  DhcpDecodeError,
  DOMAIN_NAME,
  DOMAIN_SEARCH,
  type Message,
  STATIC_ROUTES,
  SUBNET_MASK
} from './message.ts'

/** A destination and the router to it; `0.0.0.0` for one on the same link. */
export interface ServerRoute {
  readonly dst: IpPrefix
  readonly gateway: IpAddress
}

/** A list of addresses; empty when the option is absent. */
export function addressesOf(message: Message, code: number): readonly IpAddress[] {
  const value = message.options.get(code)
  if (value === undefined) return []
  if (value.length === 0 || value.length % 4 !== 0) throw wrong(code, 'a list of addresses of 4 bytes')
  const addresses: IpAddress[] = []
  for (let at = 0; at < value.length; at += 4) addresses.push(addressAt(value, at))
  return addresses
}

/** Of several, the first. */
export function addressOf(message: Message, code: number): IpAddress | undefined {
  return addressesOf(message, code)[0]
}

/** A count of seconds. */
export function secondsOf(message: Message, code: number): number | undefined {
  const value = message.options.get(code)
  if (value === undefined) return undefined
  if (value.length !== 4) throw wrong(code, 'a number of 4 bytes')
  return new Reader(value, 'seconds').u32be()
}

/** The subnet mask as a prefix length. */
export function maskLengthOf(message: Message): number | undefined {
  const value = message.options.get(SUBNET_MASK)
  if (value === undefined) return undefined
  if (value.length !== 4) throw wrong(SUBNET_MASK, 'a mask of 4 bytes')
  const bits = [...value].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const length = bits.indexOf('0') < 0 ? 32 : bits.indexOf('0')
  if (bits.slice(length).includes('1') || length === 0) throw wrong(SUBNET_MASK, 'ones, then zeros')
  return length
}

/** Option 121, in the order of the server. */
export function classlessRoutesOf(message: Message): readonly ServerRoute[] {
  const value = message.options.get(CLASSLESS_ROUTES) ?? new Uint8Array()
  const routes: ServerRoute[] = []
  let at = 0
  while (at < value.length) {
    const length = value[at] ?? 0
    const significant = Math.ceil(length / 8)
    const next = at + 1 + significant + 4
    if (length > 32 || next > value.length) throw wrong(CLASSLESS_ROUTES, 'destinations with a router each')
    const bytes = new Uint8Array(4)
    bytes.set(value.subarray(at + 1, at + 1 + significant))
    routes.push({
      dst: { address: { family: 4, bytes: maskedTo(bytes, length) }, length },
      gateway: addressAt(value, next - 4)
    })
    at = next
  }
  return routes
}

/** Option 33: pairs of destination and router, without masks; a network of the old classes or a single host. */
export function staticRoutesOf(message: Message): readonly ServerRoute[] {
  const addresses = addressesOf(message, STATIC_ROUTES)
  if (addresses.length % 2 !== 0) throw wrong(STATIC_ROUTES, 'destinations with a router each')
  const routes: ServerRoute[] = []
  for (let i = 0; i < addresses.length; i += 2) {
    const dst = addresses[i]
    const gateway = addresses[i + 1]
    // RFC 2132 section 5.8: the default route is illegal here.
    if (dst === undefined || gateway === undefined || dst.bytes.every(byte => byte === 0)) continue
    routes.push({ dst: { address: dst, length: classfulLength(dst) }, gateway })
  }
  return routes
}

function classfulLength({ bytes }: IpAddress): number {
  const first = bytes[0] ?? 0
  const length = first < 128 ? 8 : first < 192 ? 16 : 24
  return maskedTo(bytes, length).every((byte, i) => byte === bytes[i]) ? length : 32
}

function maskedTo(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))) & 0xff)
}

/** The domain, of several the first; undefined also for a text that is none, since it would be written into a file of lines and words. */
export function domainOf(message: Message): string | undefined {
  const value = message.options.get(DOMAIN_NAME)
  const text = value === undefined ? '' : Buffer.from(value).toString('latin1').replace(/\0+$/, '')
  const first = text.trim().split(/[ ,]+/)[0] ?? ''
  return isDomain(first) ? first : undefined
}

/** The search list; empty also when it cannot be read. */
export function searchOf(message: Message): readonly string[] {
  return searchIn(message.options.get(DOMAIN_SEARCH) ?? new Uint8Array())
}

/** The names in an option of DHCP or DHCPv6; none when they cannot be read. */
export function searchIn(value: Uint8Array): readonly string[] {
  const names: string[] = []
  let at = 0
  while (at < value.length) {
    const read = readName(value, at)
    if (read === undefined) return []
    if (isDomain(read.name)) names.push(read.name)
    at = read.next
  }
  return names
}

/** A name in DNS's form. A pointer must lead back, so that there is an end. */
function readName(value: Uint8Array, start: number): { readonly name: string; readonly next: number } | undefined {
  const labels: string[] = []
  let at = start
  let lowest = start
  let next = -1
  for (;;) {
    const length = value[at]
    if (length === undefined) return undefined
    if (length === 0) return { name: labels.join('.'), next: next < 0 ? at + 1 : next }
    if (length >= 0xc0) {
      const target = (length & 0x3f) * 256 + (value[at + 1] ?? 0xff)
      if (at + 1 >= value.length || target >= lowest) return undefined
      if (next < 0) next = at + 2
      lowest = target
      at = target
      continue
    }
    const label = value.subarray(at + 1, at + 1 + length)
    if (length > 63 || label.length < length || labels.length > 127) return undefined
    labels.push(Buffer.from(label).toString('latin1'))
    at += 1 + length
  }
}

function isDomain(text: string): boolean {
  return (
    text.length < 254 &&
    /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/.test(text)
  )
}

function addressAt(bytes: Uint8Array, at: number): IpAddress {
  return { family: 4, bytes: bytes.slice(at, at + 4) }
}

function wrong(code: number, expectation: string): DhcpDecodeError {
  return new DhcpDecodeError(`read option ${code}: it must hold ${expectation}`)
}
