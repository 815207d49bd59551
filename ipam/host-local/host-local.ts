/**
 * host-local gives addresses out of ranges that belong to this host alone. Leases are files (lib/state/leases.ts), in
 * the reference's format.
 *
 *     ipam.ranges[0] 10.1.0.0/24 ──┐                      ┌── 10.1.0.7/24, gateway 10.1.0.1
 *     ipam.ranges[1] fd00::/64 ────┴── container + ifname ┴── fd00::7/64, gateway fd00::1
 */
import { isAttachmentIn } from '../../lib/attachment.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { IpConfig, Result } from '../../lib/cni/result.ts'
import { addressesEqual, formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { type RangeSet, setSize, setText, spanOf } from '../../lib/ranges/range-set.ts'
import { LEASE_DIFFERS } from '../../lib/ranges/refusals.ts'
import { isAttachment } from '../../lib/state/lease-owners.ts'
import { type Lease, LeaseDirectory } from '../../lib/state/leases.ts'
import { allocate, isDead, takenOf } from './allocate.ts'
import { readConfig, readDataDirOnly } from './config.ts'

export function hostLocal(): Plugin {
  return { name: 'host-local', since: '0.1.0', givesAddresses: true, add, del, check, gc, status }
}

function add(request: Request): Result {
  const config = readConfig(request)
  const leases = new LeaseDirectory(config.dataDir, request.network)
  const grants = leases.locked(() => allocate(leases, config.pool, request, config.requested))
  const ips: readonly IpConfig[] = grants.map(grant => ({ address: grant.address, gateway: grant.gateway }))
  return { interfaces: [], ips, routes: config.routes, dns: config.dns }
}

/** Needs nothing of the configuration but the place: ranges may have changed since. */
function del(request: Request): void {
  const leases = existingLeases(request)
  if (leases === undefined) return
  leases.locked(() => {
    leases.release(request)
    return true
  })
}

function existingLeases(request: Request): LeaseDirectory | undefined {
  const dataDir = readDataDirOnly(request)
  const leases = dataDir === undefined ? undefined : new LeaseDirectory(dataDir, request.network)
  return leases?.exists() === true ? leases : undefined
}

/**
 * One lease for each set, and the same addresses in prevResult: a result that is not ours has been changed by a later
 * plugin or belongs to another attachment, and in either case two containers may use one address.
 */
function check(request: Request): void {
  const config = readConfig(request)
  const leases = new LeaseDirectory(config.dataDir, request.network)
  const held = leases.exists() ? leases.locked(() => leases.heldBy(request)) : []
  const faults: string[] = []
  config.pool.sets.forEach((set, index) => {
    const own = config.pool.ofSet(index, held)
    if (own.length === 0) faults.push(`no address of ${set.path} (${setText(set)}) is leased to it`)
    else if (request.prevResult !== undefined) {
      const shown = request.prevResult.ips.map(ip => ip.address.address)
      compare(config.pool.ofSet(index, shown), own, faults)
    }
  })
  if (faults.length === 0) return
  const who = `container ${JSON.stringify(request.containerId)} interface ${JSON.stringify(request.ifName)}`
  const details = `leases are in ${JSON.stringify(leases.path())}: attach the container again`
  throw new CniError(LEASE_DIFFERS, `check leases of ${who}: ${faults.join('; ')}`, details)
}

/** What prevResult shows of a set, and what is leased of it. */
function compare(shown: readonly IpAddress[], own: readonly IpAddress[], faults: string[]): void {
  for (const address of shown) {
    if (own.some(one => addressesEqual(one, address))) continue
    faults.push(`prevResult has ${JSON.stringify(formatAddress(address))}, which is not leased to it`)
  }
  if (shown.length > 0) return
  faults.push(`prevResult lacks ${own.map(address => JSON.stringify(formatAddress(address))).join(', ')}`)
}

function gc(request: Request): void {
  const leases = existingLeases(request)
  if (leases === undefined) return
  leases.locked(() => {
    leases.remove(leases.list().filter(lease => isGarbage(lease, request)))
    leases.forgetOwners()
    return true
  })
}

/** What was made by hand, with a text that cannot be an attachment's, stays. */
function isGarbage(lease: Lease, request: Request): boolean {
  const owner = lease.owner
  if (owner === undefined) return true
  if (!isAttachment(owner)) return false
  if (owner.ifName !== '') return !isAttachmentIn(owner, request.validAttachments)
  return !request.validAttachments.some(one => one.containerId === owner.containerId)
}

function status(request: Request): void {
  const config = readConfig(request)
  const leases = new LeaseDirectory(config.dataDir, request.network)
  const addresses: IpAddress[] = []
  for (const name of leases.names()) {
    const address = parseAddress(name)
    if (address !== undefined) addresses.push(address)
  }
  const full: string[] = []
  for (const set of config.pool.sets) {
    const [taken, size] = [takenOf(set, addresses), setSize(set)]
    if (taken < size || hasDead(leases, set)) continue
    full.push(`${set.path} (${setText(set)}) has ${String(taken)} of ${String(size)} addresses taken`)
  }
  if (full.length === 0) return
  const details = 'remove containers, widen the range, or remove leases of containers that are gone with the verb GC'
  throw new CniError(
    NOT_AVAILABLE,
    `find free addresses in ${JSON.stringify(leases.path())}: ${full.join('; ')}`,
    details
  )
}

/** Whether an ADD would find a lease to clear away. */
function hasDead(leases: LeaseDirectory, set: RangeSet): boolean {
  return leases.locked(() =>
    leases.list().some(lease => spanOf(set, lease.address) !== undefined && isDead(leases, lease))
  )
}
