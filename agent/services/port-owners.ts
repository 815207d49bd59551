/** Containers that have a port of this host: what the plugin portmap has in nf_tables (plugins/portmap/table.ts). */
import { sameBytes } from '../../lib/bytes/compare.ts'
import { concatenate, type Nft, type NftElement, type NftFamily } from '../../lib/nft/nft.ts'
import { portKey } from './host-rules.ts'
import type { Published } from './record.ts'

const TABLE = 'patchbay-portmap'
const PORTS = 'ports'
const INDEX = 'address-port-index'
const ADDRESS_PORTS = 'address-ports'
const RANGES = 'ranges'
const FAMILIES: readonly NftFamily[] = ['ip', 'ip6']
/** Protocol and port at the end of a key, each in four bytes. */
const PORT_BYTES = 8

/** @returns the owner as its elements name it, `<network> <containerID> <ifname>`; '' when the port is free */
export function portOwner(nft: Nft, { protocol, port }: Pick<Published, 'port' | 'protocol'>): string {
  const key = concatenate(portKey(protocol, port))
  for (const family of FAMILIES) {
    const owner =
      nft.findElement(family, TABLE, PORTS, key) ??
      ofOneAddress(nft, family, key) ??
      nft.listElements(family, TABLE, RANGES).find(one => isInRange(one, key))
    if (owner !== undefined) return owner.comment === '' ? 'another program' : owner.comment
  }
  return ''
}

function ofOneAddress(nft: Nft, family: NftFamily, key: Uint8Array): NftElement | undefined {
  if (nft.findElement(family, TABLE, INDEX, key) === undefined) return undefined
  return nft.listElements(family, TABLE, ADDRESS_PORTS).find(one => sameBytes(one.key.subarray(-PORT_BYTES), key))
}

function isInRange({ key: first, keyEnd }: NftElement, key: Uint8Array): boolean {
  const last = keyEnd ?? first
  const port = portAt(key)
  return first.at(-PORT_BYTES) === key[0] && portAt(first) <= port && port <= portAt(last)
}

/** In the fourth and third byte from the end; what follows fills up the field. */
function portAt(key: Uint8Array): number {
  return (key.at(-4) ?? 0) * 256 + (key.at(-3) ?? 0)
}
