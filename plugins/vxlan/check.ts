/** CHECK and STATUS of vxlan: what must still be so, beyond the container's own interface. */
import { requireUnconnected } from '../../lib/attach/connected.ts'
import { gatewayProblems } from '../../lib/attach/gateway.ts'
import { attachmentProblems, expectedAttachment, previousIps } from '../../lib/attach/interface.ts'
import { masqueradeProblems } from '../../lib/attach/masquerade.ts'
import type { Session } from '../../lib/attach/session.ts'
import { hostEndName } from '../../lib/attach/veth.ts'
import { CniError, LIMITED_CONNECTIVITY, NOT_AVAILABLE, TRY_AGAIN_LATER } from '../../lib/cni/error.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { peerProblems } from '../../lib/overlay/peers.ts'
import { fixedDifferences, isOwnTunnel, type Tunnel, tunnelProblems } from '../../lib/overlay/tunnel.ts'
import { readConfig, type VxlanConfig } from './config.ts'
import { atTunnel, planTunnel } from './devices.ts'
import { checkAgent, checkPublished } from './publication.ts'

export function check(session: Session): readonly string[] {
  const { request, host } = session
  const config = readConfig(request)
  const expected = expectedAttachment(request, 'veth')
  request.ipam.check()
  session.container()
  const problems = deviceProblems(session, config).concat(
    portProblems(host, config, request),
    attachmentProblems(session, expected),
    masqueradeProblems(session, config.masquerade, previousIps(request))
  )
  if (config.agent !== undefined && problems.length === 0) checkPublished(config.agent, request)
  return problems
}

function deviceProblems(session: Session, config: VxlanConfig): readonly string[] {
  const { host, request } = session
  const plan = planTunnel(host, request, config)
  const tunnel = asPresent(host, plan.tunnel)
  const problems = atTunnel(session, tunnel, place => tunnelProblems(place, tunnel)).slice(0)
  const link = host.links.find(tunnel.name)
  if (link !== undefined && config.hasPeers) {
    for (const problem of peerProblems(host, link, plan.others)) problems.push(problem)
  }
  const bridge = host.links.find(tunnel.bridge)
  if (bridge === undefined || !config.isGateway) return problems
  return problems.concat(gatewayProblems(host, bridge, previousIps(request)))
}

/** Whether a registry's tunnel learns is the agent's choice, which CHECK does not ask for. */
function asPresent(host: Net, tunnel: Tunnel): Tunnel {
  if (tunnel.learning) return tunnel
  const link = host.links.find(tunnel.name)
  return link?.info.kind === 'vxlan' ? { ...tunnel, learning: link.info.learning === true } : tunnel
}

function portProblems(host: Net, config: VxlanConfig, request: Request): readonly string[] {
  const name = JSON.stringify(hostEndName(request))
  const port = host.links.find(hostEndName(request))
  if (port === undefined) return [`link ${name} is missing on the host`]
  const problems: string[] = []
  if (!port.isUp) problems.push(`link ${name} is down`)
  if (masterName(host, port) !== config.bridge) {
    problems.push(`link ${name} is not a port of ${JSON.stringify(config.bridge)}`)
  } else if ((port.port?.hairpin === true) !== config.hairpinMode) {
    problems.push(`port ${name} has hairpin ${config.hairpinMode ? 'off' : 'on'}`)
  }
  return problems
}

function masterName(host: Net, port: Link): string {
  return port.masterIndex === undefined ? '' : (host.links.findByIndex(port.masterIndex)?.name ?? '')
}

/** @throws {CniError} code 50 when an ADD could not succeed, 51 when the other hosts' changes do not arrive either */
export function status(session: Session): void {
  const { request, host } = session
  const config = readConfig(request)
  try {
    refuseUnusable(session, config)
    if (config.isGateway) requireUnconnected(host, config.bridge, request)
    if (config.agent !== undefined) checkAgent(config.agent)
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    const isAway = error.code === TRY_AGAIN_LATER || error.code === LIMITED_CONNECTIVITY
    throw new CniError(isAway ? LIMITED_CONNECTIVITY : NOT_AVAILABLE, error.message, error.details)
  }
}

function refuseUnusable(session: Session, config: VxlanConfig): void {
  const { host, request } = session
  const tunnel = asPresent(host, planTunnel(host, request, config).tunnel)
  const bridge = host.links.find(tunnel.bridge)
  const link = host.links.find(tunnel.name)
  // ADD makes our own anew.
  const isReplaced = link === undefined || isOwnTunnel(link, tunnel)
  const faults = isReplaced ? [] : atTunnel(session, tunnel, place => fixedDifferences(place, link, tunnel))
  if (bridge !== undefined && bridge.info.kind !== 'bridge') {
    throw new CniError(NOT_AVAILABLE, `use bridge ${JSON.stringify(tunnel.bridge)}: it is no bridge`, '')
  }
  if (faults.length > 0) {
    const advice = `remove it, or name another link in the key "tunnel"`
    throw new CniError(NOT_AVAILABLE, `use link ${JSON.stringify(tunnel.name)}: ${faults.join('; ')}`, advice)
  }
}
