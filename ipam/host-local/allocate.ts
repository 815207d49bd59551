/**
 * Finding addresses: what the owner holds already, what the caller asks for, else the next free one of each set.
 * Nothing is changed before all sets have an address, except that dead leases are cleared away from a full set.
 */
import type { Attachment } from '../../lib/attachment.ts'
import { CniError } from '../../lib/cni/error.ts'
import { addressesEqual, compareAddresses, formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import type { Grant, Pool } from '../../lib/ranges/pool.ts'
import { type RangeSet, setSize, setText, spanOf, Walk } from '../../lib/ranges/range-set.ts'
import { ADDRESS_NOT_AVAILABLE, notInSets } from '../../lib/ranges/refusals.ts'
import type { Claim, Lease, LeaseDirectory } from '../../lib/state/leases.ts'

/** ADD: every address of a set is taken. */
const NO_FREE_ADDRESS = 100

/** Addresses that are looked at one by one before the directory is read: enough unless many neighbours are taken. */
const PROBES = 16

/**
 * Gives the owner one address of every set, in their order. An owner that has one already gets the same again.
 *
 * @throws {CniError} codes 100 and 101; then nothing has been given
 */
export function allocate(
  leases: LeaseDirectory,
  pool: Pool,
  owner: Attachment,
  requested: readonly IpAddress[]
): readonly Grant[] {
  const strange = requested.filter(address => pool.setOf(address) < 0)
  if (strange.length > 0) throw notInSets(pool.askable(), strange)
  const held = leases.heldBy(owner)
  const asked = requested.slice(0)
  const grants: Grant[] = []
  const claims: Claim[] = []
  for (let i = 0; i < pool.sets.length; i += 1) {
    const wanted = takeRequest(asked, pool, i)
    const own = heldIn(pool, i, held, wanted)
    if (own !== undefined && wanted !== undefined && !addressesEqual(own, wanted)) throw holdsOther(owner, own, wanted)
    const address = own ?? find(leases, pool, i, wanted)
    if (own === undefined) claims.push({ address, set: pool.isInRange(address) ? i : -1 })
    grants.push(pool.grantOf(address))
  }
  if (asked.length > 0) throw notInSets(pool.askable(), asked)
  leases.claim(owner, held, claims)
  return grants
}

/** Takes out of `asked` the first address that belongs to the set of that number. */
function takeRequest(asked: IpAddress[], pool: Pool, index: number): IpAddress | undefined {
  const place = asked.findIndex(address => pool.setOf(address) === index)
  const wanted = place < 0 ? undefined : asked[place]
  if (place >= 0) asked.splice(place, 1)
  return wanted
}

/** What the owner has of the set: the wanted address if it is that, else the lowest that is still to be given away. */
function heldIn(
  pool: Pool,
  index: number,
  held: readonly IpAddress[],
  wanted: IpAddress | undefined
): IpAddress | undefined {
  const own = pool.ofSet(index, held)
  own.sort((a, b) => compareAddresses(a, b))
  return own.find(address => wanted !== undefined && addressesEqual(address, wanted)) ?? own[0]
}

function find(leases: LeaseDirectory, pool: Pool, index: number, wanted: IpAddress | undefined): IpAddress {
  if (wanted !== undefined) return findWanted(leases, pool, wanted)
  const set = pool.sets[index]
  if (set === undefined) throw new Error(`allocate from set ${String(index)}: there is none`)
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

function findWanted(leases: LeaseDirectory, pool: Pool, wanted: IpAddress): IpAddress {
  const set = pool.askable()[pool.setOf(wanted)]
  const what = `allocate ${JSON.stringify(formatAddress(wanted))} from ${set?.path ?? 'ipam'}`
  if (set === undefined || !pool.canGive(wanted)) {
    const details = `leave the choice to host-local, or ask for one of ${set === undefined ? 'its ranges' : setText(set)}`
    // Why an address of the range is never given away.
    const reservation = pool.isGateway(wanted) ? "the subnet's gateway" : 'excluded'
    throw new CniError(ADDRESS_NOT_AVAILABLE, `${what}: it is ${reservation}`, details)
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
