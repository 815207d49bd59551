/**
 * Networks that this host takes part in because a service is published on them, whether or not a container is here: it has to
 * know their members, and for an overlay it needs bridge, tunnel and an address of its own.
 */

import { formatPrefix } from '../../lib/ip/prefix.ts'
import { ensureForwarding } from '../../lib/net/forwarding.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { overheadOf, removeUnused, type Tunnel } from '../../lib/overlay/tunnel.ts'
import { findUnderlay } from '../../lib/overlay/underlay.ts'
import { withNamedLock } from '../../lib/state/lock.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { listDirectory } from '../../lib/sys/files.ts'
import type { Agent } from '../agent.ts'
import type { EncryptedUnderlay, Encryption } from '../encryption/encryption.ts'
import type { LocalEndpoint } from '../endpoint.ts'
import type { ClusterNames } from '../names/cluster-names.ts'
import type { NetworkRecord } from '../networks/record.ts'
import { serviceNetwork } from './service-network.ts'
import type { Services } from './services.ts'

export interface HeldNetworksOptions {
  readonly agent: Agent
  readonly encryption: Encryption
  readonly kernel: Kernel
  readonly cluster: ClusterNames
  readonly services: Services
  /** Of the cluster: those that this host can take part in by itself. */
  readonly find: (network: string) => NetworkRecord | undefined
  /** The network's names are known by way of the registry. */
  readonly confDir: string
  /** The plugins' `stateDir`. */
  readonly stateDir: string
}

/** What joining may take, ms; it is tried again. */
const HOLD_MS = 10_000
/** As the plugin vxlan has it. @source RFC 7348 section 8 */
const VXLAN_PORT = 4789

export class HeldNetworks {
  readonly #options: HeldNetworksOptions
  #wanted: ReadonlySet<string> = new Set()
  #work: Promise<void> | undefined

  constructor(options: HeldNetworksOptions) {
    this.#options = options
  }

  /** Takes part in these, and lets go of all others. */
  hold(networks: ReadonlySet<string>): void {
    const { cluster, find } = this.#options
    for (const name of this.#wanted) if (!networks.has(name)) cluster.hold(name, false)
    for (const name of networks) if (find(name) !== undefined) cluster.hold(name, true)
    this.#wanted = networks
    this.#work ??= this.#settle().finally(() => {
      this.#work = undefined
    })
  }

  async #settle(): Promise<void> {
    const { agent, find, services } = this.#options
    for (const one of agent.held()) if (!this.#wanted.has(one.network)) this.#letGo(one)
    const held = new Set(agent.held().map(one => one.network))
    for (const name of this.#wanted) {
      const record = find(name)
      if (record === undefined || record.internal || held.has(name)) continue
      try {
        await this.#hold(record)
        services.tell(`network ${name}`, '')
        services.changed()
      } catch (error) {
        services.tell(
          `network ${name}`,
          `publish ports of services on network ${JSON.stringify(name)}: ${messageOf(error)}`
        )
      }
    }
  }

  async #hold(record: NetworkRecord): Promise<void> {
    const { agent, encryption, kernel, confDir, stateDir } = this.#options
    const { pool, sets } = serviceNetwork(confDir, record.name)
    const encrypted = record.encrypted ? await encryption.underlay(HOLD_MS) : undefined
    const host = kernel.host()
    let tunnel: Tunnel
    try {
      tunnel = tunnelOf(record, encrypted === undefined ? inClear(host) : { ...encrypted, link: 'WireGuard' })
      for (const { subnet } of record.ranges) ensureForwarding(host, subnet.address.family)
    } finally {
      host.close()
    }
    const gateways = record.ranges.map(({ subnet, gateway }) =>
      formatPrefix({ address: gateway, length: subnet.length })
    )
    const wanted = sets.map(({ path, spans }) => ({ path, spans, wanted: undefined }))
    await agent.hold(tunnel, { pool, sets: wanted, gateways, stateDir }, HOLD_MS)
  }

  #letGo(one: LocalEndpoint): void {
    const { agent, kernel } = this.#options
    const { tunnel, stateDir } = one
    if (!agent.letGo(one)) return
    const host = kernel.host()
    try {
      withNamedLock(stateDir, `overlay-${tunnel.bridge}`, () => {
        // A container that is just being attached has written that down, and needs the devices.
        const isComing = listDirectory(`${stateDir}/${tunnel.network}`).some(name => name.endsWith('.vxlan.json'))
        if (!isComing) removeUnused(host, tunnel.name, tunnel.bridge, tunnel.network)
      })
    } finally {
      host.close()
    }
  }
}

/** What carries a tunnel. */
interface Carried extends EncryptedUnderlay {
  readonly link: string
}

function inClear(host: ReturnType<Kernel['host']>): Carried {
  const { link, local } = findUnderlay(host, { dev: '', local: undefined, peers: [], group: undefined })
  return { link: link.name, mtu: link.mtu, local, carrier: '' }
}

/** As the plugin vxlan plans it from the conflist of a network of the cluster, which names no devices. */
function tunnelOf(record: NetworkRecord, { link, mtu, local, carrier }: Carried): Tunnel {
  return {
    name: `vx${record.vni}`,
    bridge: `br-vx${record.vni}`,
    network: record.name,
    vni: record.vni,
    port: VXLAN_PORT,
    local,
    dev: '',
    group: undefined,
    learning: false,
    carrier,
    mtu: record.mtu ?? mtu - overheadOf(local),
    isGateway: !record.internal,
    txChecksumOffload: true,
    follows: { link, address: true, mtu: record.mtu === undefined }
  }
}
