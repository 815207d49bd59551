/**
 * Connections that outlive the rule that made them. TCP ends by itself; UDP has no end: a client that goes on sending
 * keeps its entry alive, and with it the way to the container before (or to nobody).
 */
import type { IpAddress } from '../../lib/ip/address.ts'
import type { ConntrackFilter, Nft } from '../../lib/nft/nft.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { isOfFamily, type Mapping, specificAddress } from './mapping.ts'
import type { Published } from './published.ts'

/**
 * Removes entries of UDP and SCTP.
 *
 * @param which `ports`: what was sent to the mapped ports, wherever it went; `container`: what the container answered
 */
export function flushConnections(nft: Nft, published: Published, which: 'ports' | 'container'): void {
  const mappings = published.mappings.filter(one => one.protocol !== 6)
  for (const { address } of published.addresses) {
    const own = mappings.filter(one => isOfFamily(one, address.family))
    if (which === 'ports') for (const mapping of own) flushMapping(nft, address.family, mapping)
    else flushContainer(nft, address, own)
  }
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
  for (const protocol of [17, 132]) {
    if (!mappings.some(one => one.protocol === protocol)) continue
    const { family } = container
    flush(nft, { family, protocol, port: undefined, lastPort: undefined, address: undefined, replySource: container })
  }
}

function flush(nft: Nft, filter: ConntrackFilter): void {
  try {
    nft.flushConntrack(filter)
  } catch (error) {
    // A kernel without ctnetlink translates all the same.
    const errno = errnoOf(error)
    if (errno !== 'EINVAL' && errno !== 'EOPNOTSUPP' && errno !== 'EPROTONOSUPPORT') throw error
  }
}
