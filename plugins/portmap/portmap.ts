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
import { inJournal } from '../../lib/attach/attachment-plugin.ts'
import { chainedPlugin, removeEarlier } from '../../lib/attach/chained-plugin.ts'
import { ipsOf } from '../../lib/attach/interface.ts'
import { requireNftables } from '../../lib/attach/nftables.ts'
import type { Session } from '../../lib/attach/session.ts'
import { isOfNetwork, ownerText } from '../../lib/attachment.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Json } from '../../lib/config/json.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import { hasIptables } from '../../lib/iptables/iptables.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { addMembers, type FoundMember, removeMembers } from '../../lib/nft/groups.ts'
import { type Config, readConfig, refuseOtherFamilies } from './config.ts'
import { flushConnections } from './connections.ts'
import { entryOf, type Made, madeIn, NAME } from './entry.ts'
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
import { restoreOthers } from './restore.ts'

export function portmap(kernel: Kernel): Plugin {
  return chainedPlugin(kernel, {
    name: NAME,
    since: '0.1.0',
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
  const result = requiredPrevResult(request)
  if (config.mappings.length === 0) return result
  const wanted = publishedFor(request, result, config)
  if (wanted.addresses.length === 0) return result
  requireChains(wanted.addresses, config)
  session.host.withLock(() => {
    removeEarlier(session, unpublishRecorded)
    restoreOthers(session, wanted, config)
    publish(session, claim(session, result, config))
  })
  flushConnections(session.nft(), wanted, 'ports')
  return result
}

/** What an ADD makes, and who leaves for it. */
interface Plan {
  readonly made: Made
  readonly leaving: readonly string[]
  readonly leavingChains: readonly string[]
}

function claim(session: Session, result: Result, config: Config): Plan {
  const { request, host } = session
  const wanted = publishedFor(request, result, config)
  const { published, leaving, leavingChains } = claimPorts(session, wanted, NAME)
  const made: Made = {
    backend: config.backend,
    // With iptables the first rule wins.
    published: config.backend === 'iptables' ? wanted : published,
    way: config.backend === 'iptables' ? config : undefined,
    localhost: localhostChain(session, result, wanted),
    links: hostLinks(host, result)
  }
  return { made, leaving, leavingChains }
}

/** The attachment's interfaces on the host that are there. */
function hostLinks(host: Net, result: Result): readonly string[] {
  const names = result.interfaces.filter(one => (one.sandbox ?? '') === '').map(one => one.name)
  return names.filter(name => host.links.find(name) !== undefined)
}

function publish(session: Session, plan: Plan): void {
  const { made, leaving, leavingChains } = plan
  const { published, way } = made
  const nft = session.nft()
  const isLeaving = (comment: string): boolean => leaving.some(one => one === comment)
  session.record(entryOf(made))
  session.undo.push('port mappings', () => unpublishFrom(session, made))
  if (leavingChains.length > 0) removeChains(leavingChains)
  if (way !== undefined) publishByIptables({ owner: session.request, published, way })
  const members = made.backend === 'iptables' ? [] : publishedMembers(published)
  const all = members.concat(localhostMembers(published, made.localhost))
  const findLeaving = (): readonly FoundMember[] => findAllOf(session, isLeaving)
  if (leaving.length > 0) closeLocalhost(session, findAllLocalhost(session, isLeaving), '')
  if (all.length === 0) removeMembers(nft, findLeaving)
  else if (leaving.length > 0) addMembers(nft, all, findLeaving)
  else addMembers(nft, all)
  openLocalhost(session, made.localhost)
}

function findAllOf(session: Session, isWanted: (comment: string) => boolean): readonly FoundMember[] {
  return findAll(session.nft(), isWanted).concat(findAllLocalhost(session, isWanted))
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
  for (const { address } of ipsOf(result, ifName)) {
    if (!addresses.some(one => one.address.family === address.address.family)) addresses.push(address)
  }
  return addresses
}

/** @param made undefined when the journal is torn: then everything is looked through for the owner */
function unpublishFrom(session: Session, made: Made | undefined): void {
  const comment = ownerText(session.request)
  const isOwn = (one: string): boolean => one === comment
  const localhosts = (): readonly FoundMember[] =>
    made === undefined ? findAllLocalhost(session, isOwn) : findLocalhost(session, made.published)
  closeLocalhost(session, localhosts(), made?.localhost ?? '')
  removeMembers(session.nft(), () => {
    if (made === undefined) return findAllOf(session, isOwn)
    const published = made.backend === 'iptables' ? [] : findPublished(session.nft(), made.published)
    return published.concat(localhosts())
  })
  if (made?.backend !== 'nftables') unpublishByIptables(session.request)
}

function check(session: Session): readonly string[] {
  const { request } = session
  const config = readConfig(request)
  const result = requiredPrevResult(request)
  const published = publishedFor(request, result, config)
  if (config.mappings.length === 0 || published.addresses.length === 0) return []
  // What is published may be whole, but leads nowhere.
  session.container()
  const problems =
    config.backend === 'iptables'
      ? iptablesProblems({ owner: request, published, way: config })
      : mappingProblems(session.nft(), withoutOwnElsewhere(session, published))
  const localhost = localhostChain(session, result, published)
  return problems.concat(localhostProblems(session, published, localhost))
}

/** With nothing to remove it costs one look for a file and one for a chain of the reference plugin. */
function remove(session: Session, entry: Json | undefined): void {
  const { request } = session
  if (entry === undefined) {
    // GC's have one.
    if (request.config.text('backend') === 'iptables' || hasForeignRules(session)) unpublishByIptables(request)
    return
  }
  session.attempt(() => unpublishRecorded(session, entry))
  const made = madeIn(entry, request)
  // After the rules are gone: a packet in between would make the connection anew.
  if (made !== undefined) session.attempt(() => flushConnections(session.nft(), made.published, 'container'))
}

function unpublishRecorded(session: Session, entry: Json | undefined): void {
  unpublishFrom(session, entry === undefined ? undefined : madeIn(entry, session.request))
}

/** What has lost its journal. */
function collectStrays(session: Session): void {
  const { network, validAttachments } = session.request
  const valid: Map<string, boolean> = new Map()
  for (const one of validAttachments) valid.set(ownerText(one), true)
  const isStray = (comment: string): boolean => isOfNetwork(comment, network) && valid.get(comment) === undefined
  closeLocalhost(session, findAllLocalhost(session, isStray), '')
  removeMembers(session.nft(), () => findAllOf(session, isStray))
}

function status(session: Session): void {
  if (session.request.config.text('backend') !== 'iptables') {
    requireNftables(session, 'port mappings need')
    return
  }
  if (hasIptables()) return
  throw new CniError(NOT_AVAILABLE, 'find iptables: it is not installed', 'install it, or set "backend": "nftables"')
}
