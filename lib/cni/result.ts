/**
 * The result of an ADD: interfaces, addresses, routes and name servers, in the newest form (1.1.0). result-json.ts reads
 * and writes the form of every version.
 * @source CNI specification 1.1.0, "ADD Success"
 */
import type { IpAddress } from '../ip/address.ts'
import type { IpPrefix } from '../ip/prefix.ts'

/** Of one attachment: each is looked for, made and guarded by itself. What asks for more is a mistake or an attack. */
export const MOST_ADDRESSES = 1024

export interface Result {
  readonly interfaces: readonly Interface[]
  readonly ips: readonly IpConfig[]
  readonly routes: readonly Route[]
  readonly dns: Dns
}

export interface Interface {
  readonly name: string
  /** Lower case, colons. */
  readonly mac?: string | undefined
  /** Bytes. */
  readonly mtu?: number | undefined
  /** Path of the namespace that holds it; absent for an interface of the host. */
  readonly sandbox?: string | undefined
  readonly socketPath?: string | undefined
  readonly pciID?: string | undefined
}

export interface IpConfig {
  /** Index into `interfaces`. */
  readonly interface?: number | undefined
  /** The address with its network's length; host bits kept. */
  readonly address: IpPrefix
  readonly gateway?: IpAddress | undefined
}

export interface Route {
  readonly dst: IpPrefix
  /** Absent: the gateway of the first address of the same family, if there is one. */
  readonly gw?: IpAddress | undefined
  /** Bytes. */
  readonly mtu?: number | undefined
  /** Bytes. */
  readonly advmss?: number | undefined
  /** The metric: the lowest wins. */
  readonly priority?: number | undefined
  readonly table?: number | undefined
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope?: number | undefined
}

export interface Dns {
  readonly nameservers: readonly string[]
  readonly domain?: string | undefined
  readonly search: readonly string[]
  readonly options: readonly string[]
}

export const NO_DNS: Dns = { nameservers: [], search: [], options: [] }

export const EMPTY_RESULT: Result = { interfaces: [], ips: [], routes: [], dns: NO_DNS }

/** Whether nothing at all is set. */
export function isEmptyDns(dns: Dns): boolean {
  return (
    dns.nameservers.length === 0 && dns.search.length === 0 && dns.options.length === 0 && (dns.domain ?? '') === ''
  )
}
