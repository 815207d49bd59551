/** Whose a port of the host is: one mapping per port, whoever made it. */

import type { Session } from '../../lib/attach/session.ts'
import { isOtherInterface } from '../../lib/attachment.ts'
import { CniError } from '../../lib/cni/error.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { hasLegacyTable } from '../../lib/iptables/iptables.ts'
import { type Nft, nftFamily } from '../../lib/nft/nft.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { type Conflict, findConflicts } from './conflict.ts'
import { containerChain, DNAT, findIptablesConflicts, type IptablesConflict, isUnreached } from './iptables.ts'
import { ownerInLocalhost } from './localhost.ts'
import { type Mapping, mappingText } from './mapping.ts'
import { formerOwners } from './nftables.ts'
import { isConnected, isGone } from './owners.ts'
import { type Published, withMappings } from './published.ts'

/** The jumps that the reference's first ADD makes to its chain of mappings, from PREROUTING and OUTPUT. */
const JUMPS = 2

/** The plugins' own code for a port that is taken. */
const PORT_TAKEN = 101

/** What an ADD may publish, and who leaves for it. */
export interface Claim {
  readonly published: Published
  /** Owners in nf_tables, as their elements' comments name them. */
  readonly leaving: readonly string[]
  /** Chains of iptables. */
  readonly leavingChains: readonly string[]
}

/**
 * Judges what is wanted by what is there. The kernel refuses the same port twice, but not a port inside another's range,
 * nor one of every address beside one of a single address: so it counts only while no other ADD looks for free ports.
 *
 * @throws {CniError} code 101 naming the owner of a port that is taken
 */
export function claimPorts(session: Session, wanted: Published, plugin: string): Claim {
  const nft = session.nft()
  const conflicts = findConflicts(nft, wanted)
  const published = withMappings(wanted, mappingsLeft(wanted, conflicts))
  const leavingChains: string[] = []
  const leaving: string[] = formerOwners(nft, wanted).slice(0)
  for (const conflict of conflicts) {
    const { owner, mapping } = conflict
    if (leaving.some(one => one === owner) || isOtherInterface(owner, wanted.comment)) continue
    // Our own is of an ADD whose journal is lost.
    if (owner !== wanted.comment && !isGone(session, owner, plugin)) throw taken(mapping, owner)
    leaving.push(owner)
  }
  for (const conflict of iptablesConflicts(session, published)) {
    if (!isIptablesOwnerGone(session, conflict.target)) throw taken(conflict.mapping, conflict.owner)
    leavingChains.push(conflict.chain)
    const owner = ownerInLocalhost(nft, conflict.target)
    if (owner !== undefined) leaving.push(owner)
  }
  return { published, leaving, leavingChains }
}

/**
 * What is left to publish of a container that is on several networks: runtimes ask for its ports on each. The network
 * that is attached first has them, as with the reference, whose first rule wins.
 */
export function withoutOwnElsewhere(session: Session, published: Published): Published {
  return withMappings(published, mappingsLeft(published, findConflicts(session.nft(), published)))
}

function mappingsLeft(published: Published, conflicts: readonly Conflict[]): readonly Mapping[] {
  const elsewhere = conflicts.filter(one => isOtherInterface(one.owner, published.comment)).map(one => one.mapping)
  if (elsewhere.length === 0) return published.mappings
  const texts: Map<string, boolean> = new Map()
  for (const mapping of elsewhere) texts.set(mappingText(mapping), true)
  return published.mappings.filter(one => texts.get(mappingText(one)) === undefined)
}

function iptablesConflicts(session: Session, published: Published): readonly IptablesConflict[] {
  if (published.mappings.length === 0 || !hasIptablesMappings(session.nft(), published)) return []
  const conflicts = findIptablesConflicts(session.request, published.addresses, published.mappings)
  // Another interface of the same container: the first rule wins.
  return conflicts.filter(one => !one.owner.endsWith(` id: ${JSON.stringify(session.request.containerId)}`))
}

/** Chains don't say by which interface their container is reached. */
function isIptablesOwnerGone(session: Session, target: IpAddress | undefined): boolean {
  return target !== undefined && !isConnected(session.host, target)
}

function taken(mapping: Mapping, owner: string): CniError {
  const message = `map port ${mappingText(mapping)}: EEXIST (mapped already by ${owner})`
  return new CniError(PORT_TAKEN, message, 'choose another host port or host address, or remove the other container')
}

/** Whether the reference's chain has mappings; iptables itself is only asked if so. */
function hasIptablesMappings(nft: Nft, published: Published): boolean {
  return (
    published.addresses.some(({ address }) => {
      const chain = nft.findChain(nftFamily(address.family), 'nat', DNAT)
      return chain !== undefined && chain.use > JUMPS
    }) || hasLegacyTable('nat')
  )
}

/** Whether nobody has needed the reference's chain so far, or somebody has taken the rules away. */
export function isIptablesBaseMissing(nft: Nft, families: readonly (4 | 6)[]): boolean {
  if (hasLegacyTable('nat')) return families.some(family => isUnreached(family))
  return families.some(family => (nft.findChain(nftFamily(family), 'nat', DNAT)?.use ?? 0) < JUMPS)
}

/** Whether the reference plugin, or an ADD with the iptables backend, has left mappings of this container. */
export function hasForeignRules(session: Session): boolean {
  const chain = containerChain(session.request)
  try {
    const nft = session.nft()
    const isThere = nft.findChain('ip', 'nat', chain) !== undefined || nft.findChain('ip6', 'nat', chain) !== undefined
    return isThere || hasLegacyTable('nat')
  } catch (error) {
    // A kernel without nf_tables has nothing of this to remove, and a DEL that fails keeps the container from going.
    if (errnoOf(error) !== '') return false
    throw error
  }
}
