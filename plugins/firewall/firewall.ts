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
import { refuseChanges, requireContainer } from '../../lib/attach/interface.ts'
import { journalOf, recordAttachment } from '../../lib/attach/journal.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { isAttachmentIn, isSameAttachment, ownerText } from '../../lib/attachment.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import { addToZone, areInZone, isFirewalldRunning, removeFromZone } from '../../lib/firewalld/firewalld.ts'
import { hasLegacyTable } from '../../lib/iptables/iptables.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { asError, errnoOf, messageOf } from '../../lib/sys/errors.ts'
import { Undo } from '../../lib/undo.ts'
import { type Backend, type Config, chooseBackend, hasIptables, readConfig } from './config.ts'
import { addressesOf, domainOf } from './domain.ts'
import { entryOf, type Place, placeIn } from './entry.ts'
import { allowByIptables, exceptionProblems, forbidByIptables, type Located } from './iptables.ts'
import { collect, type Isolated, isolate, isolationProblems, lift } from './nftables.ts'

const NAME = 'firewall'

export function firewall(kernel: Kernel): Plugin {
  return {
    name: NAME,
    since: '0.4.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => del(kernel, request),
    gc: request => gc(kernel, request),
    status: request => status(kernel, request)
  }
}

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request)
  if (config.backend === 'firewalld' && !isFirewalldRunning()) {
    throw request.config.unsupported('backend', 'it is not on the system bus')
  }
  const result = requiredPrevResult(request)
  const host = kernel.host()
  const undo = new Undo()
  try {
    removeEarlier(host, request)
    const place = placeOf(host, request, result, config, config.backend ?? chooseBackend(host.nft()))
    if (place.addresses.length === 0 || isNothing(place)) return result
    recordAttachment(journalOf(request, NAME), request, entryOf(place), undo)
    undo.push('firewall rules', () => removePlace(host, request, place))
    if (place.backend === 'iptables') allowByIptables({ ...place, adminChain: config.adminChain })
    if (place.backend === 'firewalld') addToZone(place.zone, place.addresses)
    if (isolatesByNft(place)) isolate(host.nft(), isolatedIn(place, request))
    return result
  } catch (error) {
    throw undo.rollback(asError(error))
  } finally {
    host.close()
  }
}

function placeOf(host: Net, request: Request, result: Result, config: Config, backend: Backend): Place {
  const domain = domainOf(host, result)
  return {
    backend,
    policy: config.policy,
    zone: config.zone,
    addresses: addressesOf(result, request.ifName),
    interfaces: domain.interfaces,
    port: domain.port
  }
}

/** Where nobody drops and everybody is welcome there is nothing to do. */
function isNothing(place: Place): boolean {
  return place.backend === 'nftables' && !isolatesByNft(place)
}

function isolatesByNft(place: Place): boolean {
  if (place.policy === 'open') return false
  if (place.backend === 'iptables') return place.policy === 'isolated' && place.port !== undefined
  return place.interfaces.length > 0
}

/** With iptables only what it cannot do: frames between ports of one bridge pass it by, unless br_netfilter is on. */
function isolatedIn(place: Place, request: Request): Isolated {
  const isIsolated = place.policy === 'isolated'
  return {
    policy: isIsolated ? 'isolated' : 'same-bridge',
    interfaces: place.interfaces,
    addresses: place.backend === 'iptables' ? [] : place.addresses,
    port: isIsolated ? place.port : undefined,
    comment: ownerText(request)
  }
}

/** What an ADD of the same attachment made before it was killed. */
function removeEarlier(host: Net, request: Request): void {
  const entry = journalOf(request, NAME).read(request)
  if (entry !== undefined) removePlace(host, request, placeIn(entry))
}

/** @param place undefined when the journal is torn: then only the owner's elements can be found */
function removePlace(host: Net, request: Request, place: Place | undefined): void {
  const steps = new Steps(request.command)
  steps.attempt(() => {
    lift(host.nft(), ownerText(request), place === undefined ? undefined : isolatedIn(place, request))
  })
  if (place !== undefined) {
    if (place.backend === 'iptables') {
      const interfaces = place.policy === 'open' ? [] : place.interfaces
      const leaving: Located = { addresses: place.addresses, interfaces }
      steps.attempt(() => forbidByIptables(leaving, othersThan(request)))
    }
    if (place.backend === 'firewalld' && isFirewalldRunning()) {
      steps.attempt(() => removeFromZone(place.zone, place.addresses))
    }
  }
  steps.finish()
}

