/** Whose a port of the host is: one mapping per port, whoever made it. */

import { isOtherInterface } from '../../lib/attachment.ts'
import { CniError } from '../../lib/cni/error.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { hasLegacyTable } from '../../lib/iptables/iptables.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { type Conflict, findConflict } from './conflict.ts'
import { containerChain, findIptablesConflict } from './iptables.ts'
import { type Mapping, mappingText } from './mapping.ts'
import { formerOwners, unpublish } from './nftables.ts'
import type { Published } from './published.ts'

/** The jumps that the reference's first ADD makes to its chain of mappings, from PREROUTING and OUTPUT. */
const JUMPS = 2

/** The plugins' own code for a port that is taken. */
export const PORT_TAKEN = 101

/**
 * Runs `work` while no other ADD of ours looks for free ports: the kernel refuses the same port twice, but not a port
 * inside another's range, nor one of every address beside one of a single address.
 */
export function whilePortsAreOurs(host: Net, work: () => void): void {
  host.exclusively(work)
}

/**
 * What is left to publish of a container that is on several networks: runtimes ask for its ports on each. The network
 * that is attached first has them, as with the reference, whose first rule wins.
 */
export function withoutOwnElsewhere(host: Net, published: Published): Published {
  const nft = host.nft()
  const first = findConflict(nft, published)
  if (first === undefined || !isOtherInterface(first.owner, published.comment)) return published
  const mappings: Mapping[] = []
  for (const mapping of published.mappings) {
    const conflict = findConflict(nft, withMappings(published, [mapping]))
    if (conflict === undefined || !isOtherInterface(conflict.owner, published.comment)) mappings.push(mapping)
  }
  return withMappings(published, mappings)
}

function withMappings(published: Published, mappings: readonly Mapping[]): Published {
  const { addresses, sources, gates, comment } = published
  return { addresses, mappings, sources, gates, comment }
}

/** @throws {CniError} code 101 naming the owner of a port that is taken */
export function refuseConflict(host: Net, request: Request, published: Published): void {
  const nft = host.nft()
  for (const former of formerOwners(nft, published)) unpublish(nft, former, undefined)
  let conflict: Conflict | undefined = findConflict(nft, published)
  if (conflict !== undefined && conflict.owner === published.comment) {
    // Our own, of an ADD whose journal is lost.
    unpublish(nft, published.comment, undefined)
    conflict = findConflict(nft, published)
  }
  if (conflict === undefined && hasIptablesMappings(nft, published)) {
    conflict = findIptablesConflict(request, published.addresses, published.mappings)
  }
  if (conflict === undefined || conflict.owner.endsWith(` id: ${JSON.stringify(request.containerId)}`)) return
  const message = `map port ${mappingText(conflict.mapping)}: EEXIST (mapped already by ${conflict.owner})`
  throw new CniError(PORT_TAKEN, message, 'choose another host port or host address, or remove the other container')
}

/** Whether the reference's chain has mappings; iptables itself is only asked if so. */
function hasIptablesMappings(nft: Nft, published: Published): boolean {
  return (
    published.addresses.some(({ address }) => {
      const chain = nft.findChain(address.family === 4 ? 'ip' : 'ip6', 'nat', 'CNI-HOSTPORT-DNAT')
      return chain !== undefined && chain.use > JUMPS
    }) || hasLegacyTable('nat')
  )
}

/** Whether the reference plugin, or an ADD with the iptables backend, has left mappings of this container. */
export function hasForeignRules(host: Net, request: Request): boolean {
  const chain = containerChain(request)
  try {
    const nft = host.nft()
    const isThere = nft.findChain('ip', 'nat', chain) !== undefined || nft.findChain('ip6', 'nat', chain) !== undefined
    return isThere || hasLegacyTable('nat')
  } catch (error) {
    // A kernel without nf_tables has nothing of this to remove, and a DEL that fails keeps the container from going.
    if (errnoOf(error) !== '') return false
    throw error
  }
}
