/** Port mappings as values: what the configuration asks for, in the form in which it is carried out. */
import { addressesEqual, formatAddress, type IpAddress, isUnspecified } from '../../lib/ip/address.ts'

/** IPPROTO_* */
export type Protocol = 6 | 17 | 132

/** Ports `first` to `last` of the host lead to as many ports of the container, from `containerPort` on. */
export interface Mapping {
  readonly protocol: Protocol
  /** undefined = every address of the host, of both families */
  readonly hostAddress: IpAddress | undefined
  readonly first: number
  readonly last: number
  readonly containerPort: number
}

const PROTOCOLS: readonly (readonly [string, Protocol])[] = [
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132]
]

/** Shorter runs of ports are single mappings, which are found faster. */
const SHORTEST_RANGE = 3

export function parseProtocol(text: string): Protocol | undefined {
  const wanted = text.toLowerCase()
  return PROTOCOLS.find(one => one[0] === wanted)?.[1]
}

export function protocolName(protocol: Protocol): string {
  return PROTOCOLS.find(one => one[1] === protocol)?.[0] ?? String(protocol)
}

/** `tcp 127.0.0.1:8080`, `udp *:8000-8010` */
export function mappingText(mapping: Mapping): string {
  const { hostAddress, first, last } = mapping
  const address = hostAddress === undefined ? '*' : addressText(hostAddress)
  const ports = first === last ? String(first) : `${String(first)}-${String(last)}`
  return `${protocolName(mapping.protocol)} ${address}:${ports}`
}

function addressText(address: IpAddress): string {
  return address.family === 6 ? `[${formatAddress(address)}]` : formatAddress(address)
}

/** Whether the mapping concerns packets of this family. */
export function isOfFamily(mapping: Mapping, family: 4 | 6): boolean {
  return mapping.hostAddress === undefined || mapping.hostAddress.family === family
}

/** The one address of the host that the mapping is for; undefined when it is for all, of its family or of both. */
export function specificAddress(mapping: Mapping): IpAddress | undefined {
  const { hostAddress } = mapping
  return hostAddress === undefined || isUnspecified(hostAddress) ? undefined : hostAddress
}

/** Whether a packet can be meant by both. */
export function overlap(a: Mapping, b: Mapping): boolean {
  if (a.protocol !== b.protocol || a.first > b.last || b.first > a.last) return false
  if (a.hostAddress === undefined || b.hostAddress === undefined) return true
  if (a.hostAddress.family !== b.hostAddress.family) return false
  const left = specificAddress(a)
  const right = specificAddress(b)
  return left === undefined || right === undefined || addressesEqual(left, right)
}

/**
 * Joins mappings of neighbouring ports to ranges, where the port stays the same; runtimes send one mapping per port.
 *
 * @param mappings of single ports, without repetitions
 */
export function joinRanges(mappings: readonly Mapping[]): readonly Mapping[] {
  const joined: Mapping[] = []
  for (const alike of byProtocolAndAddress(mappings)) {
    const sorted = alike.sort((a, b) => a.first - b.first)
    let at = 0
    while (at < sorted.length) {
      const start = sorted[at]
      if (start === undefined) break
      let length = 1
      while (isNext(start, sorted[at + length], length)) length += 1
      const isRange = length >= SHORTEST_RANGE && start.first === start.containerPort
      const end = at + length
      if (isRange) joined.push(rangeFrom(start, length))
      // Not by `slice`, for which the native engine passes over all that stands before.
      else for (let i = at; i < end; i += 1) joined.push(sorted[i] ?? start)
      at = end
    }
  }
  return joined
}

function byProtocolAndAddress(mappings: readonly Mapping[]): readonly Mapping[][] {
  const keys: string[] = []
  const lists: Map<string, Mapping[]> = new Map()
  for (const mapping of mappings) {
    const { protocol, hostAddress } = mapping
    const key = `${String(protocol)} ${hostAddress === undefined ? '' : formatAddress(hostAddress)}`
    const known = lists.get(key)
    if (known !== undefined) known.push(mapping)
    else {
      keys.push(key)
      lists.set(key, [mapping])
    }
  }
  return keys.sort(compareText).map(key => lists.get(key) ?? [])
}

function rangeFrom(start: Mapping, length: number): Mapping {
  const { protocol, hostAddress, first, containerPort } = start
  return { protocol, hostAddress, first, last: first + length - 1, containerPort }
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

function isNext(start: Mapping, next: Mapping | undefined, distance: number): boolean {
  return next?.first === start.first + distance && next.containerPort === start.containerPort + distance
}
