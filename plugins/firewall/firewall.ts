/**
 * Decides who may open connections to a container, and gets a container past other firewalls of the host.
 *
 *     other bridge            host                                container
 *     +-----------+          +-----------------------------+     +--------------+
 *     | 10.5.0.2  |--X-------| forward: not between bridges|---->| 10.4.0.5     |
 *     +-----------+    ,---->|   (same-bridge, isolated)   |     +--------------+
 *     outside  -------'      | exception for 10.4.0.5 where|     +--------------+
 *     (and published ports)  |   somebody drops the rest   |--X--| neighbour    |  X: isolated only
 *                            +-----------------------------+     +--------------+
 *
 * Isolation is done by nf_tables, exceptions where the others are: in iptables, in firewalld, or not at all where nobody
 * drops. With the backend `iptables` both are done there, in the chains of the reference plugin.
 */
import { inJournal } from '../../lib/attach/attachment-plugin.ts'
import { chainedPlugin, removeEarlier } from '../../lib/attach/chained-plugin.ts'
import { flushedFor } from '../../lib/attach/flushed.ts'
import { requireNftables } from '../../lib/attach/nftables.ts'
import type { Session } from '../../lib/attach/session.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { isSameAttachment, ownerText } from '../../lib/attachment.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Json } from '../../lib/config/json.ts'
import { addToZone, areInZone, isFirewalldRunning, removeFromZone } from '../../lib/firewalld/firewalld.ts'
import { hasIptables, hasLegacyTable } from '../../lib/iptables/iptables.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { type Backend, type Config, chooseBackend, missingBackend, readConfig, requireBackend } from './config.ts'
import { addressesOf, domainOf } from './domain.ts'
import { entryOf, type Place, placeIn } from './entry.ts'
import { allowByIptables, exceptionProblems, forbidByIptables, type Located, requirePlainNames } from './iptables.ts'
import { isolatedIn, isolatesByNft } from './isolation.ts'
import { collect, isMissing, isolate, isolationProblems, lift } from './nftables.ts'
import { restoreOthers } from './restore.ts'

export function firewall(kernel: Kernel): Plugin {
  return chainedPlugin(kernel, {
    name: 'firewall',
    since: '0.4.0',
    isExclusive: true,
    records: inJournal,
    add,
    check,
    remove,
    collectStrays,
    status
  })
}

function add(session: Session): Result {
  const { request } = session
  const config = readConfig(request)
  requireBackend(request, config)
  const result = requiredPrevResult(request)
  session.host.withLock(() => allow(session, config, result))
  return result
}

function allow(session: Session, config: Config, result: Result): void {
  const { request, host } = session
  removeEarlier(session, removeRecorded)
  const place = placeOf(host, result, config, config.backend ?? chooseBackend(session.nft()))
  if (isNothing(place)) return
  if (place.backend === 'iptables') requirePlainNames(place)
  session.record(entryOf(place))
  session.undo.push('firewall rules', () => removePlace(session, place))
  let isFirst = place.backend === 'iptables' && allowByIptables(place)
  if (place.backend === 'firewalld') addToZone(place.zone, place.addresses)
  if (isolatesByNft(place)) {
    const isolated = isolatedIn(place, request)
    isFirst = isMissing(session.nft(), isolated) || isFirst
    isolate(session.nft(), isolated)
  }
  if (isFirst) restoreOthers(flushedFor(session))
}

function placeOf(host: Net, result: Result, config: Config, backend: Backend): Place {
  const domain = domainOf(host, result)
  return {
    backend,
    policy: config.policy,
    isRouted: config.isRouted,
    zone: config.zone,
    adminChain: config.adminChain,
    addresses: addressesOf(result),
    interfaces: domain.interfaces,
    port: domain.port,
    overlay: domain.overlay
  }
}

/** Where nobody drops and everybody is welcome there is nothing to do. */
function isNothing(place: Place): boolean {
  return !isolatesByNft(place) && (place.backend === 'nftables' || place.addresses.length === 0)
}

/** A torn entry tells nothing: then only the owner's elements can be found. */
function removeRecorded(session: Session, entry: Json | undefined): void {
  removePlace(session, entry === undefined ? undefined : placeIn(entry))
}

