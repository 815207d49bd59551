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
import { isAttachmentIn, ownerText } from '../../lib/attachment.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import { findIptables } from '../../lib/iptables/iptables.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { asError, messageOf } from '../../lib/sys/errors.ts'
import { Undo } from '../../lib/undo.ts'
import { type Config, readConfig, refuseOtherFamilies } from './config.ts'
import { flushConnections } from './connections.ts'
import { entryOf, publishedIn, type Recorded } from './entry.ts'
import { iptablesProblems, publishByIptables, unpublishByIptables } from './iptables.ts'
import { openLocalhost } from './localhost.ts'
import { collectMappings, mappingProblems, publish, unpublish } from './nftables.ts'
import { hasForeignRules, refuseConflict, whilePortsAreOurs, withoutOwnElsewhere } from './ports.ts'
import type { Published } from './published.ts'

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
  removeEarlier(host, request)
  const undo = new Undo()
  try {
    whilePortsAreOurs(host, () => {
      const published = config.backend === 'iptables' ? wanted : withoutOwnElsewhere(host, wanted)
      refuseConflict(host, request, published)
      const entry = entryOf({ backend: config.backend, published })
      recordAttachment(journalOf(request, NAME), request, entry, undo)
      undo.push('port mappings', () => unpublishFrom(host, request, { backend: config.backend, published }))
      if (config.backend === 'iptables') publishByIptables(request, published.addresses, config)
      else publish(host.nft(), published)
    })
    if (config.snat) openLocalhost(host, result, wanted)
    flushConnections(host.nft(), wanted, 'ports')
    return result
  } catch (error) {
    throw undo.rollback(asError(error))
  } finally {
    host.close()
  }
}

/** What an ADD of the same attachment made before it was killed. */
function removeEarlier(host: Net, request: Request): void {
  const entry = journalOf(request, NAME).read(request)
  if (entry !== undefined) unpublishFrom(host, request, publishedIn(entry, request))
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

function unpublishFrom(host: Net, request: Request, recorded: Recorded): void {
  const { backend, published } = recorded
  if (backend !== 'iptables') unpublish(host.nft(), ownerText(request), published)
  if (backend !== 'nftables') unpublishByIptables(request)
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
    refuseChanges(request, problems)
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
    const recorded = publishedIn(entry, request)
    const isGone = steps.attempt(() => unpublishFrom(host, request, recorded))
    // After the rules are gone: a packet in between would make the connection anew.
    if (recorded.published !== undefined) {
      const { published } = recorded
      steps.attempt(() => flushConnections(host.nft(), published, 'container'))
    }
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
    const isGone = steps.attempt(() => unpublishFrom(host, gone, publishedIn(entry, gone)))
    if (isGone) steps.attempt(() => journal.remove(attachment))
  }
  // What has lost its journal.
  const valid = validAttachments.map(({ containerId, ifName }) => ownerText({ network, containerId, ifName }))
  steps.attempt(() => {
    collectMappings(host.nft(), network, comment => valid.some(one => one === comment))
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
