/**
 * Publishes ports of a container on the host.
 *
 *     outside          host                                    container
 *     +---------+     +----------------------------------+     +-------------+
 *     | client  |---->| 192.0.2.1:8080 --+               |     |             |
 *     +---------+     | 127.0.0.1:8080 --+--> translated |---->| 10.4.0.5:80 |
 *                     | 10.4.0.1:8080  --+    (nf_tables |     |             |
 *                     |                   or iptables)   |     |             |
 *                     +----------------------------------+     +-------------+
 *
 * Runs after the plugin that gave the container its addresses. What is mapped comes with each call in
 * `runtimeConfig.portMappings`; DEL and GC need neither that nor the namespace.
 */
import { refuseChanges, requireContainer } from '../../lib/attach/interface.ts'
import { journalOf, recordAttachment } from '../../lib/attach/journal.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { isAttachmentIn, isOfNetwork, ownerText } from '../../lib/attachment.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import { findIptables } from '../../lib/iptables/iptables.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { addMembers, type FoundMember, removeMembers } from '../../lib/nft/groups.ts'
import { asError, messageOf } from '../../lib/sys/errors.ts'
import { Undo } from '../../lib/undo.ts'
import { type Config, readConfig, refuseOtherFamilies } from './config.ts'
import { flushConnections } from './connections.ts'
import { entryOf, type Made, madeIn } from './entry.ts'
import { iptablesProblems, publishByIptables, removeChains, requireChains, unpublishByIptables } from './iptables.ts'
import {
  closeLocalhost,
  findAllLocalhost,
  findLocalhost,
  localhostChain,
  localhostMembers,
  localhostProblems,
  openLocalhost
} from './localhost.ts'
import { findAll, findPublished, mappingProblems, publishedMembers } from './nftables.ts'
import { claimPorts, hasForeignRules, withoutOwnElsewhere } from './ports.ts'
import type { Published } from './published.ts'
import { findMissing, restoreOthers } from './restore.ts'

const NAME = 'portmap'

export function portmap(kernel: Kernel): Plugin {
  return {
    name: NAME,
    since: '0.1.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => del(kernel, request),
    gc: request => gc(kernel, request),
    status: request => status(kernel, request)
  }
}

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request)
  const result = requiredPrevResult(request)
  if (config.mappings.length === 0) return result
  const host = kernel.host()
  const wanted = publishedFor(request, result, config)
  if (wanted.addresses.length === 0) return result
  const undo = new Undo()
  try {
    requireChains(wanted.addresses, config)
    removeEarlier(host, request)
    host.exclusively(() => publish(host, request, claim(host, request, result, config), undo))
    flushConnections(host.nft(), wanted, 'ports')
    return result
  } catch (error) {
    throw undo.rollback(asError(error))
  } finally {
    host.close()
  }
}

/** What an ADD makes, and who leaves for it. */
interface Plan {
  readonly config: Config
  readonly made: Made
  readonly leaving: readonly string[]
  readonly leavingChains: readonly string[]
}

function claim(host: Net, request: Request, result: Result, config: Config): Plan {
  const wanted = publishedFor(request, result, config)
  const { published, leaving, leavingChains } = claimPorts(host, request, wanted, NAME)
  const made: Made = {
    backend: config.backend,
    // With iptables the first rule wins.
    published: config.backend === 'iptables' ? wanted : published,
    localhost: config.snat ? localhostChain(host, result, wanted) : '',
    links: hostLinks(host, result)
  }
  return { config, made, leaving, leavingChains }
}

/** The attachment's interfaces on the host that are there. */
function hostLinks(host: Net, result: Result): readonly string[] {
  const names = result.interfaces.filter(one => (one.sandbox ?? '') === '').map(one => one.name)
  return names.filter(name => host.links.find(name) !== undefined)
}

/** In the namespace's lock: ports that are free now may not be free later. */
function publish(host: Net, request: Request, plan: Plan, undo: Undo): void {
  const { config, made, leavingChains } = plan
  const { published } = made
  const missing = findMissing(host)
  recordAttachment(journalOf(request, NAME), request, entryOf(made), undo)
  undo.push('port mappings', () => unpublishFrom(host, request, made))
  if (leavingChains.length > 0) removeChains(leavingChains)
  if (made.backend === 'iptables') publishByIptables(request, published.addresses, config)
  addAll(host, made, plan.leaving)
  openLocalhost(host, made.localhost)
  restoreOthers(host, request, missing, NAME)
}

function addAll(host: Net, made: Made, leaving: readonly string[]): void {
  const own = made.backend === 'iptables' ? [] : publishedMembers(made.published)
  const members = own.concat(localhostMembers(made.published, made.localhost))
  if (leaving.length === 0) {
    if (members.length > 0) addMembers(host.nft(), members)
    return
  }
  const isLeaving = (comment: string): boolean => leaving.some(one => one === comment)
  closeLocalhost(host, findAllLocalhost(host, isLeaving), '')
  const findLeaving = (): readonly FoundMember[] => findAllOf(host, isLeaving)
  if (members.length === 0) removeMembers(host.nft(), findLeaving)
  else addMembers(host.nft(), members, findLeaving)
}

function findAllOf(host: Net, isWanted: (comment: string) => boolean): readonly FoundMember[] {
  return findAll(host.nft(), isWanted).concat(findAllLocalhost(host, isWanted))
}

