/** The configuration of the bridge plugin: every key, its default, and what cannot go together. */
import type { GatewayConfig } from '../../lib/attach/gateway.ts'
import { readAcceptRa } from '../../lib/attach/interface.ts'
import { type MasqueradeConfig, readMasquerade } from '../../lib/attach/masquerade.ts'
import { readMtu } from '../../lib/attach/parent.ts'
import { ifNameFault } from '../../lib/cni/env.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import type { Section } from '../../lib/config/section.ts'

export interface BridgeConfig extends GatewayConfig {
  /** The bridge's interface name on the host. */
  readonly bridge: string
  /** A gateway address that disagrees with this network is replaced instead of refused. */
  readonly forceAddress: boolean
  /** Bytes, for the bridge and both ends of the veth pair; the kernel's default when absent. */
  readonly mtu: number | undefined
  readonly hairpinMode: boolean
  readonly promiscMode: boolean
  /** The untagged VLAN of the port; 0 = none. */
  readonly vlan: number
  /** Tagged VLANs of the port. */
  readonly vlanTrunk: readonly VlanRange[]
  /** Leave the port in the VLAN that the kernel gives every new one, normally 1. */
  readonly preserveDefaultVlan: boolean
  /** The port talks to ports that are not isolated, and to the host, only. */
  readonly portIsolation: boolean
  /** Frames that the container sends with another MAC than its own are dropped. */
  readonly spoofCheck: boolean
  readonly masquerade: MasqueradeConfig
  /** IPv6 duplicate address detection in the container. */
  readonly enableDad: boolean
  /** As AttachmentOptions has it. */
  readonly acceptRa: boolean | undefined
  /** The container's interface stays down. */
  readonly disableContainerInterface: boolean
  /** The bridge and the gateway interface of its VLAN stay when their last container goes. */
  readonly keepDevices: boolean
}

interface VlanRange {
  readonly first: number
  readonly last: number
}

const MAX_VLAN = 4094
/** IFNAMSIZ without the NUL. */
const MAX_NAME = 15

/** @throws {ConfigError} naming every key that is wrong */
export function readConfig(request: Request): BridgeConfig {
  const { config } = request
  const isDefaultGateway = config.boolean('isDefaultGateway', false)
  const isGateway = config.boolean('isGateway', false) || isDefaultGateway
  const read: BridgeConfig = {
    bridge: readBridgeName(config),
    isGateway,
    isDefaultGateway,
    forceAddress: config.boolean('forceAddress', false),
    mtu: readMtu(config),
    hairpinMode: config.boolean('hairpinMode', false),
    promiscMode: config.boolean('promiscMode', false),
    vlan: config.integer('vlan', 0, MAX_VLAN) ?? 0,
    vlanTrunk: readTrunk(config),
    preserveDefaultVlan: config.boolean('preserveDefaultVlan', false),
    portIsolation: config.boolean('portIsolation', false),
    spoofCheck: config.boolean('macspoofchk', false),
    masquerade: readMasquerade(request),
    enableDad: config.boolean('enabledad', false),
    acceptRa: readAcceptRa(config, isGateway),
    disableContainerInterface: config.boolean('disableContainerInterface', false),
    keepDevices: config.boolean('keepDevices', true)
  }
  refuseContradictions(config, read, request.ipam.type())
  config.finish()
  return read
}

/** Whether the bridge has to filter VLANs for this configuration. */
export function needsVlanFiltering(config: BridgeConfig): boolean {
  return config.vlan !== 0 || config.vlanTrunk.length > 0
}

/** The interface that carries the gateway's address: the bridge, or with `vlan` an interface in that VLAN. */
export function gatewayName(config: BridgeConfig): string {
  return config.vlan === 0 ? config.bridge : `${config.bridge}.${String(config.vlan)}`
}

function readBridgeName(config: Section): string {
  const name = config.text('bridge') ?? ''
  if (name === '') return 'cni0'
  const fault = ifNameFault(name)
  if (fault !== '') config.problem('bridge', `must be an interface name, which ${fault}`)
  return name
}

function readTrunk(config: Section): readonly VlanRange[] {
  const ranges: VlanRange[] = []
  for (const entry of config.sections('vlanTrunk')) {
    const id = entry.integer('id', 1, MAX_VLAN)
    const first = entry.integer('minID', 1, MAX_VLAN)
    const last = entry.integer('maxID', 1, MAX_VLAN)
    if (id !== undefined) ranges.push({ first: id, last: id })
    if (first !== undefined && last !== undefined && first <= last) ranges.push({ first, last })
    else if (first !== undefined && last !== undefined)
      entry.problem('minID', `must not be above maxID ${String(last)}`)
    else if (entry.has('minID') && !entry.has('maxID')) entry.problem('minID', 'needs maxID beside it')
    else if (entry.has('maxID') && !entry.has('minID')) entry.problem('maxID', 'needs minID beside it')
    else if (!entry.has('id') && !entry.has('minID')) entry.problem('id', 'or minID and maxID must be given')
  }
  return ranges
}

function refuseContradictions(config: Section, read: BridgeConfig, ipam: string): void {
  // A hairpin port sends a frame back where it came from; a promiscuous bridge would then see it twice.
  if (read.hairpinMode && read.promiscMode) config.problem('hairpinMode', 'and promiscMode cannot both be true')
  if (read.disableContainerInterface && ipam !== '') {
    config.problem('disableContainerInterface', 'cannot be used with ipam: an interface that is down has no address')
  }
  const gateway = gatewayName(read)
  if (read.isGateway && gateway.length > MAX_NAME) {
    config.problem('bridge', `must leave room for the gateway's interface ${JSON.stringify(gateway)} in 15 characters`)
  }
}
