/**
 * bridge: containers of one network as ports of a bridge on the host.
 *
 *     host                                  container
 *       bridge cni0 (10.1.0.1/16) --- vethXXXXXXXX ==== eth0 (10.1.0.7/16)
 *         |                                                default via 10.1.0.1
 *         +--- vethYYYYYYYY ==== eth0 of the next container
 *
 * The bridge is made by the first container and stays; everything else belongs to one attachment and goes with it.
 */
import { attachContainer, checkContainer } from '../../lib/attach/container.ts'
import { withGatewayOf } from '../../lib/attach/gateway.ts'
import {
  attachmentProblems,
  configureAttachment,
  expectedAttachment,
  interfaceOf,
  previousIps
} from '../../lib/attach/interface.ts'
import {
  collectOverInterface,
  effectiveDns,
  leaseAddresses,
  leasesOverInterface,
  releaseOverInterface
} from '../../lib/attach/ipam.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import { addMasquerade, delMasquerade, gcStrayMasquerade, masqueradeProblems } from '../../lib/attach/masquerade.ts'
import { removeFromContainer } from '../../lib/attach/single-link.ts'
import { removeStale } from '../../lib/attach/stale.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { addVeth, hostEnds, refuseExisting, removeHostEnd } from '../../lib/attach/veth-port.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { EMPTY_RESULT, type Result } from '../../lib/cni/result.ts'
import type { Json } from '../../lib/config/json.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Undo } from '../../lib/undo.ts'
import { checkBridge, checkPort, refuseUnusable } from './check.ts'
import { type BridgeConfig, readConfig } from './config.ts'
import { ensureBridge } from './device.ts'
import { ensureGateway } from './gateway.ts'
import { attachmentEntry } from './owned.ts'
import { configurePort } from './port.ts'
import { addSpoofCheck, delSpoofCheck, gcStraySpoofChecks, spoofProblems } from './spoof.ts'

/** Where the container's interface stands in the result: after the bridge and the host's end. */
const CONTAINER_INDEX = 2

export function bridge(kernel: Kernel): Plugin {
  return {
    name: 'bridge',
    since: '0.1.0',
    add: request => add(kernel, request),
    del: request => del(kernel, request),
    check: request => check(kernel, request),
    gc: request => gc(kernel, request),
    status: request => status(kernel, request)
  }
}

function add(kernel: Kernel, request: Request): Result {
  const mac = requestedMac(request)
  const config = readConfig(request)
  return attachContainer(kernel, request, (container, undo) =>
    attach(kernel.host(), container, request, config, mac, undo)
  )
}

function attach(
  host: Net,
  container: Net,
  request: Request,
  config: BridgeConfig,
  mac: Uint8Array | undefined,
  undo: Undo
): Result {
  refuseExisting(container, request)
  const journal = journalOf(request, 'bridge')
  const entry = attachmentEntry(request, config)
  journal.write(request.containerId, request.ifName, entry)
  undo.push('journal entry', () => journal.remove(request.containerId, request.ifName))
  const needsPort = leasesOverInterface(request)
  const before = needsPort ? EMPTY_RESULT : leaseAddresses(request, undo)

  // The bridge is what a failed ADD leaves: all that can be refused without it has been.
  const device = ensureBridge(host, config)
  const port = addVeth(host, container, request, { bridgeIndex: device.index, mtu: config.mtu, mac })
  undo.push(`link ${JSON.stringify(port.name)}`, () => host.links.removeByIndex(port.index))
  configurePort(host, port, config)
  const leased = needsPort ? leaseAddresses(request, undo) : before
  const addressed = withGatewayOf(config, leased, CONTAINER_INDEX)
  const { ips } = addressed
  const gateway = config.isGateway && ips.length > 0 ? ensureGateway(host, device, ips, config) : undefined

  const end = container.links.get(request.ifName)
  if (!config.disableContainerInterface) {
    configureAttachment(container, end, request, addressed, { detectDuplicates: config.enableDad })
  }
  if (config.spoofCheck) addSpoofCheck(host, request, port, end, undo)
  addMasquerade(host, request, config.masquerade, ips, journal, entry, undo)
  const interfaces = [interfaceOf(device), interfaceOf(port), interfaceOf(end, request.netns)]
  if (gateway !== undefined && config.vlan !== 0) interfaces.push(interfaceOf(gateway))
  return { ...addressed, interfaces, dns: effectiveDns(request, leased) }
}

/**
 * Rules before links, since they speak of the links' names. Links before addresses: an address given back while the
 * container still has it would be given to the next one at once, and two would answer to it.
 */
function del(kernel: Kernel, request: Request): void {
  const steps = new Steps('DEL')
  const journal = journalOf(request, 'bridge')
  const host = kernel.host()
  steps.attempt(() => releaseOverInterface(request))
  steps.attempt(() => removeRules(host, request, journal.read(request.containerId, request.ifName), steps))
  removeLinks(host, request, steps)
  // A pair that the reference plugin made has a random name on the host: the container's end leads to it.
  steps.attempt(() => removeFromContainer(kernel, request, '', 'veth'))
  steps.attempt(() => request.ipam.del())
  // The entry stays while anything it tells of does: the next DEL or GC needs it.
  if (steps.isClean()) steps.attempt(() => journal.remove(request.containerId, request.ifName))
  steps.finish()
}

function removeRules(host: Net, request: Request, entry: Json | undefined, steps: Steps): void {
  steps.attempt(() => delMasquerade(host, request, entry))
  steps.attempt(() => delSpoofCheck(host, request, entry))
}

function removeLinks(host: Net, request: Request, steps: Steps): void {
  for (const name of hostEnds(request)) steps.attempt(() => removeHostEnd(host, name))
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  request.ipam.check()
  const host = kernel.host()
  const expected = expectedAttachment(request, 'veth')
  checkContainer(kernel, request, container => {
    const problems = [...checkBridge(host, request, config), ...checkPort(host, container, request, config)]
    if (!config.disableContainerInterface) problems.push(...attachmentProblems(container, expected))
    problems.push(...spoofProblems(host, container, request, config))
    problems.push(...masqueradeProblems(host, request, config.masquerade, previousIps(request)))
    return problems
  })
}

function gc(kernel: Kernel, request: Request): void {
  const steps = new Steps('GC')
  const host = kernel.host()
  const journal = journalOf(request, 'bridge')
  steps.attempt(() => collectOverInterface(request))
  removeStale(journal, request, steps, (gone, entry, removed) => {
    removeRules(host, gone, entry, removed)
    removeLinks(host, gone, removed)
  })
  steps.attempt(() => gcStrayMasquerade(host, request))
  steps.attempt(() => gcStraySpoofChecks(host, request))
  steps.attempt(() => request.ipam.gc())
  steps.finish()
}

function status(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  refuseUnusable(kernel.host(), config)
  request.ipam.status()
}