/** What an ADD of the same attachment made before it was killed. */
function removeEarlier(host: Net, request: Request): void {
  const entry = journalOf(request, NAME).read(request)
  if (entry !== undefined) unpublishFrom(host, request, madeIn(entry, request))
}

function publishedFor(request: Request, result: Result, config: Config): Published {
  const addresses = addressesOf(result, request.ifName)
  const has4 = addresses.some(one => one.address.family === 4)
  const has6 = addresses.some(one => one.address.family === 6)
  refuseOtherFamilies(config.mappings, has4, has6)
  const sources = config.masqAll ? 'all' : 'subnet'
  return {
    addresses,
    mappings: config.mappings,
    sources: config.snat ? sources : 'none',
    gates: config.gates,
    comment: ownerText(request)
  }
}

/** The container's first address of each family, on this interface. */
function addressesOf(result: Result, ifName: string): readonly IpPrefix[] {
  const addresses: IpPrefix[] = []
  for (const ip of result.ips) {
    const holder = ip.interface === undefined ? undefined : result.interfaces[ip.interface]
    if (holder !== undefined && (holder.name !== ifName || (holder.sandbox ?? '') === '')) continue
    const isFirst = !addresses.some(one => one.address.family === ip.address.address.family)
    if (isFirst) addresses.push(ip.address)
  }
  return addresses
}

/** @param made undefined when the journal is torn: then everything is looked through for the owner */
function unpublishFrom(host: Net, request: Request, made: Made | undefined): void {
  host.exclusively(() => {
    const comment = ownerText(request)
    const isOwn = (one: string): boolean => one === comment
    const localhosts = (): readonly FoundMember[] =>
      made === undefined ? findAllLocalhost(host, isOwn) : findLocalhost(host, made.published)
    closeLocalhost(host, localhosts(), made?.localhost ?? '')
    removeMembers(host.nft(), () => {
      if (made === undefined) return findAllOf(host, isOwn)
      const published = made.backend === 'iptables' ? [] : findPublished(host.nft(), made.published)
      return published.concat(localhosts())
    })
    if (made?.backend !== 'nftables') unpublishByIptables(request)
  })
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  const result = requiredPrevResult(request)
  const published = publishedFor(request, result, config)
  if (config.mappings.length === 0 || published.addresses.length === 0) return
  requireContainer(kernel, request)
  const host = kernel.host()
  try {
    const isIptables = config.backend === 'iptables'
    const problems = isIptables
      ? iptablesProblems(request, published.addresses, config)
      : mappingProblems(host.nft(), withoutOwnElsewhere(host, published))
    const localhost = config.snat ? localhostChain(host, result, published) : ''
    refuseChanges(request, problems.concat(localhostProblems(host, published, localhost)))
  } finally {
    host.close()
  }
}

/** With nothing to remove it costs one look for a file and one for a chain of the reference plugin. */
function del(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const entry = journal.readForRemoval(request)
  const host = kernel.host()
  const steps = new Steps('DEL')
  if (entry !== undefined) {
    const made = madeIn(entry, request)
    const isGone = steps.attempt(() => unpublishFrom(host, request, made))
    // After the rules are gone: a packet in between would make the connection anew.
    if (made !== undefined) steps.attempt(() => flushConnections(host.nft(), made.published, 'container'))
    if (isGone) steps.attempt(() => journal.remove(request))
  } else if (request.config.text('backend') === 'iptables' || hasForeignRules(host, request)) {
    steps.attempt(() => {
      unpublishByIptables(request)
    })
  }
  steps.attempt(() => host.close())
  steps.finish()
}

function gc(kernel: Kernel, request: Request): void {
  const { network, validAttachments } = request
  const journal = journalOf(request, NAME)
  const host = kernel.host()
  const steps = new Steps('GC')
  for (const { attachment, entry } of journal.list()) {
    if (isAttachmentIn(attachment, validAttachments)) continue
    const gone: Request = { ...request, containerId: attachment.containerId, ifName: attachment.ifName }
    const isGone = steps.attempt(() => unpublishFrom(host, gone, madeIn(entry, gone)))
    if (isGone) steps.attempt(() => journal.remove(attachment))
  }
  // What has lost its journal.
  const valid: Map<string, boolean> = new Map()
  for (const { containerId, ifName } of validAttachments) valid.set(ownerText({ network, containerId, ifName }), true)
  steps.attempt(() => {
    host.exclusively(() => {
      const isStray = (comment: string): boolean => isOfNetwork(comment, network) && valid.get(comment) === undefined
      closeLocalhost(host, findAllLocalhost(host, isStray), '')
      removeMembers(host.nft(), () => findAllOf(host, isStray))
    })
  })
  steps.attempt(() => host.close())
  steps.finish()
}

function status(kernel: Kernel, request: Request): void {
  const backend = request.config.text('backend')
  if (backend === 'iptables') {
    if (findIptables(4) !== undefined || findIptables(6) !== undefined) return
    throw new CniError(NOT_AVAILABLE, 'find iptables: it is not installed', 'install it, or set "backend": "nftables"')
  }
  const host = kernel.host()
  try {
    host.nft().generation()
  } catch (error) {
    throw new CniError(NOT_AVAILABLE, messageOf(error), 'port mappings need nf_tables in the kernel (CONFIG_NF_TABLES)')
  } finally {
    host.close()
  }
}
