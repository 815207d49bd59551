/**
 * Finding addresses: what the owner holds already, what the caller asks for, else the next free one of each set.
 * Nothing is changed before all sets have an address, except that dead leases are cleared away from a full set.
 */
import type { Attachment } from '../../lib/attachment.ts'
import { CniError } from '../../lib/cni/error.ts'
import { addressesEqual, compareAddresses, formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import { type RangeSet, rangeOf, setSize, setText, spanOf, Walk } from '../../lib/ranges/range-set.ts'
import { ADDRESS_NOT_AVAILABLE, notInSets } from '../../lib/ranges/refusals.ts'
import type { Claim, Lease, LeaseDirectory } from '../../lib/state/leases.ts'

/** ADD: every address of a set is taken. */
const NO_FREE_ADDRESS = 100

/** One address of the answer, as long as its subnet. */
export interface Grant {
  readonly address: IpPrefix
  readonly gateway: IpAddress | undefined
}

/** Addresses that are looked at one by one before the directory is read: enough unless many neighbours are taken. */
const PROBES = 16

/**
 * Gives the owner one address of every set, in their order. An owner that has one already gets the same again.
 *
 * @throws {CniError} codes 100 and 101; then nothing has been given
 */
export function allocate(
  leases: LeaseDirectory,
  sets: readonly RangeSet[],
  owner: Attachment,
  requested: readonly IpAddress[]
): readonly Grant[] {
  const strange = requested.filter(address => !sets.some(set => rangeOf(set, address) !== undefined))
  if (strange.length > 0) throw notInSets(sets, strange)
  const held = leases.heldBy(owner)
  const asked = requested.slice(0)
  const grants: Grant[] = []
  const claims: Claim[] = []
  for (let i = 0; i < sets.length; i += 1) {
    const set = sets[i]
    if (set === undefined) continue
    const wanted = takeRequest(asked, set)
    const own = heldIn(set, held, wanted)
    if (own !== undefined && wanted !== undefined && !addressesEqual(own, wanted)) throw holdsOther(owner, own, wanted)
    const address = own ?? find(leases, set, i, wanted)
    if (own === undefined) claims.push({ address, set: i })
    grants.push(grantOf(set, address))
  }
  if (asked.length > 0) throw notInSets(sets, asked)
  leases.claim(owner, held, claims)
  return grants
}

/** Takes out of `asked` the first address that is in the set. */
function takeRequest(asked: IpAddress[], set: RangeSet): IpAddress | undefined {
  const index = asked.findIndex(address => rangeOf(set, address) !== undefined)
  const wanted = index < 0 ? undefined : asked[index]
  if (index >= 0) asked.splice(index, 1)
  return wanted
}

/** What the owner has of the set: the wanted address if it is that, else the lowest that is still to be given away. */
function heldIn(set: RangeSet, held: readonly IpAddress[], wanted: IpAddress | undefined): IpAddress | undefined {
  const own = held.filter(address => spanOf(set, address) !== undefined)
  own.sort((a, b) => compareAddresses(a, b))
  return own.find(address => wanted !== undefined && addressesEqual(address, wanted)) ?? own[0]
}

function grantOf(set: RangeSet, address: IpAddress): Grant {
  const range = rangeOf(set, address)
  const length = range === undefined ? 0 : range.subnet.length
  return { address: { address, length }, gateway: range?.gateway }
}

function find(leases: LeaseDirectory, set: RangeSet, index: number, wanted: IpAddress | undefined): IpAddress {
  if (wanted !== undefined) return findWanted(leases, set, wanted)
  const free = findFree(leases, set, index)
  if (free !== undefined) return free
  const dead = leases.list().filter(lease => spanOf(set, lease.address) !== undefined && isDead(leases, lease))
  leases.remove(dead)
  const freed = dead.length === 0 ? undefined : findFree(leases, set, index)
  if (freed !== undefined) return freed
  const size = setSize(set)
  throw new CniError(
    NO_FREE_ADDRESS,
    `allocate from ${set.path} (${setText(set)}): ${String(size)} of ${String(size)} addresses are taken in ${JSON.stringify(leases.path())}`,
    'remove containers, widen the range, or remove leases of containers that are gone with the verb GC'
  )
}

/** Nobody's lease, or of a container that ended with an earlier boot. */
export function isDead(leases: LeaseDirectory, lease: Lease): boolean {
  return lease.owner === undefined || leases.isBeforeBoot(lease)
}

/** The next free address behind the one given away last. Looks at no more names than there are leases. */
function findFree(leases: LeaseDirectory, set: RangeSet, index: number): IpAddress | undefined {
  const walk = new Walk(set, leases.lastReserved(index))
  for (let probes = 0; probes < PROBES; probes += 1) {
    const address = walk.next()
    if (address === undefined) return undefined
    if (leases.find(address)?.owner === undefined) return address
  }
  const names = leases.names()
  for (;;) {
    const address = walk.next()
    if (address === undefined || !names.has(formatAddress(address))) return address
  }
}

function findWanted(leases: LeaseDirectory, set: RangeSet, wanted: IpAddress): IpAddress {
  const what = `allocate ${JSON.stringify(formatAddress(wanted))} from ${set.path}`
  if (spanOf(set, wanted) === undefined) {
    const details = `leave the choice to host-local, or ask for one of ${setText(set)}`
    throw new CniError(ADDRESS_NOT_AVAILABLE, `${what}: it is ${reservation(set, wanted)}`, details)
  }
  const lease = leases.find(wanted)
  if (lease === undefined) return wanted
  if (isDead(leases, lease)) {
    leases.remove([lease])
    return wanted
  }
  const holder = `container ${JSON.stringify(lease.owner?.containerId ?? '')} interface ${JSON.stringify(lease.owner?.ifName ?? '')}`
  const details = `its lease is ${JSON.stringify(`${leases.path()}/${formatAddress(wanted)}`)}: remove that container, or ask for another address`
  throw new CniError(ADDRESS_NOT_AVAILABLE, `${what}: it is taken by ${holder}`, details)
}

/** Why an address of the range is never given away. */
function reservation(set: RangeSet, address: IpAddress): string {
  const isGateway = set.ranges.some(one => one.gateway !== undefined && addressesEqual(one.gateway, address))
  return isGateway ? "the subnet's gateway" : 'excluded'
}

function holdsOther(owner: Attachment, own: IpAddress, wanted: IpAddress): CniError {
  const who = `container ${JSON.stringify(owner.containerId)} interface ${JSON.stringify(owner.ifName)}`
  return new CniError(
    ADDRESS_NOT_AVAILABLE,
    `allocate ${JSON.stringify(formatAddress(wanted))}: ${who} holds ${JSON.stringify(formatAddress(own))} already`,
    'release it with DEL before asking for another address'
  )
}

/** How many addresses of the set have a lease: one look at the names, no file is read. */
export function takenOf(set: RangeSet, addresses: readonly IpAddress[]): number {
  return addresses.filter(address => spanOf(set, address) !== undefined).length
}
