/**
 * The agent of a host: keeps what the plugins tell it in the registry, and what other hosts' agents keep there in this
 * host's kernel.
 *
 *     plugin --publish--> agent A --> registry --> agent B --> kernel of B
 */

import type { Attachment } from '../lib/attachment.ts'
import { CniError, INVALID_CONFIG, LIMITED_CONNECTIVITY } from '../lib/cni/error.ts'
import { attachmentKey, attachmentText } from '../lib/daemon/attachment.ts'
import { markHeld, syncHeld, takeReleased, unmarkHeld } from '../lib/daemon/released.ts'
import { formatAddress } from '../lib/ip/address.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { sameTunnel, type Tunnel } from '../lib/overlay/tunnel.ts'
import { AddressPool, type AddressSet } from './address-pool.ts'
import type { AddressOwner, HeldAddresses, LocalEndpoint } from './endpoint.ts'
import { KernelTables } from './kernel-tables.ts'
import { LinkEvents } from './link-events.ts'
import type { LocalStore } from './local-store.ts'
import type { Metrics } from './metrics.ts'
import { Overlay } from './overlay.ts'
import { addressKey, endpointKey, endpointPrefix, type OwnRecords, type Registry } from './registry.ts'
import { endpointValue } from './registry-value.ts'

/** CHECK: the registry does not have what prevResult says. */
const NOT_PUBLISHED = 100
/** A network that was joined, but whose container never came. */
const JOIN_PATIENCE_MS = 60_000

export interface AgentOptions {
  readonly host: string
  /** Where plugins ask, and beside which they leave notes when nobody answers. */
  readonly socket: string
  readonly kernel: Kernel
  readonly store: LocalStore
  readonly registry: Registry
  readonly metrics: Metrics
  /** How often everything is compared, whatever has happened. */
  readonly compareSeconds: number
  readonly log: (message: string) => void
}

/** What this host wants the registry to have. */
export function ownRecords(host: string, store: LocalStore): Pick<OwnRecords, 'values' | 'claims'> {
  return {
    values: () => {
      const own = new Map<string, string>()
      for (const one of store.endpoints.values()) own.set(endpointKey(one.tunnel.vni, host, one), endpointValue(one))
      return own
    },
    claims: () => {
      const own = new Map<string, AddressOwner>()
      for (const held of store.addresses.values()) {
        for (const ip of held.ips) own.set(addressKey(held.pool, ip), ownerOf(host, held))
      }
      return own
    }
  }
}

function ownerOf(host: string, one: Attachment): AddressOwner {
  return { host, network: one.network, containerId: one.containerId, ifName: one.ifName }
}

/** How full a set of addresses is. */
export interface SetUsage {
  readonly path: string
  readonly taken: number
  readonly size: number
}

export class Agent {
  readonly #options: AgentOptions
  readonly #tables = new KernelTables()
  readonly #overlays = new Map<number, Overlay>()
  readonly #pools = new Map<string, AddressPool>()
  /** Until when a network without containers is followed. */
  readonly #joined = new Map<number, number>()
  #events: LinkEvents | undefined
  #timers: NodeJS.Timeout[] = []

  constructor(options: AgentOptions) {
    this.#options = options
  }

