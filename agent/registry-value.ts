/**
 * Values of the registry. What other hosts have written is judged before it gets anywhere. A host that was broken into, or an older
 * agent, must not bring this one's tables into disorder: one value that the kernel refuses would have all be written again
 * and again, a MAC of zeros would stand for the list of hosts that frames are flooded to.
 */
import {
  formatAddress,
  type IpAddress,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseAddress
} from '../lib/ip/address.ts'
import { formatMac, parseMac } from '../lib/ip/mac.ts'
import { canonicalName, nameProblem } from '../lib/names/host-name.ts'
import type { AddressOwner, Endpoint } from './endpoint.ts'

/** No interface has more addresses, each an entry in the kernel; and no container more names. */
const MOST_ADDRESSES = 64
/** As the registry holds 64-bit numbers: etcd's ids of leases. */
const LEASE_ID = /^[0-9]{1,19}$/

/**
 * The value of an endpoint, its addresses in the one form that is compared.
 *
 * @param family of the underlay's addresses, 4 or 6
 * @returns undefined when it is none; addresses that no container can have are left out
 */
export function endpointFromValue(text: string, family: number): Endpoint | undefined {
  const { mac, ips, vtep } = membersOf(text)
  const host = typeof vtep === 'string' ? usable(vtep) : undefined
  if (host === undefined || host.family !== family) return undefined
  if (typeof mac !== 'string' || !Array.isArray(ips)) return undefined
  const bytes = mac === '' ? undefined : unicastMac(mac)
  if (mac !== '' && bytes === undefined) return undefined
  const addresses = ips.slice(0, MOST_ADDRESSES).flatMap(ip => {
    const address = typeof ip === 'string' ? usable(ip) : undefined
    return address === undefined ? [] : [formatAddress(address)]
  })
  return {
    mac: bytes === undefined ? '' : formatMac(bytes),
    ips: [...new Set(addresses)],
    vtep: formatAddress(host)
  }
}

/** An endpoint as the registry has it. */
export function endpointValue({ mac, ips, vtep }: Endpoint): string {
  return JSON.stringify({ mac, ips, vtep })
}

/** The names of a container on another host. */
export interface NameValue {
  readonly names: readonly string[]
  readonly addresses: readonly IpAddress[]
  readonly domain: string
}

export function nameValue({ names, addresses, domain }: NameValue): string {
  return JSON.stringify({ names, addresses: addresses.map(formatAddress), domain })
}

/** @returns what of it can be names and addresses */
export function nameFromValue(text: string): NameValue {
  const { names, addresses, domain } = membersOf(text)
  const domains = textsOf([domain]).map(canonicalName).filter(isName)
  return {
    names: [...new Set(textsOf(names).map(canonicalName).filter(isName))],
    addresses: textsOf(addresses).flatMap(one => usable(one) ?? []),
    domain: domains[0] ?? ''
  }
}

function isName(text: string): boolean {
  return nameProblem(text) === ''
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.slice(0, MOST_ADDRESSES).filter(one => typeof one === 'string') : []
}

export function ownerValue({ host, network, containerId, ifName }: AddressOwner): string {
  return JSON.stringify({ host, network, containerId, ifName })
}

/** Who has an address. A value of no known form is somebody's all the same: the address is not free. */
export function ownerFromValue(text: string): AddressOwner {
  const { host, network, containerId, ifName } = membersOf(text)
  return { host: textOf(host), network: textOf(network), containerId: textOf(containerId), ifName: textOf(ifName) }
}

/** A host's record. */
export interface HostValue {
  readonly machine: string
  /** Ids of etcd leases; '' when it has none. */
  readonly presence: string
  readonly records: string
}

/** @returns undefined when it is none, and so nobody's */
export function hostFromValue(text: string): HostValue | undefined {
  const { machine, presence, records } = membersOf(text)
  if (typeof machine !== 'string' || machine === '') return undefined
  return { machine, presence: leaseOf(presence), records: leaseOf(records) }
}

function leaseOf(value: unknown): string {
  return typeof value === 'string' && LEASE_ID.test(value) ? value : ''
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The members of a value that is an object; none of any other. */
export function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
  } catch {
    return {}
  }
}

/** One machine's address. */
export function usable(text: string): IpAddress | undefined {
  const address = parseAddress(text)
  if (address === undefined || isUnspecified(address) || isLoopback(address) || isMulticast(address)) return undefined
  return address
}

function unicastMac(text: string): Uint8Array | undefined {
  const mac = parseMac(text)
  if (mac === undefined || ((mac[0] ?? 1) & 1) === 1 || mac.every(byte => byte === 0)) return undefined
  return mac
}