function removePlace(session: Session, place: Place | undefined): void {
  const { request } = session
  const steps = new Steps(request.command)
  steps.attempt(() => {
    lift(session.nft(), ownerText(request), place === undefined ? undefined : isolatedIn(place, request))
  })
  if (place !== undefined) {
    if (place.backend === 'iptables') {
      const interfaces = place.policy === 'open' ? [] : place.interfaces
      const leaving: Located = { addresses: place.addresses, interfaces }
      steps.attempt(() => forbidByIptables(leaving, othersThan(session)))
    }
    if (place.backend === 'firewalld' && isFirewalldRunning()) {
      steps.attempt(() => removeFromZone(place.zone, place.addresses))
    }
  }
  steps.finish()
}

/** The other attachments of the network. */
function othersThan(session: Session): readonly Located[] {
  const others: Located[] = []
  for (const { attachment, entry } of session.journal.list()) {
    const place = placeIn(entry)
    if (isSameAttachment(attachment, session.request) || place === undefined) continue
    others.push({ addresses: place.addresses, interfaces: place.interfaces })
  }
  return others
}

function check(session: Session): readonly string[] {
  const { request, host, journal } = session
  const config = readConfig(request)
  const result = requiredPrevResult(request)
  // What is allowed or forbidden may be whole, but is about nobody.
  session.container()
  const recorded = journal.read(request)
  const made = recorded === undefined ? undefined : placeIn(recorded)
  const backend = made?.backend ?? config.backend ?? chooseBackend(session.nft())
  return problemsOf(session, placeOf(host, result, config, backend))
}

function problemsOf(session: Session, place: Place): readonly string[] {
  const problems: string[] = []
  if (place.backend === 'iptables') {
    for (const one of exceptionProblems(place)) problems.push(one)
  }
  if (place.backend === 'firewalld' && !areInZone(place.zone, place.addresses)) {
    problems.push(`firewalld zone ${JSON.stringify(place.zone)} has lost the container's addresses`)
  }
  if (isolatesByNft(place)) {
    for (const one of isolationProblems(session.nft(), isolatedIn(place, session.request))) problems.push(one)
  }
  return problems
}

/** Without an entry in the journal there is nothing to remove: it costs one look for a file. */
function remove(session: Session, entry: Json | undefined): void {
  if (entry === undefined) removeReferenceRules(session)
  else removeRecorded(session, entry)
}

/** The reference leaves no journal; what it made can be told from the result alone, as it does itself. */
function removeReferenceRules(session: Session): void {
  const { prevResult } = session.request
  if (prevResult === undefined) return
  const addresses = addressesOf(prevResult)
  if (addresses.length > 0 && hasReferenceRules(session)) forbidByIptables({ addresses, interfaces: [] }, [])
}

/** The jump to the administrator's chain stays for ever: it counts one, and the jump from FORWARD another. */
function hasReferenceRules(session: Session): boolean {
  try {
    const nft = session.nft()
    const uses = [nft.findChain('ip', 'filter', 'CNI-FORWARD'), nft.findChain('ip6', 'filter', 'CNI-FORWARD')]
    return uses.some(chain => (chain?.use ?? 0) > 2) || (hasIptables() && hasLegacyTable('filter'))
  } catch (error) {
    // A kernel without nf_tables has nothing of this to remove.
    if (errnoOf(error) !== '') return false
    throw error
  }
}

/** What has lost its journal. */
function collectStrays(session: Session): void {
  const { network, validAttachments } = session.request
  const valid: Map<string, boolean> = new Map()
  for (const one of validAttachments) valid.set(ownerText(one), true)
  collect(session.nft(), network, comment => valid.get(comment) !== undefined)
}

function status(session: Session): void {
  const config = readConfig(session.request)
  const missing = missingBackend(config)
  if (missing !== '') {
    const message = `find ${config.backend ?? 'backend'}: ${missing}`
    throw new CniError(NOT_AVAILABLE, message, 'install and start it, or choose another backend')
  }
  requireNftables(session, 'isolation needs')
}
