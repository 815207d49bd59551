/**
 * Which mapping is in the way of another. The kernel refuses a key twice; it does not know that a port lies in a range,
 * or that one of a single address is among all addresses.
 */
import { sameBytes } from '../../lib/bytes/compare.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { type Nft, type NftElement, type NftFamily, nftFamily } from '../../lib/nft/nft.ts'
import { isOfFamily, type Mapping, specificAddress } from './mapping.ts'
import type { Published } from './published.ts'
import { ADDRESS_PORTS, addressPortKey, INDEX, PORTS, portKey, RANGES, TABLE } from './table.ts'

/** A mapping that is wanted, and the comment of whoever has what is in its way. */
export interface Conflict {
  readonly owner: string
  readonly mapping: Mapping
}

/** The comment of whoever has a mapping that one of these would meet; undefined when none has. */
export function findConflict(nft: Nft, published: Published): Conflict | undefined {
  for (const address of published.addresses) {
    const { family } = address.address
    const table = nftFamily(family)
    const ranges = nft.listElements(table, TABLE, RANGES)
    for (const mapping of published.mappings) {
      if (!isOfFamily(mapping, family)) continue
      const owner = ownerInWay(nft, table, mapping, ranges)
      if (owner !== undefined) return { owner, mapping }
    }
  }
  return undefined
}

function ownerInWay(nft: Nft, table: NftFamily, mapping: Mapping, ranges: readonly NftElement[]): string | undefined {
  const range = ranges.find(one => meetsRange(one, mapping))
  if (range !== undefined) return range.comment
  const specific = specificAddress(mapping)
  if (mapping.first !== mapping.last) {
    const all = nft.listElements(table, TABLE, PORTS).find(one => isInRange(one.key, 0, mapping))
    if (all !== undefined) return all.comment
  }
  const ports = nft.findElement(table, TABLE, PORTS, portKey(mapping.protocol, mapping.first))
  if (ports !== undefined) return ports.comment
  if (specific !== undefined && mapping.first === mapping.last) {
    return nft.findElement(table, TABLE, ADDRESS_PORTS, addressPortKey(specific, mapping.protocol, mapping.first))
      ?.comment
  }
  const isIndexed = nft.findElement(table, TABLE, INDEX, portKey(mapping.protocol, mapping.first)) !== undefined
  if (mapping.first === mapping.last && !isIndexed) return undefined
  return nft.listElements(table, TABLE, ADDRESS_PORTS).find(one => isMetAtAddress(one.key, specific, mapping))?.comment
}

function isMetAtAddress(key: Uint8Array, specific: IpAddress | undefined, mapping: Mapping): boolean {
  const length = key.length - 8
  if (!isInRange(key, length, mapping)) return false
  return specific === undefined || sameBytes(key.subarray(0, length), specific.bytes)
}

/** Whether the protocol and port at an offset of a key are among the mapping's. */
function isInRange(key: Uint8Array, offset: number, mapping: Mapping): boolean {
  const port = portAt(key, offset + 4)
  return key[offset] === mapping.protocol && port >= mapping.first && port <= mapping.last
}

function meetsRange(element: NftElement, mapping: Mapping): boolean {
  const { key } = element
  const end = element.keyEnd ?? key
  const length = key.length - 8
  if (key[length] !== mapping.protocol) return false
  if (portAt(key, length + 4) > mapping.last || portAt(end, length + 4) < mapping.first) return false
  const specific = specificAddress(mapping)
  const isForAll = !sameBytes(key.subarray(0, length), end.subarray(0, length))
  return specific === undefined || isForAll || sameBytes(key.subarray(0, length), specific.bytes)
}

function portAt(key: Uint8Array, offset: number): number {
  return (key[offset] ?? 0) * 256 + (key[offset + 1] ?? 0)
}
