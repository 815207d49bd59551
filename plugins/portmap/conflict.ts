/**
 * Who is in the way of a mapping. The kernel refuses a key twice; it does not know that a port lies in a range, or that
 * one of a single address is among all addresses. Nor does it know that ports of services stand in another table.
 */
import { sameBytes } from '../../lib/bytes/compare.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { hex } from '../../lib/ip/mac.ts'
import { FEW, Lookup } from '../../lib/nft/lookup.ts'
import { type Nft, type NftElement, nftFamily } from '../../lib/nft/nft.ts'
import { PUBLISHED_PORTS, PUBLISHED_TABLE, REFUSED_PORTS } from '../../lib/nft/service-ports.ts'
import { isOfFamily, type Mapping, specificAddress } from './mapping.ts'
import { type Published, portCount } from './published.ts'
import { ADDRESS_PORTS, addressPortKey, INDEX, PORTS, portKey, RANGES, TABLE } from './table.ts'

/** A mapping that is wanted, and the comment of one that has what is in its way. */
export interface Conflict {
  readonly owner: string
  readonly mapping: Mapping
}

/** Everybody who has a mapping that one of these would meet, with each mapping that he is in the way of. */
export function findConflicts(nft: Nft, published: Published): readonly Conflict[] {
  const conflicts: Conflict[] = []
  const count = portCount(published.mappings)
  for (const { address } of published.addresses) {
    const lookup = new Lookup(nft, nftFamily(address.family), TABLE, count)
    const services = new Lookup(nft, nftFamily(address.family), PUBLISHED_TABLE, count)
    const ranges = new Ranges(lookup.list(RANGES))
    const isFree = count > FEW && hasNone(lookup, [RANGES, PORTS, ADDRESS_PORTS])
    const isFreeOfServices = count > FEW && hasNone(services, [PUBLISHED_PORTS, REFUSED_PORTS])
    if (isFree && isFreeOfServices) continue
    for (const mapping of published.mappings) {
      if (!isOfFamily(mapping, address.family)) continue
      for (const owner of ownersInWay(lookup, ranges, mapping)) conflicts.push({ owner, mapping })
      for (const owner of servicesInWay(services, mapping)) conflicts.push({ owner, mapping })
    }
  }
  return conflicts
}

function hasNone(lookup: Lookup, sets: readonly string[]): boolean {
  return sets.every(set => lookup.list(set).length === 0)
}

function ownersInWay(lookup: Lookup, ranges: Ranges, mapping: Mapping): readonly string[] {
  const owners: string[] = []
  for (const range of ranges.meeting(mapping)) addOwner(owners, range)
  const { protocol } = mapping
  const specific = specificAddress(mapping)
  if (isWide(mapping, lookup, [PORTS, ADDRESS_PORTS])) {
    for (const element of lookup.list(PORTS)) if (meetsRange(element, mapping)) addOwner(owners, element)
    for (const element of lookup.list(ADDRESS_PORTS)) {
      const isOther = specific !== undefined && !sameBytes(addressOf(element.key), specific.bytes)
      if (!isOther && meetsRange(element, mapping)) addOwner(owners, element)
    }
    return owners
  }
  for (let port = mapping.first; port <= mapping.last; port += 1) {
    const key = portKey(protocol, port)
    addOwner(owners, lookup.find(PORTS, key))
    if (specific !== undefined) {
      addOwner(owners, lookup.find(ADDRESS_PORTS, addressPortKey(specific, protocol, port)))
    } else if (lookup.find(INDEX, key) !== undefined) {
      for (const element of lookup.list(ADDRESS_PORTS)) if (endsWith(element.key, key)) addOwner(owners, element)
    }
  }
  return owners
}

/** A service is published at every address of every host. */
function servicesInWay(services: Lookup, mapping: Mapping): readonly string[] {
  const owners: string[] = []
  const { protocol, first, last } = mapping
  for (const set of [PUBLISHED_PORTS, REFUSED_PORTS]) {
    if (isWide(mapping, services, [set])) {
      for (const element of services.list(set)) if (meetsRange(element, mapping)) addOwner(owners, element)
      continue
    }
    for (let port = first; port <= last; port += 1) addOwner(owners, services.find(set, portKey(protocol, port)))
  }
  return owners
}

/** Whether there are more ports in the mapping than are taken: then these are gone through, and not those. */
function isWide({ first, last }: Mapping, lookup: Lookup, sets: readonly string[]): boolean {
  if (last === first) return false
  let taken = 0
  for (const set of sets) taken += lookup.list(set).length
  return last - first >= taken
}

function addOwner(owners: string[], element: NftElement | undefined): void {
  if (element === undefined || owners.some(one => one === element.comment)) return
  owners.push(element.comment)
}

/** The ranges of ports that are taken, by the address of the host that they are of. */
class Ranges {
  readonly #all: readonly NftElement[]
  readonly #ofEveryAddress: NftElement[] = []
  readonly #ofOne: Map<string, NftElement[]> = new Map()

  constructor(elements: readonly NftElement[]) {
    this.#all = elements
    for (const element of elements) {
      const address = addressOf(element.key)
      if (!sameBytes(address, addressOf(element.keyEnd ?? element.key))) {
        this.#ofEveryAddress.push(element)
        continue
      }
      const known = this.#ofOne.get(hex(address))
      if (known === undefined) this.#ofOne.set(hex(address), [element])
      else known.push(element)
    }
  }

  meeting(mapping: Mapping): readonly NftElement[] {
    const specific: IpAddress | undefined = specificAddress(mapping)
    if (specific === undefined) return this.#all.filter(one => meetsRange(one, mapping))
    const own = this.#ofOne.get(hex(specific.bytes)) ?? []
    return this.#ofEveryAddress.concat(own).filter(one => meetsRange(one, mapping))
  }
}

/** What stands before protocol and port in a key. */
function addressOf(key: Uint8Array): Uint8Array {
  return key.subarray(0, key.length - 8)
}

function meetsRange(element: NftElement, mapping: Mapping): boolean {
  const { key } = element
  const end = element.keyEnd ?? key
  const length = key.length - 8
  if (key[length] !== mapping.protocol) return false
  return portAt(key, length + 4) <= mapping.last && portAt(end, length + 4) >= mapping.first
}

function portAt(key: Uint8Array, offset: number): number {
  return (key[offset] ?? 0) * 256 + (key[offset + 1] ?? 0)
}

function endsWith(key: Uint8Array, end: Uint8Array): boolean {
  return sameBytes(key.subarray(key.length - end.length), end)
}
