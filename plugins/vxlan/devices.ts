/** Bridge and tunnel of a network on this host: planned from the configuration, made under a lock, gone with the last container. */
import { withNetns } from '../../lib/attach/attachment.ts'
import type { Session } from '../../lib/attach/session.ts'
import { isSameAttachment } from '../../lib/attachment.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import type { Net } from '../../lib/net/net.ts'
import type { AgentAddress } from '../../lib/overlay/agent-call.ts'
import { ensurePeers, othersOf, pinGateway } from '../../lib/overlay/peers.ts'
import {
  ensureTunnel,
  inPlace,
  overheadOf,
  removeUnused,
  type Tunnel,
  type TunnelDevices,
  type TunnelPlace
} from '../../lib/overlay/tunnel.ts'
import { textOf, tunnelToJson } from '../../lib/overlay/tunnel-json.ts'
import { findUnderlay } from '../../lib/overlay/underlay.ts'
import { withNamedLock } from '../../lib/state/lock.ts'
import type { VxlanConfig } from './config.ts'
import { encryptedUnderlay } from './publication.ts'

/** What the devices have to be, and which hosts the configuration names. */
export interface Plan {
  readonly tunnel: Tunnel
  readonly others: readonly IpAddress[]
}

/** What carries a tunnel. */
interface Carrier {
  /** The interface, as people call it. */
  readonly link: string
  /** bytes */
  readonly mtu: number
  /** This host's address on it. */
  readonly local: IpAddress
  /** Every address of this host that others could know it by. */
  readonly own: readonly IpAddress[]
  /** Path of the namespace of an encrypted one; '' = the host's. */
  readonly netns: string
}

/**
 * What the devices have to be.
 *
 * @throws {CniError} code 7 when there is no underlay, or frames of the configured size do not fit into it; 50 when it has to
 *   be encrypted and cannot be
 */
export function planTunnel(host: Net, request: Request, config: VxlanConfig): Plan {
  const { underlay } = config
  const carrier = carrierOf(host, config)
  const { local } = carrier
  const tunnel: Tunnel = {
    name: config.tunnel,
    bridge: config.bridge,
    network: request.network,
    vni: config.vni,
    port: config.port,
    local,
    // The kernel joins a group on an interface; otherwise the routes of the moment are better than one for ever.
    dev: underlay.group === undefined && underlay.dev === '' ? '' : carrier.link,
    group: underlay.group,
    learning: config.agent === undefined,
    carrier: carrier.netns,
    mtu: mtuOn(carrier, config.mtu),
    isGateway: config.isGateway,
    txChecksumOffload: config.txChecksumOffload,
    follows: {
      link: carrier.link,
      address: underlay.local === undefined,
      mtu: config.mtu === undefined
    }
  }
  return { tunnel, others: othersOf(carrier.own, underlay.peers) }
}

function carrierOf(host: Net, config: VxlanConfig): Carrier {
  if (!config.encrypted) {
    const { link, local, own } = findUnderlay(host, config.underlay)
    return { link: link.name, mtu: link.mtu, local, own, netns: '' }
  }
  // The configuration is refused without an agent.
  if (config.agent === undefined) throw new CniError(INVALID_CONFIG, 'encrypted needs "registry"')
  const { carrier, local, mtu } = encryptedUnderlay(config.agent)
  return { link: 'WireGuard', mtu, local, own: [local], netns: carrier }
}

/** The MTU that the configuration wants, or the largest there is. */
function mtuOn({ link, mtu, local }: Carrier, wanted: number | undefined): number {
  const overhead = overheadOf(local)
  const largest = mtu - overhead
  if (wanted === undefined || wanted <= largest) return wanted ?? largest
  throw new CniError(
    INVALID_CONFIG,
    `mtu must be at most ${String(largest)}, got ${String(wanted)}: ${JSON.stringify(link)} has ${String(mtu)} and the tunnel needs ${String(overhead)}`,
    'lower mtu, leave it out, or raise the MTU of the underlay'
  )
}

/**
 * Makes the devices and writes the attachment down, both under the lock: a DEL of the last container must see the one
 * that is coming before it takes the devices away.
 */
export function ensureDevices(session: Session, config: VxlanConfig, plan: Plan): TunnelDevices {
  const { host, request } = session
  const { tunnel } = plan
  const entry = entryOf(session, config, tunnel)
  return locked(request, tunnel.bridge, () => {
    session.record(entry)
    const devices = atTunnel(session, tunnel, place => ensureTunnel(place, tunnel))
    if (config.hasPeers) ensurePeers(host, devices.link, plan.others)
    if (tunnel.learning && tunnel.isGateway) pinGateway(host, devices.link, tunnel)
    return devices
  })
}

/** Runs `work` with the tunnel's namespaces open. */
export function atTunnel<T>(session: Session, tunnel: Tunnel, work: (place: TunnelPlace) => T): T {
  return inPlace(session.host, path => session.find(path), tunnel, work)
}

/** What ADD is about to make, for DEL, for GC and for a person who finds it. */
function entryOf(session: Session, config: VxlanConfig, tunnel: Tunnel): Json {
  const entry = jsonObject([
    ['plugin', jsonString('vxlan')],
    ['tunnel', tunnelToJson(tunnel)],
    ['keepDevices', jsonBoolean(config.keepDevices)],
    ['agent', config.agent === undefined ? undefined : jsonString(config.agent.socket)],
    ['agentMilliseconds', config.agent === undefined ? undefined : jsonNumber(config.agent.milliseconds)]
  ])
  return withNetns(session, entry)
}

/** The agent that an entry was published by. */
export function agentOf(entry: Json): AgentAddress | undefined {
  const socket = textOf(entry, 'agent')
  return socket === '' ? undefined : { socket, milliseconds: Number(textOf(entry, 'agentMilliseconds')) }
}

/**
 * Removes the entry, and with the network's last one its devices: those first, for as long as the entry is there, the
 * next DEL or GC goes on where a kill stopped this one.
 */
export function removeEntry(session: Session, entry: Json): void {
  const { host, request, journal } = session
  const tunnel = memberOf(entry, 'tunnel')
  if (tunnel === undefined) {
    journal.remove(request)
    return
  }
  const bridge = textOf(tunnel, 'bridge')
  locked(request, bridge, () => {
    const isLast = !journal.list().some(one => !isSameAttachment(one.attachment, request))
    if (isLast && textOf(entry, 'keepDevices') !== 'true') {
      removeUnused(host, textOf(tunnel, 'name'), bridge, textOf(tunnel, 'network'))
    }
    journal.remove(request)
    return true
  })
}

function locked<T>(request: Request, bridge: string, work: () => T): T {
  return withNamedLock(request.config.text('stateDir'), `overlay-${bridge}`, work)
}
