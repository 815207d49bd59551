/**
 * The agent of a host: keeps what the plugins tell it in the registry, and what other hosts' agents keep there in this
 * host's kernel.
 *
 *     plugin --publish--> agent A --> registry --> agent B --> kernel of B
 */

import type { Attachment } from '../lib/attachment.ts'
import { CniError, INVALID_CONFIG, LIMITED_CONNECTIVITY } from '../lib/cni/error.ts'
import { attachmentKey, attachmentText } from '../lib/daemon/attachment.ts'
import { formatAddress } from '../lib/ip/address.ts'
import { formatMac } from '../lib/ip/mac.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { followUnderlay } from '../lib/overlay/follow.ts'
import { sameDevices, sameTunnel, type Tunnel, tunnelMac } from '../lib/overlay/tunnel.ts'
import { messageOf } from '../lib/sys/errors.ts'
import type { Encryption } from './encryption/encryption.ts'
import { type AddressOwner, hostsOwn, isHeld, isHostsOwn, type LocalEndpoint } from './endpoint.ts'
import type { Placed } from './endpoint-table.ts'
import { type HeldPlace, HostAddresses } from './host-addresses.ts'
import { KernelTables } from './kernel-tables.ts'
import { LinkEvents } from './link-events.ts'
import type { LocalStore } from './local-store.ts'
import type { Metrics } from './metrics.ts'
import { Overlay } from './overlay.ts'
import { followMtu } from './overlay-devices.ts'
import { endpointKey, endpointPrefix, type Registry } from './registry.ts'
import { endpointValue } from './registry-value.ts'

/** CHECK: the registry does not have what prevResult says. */
const NOT_PUBLISHED = 100
/** A network that was joined, but whose container never came. */
const JOIN_PATIENCE_MS = 60_000
/** An address is replaced in several steps. */
const SETTLE_MS = 150
const PUBLISH_MS = 10_000
const RELAY_MS = 100

export interface AgentOptions {
  readonly host: string
  /** Where plugins ask, and beside which they leave notes when nobody answers. */
  readonly socket: string
  readonly kernel: Kernel
  readonly store: LocalStore
  readonly registry: Registry
  readonly metrics: Metrics
  readonly encryption: Encryption
  /** How often everything is compared, whatever has happened. */
  readonly compareSeconds: number
  /** Two hosts have one address: `what` it is, and who else has it. */
  readonly onConflict: (what: string, owner: AddressOwner) => void
  readonly log: (message: string) => void
}

function notPublished(attachment: Attachment, why: string): CniError {
  return new CniError(
    NOT_PUBLISHED,
    `check ${attachmentText(attachment)}: ${why}`,
    'DEL and ADD publish it again; one container can be on one host only'
  )
}

export class Agent {
  readonly #options: AgentOptions
  readonly #tables = new KernelTables()
  readonly #overlays = new Map<number, Overlay>()
  readonly addresses: HostAddresses
  /** Until when a network without containers is followed. */
  readonly #joined = new Map<number, number>()
  /** Networks that this host is just getting an address of its own in. */
  readonly #hosts = new Map<number, Promise<void>>()
  #events: LinkEvents | undefined
  #tidier: NodeJS.Timeout | undefined
  #relayer: NodeJS.Timeout | undefined
  #comparer: NodeJS.Timeout | undefined
  #follower: NodeJS.Timeout | undefined

  constructor(options: AgentOptions) {
    this.#options = options
    this.addresses = new HostAddresses({ ...options, onConflict: options.onConflict })
  }

  start(): void {
    const { registry, store, metrics } = this.#options
    this.#dropVanished()
    this.addresses.start()
    registry.start()
    this.#options.encryption.start(this.#tunnels())
    for (const { tunnel } of store.endpoints.values()) this.#overlayOf(tunnel)
    this.#events = new LinkEvents({
      linkChanged: (index, name, isGone) => this.#linkChanged(index, name, isGone),
      neighbourGone: entry => {
        for (const overlay of this.#overlays.values()) overlay.entryGone(entry)
      },
      addressGone: index => {
        for (const overlay of this.#overlays.values()) overlay.addressGone(index)
      },
      underlayChanged: () => this.#underlayChanged(),
      lost: () => {
        this.#underlayChanged()
        this.#compareAll().catch(() => undefined)
      }
    })
    // What changed while no agent ran: an address, or this host's key.
    this.#underlayChanged()
    this.#compareFromTimeToTime()
    this.#tidier = setInterval(() => this.#tidy(), 1000)
    this.#relayer = setInterval(() => {
      for (const overlay of this.#overlays.values()) overlay.relayAnnouncements()
    }, RELAY_MS)
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
    metrics.counter('patchbay_agent_comparisons_total', 'Tables compared as a whole', () => this.#tables.compared)
  }

