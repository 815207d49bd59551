/**
 * IPv4 and IPv6 addresses as bytes: pure values that never change, so they may be shared freely.
 */

import { compareBytes } from '../bytes/compare.ts'

/** `bytes` are in network order: 4 of them for family 4, 16 for family 6. */
export interface IpAddress {
  readonly family: 4 | 6
  readonly bytes: Uint8Array
}

/**
 * Reads `10.1.2.3` or `fd00::1`. Strict: no leading zeros in IPv4 parts (some readers take `010` for 8), no zone,
 * no spaces. An IPv4-mapped IPv6 address is the IPv4 address it stands for, as it is for Go programs.
 *
 * @returns undefined when the text is not an address; never throws
 * @source RFC 4291 section 2.2 (text forms), RFC 6943 section 3.1.1 (strict dotted quad)
 */
export function parseAddress(text: string): IpAddress | undefined {
  if (text.indexOf(':') < 0) {
    const quad = parseQuad(text)
    return quad === undefined ? undefined : { family: 4, bytes: quad }
  }
  const bytes = parseGroups(text)
  if (bytes === undefined) return undefined
  return isMapped(bytes) ? { family: 4, bytes: bytes.slice(12) } : { family: 6, bytes }
}

/**
 * Writes an address in its one canonical form: lower case, the longest run of two or more zero groups (the first of
 * equals) as `::`, the IPv4 part of a mapped address dotted.
 *
 * @source RFC 5952 sections 4 and 5
 */
export function formatAddress(address: IpAddress): string {
  const bytes = address.bytes
  if (address.family === 4) return formatQuad(bytes, 0)
  const groupCount = isMapped(bytes) ? 6 : 8
  const [start, length] = longestZeroRun(bytes, groupCount)
  let text = ''
  for (let group = 0; group < groupCount; group += 1) {
    if (group === start) {
      text += '::'
      group += length - 1
      continue
    }
    if (text !== '' && !text.endsWith(':')) text += ':'
    text += groupText((bytes[2 * group] ?? 0) * 256 + (bytes[2 * group + 1] ?? 0))
  }
  return groupCount === 8 ? text : `${text}:${formatQuad(bytes, 12)}`
}

/** True when both are the same address of the same family. */
export function addressesEqual(a: IpAddress, b: IpAddress): boolean {
  return compareAddresses(a, b) === 0
}

/** Negative, zero or positive as `a` comes before, is, or comes after `b`; IPv4 comes before IPv6. */
export function compareAddresses(a: IpAddress, b: IpAddress): number {
  if (a.family !== b.family) return a.family - b.family
  return compareBytes(a.bytes, b.bytes)
}

/**
 * The address `n` places after this one (before it when `n` is negative).
 *
 * @param n any safe integer
 * @returns undefined when that is outside of the family's address space
 */
export function addToAddress(address: IpAddress, n: number): IpAddress | undefined {
  const bytes = address.bytes.slice(0)
  let rest = n
  let carry = 0
  for (let i = bytes.length - 1; i >= 0; i -= 1) {
    // The low digit is split off before it is added, so that no sum leaves the safe integers.
    const high = Math.floor(rest / 256)
    const sum = (bytes[i] ?? 0) + (rest - high * 256) + carry
    bytes[i] = sum % 256
    carry = sum >= 256 ? 1 : 0
    rest = high
  }
  return rest + carry === 0 ? { family: address.family, bytes } : undefined
}

/** `0.0.0.0` or `::`. */
export function isUnspecified(address: IpAddress): boolean {
  return leadingZeros(address.bytes) === address.bytes.length
}

/** `127.0.0.0/8` or `::1`. */
export function isLoopback(address: IpAddress): boolean {
  if (address.family === 4) return address.bytes[0] === 127
  return leadingZeros(address.bytes) === 15 && address.bytes[15] === 1
}

/** `224.0.0.0/4` or `ff00::/8`. */
export function isMulticast(address: IpAddress): boolean {
  const first = address.bytes[0] ?? 0
  return address.family === 4 ? first >= 224 && first < 240 : first === 255
}

/** `169.254.0.0/16` or `fe80::/10`. */
export function isLinkLocal(address: IpAddress): boolean {
  const first = address.bytes[0] ?? 0
  const second = address.bytes[1] ?? 0
  return address.family === 4 ? first === 169 && second === 254 : first === 254 && second >= 128 && second < 192
}

