/**
 * Connections that outlive the rule that made them. TCP ends by itself; UDP has no end: a client that goes on sending
 * keeps its entry alive, and with it the way to the container before (or to nobody).
 */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import type { ConntrackEntry, ConntrackFilter, Nft } from '../../lib/nft/nft.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { isOfFamily, type Mapping, specificAddress } from './mapping.ts'
import type { Published } from './published.ts'

const PROTOCOLS = [17, 132]
/**
 * For more ports than these the table is listed once: told to remove what went to one port, the kernel walks all of it, 1.5 ms with
 * 262,144 buckets, and a container may have thousands of ports.
 */
const FEW = 16

/**
 * Removes entries of UDP and SCTP.
 *
 * @param which `ports`: what was sent to the mapped ports, wherever it went; `container`: what the container answered
 */
export function flushConnections(nft: Nft, published: Published, which: 'ports' | 'container'): void {
  const mappings = published.mappings.filter(one => one.protocol !== 6)
  for (const { address } of published.addresses) {
    const own = mappings.filter(one => isOfFamily(one, address.family))
    if (which === 'container') flushContainer(nft, address, own)
    else if (own.length <= FEW) for (const mapping of own) flushMapping(nft, address.family, mapping)
    else for (const protocol of PROTOCOLS) flushMany(nft, address.family, protocol, own)
  }
}

function flushMany(nft: Nft, family: 4 | 6, protocol: number, mappings: readonly Mapping[]): void {
  const own = mappings.filter(one => one.protocol === protocol)
  if (own.length === 0) return
  tolerant(() => {
    const filter = {
      family,
      protocol,
      port: undefined,
      lastPort: undefined,
      address: undefined,
      replySource: undefined
    }
    const entries = nft.listConntrack(family, filter)
    if (entries.length === 0) return
    const places = placesOf(own)
    nft.removeConntrack(
      family,
      entries.filter(entry => isSentTo(entry, places))
    )
  })
}

/** Where packets are sent that the mappings are for: `53 192.0.2.1`, `53 *`. */
function placesOf(mappings: readonly Mapping[]): ReadonlySet<string> {
  const places = new Set<string>()
  for (const mapping of mappings) {
    const address = specificAddress(mapping)
    const at = address === undefined ? '*' : formatAddress(address)
    for (let port = mapping.first; port <= mapping.last; port += 1) places.add(`${String(port)} ${at}`)
  }
  return places
}

function isSentTo({ original }: ConntrackEntry, places: ReadonlySet<string>): boolean {
  const { destination, destinationPort } = original
  const port = String(destinationPort)
  return places.has(`${port} *`) || (destination !== undefined && places.has(`${port} ${formatAddress(destination)}`))
}

function flushMapping(nft: Nft, family: 4 | 6, mapping: Mapping): void {
  flush(nft, {
    family,
    protocol: mapping.protocol,
    port: mapping.first,
    lastPort: mapping.last,
    address: specificAddress(mapping),
    replySource: undefined
  })
}

function flushContainer(nft: Nft, container: IpAddress, mappings: readonly Mapping[]): void {
  for (const protocol of PROTOCOLS) {
    if (!mappings.some(one => one.protocol === protocol)) continue
    const { family } = container
    flush(nft, { family, protocol, port: undefined, lastPort: undefined, address: undefined, replySource: container })
  }
}

function flush(nft: Nft, filter: ConntrackFilter): void {
  tolerant(() => nft.flushConntrack(filter))
}

function tolerant(work: () => void): void {
  try {
    work()
  } catch (error) {
    // A kernel without ctnetlink translates all the same.
    const errno = errnoOf(error)
    if (errno !== 'EINVAL' && errno !== 'EOPNOTSUPP' && errno !== 'EPROTONOSUPPORT') throw error
  }
}