  /** Ends the agent, not the network: tables and registry stay as they are, for the next agent. */
  async stop(): Promise<void> {
    clearInterval(this.#tidier)
    clearInterval(this.#relayer)
    clearTimeout(this.#comparer)
    this.#comparer = undefined
    clearTimeout(this.#follower)
    this.#events?.close()
    this.#options.encryption.stop()
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
    this.#options.encryption.refuseOutdated(wanted)
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
      await this.#publishHost(endpoint, deadline - Date.now())
      await overlay.whenProgrammed(deadline - Date.now())
    } catch (error) {
      this.#remove(endpoint)
      throw error
    }
  }

  /** An address of this host's own where it is the gateway. Of containers that come together the first one sees to it. */
  async #publishHost(first: LocalEndpoint, milliseconds: number): Promise<void> {
    const { vni } = first.tunnel
    const own = hostsOwn(this.#options.host, first.tunnel)
    if (first.gateways.length === 0 || this.#options.store.endpoints.has(attachmentKey(own))) return
    const coming = this.#hosts.get(vni) ?? this.#placeHost(first, own, milliseconds)
    this.#hosts.set(vni, coming)
    await coming.finally(() => this.#hosts.delete(vni))
  }

  /** A pool that has no address left costs containers nothing. */
  async #placeHost(first: LocalEndpoint, own: Attachment, milliseconds: number): Promise<void> {
    const { host, registry, store, log } = this.#options
    try {
      const ips = await this.addresses.takeAlike(first, own, milliseconds)
      if (ips.length === 0) return
      const mac = formatMac(tunnelMac(first.tunnel))
      const endpoint = { ...first, ...own, mac, ips, netns: '', hostEnd: first.tunnel.bridge, gateways: [] }
      store.putEndpoint(endpoint)
      await registry.put(endpointKey(first.tunnel.vni, host, own), endpointValue(endpoint), milliseconds)
      this.#overlays.get(first.tunnel.vni)?.devicesChanged()
    } catch (error) {
      log(`overlay ${first.tunnel.vni}: this host has no address of its own in it: ${messageOf(error)}`)
    }
  }

  /**
   * Takes part in a network whether or not a container is here, until `letGo`.
   *
   * @param own its gateways, and where this host's own address is of
   * @throws {CniError}
   */
  async hold(tunnel: Tunnel, own: HeldPlace, milliseconds: number): Promise<void> {
    const { host, registry, store } = this.#options
    const deadline = Date.now() + milliseconds
    const learning = await this.join(tunnel, milliseconds)
    const attachment = hostsOwn(host, tunnel)
    const known = store.endpoints.get(attachmentKey(attachment))
    const left = deadline - Date.now()
    const ips = known?.ips ?? (await this.addresses.take(attachment, own.pool, own.sets, left))
    const place = { mac: formatMac(tunnelMac(tunnel)), ips, vtep: formatAddress(tunnel.local) }
    const rest = { netns: '', hostEnd: tunnel.bridge, gateways: own.gateways, stateDir: own.stateDir }
    const endpoint = { ...attachment, ...place, ...rest, tunnel: { ...tunnel, learning } }
    store.putEndpoint(endpoint)
    await registry.put(endpointKey(tunnel.vni, host, attachment), endpointValue(endpoint), deadline - Date.now())
    await this.#overlays.get(tunnel.vni)?.compare()
  }

  /** This host's own endpoints that `hold` has made. */
  held(): readonly LocalEndpoint[] {
    return [...this.#options.store.endpoints.values()].filter(isHeld)
  }

  /** @returns whether no container is here, so that the devices may go */
  letGo(one: LocalEndpoint): boolean {
    this.#options.store.putEndpoint({ ...one, gateways: [] })
    this.#removeHostOf(one.tunnel.vni)
    return !this.#options.store.endpoints.has(attachmentKey(one))
  }

  /** What this host has of its own in a network. */
  ownAddresses(network: string): readonly string[] {
    const own = [...this.#options.store.endpoints.values()].filter(one => one.network === network && isHostsOwn(one))
    return own.flatMap(one => one.ips)
  }

  withdraw(attachment: Attachment): void {
    const known = this.#options.store.endpoints.get(attachmentKey(attachment))
    if (known !== undefined) this.#remove(known)
  }

  /** @throws {CniError} code 100 when other hosts do not know the attachment as it is */
  async check(attachment: Attachment, milliseconds: number): Promise<void> {
    const { host, store, registry } = this.#options
    const known = store.endpoints.get(attachmentKey(attachment))
    if (known === undefined) throw notPublished(attachment, 'the registry does not have it')
    if (registry.learns) return
    const trouble = this.#options.encryption.troubleOf(known.tunnel)
    if (trouble !== '') throw notPublished(attachment, trouble)
    const value = await registry.value(endpointKey(known.tunnel.vni, host, known), milliseconds)
    if (value !== endpointValue(known)) throw notPublished(attachment, 'the registry does not have it as it is')
    const rival = this.#overlays.get(known.tunnel.vni)?.rivalOf(known)
    if (rival !== undefined) throw notPublished(attachment, `host ${JSON.stringify(rival.host)} has its address, too`)
  }

  collectEndpoints(isStray: (one: Attachment) => boolean): void {
    for (const one of [...this.#options.store.endpoints.values()]) {
      if (isStray(one) && !isHostsOwn(one)) this.#remove(one)
    }
  }

  /** Whether a container of this host is on the network. */
  isAttached(network: string): boolean {
    return [...this.#options.store.endpoints.values()].some(one => one.network === network && !isHostsOwn(one))
  }

  /** The network is gone: whoever holds something of it is, too. */
  releaseNetwork(network: string): void {
    this.collectEndpoints(one => one.network === network)
    this.addresses.collect(one => one.network === network)
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

  #remove(endpoint: LocalEndpoint): void {
    const { host, registry, store } = this.#options
    store.removeEndpoint(endpoint)
    const key = endpointKey(endpoint.tunnel.vni, host, endpoint)
    registry.forget([key])
    this.#overlays.get(endpoint.tunnel.vni)?.removeOwn(key.slice(endpointPrefix(endpoint.tunnel.vni).length))
    if (isHostsOwn(endpoint)) this.addresses.release(endpoint)
    else this.#removeHostOf(endpoint.tunnel.vni)
    this.#tidy()
  }

  /** With the last container the host leaves the network, too. */
  #removeHostOf(vni: number): void {
    const there = [...this.#options.store.endpoints.values()].filter(one => one.tunnel.vni === vni)
    if (there.every(one => isHostsOwn(one) && !isHeld(one))) for (const own of there) this.#remove(own)
  }

  /** @throws {CniError} code 7 when two networks of this host use one VNI for different tunnels */
  #overlayOf(tunnel: Tunnel): Overlay {
    const known = this.#overlays.get(tunnel.vni)
    if (known !== undefined && sameTunnel(known.tunnel, tunnel)) return known
    if (known !== undefined && sameDevices(known.tunnel, tunnel) && known.tunnel.network === tunnel.network) {
      this.#retarget(known, tunnel)
      return known
    }
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
    const onConflict = (local: LocalEndpoint, other: Placed): void =>
      this.#options.onConflict(`of ${attachmentText(local)}`, { ...local, host: other.host })
    const beforeRepair = (repaired: Tunnel): void => this.#options.encryption.prepare(repaired)
    const context = { host, kernel, tables: this.#tables, registry, log, beforeRepair, onRepair, onConflict }
    const overlay = new Overlay(tunnel, context, locals)
    this.#overlays.set(tunnel.vni, overlay)
    return overlay
  }

  /** Several changes come together: an address goes, another one comes, and with it the default route. */
  #underlayChanged(): void {
    this.#follower ??= setTimeout(() => {
      this.#follower = undefined
      try {
        this.#followUnderlay()
      } catch (error) {
        this.#options.log(`follow the underlay: ${messageOf(error)}`)
      }
    }, SETTLE_MS)
  }

  #followUnderlay(): void {
    const { encryption, kernel } = this.#options
    encryption.underlayChanged()
    const host = kernel.host()
    try {
      for (const overlay of this.#overlays.values()) {
        const { tunnel: before } = overlay
        const tunnel = before.carrier === '' ? followUnderlay(host, before) : encryption.follow(before)
        if (tunnel !== before) this.#retarget(overlay, tunnel)
      }
    } finally {
      host.close()
    }
  }

  /** The underlay has another address or MTU: the tunnel is made anew, and the others are told. */
  #retarget(overlay: Overlay, tunnel: Tunnel): void {
    const { host, kernel, registry, store, log } = this.#options
    const vtep = formatAddress(tunnel.local)
    if (!sameTunnel(overlay.tunnel, tunnel))
      log(`overlay ${tunnel.vni}: from ${vtep} with MTU ${tunnel.mtu} from now on`)
    const hasMoved = vtep !== formatAddress(overlay.tunnel.local)
    const locals = [...store.endpoints.values()].filter(one => one.tunnel.vni === tunnel.vni)
    overlay.retarget(tunnel)
    for (const local of locals) {
      const mac = isHostsOwn(local) ? formatMac(tunnelMac(tunnel)) : local.mac
      const moved = { ...local, mac, tunnel: { ...tunnel, learning: local.tunnel.learning }, vtep }
      store.putEndpoint(moved)
      // While the registry is away this fails; when it is back, it gets what it lacks.
      if (hasMoved)
        registry.put(endpointKey(tunnel.vni, host, local), endpointValue(moved), PUBLISH_MS).catch(() => undefined)
    }
    if (tunnel.follows.mtu) followMtu(kernel, tunnel, locals)
  }

  #linkChanged(index: number, name: string, isGone: boolean): void {
    if (isGone) {
      const gone = [...this.#options.store.endpoints.values()].find(one => one.hostEnd === name)
      if (gone !== undefined && !isHeld(gone) && !this.#hasLink(name)) this.#remove(gone)
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
      for (const one of [...this.#options.store.endpoints.values()])
        if (!names.has(one.hostEnd) && !isHeld(one)) this.#remove(one)
    } finally {
      host.close()
    }
  }

  /** A comparison of a large network takes a second: it comes as seldom as to take a fiftieth of the time. */
  #compareFromTimeToTime(took = 0): void {
    const milliseconds = Math.max(this.#options.compareSeconds * 1000, 50 * took)
    this.#comparer = setTimeout(() => {
      const began = performance.now()
      this.#compareAll()
        .catch(() => undefined)
        .finally(() => {
          if (this.#comparer !== undefined) this.#compareFromTimeToTime(performance.now() - began)
        })
    }, milliseconds)
  }

  async #compareAll(): Promise<void> {
    this.#dropVanished()
    this.addresses.takeReleased()
    this.#options.encryption.compare()
    await Promise.all([...this.#overlays.values()].map(overlay => overlay.compare()))
  }

  #tunnels(): readonly Tunnel[] {
    return [...this.#options.store.endpoints.values()].map(one => one.tunnel)
  }

  /** Networks without containers are not followed any more. */
  #tidy(): void {
    const endpoints = [...this.#options.store.endpoints.values()]
    const used = new Set(endpoints.filter(one => !isHostsOwn(one) || isHeld(one)).map(one => one.tunnel.vni))
    for (const [vni, overlay] of this.#overlays) {
      if (used.has(vni) || (this.#joined.get(vni) ?? 0) > Date.now()) continue
      this.#overlays.delete(vni)
      this.#joined.delete(vni)
      overlay.close().catch((error: Error) => this.#options.log(`overlay ${vni}: ${error.message}`))
    }
    this.#options.encryption.rest([...this.#overlays.values()].map(overlay => overlay.tunnel))
  }
}
