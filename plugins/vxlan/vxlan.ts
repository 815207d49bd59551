/**
 * vxlan: containers on different hosts in one layer-2 network.
 *
 *     host A                                                        host B
 *       br-vx42 (10.42.0.1/16) -- vx42 === UDP 4789, VNI 42 === vx42 -- br-vx42 (10.42.0.1/16)
 *         |                                                               |
 *         +-- veth.. == eth0 (10.42.0.7)                  (10.42.0.8) eth0 == veth.. --+
 *
 * The other hosts are in the configuration (`peers`, `group`), or the agent knows them (`registry`). Bridge and tunnel
 * come with a host's first container and go with its last.
 */
import { attachContainer } from '../../lib/attach/container.ts'
import { ensureGatewayAddresses, withGatewayOf } from '../../lib/attach/gateway.ts'
import { configureAttachment, interfaceOf } from '../../lib/attach/interface.ts'
import { effectiveDns, leaseAddresses } from '../../lib/attach/ipam.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import { addMasquerade, delMasquerade, gcStrayMasquerade } from '../../lib/attach/masquerade.ts'
import { removeFromContainer } from '../../lib/attach/single-link.ts'
import { removeStaleAnd } from '../../lib/attach/stale.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { addVeth, hostEndName, refuseExisting, removeHostEnd } from '../../lib/attach/veth-port.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Json } from '../../lib/config/json.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { readAgentAddress } from '../../lib/overlay/agent-call.ts'
import { endpointMac } from '../../lib/overlay/tunnel.ts'
import type { Undo } from '../../lib/undo.ts'
import { check, status } from './check.ts'
import { readConfig, type VxlanConfig } from './config.ts'
import { agentOf, attachmentEntry, ensureDevices, planTunnel, removeEntry } from './devices.ts'
import { collect, join, publish, withdraw } from './publication.ts'

/** Where the container's interface stands in the result: after bridge, tunnel and the host's end. */
const CONTAINER_INDEX = 3

export function vxlan(kernel: Kernel): Plugin {
  return {
    name: 'vxlan',
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
  config: VxlanConfig,
  mac: Uint8Array | undefined,
  undo: Undo
): Result {
  refuseExisting(container, request)
  const { agent } = config
  const planned = planTunnel(host, request, config)
  const tunnel = agent === undefined ? planned.tunnel : join(agent, planned.tunnel)
  const entry = attachmentEntry(request, config, tunnel)
  undo.push('journal entry and devices', () => removeEntry(host, request, entry))
  const { bridge, link } = ensureDevices(host, request, config, { ...planned, tunnel }, entry)
  const leased = leaseAddresses(request, undo)
  const addressed = withGatewayOf(config, leased, CONTAINER_INDEX)
  const { ips } = addressed

  const port = addVeth(host, container, request, {
    bridgeIndex: bridge.index,
    mtu: tunnel.mtu,
    mac: mac ?? endpointMac(tunnel, ips)
  })
  undo.push(`link ${JSON.stringify(port.name)}`, () => host.links.removeByIndex(port.index))
  if (config.hairpinMode) host.links.setPort(port.index, { hairpin: true })
  if (config.isGateway) ensureGatewayAddresses(host, bridge, ips, config.forceAddress)

  const end = container.links.get(request.ifName)
  if (agent !== undefined) {
    undo.push('endpoint', () => withdraw(agent, request))
    // Before the container can speak: its first question must find the answer here.
    publish(agent, request, tunnel, port.name, end.mac, ips)
  }
  configureAttachment(container, end, request, addressed, {})
  addMasquerade(host, request, config.masquerade, ips, journalOf(request, 'vxlan'), entry, undo)
  const interfaces = [interfaceOf(bridge), interfaceOf(link), interfaceOf(port), interfaceOf(end, request.netns)]
  return { ...addressed, interfaces, dns: effectiveDns(request, leased) }
}

/** Links before addresses: an address given back while the container has it would go to the next one at once. */
function del(kernel: Kernel, request: Request): void {
  const host = kernel.host()
  const steps = new Steps('DEL')
  const entry = journalOf(request, 'vxlan').readForRemoval(request.containerId, request.ifName)
  release(host, request, entry, steps)
  // A container's end whose other end has another name than ours: of a network that was moved here.
  steps.attempt(() => removeFromContainer(kernel, request, '', 'veth'))
  steps.attempt(() => request.ipam.del())
  // The entry stays while anything it tells of does: the next DEL or GC needs it.
  if (entry !== undefined && steps.isClean()) steps.attempt(() => removeEntry(host, request, entry))
  steps.finish()
}

/** Everything on the host but addresses and shared devices. */
function release(host: Net, request: Request, entry: Json | undefined, steps: Steps): void {
  const agent = entry === undefined ? readAgentAddress(request.config) : agentOf(entry)
  steps.attempt(() => delMasquerade(host, request, entry))
  steps.attempt(() => removeHostEnd(host, hostEndName(request)))
  if (agent !== undefined) steps.attempt(() => withdraw(agent, request))
}

function gc(kernel: Kernel, request: Request): void {
  const host = kernel.host()
  const steps = new Steps('GC')
  removeStaleAnd(
    journalOf(request, 'vxlan'),
    request,
    steps,
    (gone, entry, removed) => release(host, gone, entry, removed),
    (gone, entry) => removeEntry(host, gone, entry)
  )
  steps.attempt(() => gcStrayMasquerade(host, request))
  const agent = readAgentAddress(request.config)
  if (agent !== undefined) steps.attempt(() => collect(agent, request))
  steps.attempt(() => request.ipam.gc())
  steps.finish()
}
