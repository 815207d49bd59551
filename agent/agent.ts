/**
 * The agent of a host: keeps what the plugins tell it in the registry, and what other hosts' agents keep there in this
 * host's kernel.
 *
 *     plugin --publish--> agent A --> registry --> agent B --> kernel of B
 */
import { LIMITED_CONNECTIVITY } from '../lib/cni/error.ts'
import { formatAddress } from '../lib/ip/address.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { takeReleased } from '../lib/overlay/released.ts'
import { sameTunnel, type Tunnel } from '../lib/overlay/tunnel.ts'
import { AddressPool } from './address-pool.ts'
import {
  type AddressOwner,
  type Attachment,
  attachmentKey,
  type Endpoint,
  type LocalEndpoint,
  type LocalLease
} from './endpoint.ts'
import { AgentFailure } from './failure.ts'
import { KernelTables } from './kernel-tables.ts'
import { LinkEvents } from './link-events.ts'
import type { LocalStore } from './local-store.ts'
import type { Metrics } from './metrics.ts'
import { Overlay } from './overlay.ts'
import type { Question } from './question.ts'
import { addressKey, endpointKey, endpointPrefix, type OwnRecords, type Registry } from './registry.ts'

/** CHECK: the registry does not have what prevResult says. */
const NOT_PUBLISHED = 100
/** A network that was joined, but whose container never came. */
const JOIN_PATIENCE_MS = 60_000

export interface AgentOptions {
  readonly host: string
  /** The plugins' door, beside which they leave notes when nobody answers. */
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
export function ownRecords(
  host: string,
  store: LocalStore,
  onConflict: (key: string, owner: string) => void
): OwnRecords {
  return {
    endpoints: () => {
      const own = new Map<string, string>()
      for (const one of store.endpoints.values()) own.set(endpointKey(one.tunnel.vni, host, one), valueOf(one))
      return own
    },
    addresses: () => {
      const own = new Map<string, string>()
      for (const lease of store.addresses.values()) {
        for (const ip of lease.ips) own.set(addressKey(lease.pool, ip), JSON.stringify(ownerOf(host, lease)))
      }
      return own
    },
    onConflict
  }
}

function valueOf({ mac, ips, vtep }: Endpoint): string {
  return JSON.stringify({ mac, ips, vtep })
}

function ownerOf(host: string, one: Attachment): AddressOwner {
  return { host, network: one.network, containerId: one.containerId, ifName: one.ifName }
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
    const { registry, store, compareSeconds, metrics } = this.#options
    this.#dropVanished()
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

  /** @returns the members of the answer beside `ok` @throws AgentFailure */
  async answer(question: Question): Promise<object> {
    const what = question.text('do')
    if (what === 'join') return this.#join(question)
    if (what === 'publish') return this.#publish(question)
    if (what === 'withdraw') return this.#withdraw(question)
    if (what === 'check') return this.#check(question)
    if (what === 'collect') return this.#collect(question)
    if (what === 'status') return this.#status()
    if (what === 'take-addresses') return this.#takeAddresses(question)
    if (what === 'release-addresses') return this.#releaseAddresses(question)
    if (what === 'collect-addresses') return this.#collectAddresses(question)
    if (what === 'addresses') return { ips: this.#heldBy(question) }
    if (what === 'usage') return this.#usage(question)
    throw new AgentFailure(
      7,
      `answer ${JSON.stringify(what)}: no such question`,
      'plugin and agent are of different versions'
    )
  }

  async #join(question: Question): Promise<object> {
    const { registry } = this.#options
    await registry.whenReady(question.milliseconds)
    const tunnel = { ...question.tunnel(), learning: registry.learns }
    const overlay = this.#overlayOf(tunnel)
    this.#joined.set(tunnel.vni, Date.now() + JOIN_PATIENCE_MS)
    await overlay.whenSynced(question.milliseconds)
    return { learning: registry.learns }
  }

  async #publish(question: Question): Promise<object> {
    const { host, registry, store } = this.#options
    const tunnel = question.tunnel()
    const endpoint: LocalEndpoint = {
      ...question.attachment(),
      mac: question.text('mac'),
      ips: question.texts('ips'),
      vtep: this.#vtepOf(tunnel),
      hostEnd: question.text('hostEnd'),
      tunnel,
      gateways: question.texts('gateways'),
      stateDir: question.text('stateDir')
    }
    const overlay = this.#overlayOf(tunnel)
    store.putEndpoint(endpoint)
    const key = endpointKey(tunnel.vni, host, endpoint)
    try {
      const revision = await registry.put(key, valueOf(endpoint), question.milliseconds)
      overlay.placeOwn(key.slice(endpointPrefix(tunnel.vni).length), endpoint, revision)
      await overlay.whenProgrammed(question.milliseconds)
    } catch (error) {
      this.#remove(endpoint)
      throw error
    }
    return {}
  }

