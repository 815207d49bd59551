/** What an attachment looks like in each version of the specification, built from plain parts. */
import { canonical } from './addresses-compared.ts'
import type { JsonObject } from './json.ts'
import { atLeast, type Version } from './versions.ts'

export interface ResultParts {
  readonly interfaces: readonly JsonObject[]
  readonly ips: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[]
  readonly routes: readonly { readonly dst: string; readonly gw?: string }[]
  readonly dns: JsonObject
}

export function isV6(address: string): boolean {
  return address.includes(':')
}

/** The parts as a result of the given version; `interfaces` is left out when empty, as IPAM plugins do. */
export function resultIn(version: Version, parts: ResultParts): JsonObject {
  if (!atLeast(version, '0.3.0')) {
    const legacy = (v6: boolean) => {
      const ip = parts.ips.find(({ address }) => isV6(address) === v6)
      if (ip === undefined) return undefined
      return { ip: ip.address, gateway: ip.gateway, routes: parts.routes.filter(({ dst }) => isV6(dst) === v6) }
    }
    return { cniVersion: version, ip4: legacy(false), ip6: legacy(true), dns: parts.dns }
  }
  const ips = parts.ips.map(ip => ({
    ...(atLeast(version, '1.0.0') ? {} : { version: isV6(ip.address) ? '6' : '4' }),
    ...ip
  }))
  const interfaces = parts.interfaces.length === 0 ? {} : { interfaces: parts.interfaces }
  return { cniVersion: version, ...interfaces, ips, routes: parts.routes, dns: parts.dns }
}

/** Addresses of a printed result, whatever its version and their notation: `a/len`. */
export function addressesOf(result: JsonObject): readonly string[] {
  const legacy = [result['ip4'], result['ip6']].map(one => field(one, 'ip'))
  const list = Array.isArray(result['ips']) ? result['ips'].map((one: unknown) => field(one, 'address')) : []
  return [...legacy, ...list].filter(address => typeof address === 'string').map(canonical)
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}