function parseQuad(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(4)
  for (let i = 0; i < 4; i += 1) {
    const value = parseDecimalByte(parts[i] ?? '')
    if (value < 0) return undefined
    bytes[i] = value
  }
  return bytes
}

/** The value, or -1. */
function parseDecimalByte(text: string): number {
  if (text.length < 1 || text.length > 3) return -1
  if (text.length > 1 && text.startsWith('0')) return -1
  let value = 0
  for (let i = 0; i < text.length; i += 1) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value > 255 ? -1 : value
}

function parseGroups(text: string): Uint8Array | undefined {
  const gap = text.indexOf('::')
  if (gap < 0) return groupBytes(text, 16)
  if (text.indexOf('::', gap + 1) >= 0) return undefined
  // "::" stands for one group of zeros at least, hence 14 bytes at most beside it.
  const head = groupBytes(text.slice(0, gap), -1)
  const tail = groupBytes(text.slice(gap + 2), -1)
  if (head === undefined || tail === undefined || head.length + tail.length > 14) return undefined
  // A dotted quad may only end the whole address.
  if (text.slice(0, gap).indexOf('.') >= 0) return undefined
  const bytes = new Uint8Array(16)
  copyTo(bytes, 0, head)
  copyTo(bytes, 16 - tail.length, tail)
  return bytes
}

/** The bytes of `a:b:c` or `a:b:1.2.3.4`; `size` is how many there must be, -1 for any number up to 16. */
function groupBytes(text: string, size: number): Uint8Array | undefined {
  if (text === '') return size <= 0 ? new Uint8Array(0) : undefined
  const parts = text.split(':')
  const bytes = new Uint8Array(16)
  let length = 0
  for (let i = 0; i < parts.length; i += 1) {
    const part = parts[i] ?? ''
    if (part.indexOf('.') >= 0) {
      const quad = i === parts.length - 1 ? parseQuad(part) : undefined
      if (quad === undefined || length > 12) return undefined
      copyTo(bytes, length, quad)
      length += 4
      continue
    }
    const value = parseGroup(part)
    if (value < 0 || length > 14) return undefined
    bytes[length] = Math.floor(value / 256)
    bytes[length + 1] = value % 256
    length += 2
  }
  return size >= 0 && length !== size ? undefined : bytes.slice(0, length)
}

/** The value of one to four hexadecimal digits, or -1. */
function parseGroup(text: string): number {
  if (text.length < 1 || text.length > 4) return -1
  let value = 0
  for (let i = 0; i < text.length; i += 1) {
    const digit = hexDigit(text.charCodeAt(i))
    if (digit < 0) return -1
    value = value * 16 + digit
  }
  return value
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && leadingZeros(bytes) === 10 && bytes[10] === 255 && bytes[11] === 255
}

/** How many zeros `bytes` begin with. */
function leadingZeros(bytes: Uint8Array): number {
  let count = 0
  while (count < bytes.length && bytes[count] === 0) count += 1
  return count
}

function copyTo(target: Uint8Array, at: number, source: Uint8Array): void {
  target.set(source, at)
}

function formatQuad(bytes: Uint8Array, at: number): string {
  const parts: string[] = []
  for (let i = at; i < at + 4; i += 1) parts.push(String(bytes[i] ?? 0))
  return parts.join('.')
}

function groupText(value: number): string {
  const digits = '0123456789abcdef'
  let text = ''
  let rest = value
  do {
    text = digits.charAt(rest % 16) + text
    rest = Math.floor(rest / 16)
  } while (rest > 0)
  return text
}

/** First group and length of the run to be written as `::`; start -1 when there is none. */
function longestZeroRun(bytes: Uint8Array, groupCount: number): readonly [number, number] {
  let bestStart = -1
  let bestLength = 1
  let length = 0
  for (let group = 0; group < groupCount; group += 1) {
    length = bytes[2 * group] === 0 && bytes[2 * group + 1] === 0 ? length + 1 : 0
    if (length > bestLength) {
      bestLength = length
      bestStart = group - length + 1
    }
  }
  return [bestStart, bestLength]
}