  #vtepOf(tunnel: Tunnel): string {
    return formatAddress(tunnel.local)
  }

  #withdraw(question: Question): object {
    const known = this.#options.store.endpoints.get(attachmentKey(question.attachment()))
    if (known !== undefined) this.#remove(known)
    return {}
  }

  #check(question: Question): object {
    const { host, store, registry } = this.#options
    const attachment = question.attachment()
    const known = store.endpoints.get(attachmentKey(attachment))
    const key = known === undefined ? '' : endpointKey(known.tunnel.vni, host, known)
    const overlay = known === undefined ? undefined : this.#overlays.get(known.tunnel.vni)
    const placed = overlay?.table.get(key.slice(endpointPrefix(known?.tunnel.vni ?? 0).length))
    if (known === undefined || (!registry.learns && placed?.mac !== known.mac)) {
      const who = `container ${JSON.stringify(attachment.containerId)} interface ${JSON.stringify(attachment.ifName)}`
      throw new AgentFailure(
        NOT_PUBLISHED,
        `check ${who}: the registry does not have it`,
        'DEL and ADD publish it again'
      )
    }
    return {}
  }

  #collect(question: Question): object {
    const network = question.network()
    const keep = question.keep()
    for (const one of [...this.#options.store.endpoints.values()]) {
      if (one.network === network && !keep.has(`${one.containerId}:${one.ifName}`)) this.#remove(one)
    }
    return {}
  }

  #status(): object {
    const trouble = this.trouble()
    if (trouble === '') return {}
    throw new AgentFailure(
      LIMITED_CONNECTIVITY,
      `reach the registry: ${trouble}`,
      'containers that run go on; changes on other hosts do not arrive until it is back'
    )
  }

  async #takeAddresses(question: Question): Promise<object> {
    const { host, store } = this.#options
    const attachment = question.attachment()
    const pool = question.pool()
    this.#takeReleased()
    const ips = await this.#poolOf(pool).take(question.sets(), ownerOf(host, attachment), question.milliseconds)
    const before = store.leasesOf(attachment).find(lease => lease.pool === pool)
    store.putLease({ ...attachment, pool, ips: [...new Set([...(before?.ips ?? []), ...ips])] })
    return { ips }
  }

  #releaseAddresses(question: Question): object {
    this.#release(question.attachment())
    return {}
  }

  #collectAddresses(question: Question): object {
    const network = question.network()
    const keep = question.keep()
    for (const lease of [...this.#options.store.addresses.values()]) {
      if (lease.network === network && !keep.has(`${lease.containerId}:${lease.ifName}`)) this.#releaseLease(lease)
    }
    return {}
  }

  #heldBy(question: Question): readonly string[] {
    return this.#options.store.leasesOf(question.attachment()).flatMap(lease => lease.ips)
  }

  async #usage(question: Question): Promise<object> {
    this.#status()
    const pool = this.#poolOf(question.pool())
    const sets: { readonly path: string; readonly taken: number; readonly size: number }[] = []
    for (const set of question.sets()) {
      sets.push({ path: set.path, ...(await pool.usage(set, question.milliseconds)) })
    }
    return { sets }
  }

  /** What plugins gave back while no agent ran. */
  #takeReleased(): void {
    for (const attachment of takeReleased(this.#options.socket)) this.#release(attachment)
  }

  #release(attachment: Attachment): void {
    for (const lease of this.#options.store.leasesOf(attachment)) this.#releaseLease(lease)
  }

  #releaseLease(lease: LocalLease): void {
    this.#options.store.removeLease(lease)
    this.#poolOf(lease.pool).release(lease.ips)
  }

  #remove(endpoint: LocalEndpoint): void {
    const { host, registry, store } = this.#options
    store.removeEndpoint(endpoint)
    const key = endpointKey(endpoint.tunnel.vni, host, endpoint)
    registry.forget([key])
    this.#overlays.get(endpoint.tunnel.vni)?.removeOwn(key.slice(endpointPrefix(endpoint.tunnel.vni).length))
    this.#tidy()
  }

  /** @throws AgentFailure code 7 when two networks of this host use one VNI for different tunnels */
  #overlayOf(tunnel: Tunnel): Overlay {
    const known = this.#overlays.get(tunnel.vni)
    if (known !== undefined && sameTunnel(known.tunnel, tunnel) && known.tunnel.mtu === tunnel.mtu) return known
    const locals = (): readonly LocalEndpoint[] =>
      [...this.#options.store.endpoints.values()].filter(one => one.tunnel.vni === tunnel.vni)
    if (known !== undefined && locals().length > 0) {
      throw new AgentFailure(
        7,
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