/** The other attachments of the network. */
function othersThan(request: Request): readonly Located[] {
  const others: Located[] = []
  for (const { attachment, entry } of journalOf(request, NAME).list()) {
    const place = placeIn(entry)
    const isOwn = isSameAttachment(attachment, request)
    if (!isOwn && place !== undefined) others.push({ addresses: place.addresses, interfaces: place.interfaces })
  }
  return others
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  const result = requiredPrevResult(request)
  requireContainer(kernel, request)
  const host = kernel.host()
  try {
    const recorded = journalOf(request, NAME).read(request)
    const made = recorded === undefined ? undefined : placeIn(recorded)
    const backend = made?.backend ?? config.backend ?? chooseBackend(host.nft())
    refuseChanges(request, problemsOf(host, request, config, placeOf(host, request, result, config, backend)))
  } finally {
    host.close()
  }
}

function problemsOf(host: Net, request: Request, config: Config, place: Place): readonly string[] {
  const problems: string[] = []
  if (place.addresses.length === 0) return problems
  if (place.backend === 'iptables') {
    for (const one of exceptionProblems({ ...place, adminChain: config.adminChain })) problems.push(one)
  }
  if (place.backend === 'firewalld' && !areInZone(place.zone, place.addresses)) {
    problems.push(`firewalld zone ${JSON.stringify(place.zone)} has lost the container's addresses`)
  }
  if (isolatesByNft(place)) {
    for (const one of isolationProblems(host.nft(), isolatedIn(place, request))) problems.push(one)
  }
  return problems
}

/** Without an entry in the journal there is nothing to remove: it costs one look for a file. */
function del(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const entry = journal.readForRemoval(request)
  if (entry === undefined) {
    removeReferenceRules(kernel, request)
    return
  }
  const host = kernel.host()
  const steps = new Steps('DEL')
  if (steps.attempt(() => removePlace(host, request, placeIn(entry)))) {
    steps.attempt(() => journal.remove(request))
  }
  steps.attempt(() => host.close())
  steps.finish()
}

/** The reference leaves no journal; what it made can be told from the result alone, as it does itself. */
function removeReferenceRules(kernel: Kernel, request: Request): void {
  if (request.prevResult === undefined) return
  const addresses = addressesOf(request.prevResult, request.ifName)
  const host = kernel.host()
  const isThere = addresses.length > 0 && hasReferenceRules(host)
  host.close()
  if (isThere) forbidByIptables({ addresses, interfaces: [] }, [])
}

/** The jump to the administrator's chain stays for ever: it counts one, and the jump from FORWARD another. */
function hasReferenceRules(host: Net): boolean {
  try {
    const nft = host.nft()
    const uses = [nft.findChain('ip', 'filter', 'CNI-FORWARD'), nft.findChain('ip6', 'filter', 'CNI-FORWARD')]
    return uses.some(chain => (chain?.use ?? 0) > 2) || (hasIptables() && hasLegacyTable('filter'))
  } catch (error) {
    // A kernel without nf_tables has nothing of this to remove.
    if (errnoOf(error) !== '') return false
    throw error
  }
}

function gc(kernel: Kernel, request: Request): void {
  const { network, validAttachments } = request
  const journal = journalOf(request, NAME)
  const host = kernel.host()
  const steps = new Steps('GC')
  for (const { attachment, entry } of journal.list()) {
    if (isAttachmentIn(attachment, validAttachments)) continue
    const gone: Request = { ...request, containerId: attachment.containerId, ifName: attachment.ifName }
    if (steps.attempt(() => removePlace(host, gone, placeIn(entry)))) {
      steps.attempt(() => journal.remove(attachment))
    }
  }
  // What has lost its journal.
  const valid = validAttachments.map(({ containerId, ifName }) => ownerText({ network, containerId, ifName }))
  steps.attempt(() => {
    collect(host.nft(), network, comment => valid.some(one => one === comment))
  })
  steps.attempt(() => host.close())
  steps.finish()
}

function status(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  if (config.backend === 'firewalld' && !isFirewalldRunning()) {
    throw new CniError(
      NOT_AVAILABLE,
      'find firewalld: it is not on the system bus',
      'start it, or choose another backend'
    )
  }
  const host = kernel.host()
  try {
    host.nft().generation()
  } catch (error) {
    throw new CniError(NOT_AVAILABLE, messageOf(error), 'isolation needs nf_tables in the kernel (CONFIG_NF_TABLES)')
  } finally {
    host.close()
  }
}
