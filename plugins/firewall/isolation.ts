/** What of a container's place nf_tables keeps others from. */
import { type Attachment, ownerText } from '../../lib/attachment.ts'
import type { Place } from './entry.ts'
import type { Isolated } from './nftables.ts'

export function isolatesByNft(place: Place): boolean {
  if (place.policy === 'open') return false
  return addressesFor(place).length > 0 || portFor(place) !== undefined
}

export function isolatedIn(place: Place, owner: Attachment): Isolated {
  return {
    policy: place.policy === 'isolated' ? 'isolated' : 'same-bridge',
    isRouted: place.isRouted,
    interfaces: place.interfaces,
    addresses: addressesFor(place),
    port: portFor(place),
    comment: ownerText(owner)
  }
}

/**
 * With iptables only those that it cannot protect: its rules are about bridges, so they know nothing of an attachment
 * without an interface on the host, nor who is outside.
 */
function addressesFor(place: Place): Place['addresses'] {
  return place.backend === 'iptables' && place.isRouted && place.interfaces.length > 0 ? [] : place.addresses
}

/** Frames between ports of one bridge pass iptables by, unless br_netfilter is on. */
function portFor(place: Place): string | undefined {
  return place.policy === 'isolated' ? place.port : undefined
}
