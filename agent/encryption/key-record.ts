/**
 * What a host tells the others about its key, in the registry:
 *
 *     encryption/<host>   {"key": "<base64>", "address": "fd…", "endpoint": "192.0.2.1:51830"}
 */
import { createHash } from 'node:crypto'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import type { WgEndpoint } from '../../lib/net/wireguard.ts'
import { membersOf, usable } from '../registry-value.ts'
import { keyBytes } from './keys.ts'

export const KEYS_PREFIX = 'encryption/'

export interface KeyRecord {
  /** The public key in base64. */
  readonly key: string
  /** Its address in the carrier. */
  readonly address: IpAddress
  readonly endpoint: WgEndpoint
}

export function keyValue({ key, address, endpoint }: KeyRecord): string {
  return JSON.stringify({ key, address: formatAddress(address), endpoint: endpointText(endpoint) })
}

/** @returns undefined when it is none */
export function keyFromValue(text: string): KeyRecord | undefined {
  const { key, address, endpoint } = membersOf(text)
  const parsed = typeof address === 'string' ? parseAddress(address) : undefined
  const where = typeof endpoint === 'string' ? endpointOf(endpoint) : undefined
  if (typeof key !== 'string' || keyBytes(key) === undefined || parsed === undefined || where === undefined) {
    return undefined
  }
  return { key, address: parsed, endpoint: where }
}

/** `192.0.2.1:51830`, `[2001:db8::1]:51830` */
export function endpointText({ address, port }: WgEndpoint): string {
  const text = formatAddress(address)
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`
}

function endpointOf(text: string): WgEndpoint | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text)
  const address = usable(parts?.[1] ?? parts?.[2] ?? '')
  const port = Number(parts?.[3])
  return address === undefined || !(port >= 1 && port <= 65_535) ? undefined : { address, port }
}

/**
 * The address that a key has in the carrier: the range's bits, then those of the key's SHA-256. Nobody chooses it, so that nobody
 * can choose another's.
 */
export function addressOfKey(key: string, range: IpPrefix): IpAddress {
  const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest()
  const { family, bytes } = range.address
  const address = bytes.map((byte, at) => {
    const fixed = Math.min(8, Math.max(0, range.length - 8 * at))
    const mask = 0xff >> fixed
    return (byte & ~mask) | ((digest[at] ?? 0) & mask)
  })
  return { family, bytes: address }
}
