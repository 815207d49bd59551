/** CHECK and STATUS of bridge: what must still be so, beyond the container's own interface. */
import { gatewayProblems } from '../../lib/attach/gateway.ts'
import { attachmentProblems, expectedAttachment, previousIps } from '../../lib/attach/interface.ts'
import { masqueradeProblems, refusals } from '../../lib/attach/masquerade.ts'
import type { Session } from '../../lib/attach/session.ts'
import { findHostEnd, hostEndName } from '../../lib/attach/veth.ts'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import type { Interface } from '../../lib/cni/result.ts'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import type { BridgeVlan } from '../../lib/net/vlans.ts'
import { checkSpoofCheck } from '../../lib/nft/spoof-check.ts'
import { type BridgeConfig, gatewayName, needsVlanFiltering, readConfig } from './config.ts'
import { wantedVlans } from './devices.ts'

/** Everything in which the attachment is not as ADD left it. */
export function check(session: Session): readonly string[] {
  const { request, host } = session
  const config = readConfig(request)
  request.ipam.check()
  const expected = expectedAttachment(request, 'veth')
  session.container()
  const problems = [...checkBridge(host, request, config), ...checkPort(session, config)]
  if (!config.disableContainerInterface) problems.push(...attachmentProblems(session, expected))
  problems.push(...spoofProblems(session, config))
  problems.push(...masqueradeProblems(session, config.masquerade, previousIps(request)))
  return problems
}

function spoofProblems(session: Session, config: BridgeConfig): readonly string[] {
  const { request } = session
  if (!config.spoofCheck) return []
  const mac = session.container().links.find(request.ifName)?.mac
  if (mac === undefined) return []
  return refusals(() => checkSpoofCheck(session.nft(), request, { name: hostEndName(request), mac }))
}

/** Differences of the bridge itself from configuration and prevResult. */
function checkBridge(host: Net, request: Request, config: BridgeConfig): readonly string[] {
  const name = JSON.stringify(config.bridge)
  const link = host.links.find(config.bridge)
  if (link === undefined) return [`bridge ${name} is missing`]
  if (link.info.kind !== 'bridge')
    return [`link ${name} is of kind ${JSON.stringify(link.kind ?? 'device')}, not "bridge"`]
  const problems: string[] = []
  if (!link.isUp) problems.push(`bridge ${name} is down`)
  if (config.promiscMode && !link.isPromiscuous) problems.push(`bridge ${name} is not promiscuous`)
  if (config.mtu !== undefined && link.mtu !== config.mtu) {
    problems.push(`bridge ${name} has MTU ${String(link.mtu)}, not ${String(config.mtu)}`)
  }
  if (needsVlanFiltering(config) && link.info.vlanFiltering !== true)
    problems.push(`bridge ${name} does not filter VLANs`)
  const recorded = hostInterface(request, config.bridge)
  // Another implementation's result may have it in upper case.
  const mac = recorded?.mac === undefined ? undefined : parseMac(recorded.mac)
  if (mac !== undefined && link.mac !== undefined && formatMac(link.mac) !== formatMac(mac)) {
    problems.push(`bridge ${name} has MAC ${formatMac(link.mac)}, not ${formatMac(mac)}`)
  }
  if (config.isGateway) problems.push(...checkGateway(host, request, config))
  return problems
}

function hostInterface(request: Request, name: string): Interface | undefined {
  return request.prevResult?.interfaces.find(one => one.name === name && (one.sandbox ?? '') === '')
}

function checkGateway(host: Net, request: Request, config: BridgeConfig): readonly string[] {
  const name = gatewayName(config)
  const link = host.links.find(name)
  if (link === undefined) return [`gateway interface ${JSON.stringify(name)} is missing`]
  return gatewayProblems(host, link, request.prevResult?.ips ?? [])
}

/** Differences of the host's end: there, up, on the bridge, with its port settings, and the container's own peer. */
function checkPort(session: Session, config: BridgeConfig): readonly string[] {
  const { host } = session
  const port = findHostEnd(session)
  if (port === undefined) return [`link ${JSON.stringify(hostEndName(session.request))} is missing on the host`]
  const name = JSON.stringify(port.name)
  const problems: string[] = []
  if (!port.isUp) problems.push(`link ${name} is down`)
  const master = port.masterIndex === undefined ? undefined : host.links.findByIndex(port.masterIndex)
  if (master?.name !== config.bridge) {
    problems.push(
      `link ${name} is a port of ${JSON.stringify(master?.name ?? 'nothing')}, not ${JSON.stringify(config.bridge)}`
    )
    return problems
  }
  if (config.mtu !== undefined && port.mtu !== config.mtu) {
    problems.push(`link ${name} has MTU ${String(port.mtu)}, not ${String(config.mtu)}`)
  }
  if ((port.port?.hairpin === true) !== config.hairpinMode)
    problems.push(`port ${name} has hairpin ${onOff(!config.hairpinMode)}`)
  if ((port.port?.isolated === true) !== config.portIsolation)
    problems.push(`port ${name} has isolation ${onOff(!config.portIsolation)}`)
  if (needsVlanFiltering(config)) problems.push(...checkVlans(host, port, config))
  return problems
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off'
}

function checkVlans(host: Net, port: Link, config: BridgeConfig): readonly string[] {
  const present = host.vlans.list(port.index)
  return wantedVlans(config)
    .filter(wanted => !covers(present, wanted))
    .map(wanted => `port ${JSON.stringify(port.name)} is not in VLAN ${vlanText(wanted)}`)
}

function covers(present: readonly BridgeVlan[], wanted: BridgeVlan): boolean {
  for (let vid = wanted.vid; vid <= (wanted.lastVid ?? wanted.vid); vid += 1) {
    const entry = present.find(one => one.vid <= vid && vid <= (one.lastVid ?? one.vid))
    if (entry === undefined || (entry.pvid === true) !== (wanted.pvid === true)) return false
    if ((entry.untagged === true) !== (wanted.untagged === true)) return false
  }
  return true
}

function vlanText(vlan: BridgeVlan): string {
  const range = vlan.lastVid === undefined || vlan.lastVid === vlan.vid ? '' : `-${String(vlan.lastVid)}`
  return `${String(vlan.vid)}${range}${vlan.pvid === true ? ' as its untagged one' : ''}`
}

/** @throws {CniError} code 50 when an ADD could not use the bridge */
export function refuseUnusable(host: Net, config: BridgeConfig): void {
  const link = host.links.find(config.bridge)
  if (link === undefined || link.info.kind === 'bridge') return
  throw new CniError(
    NOT_AVAILABLE,
    `use bridge ${JSON.stringify(config.bridge)}: an interface of kind ${JSON.stringify(link.kind ?? 'device')} has this name`,
    'name another bridge in the key "bridge", or remove that interface'
  )
}
