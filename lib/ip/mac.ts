/**
 * MAC addresses as six bytes.
 */
import { createHash } from 'node:crypto'
import { consistsOf, isHexDigit } from '../bytes/characters.ts'

/**
 * Reads `0a:58:0a:01:00:05`, either case, with colons or dashes (not a mixture).
 *
 * @returns undefined when the text is not six bytes in that form; never throws
 * @source IEEE 802-2014 section 8.1
 */
export function parseMac(text: string): Uint8Array | undefined {
  const parts = text.toLowerCase().split(text.indexOf(':') < 0 ? '-' : ':')
  if (parts.length !== 6 || !parts.every(part => part.length === 2 && consistsOf(part, isHexDigit))) return undefined
  const bytes = new Uint8Array(6)
  for (let i = 0; i < 6; i += 1) bytes[i] = parseInt(parts[i] ?? '', 16)
  return bytes
}

/**
 * Whether an interface can have it: the lowest bit of the first byte is set in addresses of groups, all zero is no address.
 *
 * @source IEEE 802-2014 section 8.2
 */
export function isUnicastMac(mac: Uint8Array): boolean {
  return ((mac[0] ?? 0) & 1) === 0 && hex(mac) !== '000000000000'
}

/** `0a:58:0a:01:00:05`: lower case with colons. */
export function formatMac(mac: Uint8Array): string {
  return digitsOf(mac, COLON)
}

/**
 * A MAC address that depends on the seed alone: locally administered, unicast. An interface that gets a made-up
 * address must get the same one again, or its neighbours' caches point nowhere until they expire.
 */
export function stableMac(seed: string): Uint8Array {
  const digest: Uint8Array = createHash('sha256').update(seed).digest()
  const mac = digest.slice(0, 6)
  mac[0] = ((mac[0] ?? 0) & 0xfc) | 0x02
  return mac
}

/** The bytes as lower-case hexadecimal digits, two each, nothing between them. */
export function hex(bytes: Uint8Array): string {
  return digitsOf(bytes, NOTHING)
}

const COLON = 0x3a
const NOTHING = -1

/** @param between the character between two bytes */
function digitsOf(bytes: Uint8Array, between: number): string {
  const text = new Uint8Array(3 * bytes.length)
  let length = 0
  for (const byte of bytes) {
    if (length > 0 && between !== NOTHING) {
      text[length] = between
      length += 1
    }
    text[length] = digitOf(byte >> 4)
    text[length + 1] = digitOf(byte & 15)
    length += 2
  }
  return new TextDecoder().decode(text.subarray(0, length))
}

function digitOf(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value
}