  start(): void {
    const { registry, store, socket, compareSeconds, metrics } = this.#options
    this.#dropVanished()
    syncHeld(socket, [...store.addresses.values()])
    this.#takeReleased()
    registry.start()
    for (const { tunnel } of store.endpoints.values()) this.#overlayOf(tunnel)
    this.#events = new LinkEvents({
      linkChanged: (index, name, isGone) => this.#linkChanged(index, name, isGone),
      neighbourGone: entry => {
        for (const overlay of this.#overlays.values()) overlay.entryGone(entry)
      },
      addressGone: index => {
        for (const overlay of this.#overlays.values()) overlay.addressGone(index)
      },
      lost: () => this.#compareAll()
    })
    this.#timers = [setInterval(() => this.#compareAll(), compareSeconds * 1000), setInterval(() => this.#tidy(), 1000)]
    metrics.gauge('patchbay_agent_overlays', 'Overlay networks with containers here', () => this.#overlays.size)
    metrics.gauge('patchbay_agent_endpoints_local', 'Containers here', () => store.endpoints.size)
    metrics.gauge('patchbay_agent_endpoints', 'Containers on all hosts in networks of this one', () => {
      let all = 0
      for (const overlay of this.#overlays.values()) all += overlay.table.size
      return all
    })
    metrics.gauge('patchbay_agent_registry_connected', '1 while the registry can be asked', () =>
      registry.trouble() === '' ? 1 : 0
    )
    metrics.counter('patchbay_agent_kernel_writes_total', 'Entries written to the kernel', () => this.#tables.written)
    metrics.counter('patchbay_agent_kernel_removals_total', 'Entries removed from it', () => this.#tables.removed)
  }

  /** Ends the agent, not the network: tables and registry stay as they are, for the next agent. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#events?.close()
    await this.#options.registry.stop()
    this.#tables.close()
  }

  /** Why a new container could not be attached now; '' when it could. */
  trouble(): string {
    return this.#options.registry.trouble()
  }

  /** A plugin is about to make an interface. @returns whether the tunnel has to learn @throws {CniError} */
  async join(wanted: Tunnel, milliseconds: number): Promise<boolean> {
    const { registry } = this.#options
    const deadline = Date.now() + milliseconds
    await registry.whenReady(milliseconds)
    const tunnel = { ...wanted, learning: registry.learns }
    const overlay = this.#overlayOf(tunnel)
    this.#joined.set(tunnel.vni, Date.now() + JOIN_PATIENCE_MS)
    await overlay.whenSynced(deadline - Date.now())
    return registry.learns
  }

  /** Resolves when the registry has it and this host knows the others'. @throws {CniError} */
  async publish(wanted: Omit<LocalEndpoint, 'vtep'>, milliseconds: number): Promise<void> {
    const { host, registry, store } = this.#options
    const deadline = Date.now() + milliseconds
    const { tunnel } = wanted
    const endpoint: LocalEndpoint = { ...wanted, vtep: formatAddress(tunnel.local) }
    const overlay = this.#overlayOf(tunnel)
    store.putEndpoint(endpoint)
    const key = endpointKey(tunnel.vni, host, endpoint)
    try {
      const revision = await registry.put(key, endpointValue(endpoint), milliseconds)
      overlay.placeOwn(key.slice(endpointPrefix(tunnel.vni).length), endpoint, revision)
      await overlay.whenProgrammed(deadline - Date.now())
    } catch (error) {
      this.#remove(endpoint)
      throw error
    }
  }

  withdraw(attachment: Attachment): void {
    const known = this.#options.store.endpoints.get(attachmentKey(attachment))
    if (known !== undefined) this.#remove(known)
  }

  /** @throws {CniError} code 100 when other hosts do not know the attachment as it is */
  check(attachment: Attachment): void {
    const { host, store, registry } = this.#options
    const known = store.endpoints.get(attachmentKey(attachment))
    const key = known === undefined ? '' : endpointKey(known.tunnel.vni, host, known)
    const overlay = known === undefined ? undefined : this.#overlays.get(known.tunnel.vni)
    const placed = overlay?.table.get(key.slice(endpointPrefix(known?.tunnel.vni ?? 0).length))
    if (known !== undefined && (registry.learns || placed?.mac === known.mac)) return
    throw new CniError(
      NOT_PUBLISHED,
      `check ${attachmentText(attachment)}: the registry does not have it`,
      'DEL and ADD publish it again'
    )
  }

  collectEndpoints(isStray: (one: Attachment) => boolean): void {
    for (const one of [...this.#options.store.endpoints.values()]) if (isStray(one)) this.#remove(one)
  }

  /** @throws {CniError} code 51 while the registry is away */
  refuseWhenInTrouble(): void {
    const trouble = this.trouble()
    if (trouble === '') return
    throw new CniError(
      LIMITED_CONNECTIVITY,
      `reach the registry: ${trouble}`,
      'containers that run go on; changes on other hosts do not arrive until it is back'
    )
  }

  /** @returns one address of each set */
  async takeAddresses(
    attachment: Attachment,
    pool: string,
    sets: readonly AddressSet[],
    milliseconds: number
  ): Promise<readonly string[]> {
    const { host, store, socket } = this.#options
    this.#takeReleased()
    const ips = await this.#poolOf(pool).take(sets, ownerOf(host, attachment), milliseconds)
    const before = store.addressesOf(attachment).find(held => held.pool === pool)
    markHeld(socket, attachment)
    const { network, containerId, ifName } = attachment
    store.putAddresses({ network, containerId, ifName, pool, ips: [...new Set([...(before?.ips ?? []), ...ips])] })
    return ips
  }

  releaseAddresses(attachment: Attachment): void {
    for (const held of this.#options.store.addressesOf(attachment)) this.#release(held)
  }

  collectAddresses(isStray: (one: Attachment) => boolean): void {
    for (const held of [...this.#options.store.addresses.values()]) if (isStray(held)) this.#release(held)
  }

  addressesOf(attachment: Attachment): readonly string[] {
    return this.#options.store.addressesOf(attachment).flatMap(held => held.ips)
  }

  /** @returns how many addresses of each set are taken, on all hosts */
  async usage(name: string, sets: readonly AddressSet[], milliseconds: number): Promise<readonly SetUsage[]> {
    this.refuseWhenInTrouble()
    const pool = this.#poolOf(name)
    const counted: SetUsage[] = []
    for (const set of sets) counted.push({ path: set.path, ...(await pool.usage(set, milliseconds)) })
    return counted
  }

  /** What plugins gave back while no agent ran. */
  #takeReleased(): void {
    for (const attachment of takeReleased(this.#options.socket)) this.releaseAddresses(attachment)
  }

  #release(held: HeldAddresses): void {
    const { store, socket } = this.#options
    store.removeAddresses(held)
    if (store.addressesOf(held).length === 0) unmarkHeld(socket, held)
    this.#poolOf(held.pool).release(held.ips)
  }

  #remove(endpoint: LocalEndpoint): void {
    const { host, registry, store } = this.#options
    store.removeEndpoint(endpoint)
    const key = endpointKey(endpoint.tunnel.vni, host, endpoint)
    registry.forget([key])
    this.#overlays.get(endpoint.tunnel.vni)?.removeOwn(key.slice(endpointPrefix(endpoint.tunnel.vni).length))
    this.#tidy()
  }

  /** @throws {CniError} code 7 when two networks of this host use one VNI for different tunnels */
  #overlayOf(tunnel: Tunnel): Overlay {
    const known = this.#overlays.get(tunnel.vni)
    if (known !== undefined && sameTunnel(known.tunnel, tunnel) && known.tunnel.mtu === tunnel.mtu) return known
    const locals = (): readonly LocalEndpoint[] =>
      [...this.#options.store.endpoints.values()].filter(one => one.tunnel.vni === tunnel.vni)
    if (known !== undefined && locals().length > 0) {
      throw new CniError(
        INVALID_CONFIG,
        `use VNI ${tunnel.vni} for ${JSON.stringify(tunnel.name)}: ${JSON.stringify(known.tunnel.name)} of network ${JSON.stringify(known.tunnel.network)} uses it with other settings`,
        'give the networks different VNIs, or the same tunnel, port, local address and MTU'
      )
    }
    known?.close().catch(() => undefined)
    const { host, kernel, registry, log, metrics } = this.#options
    const onRepair = (what: string, count: number): void =>
      metrics.add(`patchbay_agent_repairs_total{what="${what}"}`, count)
    const overlay = new Overlay(tunnel, { host, kernel, tables: this.#tables, registry, log, onRepair }, locals)
    this.#overlays.set(tunnel.vni, overlay)
    return overlay
  }

  #poolOf(name: string): AddressPool {
    const pool = this.#pools.get(name) ?? new AddressPool(name, this.#options.registry)
    this.#pools.set(name, pool)
    return pool
  }

  #linkChanged(index: number, name: string, isGone: boolean): void {
    if (isGone) {
      const gone = [...this.#options.store.endpoints.values()].find(one => one.hostEnd === name)
      if (gone !== undefined && !this.#hasLink(name)) this.#remove(gone)
    }
    for (const overlay of this.#overlays.values()) overlay.linkChanged(index, name)
  }

  #hasLink(name: string): boolean {
    const host = this.#options.kernel.host()
    try {
      return host.links.find(name) !== undefined
    } finally {
      host.close()
    }
  }

  /** Containers that have gone without a DEL that reached an agent. */
  #dropVanished(): void {
    const host = this.#options.kernel.host()
    try {
      const names = new Set(host.links.list().map(link => link.name))
      for (const one of [...this.#options.store.endpoints.values()]) if (!names.has(one.hostEnd)) this.#remove(one)
    } finally {
      host.close()
    }
  }

  #compareAll(): void {
    this.#dropVanished()
    this.#takeReleased()
    for (const overlay of this.#overlays.values()) overlay.compare().catch(() => undefined)
  }

  /** Networks without containers are not followed any more. */
  #tidy(): void {
    const used = new Set([...this.#options.store.endpoints.values()].map(one => one.tunnel.vni))
    for (const [vni, overlay] of this.#overlays) {
      if (used.has(vni) || (this.#joined.get(vni) ?? 0) > Date.now()) continue
      this.#overlays.delete(vni)
      this.#joined.delete(vni)
      overlay.close().catch((error: Error) => this.#options.log(`overlay ${vni}: ${error.message}`))
    }
  }
}
