/** The configuration of the vxlan plugin: every key, its default, and what cannot go together. */
import type { GatewayConfig } from '../../lib/attach/gateway.ts'
import { readAcceptRa } from '../../lib/attach/interface.ts'
import { type MasqueradeConfig, readMasquerade } from '../../lib/attach/masquerade.ts'
import { presentText, readMtu } from '../../lib/attach/parent.ts'
import { ifNameFault } from '../../lib/cni/env.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { readAddress } from '../../lib/config/addresses.ts'
import type { Section } from '../../lib/config/section.ts'
import { type IpAddress, isMulticast, parseAddress } from '../../lib/ip/address.ts'
import { type AgentAddress, agentKeyOf, readAgentAddress } from '../../lib/overlay/agent-call.ts'
import type { UnderlayConfig } from '../../lib/overlay/underlay.ts'

export interface VxlanConfig extends GatewayConfig {
  readonly vni: number
  /** UDP */
  readonly port: number
  readonly underlay: UnderlayConfig
  /** The configuration names the other hosts itself. */
  readonly hasPeers: boolean
  /** The agent that knows the other hosts' endpoints. */
  readonly agent: AgentAddress | undefined
  /** The agent's WireGuard device carries what goes to other hosts. */
  readonly encrypted: boolean
  /** Interface names on the host. */
  readonly bridge: string
  readonly tunnel: string
  /** bytes; undefined = as the underlay allows */
  readonly mtu: number | undefined
  readonly forceAddress: boolean
  readonly masquerade: MasqueradeConfig
  readonly hairpinMode: boolean
  /** As AttachmentOptions has it. */
  readonly acceptRa: boolean | undefined
  /** The last DEL leaves bridge and tunnel. */
  readonly keepDevices: boolean
  readonly txChecksumOffload: boolean
}

/** @source RFC 7348 section 8, the port of the Internet Assigned Numbers Authority */
const VXLAN_PORT = 4789
const LARGEST_VNI = 16_777_215

/** @throws {ConfigError} naming every key that is wrong */
export function readConfig(request: Request): VxlanConfig {
  const { config } = request
  const vni = config.integer('vni', 1, LARGEST_VNI) ?? 0
  if (!config.has('vni')) config.problem('vni', `is required: an integer from 1 to ${String(LARGEST_VNI)}`)
  const isDefaultGateway = config.boolean('isDefaultGateway', false)
  const isGateway = config.boolean('isGateway', false) || isDefaultGateway
  const namesAgent = agentKeyOf(config) === 'encrypted'
  const read: VxlanConfig = {
    vni,
    port: config.integer('port', 1, 65_535) ?? VXLAN_PORT,
    underlay: readUnderlay(config),
    hasPeers: config.has('peers'),
    agent: readAgentAddress(config),
    encrypted: namesAgent || config.boolean('encrypted', false),
    bridge: readName(config, 'bridge', `br-vx${String(vni)}`),
    tunnel: readName(config, 'tunnel', `vx${String(vni)}`),
    mtu: readMtu(config),
    isGateway,
    isDefaultGateway,
    forceAddress: config.boolean('forceAddress', false),
    masquerade: readMasquerade(request),
    hairpinMode: config.boolean('hairpinMode', false),
    acceptRa: readAcceptRa(config, isGateway),
    keepDevices: config.boolean('keepDevices', false),
    txChecksumOffload: config.boolean('txChecksumOffload', true)
  }
  refuseContradictions(config, read)
  config.finish()
  return read
}

function readUnderlay(config: Section): UnderlayConfig {
  const group = readAddress(config, 'group')
  if (group !== undefined && !isMulticast(group)) config.problem('group', 'must be a multicast address')
  return {
    dev: presentText(config, 'dev') ?? '',
    local: readAddress(config, 'local'),
    peers: readPeers(config),
    group
  }
}

function readPeers(config: Section): readonly IpAddress[] {
  const peers: IpAddress[] = []
  for (const text of config.textList('peers')) {
    const peer = parseAddress(text)
    if (peer === undefined || isMulticast(peer)) config.problem('peers', 'must hold addresses of hosts')
    else peers.push(peer)
  }
  return peers
}

function readName(config: Section, key: string, fallback: string): string {
  const name = config.text(key) ?? ''
  if (name === '') return fallback
  const fault = ifNameFault(name)
  if (fault !== '') config.problem(key, `must be an interface name, which ${fault}`)
  return name
}

function refuseContradictions(config: Section, read: VxlanConfig): void {
  const { underlay } = read
  const ways = (read.hasPeers ? 1 : 0) + (underlay.group === undefined ? 0 : 1) + (read.agent === undefined ? 0 : 1)
  if (ways === 0 && !config.has('group'))
    config.problem('peers', 'or "group" or "registry" must say where the other hosts are')
  if (ways > 1) config.problem('peers', 'and "group" and "registry" exclude each other: give one of them')
  if (read.encrypted) refuseInClear(config, read)
  if (read.bridge === read.tunnel) config.problem('tunnel', 'must not be the name of the bridge')
  const families = underlay.peers.concat(optional(underlay.group), optional(underlay.local))
  if (families.some(one => one.family !== families[0]?.family)) {
    config.problem(underlay.local === undefined ? 'peers' : 'local', 'must be of one family with the other hosts')
  }
}

/** Keys and endpoints of hosts are the agent's matter, and its device is the underlay. */
function refuseInClear(config: Section, read: VxlanConfig): void {
  if (agentKeyOf(config) === 'encrypted' && config.has('registry')) {
    config.problem('registry', 'must not be there where "encrypted" is an object, which takes its place')
  }
  if (read.agent === undefined) config.problem('encrypted', 'needs "registry": the agent has the keys of the hosts')
  if (read.underlay.dev !== '') config.problem('dev', 'is the agent\'s to know where "encrypted" is (underlay.dev)')
  if (read.underlay.local !== undefined) {
    config.problem('local', 'is the agent\'s to know where "encrypted" is (underlay.local)')
  }
}

function optional(address: IpAddress | undefined): readonly IpAddress[] {
  return address === undefined ? [] : [address]
}
