/**
 * MAC addresses as six bytes.
 */
import { createHash } from 'node:crypto'

/**
 * Reads `0a:58:0a:01:00:05`, either case, with colons or dashes (not a mixture).
 *
 * @returns undefined when the text is not six bytes in that form; never throws
 * @source IEEE 802-2014 section 8.1
 */
export function parseMac(text: string): Uint8Array | undefined {
  const normal = text.toLowerCase()
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(normal) && !/^[0-9a-f]{2}(-[0-9a-f]{2}){5}$/.test(normal)) return undefined
  const bytes = new Uint8Array(6)
  for (let i = 0; i < 6; i += 1) bytes[i] = parseInt(normal.slice(3 * i, 3 * i + 2), 16)
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
  const parts: string[] = []
  for (const byte of mac) parts.push(byteText(byte))
  return parts.join(':')
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
  let text = ''
  for (const byte of bytes) text += byteText(byte)
  return text
}

function byteText(byte: number): string {
  const digits = '0123456789abcdef'
  return digits.charAt(byte >> 4) + digits.charAt(byte & 15)
}
