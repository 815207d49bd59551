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
import { refuseTakenName, removeFromContainer } from '../../lib/attach/attachment.ts'
import { attachmentPlugin, inJournal } from '../../lib/attach/attachment-plugin.ts'
import { afterPrevious } from '../../lib/attach/chain-result.ts'
import { ensureGatewayAddresses, withGatewayOf } from '../../lib/attach/gateway.ts'
import { configureAttachment, interfaceOf } from '../../lib/attach/interface.ts'
import { effectiveDns } from '../../lib/attach/ipam.ts'
import { addMasquerade, collectStrayMasquerade, delMasquerade } from '../../lib/attach/masquerade.ts'
import type { Session } from '../../lib/attach/session.ts'
import { addVeth, removeHostEnds, removeHostEndsTogether } from '../../lib/attach/veth.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin } from '../../lib/cni/plugin.ts'
import type { IpConfig, Result } from '../../lib/cni/result.ts'
import type { Json } from '../../lib/config/json.ts'
import { formatPrefix } from '../../lib/ip/prefix.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { readAgentAddress } from '../../lib/overlay/agent-call.ts'
import { endpointMac, LEAST_IPV6_MTU, type Tunnel } from '../../lib/overlay/tunnel.ts'
import { check, status } from './check.ts'
import { readConfig } from './config.ts'
import { agentOf, ensureDevices, planTunnel, removeEntry } from './devices.ts'
import { collect, join, publish, withdraw } from './publication.ts'

/** Where the container's interface stands in the result: after bridge, tunnel and the host's end. */
const CONTAINER_INDEX = 3

export function vxlan(kernel: Kernel): Plugin {
  return attachmentPlugin(kernel, {
    name: 'vxlan',
    since: '0.1.0',
    hasAddresses: true,
    isExclusive: false,
    records: inJournal,
    add,
    check,
    removeRules: delMasquerade,
    removeLinks,
    removeLinksTogether: removeHostEndsTogether,
    forget: removeEntry,
    collectStrays,
    status
  })
}

function add(session: Session): Result {
  const { request, host } = session
  const mac = requestedMac(request)
  const config = readConfig(request)
  refuseTakenName(session)
  const { agent } = config
  const planned = planTunnel(host, request, config)
  const tunnel = agent === undefined ? planned.tunnel : join(agent, planned.tunnel)
  const { bridge, link } = ensureDevices(session, config, { ...planned, tunnel })
  const leased = session.lease()
  const addressed = withGatewayOf(config, leased, CONTAINER_INDEX)
  const { ips } = addressed
  refuseIpv6WithoutRoom(tunnel, ips)

  const { hostEnd: port, containerEnd: end } = addVeth(session, {
    bridgeIndex: bridge.index,
    mtu: tunnel.mtu,
    mac: mac ?? endpointMac(tunnel, ips)
  })
  if (config.hairpinMode) host.links.setPort(port.index, { hairpin: true })
  if (config.isGateway) ensureGatewayAddresses(host, bridge, ips, config.forceAddress)

  if (agent !== undefined) {
    session.undo.push('endpoint', () => withdraw(agent, request))
    // Before the container can speak: its first question must find the answer here.
    publish(agent, request, tunnel, { hostEnd: port.name, mac: end.mac, ips })
  }
  configureAttachment(session, end, addressed, { acceptRa: config.acceptRa })
  addMasquerade(session, config.masquerade, ips)
  const interfaces = [interfaceOf(bridge), interfaceOf(link), interfaceOf(port), interfaceOf(end, request.netns)]
  return afterPrevious(request, { ...addressed, interfaces, dns: effectiveDns(request, leased) })
}

/** The kernel's own word for it would be EINVAL. */
function refuseIpv6WithoutRoom({ mtu }: Tunnel, ips: readonly IpConfig[]): void {
  if (mtu >= LEAST_IPV6_MTU) return
  const address = ips.find(ip => ip.address.address.family === 6)?.address
  if (address === undefined) return
  throw new CniError(
    INVALID_CONFIG,
    `give address ${formatPrefix(address)}: the network has an MTU of ${String(mtu)}, and IPv6 needs ${String(LEAST_IPV6_MTU)}`,
    'raise "mtu", or the MTU of the underlay, or leave the network without IPv6'
  )
}

/** Everything but addresses and shared devices. */
function removeLinks(session: Session, entry: Json | undefined): void {
  const { request } = session
  removeHostEnds(session)
  // A container's end whose other end has another name than ours: of a network that was moved here.
  session.attempt(() => removeFromContainer(session, 'veth', entry))
  const agent = entry === undefined ? readAgentAddress(request.config) : agentOf(entry)
  if (agent !== undefined) session.attempt(() => withdraw(agent, request))
}

function collectStrays(session: Session): void {
  session.attempt(() => collectStrayMasquerade(session))
  const agent = readAgentAddress(session.request.config)
  if (agent !== undefined) session.attempt(() => collect(agent, session.request))
}
