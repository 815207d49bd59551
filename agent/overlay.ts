/**
 * One overlay network on this host: what the registry says about it on one side, the kernel's tables on the other.
 *
 * Changes go to the kernel as they come. Beside that the whole is compared whenever something of it has been touched by
 * others, and from time to time: then devices are made again and entries come back.
 */

import { formatAddress } from '../lib/ip/address.ts'
import { formatMac } from '../lib/ip/mac.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import type { Request } from '../lib/netlink/conn.ts'
import type { NeighbourMessage } from '../lib/netlink/rt/neighbour.ts'
import { LEAST_IPV6_MTU, type Tunnel, tunnelMac } from '../lib/overlay/tunnel.ts'
import { errnoOf, messageOf } from '../lib/sys/errors.ts'
import { Announcements } from './announcements.ts'
import type { Endpoint, LocalEndpoint } from './endpoint.ts'
import { EndpointTable, type Placed } from './endpoint-table.ts'
import {
  flood,
  type KernelEntries,
  type KernelTables,
  removeNeighbour,
  sendTo,
  setNeighbour,
  stopSending
} from './kernel-tables.ts'
import { ownAddresses, repairDevices } from './overlay-devices.ts'
import type { Entry, Following, Registry } from './registry.ts'
import { endpointPrefix } from './registry.ts'
import { endpointFromValue } from './registry-value.ts'

/** linux/neighbour.h: the family of a bridge's or tunnel's own entries */
const AF_BRIDGE = 7

export interface OverlayContext {
  readonly host: string
  readonly kernel: Kernel
  readonly tables: KernelTables
  readonly registry: Registry
  readonly log: (message: string) => void
  /** Has there what the tunnel goes through, before it is looked at. */
  readonly beforeRepair: (tunnel: Tunnel) => void
  /** Devices had to be made again, entries written again. */
  readonly onRepair: (what: 'device' | 'entry', count: number) => void
  /** Another host claims to have what a container here has. */
  readonly onConflict: (local: LocalEndpoint, other: Placed) => void
}

export class Overlay {
  readonly table: EndpointTable
  #tunnel: Tunnel
  readonly #context: OverlayContext
  #following: Following
  /** The devices' numbers, as of the last look; -1 = to be looked up. */
  #tunnelIndex = -1
  #bridgeIndex = -1
  #bridgeMac = ''
  /** Everything has to be compared; the devices have. */
  #isSuspect = true
  #haveDevicesChanged = false
  readonly #conflicts = new Set<string>()
  /** The registry has said what there is. Until then the kernel's entries, an earlier agent's, are all that is known. */
  #isKnown = false
  #work: Promise<void> | undefined
  #announcements: Announcements | undefined
  #locals: () => readonly LocalEndpoint[]

  /** @param locals this host's endpoints of the network at the moment */
  constructor(tunnel: Tunnel, context: OverlayContext, locals: () => readonly LocalEndpoint[]) {
    this.#tunnel = tunnel
    this.#context = context
    this.#locals = locals
    this.table = new EndpointTable(context.host, formatAddress(tunnel.local))
    this.#following = this.#follow()
    this.#tellOfIpv6()
  }

  #follow(): Following {
    const { vni, local } = this.#tunnel
    const { family } = local
    return this.#context.registry.follow(endpointPrefix(vni), {
      reset: (entries, keepRest) => {
        this.table.reset(new Map(entries.flatMap(entry => placed(entry, family))), keepRest)
        if (!this.#isKnown) this.#isSuspect = true
        this.#isKnown = true
      },
      change: (name, value, revision) => {
        if (value === undefined) this.table.remove(name)
        else for (const [key, one] of placed({ name, value, revision }, family)) this.table.set(key, one)
      },
      settled: () => {
        this.#noteConflicts()
        this.#schedule()
      }
    })
  }

  get tunnel(): Tunnel {
    return this.#tunnel
  }

  /** The underlay has another address or MTU now. */
  retarget(tunnel: Tunnel): void {
    const isOfOtherFamily = tunnel.local.family !== this.#tunnel.local.family
    // What did not fit is missing.
    if (tunnel.mtu !== this.#tunnel.mtu) this.#isSuspect = true
    this.#tunnel = tunnel
    this.#tellOfIpv6()
    this.table.moveTo(formatAddress(tunnel.local))
    // It is encrypted now, or no more: hosts whose addresses were of no use are.
    if (isOfOtherFamily) {
      this.#following.stop()
      this.#isKnown = false
      this.#following = this.#follow()
    }
    this.devicesChanged()
  }

  /** The kernel takes IPv6 away from interfaces with too small an MTU, and refuses what belongs to it. */
  #hasIpv6(): boolean {
    return this.#tunnel.mtu >= LEAST_IPV6_MTU
  }

  #tellOfIpv6(): void {
    const { vni, mtu } = this.#tunnel
    if (this.#hasIpv6() || !this.#locals().some(local => local.ips.some(isIpv6))) return
    this.#context.log(
      `overlay ${vni}: without IPv6, which needs an MTU of ${LEAST_IPV6_MTU}, and the underlay leaves ${mtu}: containers have lost their IPv6 addresses, and get them back by DEL and ADD`
    )
  }

  /** Neither an address of this host's own, which an endpoint elsewhere must not get, nor one of a family that there is not. */
  #isNeighbour(ip: string, own: ReadonlySet<string>): boolean {
    return !own.has(ip) && (this.#hasIpv6() || !isIpv6(ip))
  }

  /**
   * Resolves when the registry's content is in the kernel, or when the time is nearly up: then the first container of a
   * host in a large network runs, and reaches the rest of it within moments.
   *
   * @throws CniError code 11 when the registry could not even be read in that time
   */
  async whenProgrammed(milliseconds: number): Promise<void> {
    const deadline = Date.now() + milliseconds
    await this.#following.whenSynced(milliseconds)
    while (Date.now() < deadline) {
      await Promise.race([this.#schedule(), pause(deadline - Date.now())])
      if (!this.#isSuspect && !this.#haveDevicesChanged && !this.table.hasChanges() && this.#work === undefined) return
    }
  }

  whenSynced(milliseconds: number): Promise<void> {
    return this.#following.whenSynced(milliseconds)
  }

  /** An own endpoint, known here before the registry's echo. */
  placeOwn(name: string, endpoint: Endpoint, revision: number): void {
    const { mac, ips, vtep } = endpoint
    this.table.set(name, { host: this.#context.host, mac, ips, vtep, revision })
  }

  removeOwn(name: string): void {
    this.table.remove(name)
    this.#schedule()
  }

  /** A link of this host is no longer what it was. */
  linkChanged(index: number, name: string): void {
    const isOurs =
      index === this.#tunnelIndex ||
      index === this.#bridgeIndex ||
      name === this.#tunnel.name ||
      name === this.#tunnel.bridge ||
      this.#locals().some(local => local.hostEnd === name)
    if (isOurs) this.devicesChanged()
  }

  /** It may have been the gateway's. */
  addressGone(index: number): void {
    if (index === this.#bridgeIndex) this.devicesChanged()
  }

  /** Somebody removed an entry; it was us when the table does not want it. */
  entryGone(entry: NeighbourMessage): void {
    if (entry.index === this.#bridgeIndex && entry.dst !== undefined && entry.family !== AF_BRIDGE) {
      const ip = formatAddress(entry.dst)
      if (this.table.macOf(ip) === undefined) return
      this.table.touch(undefined, ip, undefined)
    } else if (entry.index === this.#tunnelIndex && entry.family === AF_BRIDGE && entry.mac !== undefined) {
      const mac = formatMac(entry.mac)
      const vtep = entry.dst === undefined ? '' : formatAddress(entry.dst)
      if (this.table.vtepOf(mac) !== undefined) this.table.touch(mac, undefined, undefined)
      else if (mac === '00:00:00:00:00:00' && this.table.isPeer(vtep)) this.table.touch(undefined, undefined, vtep)
      else return
    } else return
    this.#context.onRepair('entry', 1)
    this.#schedule()
  }

  /** Looks at the devices; their tables count as they are, unless a device had to be made anew. */
  devicesChanged(): void {
    this.#haveDevicesChanged = true
    this.#schedule()
  }

  /** The endpoint of another host that is taken for this one, if there is any. */
  rivalOf(local: LocalEndpoint): Placed | undefined {
    const latest = [this.table.latestWithMac(local.mac), ...local.ips.map(ip => this.table.latestWithIp(ip))]
    return latest.find(one => one !== undefined && one.host !== this.#context.host)
  }

  #noteConflicts(): void {
    for (const local of this.#locals()) {
      const rival = this.rivalOf(local)
      if (rival === undefined) this.#conflicts.delete(local.mac)
      else if (!this.#conflicts.has(local.mac)) {
        this.#conflicts.add(local.mac)
        this.#context.onConflict(local, rival)
      }
    }
  }

  /** Compares devices and tables as a whole. */
  compare(): Promise<void> {
    this.#isSuspect = true
    return this.#schedule()
  }

  /** Passes on what containers here announce; looked into ten times a second. */
  relayAnnouncements(): void {
    try {
      this.#announcements?.relay()
    } catch {
      // An interface went; with the next one there are sockets again.
      this.#announcements?.close()
      this.#announcements = undefined
    }
  }

  #listenToAnnouncements(): void {
    this.#announcements?.close()
    this.#announcements = undefined
    // A tunnel that learns keeps nothing from the others.
    if (this.#tunnel.learning || this.#tunnelIndex < 0 || this.#bridgeIndex < 0) return
    const judge = (mac: string, ip: string): boolean => {
      const locals = this.#locals()
      const isHere = locals.some(local => local.mac === mac)
      return isHere && this.table.latestWithIp(ip) === undefined && !ownAddresses(locals).has(ip)
    }
    try {
      this.#announcements = new Announcements(this.#bridgeIndex, this.#tunnelIndex, judge)
    } catch (error) {
      this.#context.log(`overlay ${this.#tunnel.vni}: announcements stay on this host: ${messageOf(error)}`)
    }
  }

  /** Forgets it. What is in the kernel goes with the devices, or is taken out of those that stay. */
  async close(): Promise<void> {
    this.#following.stop()
    this.#announcements?.close()
    this.#announcements = undefined
    await this.#work
    this.table.reset(new Map())
    if (!this.#findDevices()) return
    await this.#applyAll().catch(() => undefined)
  }

  /** Brings the kernel up to date; several calls share one run. */
  #schedule(): Promise<void> {
    this.#work ??= this.#update().finally(() => {
      this.#work = undefined
      if (this.#isSuspect || this.#haveDevicesChanged || this.table.hasChanges()) this.#schedule()
    })
    return this.#work
  }

  async #update(): Promise<void> {
    // What comes in the same moment is done in one go.
    await new Promise(resolve => setImmediate(resolve))
    try {
      if (this.#isSuspect || this.#haveDevicesChanged || this.#tunnelIndex < 0) {
        const isSuspect = this.#isSuspect
        const before = `${this.#tunnelIndex} ${this.#bridgeIndex}`
        this.#isSuspect = false
        this.#haveDevicesChanged = false
        this.#repairDevices()
        // Without devices there is nothing to write to; when they come, everything is.
        if (!this.#findDevices() || !this.#isKnown) {
          this.table.takeChanges()
          return
        }
        const areOthers = before !== `${this.#tunnelIndex} ${this.#bridgeIndex}`
        if (areOthers || this.#announcements === undefined) this.#listenToAnnouncements()
        if (isSuspect || areOthers) {
          await this.#applyAll()
          return
        }
      }
      await this.#apply(this.#requestsForChanges())
    } catch (error) {
      this.#tunnelIndex = -1
      this.#context.log(`overlay ${this.#tunnel.vni}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #findDevices(): boolean {
    const host = this.#context.kernel.host()
    try {
      this.#tunnelIndex = host.links.find(this.#tunnel.name)?.index ?? -1
      const bridge = host.links.find(this.#tunnel.bridge)
      this.#bridgeIndex = bridge?.index ?? -1
      this.#bridgeMac = bridge?.mac === undefined ? '' : formatMac(bridge.mac)
    } finally {
      host.close()
    }
    return this.#tunnelIndex >= 0 && this.#bridgeIndex >= 0
  }

  #repairDevices(): void {
    this.#context.beforeRepair(this.#tunnel)
    const problems = repairDevices(this.#context.kernel, this.#tunnel, this.#locals()) ?? []
    if (problems.length === 0) return
    this.#context.onRepair('device', 1)
    this.#context.log(`overlay ${this.#tunnel.vni}: set right: ${problems.join('; ')}`)
  }

  /** MACs of this host's own devices: no endpoint elsewhere has them, whatever the registry says. */
  #isOwnMac(mac: string): boolean {
    return mac === this.#bridgeMac || mac === formatMac(tunnelMac(this.#tunnel))
  }

  #requestsForChanges(): readonly Request[] {
    const { macs, ips, vteps } = this.table.takeChanges()
    // An endpoint elsewhere that claims a gateway's address would get all that leaves the network.
    const own = ownAddresses(this.#locals())
    const requests: Request[] = []
    for (const mac of macs) {
      if (this.#isOwnMac(mac)) continue
      const vtep = this.table.vtepOf(mac)
      if (vtep === undefined) requests.push(...stopSending(this.#tunnelIndex, mac))
      else requests.push(sendTo(this.#tunnelIndex, mac, vtep))
    }
    for (const ip of ips) {
      if (!this.#isNeighbour(ip, own)) continue
      const mac = this.table.macOf(ip)
      requests.push(
        mac === undefined ? removeNeighbour(this.#bridgeIndex, ip) : setNeighbour(this.#bridgeIndex, ip, mac)
      )
    }
    for (const vtep of vteps) requests.push(flood(this.#tunnelIndex, vtep, this.table.isPeer(vtep)))
    return requests
  }

  /** Compares everything and writes what differs. */
  async #applyAll(): Promise<void> {
    this.table.takeChanges()
    const present = this.#context.tables.read(this.#tunnelIndex, this.#bridgeIndex)
    await this.#apply(this.#missing(present))
    await this.#apply(this.#surplus(present))
  }

  /** What the kernel lacks. */
  *#missing(present: KernelEntries): Generator<Request> {
    // An endpoint elsewhere that claims a gateway's address would get all that leaves the network.
    const own = ownAddresses(this.#locals())
    for (const mac of this.table.macs()) {
      const vtep = this.table.vtepOf(mac)
      if (vtep === undefined || this.#isOwnMac(mac)) continue
      const isThere = present.remote.get(mac) === vtep && present.bridged.has(mac)
      if (!isThere) yield sendTo(this.#tunnelIndex, mac, vtep)
    }
    for (const ip of this.table.ips()) {
      const mac = this.#isNeighbour(ip, own) ? this.table.macOf(ip) : undefined
      if (mac !== undefined && present.neighbours.get(ip) !== mac) yield setNeighbour(this.#bridgeIndex, ip, mac)
    }
    for (const vtep of this.table.vteps()) {
      if (!present.flooded.has(vtep)) yield flood(this.#tunnelIndex, vtep, true)
    }
  }

  /** What nobody wants there any more. */
  *#surplus(present: KernelEntries): Generator<Request> {
    for (const mac of new Set([...present.remote.keys(), ...present.bridged])) {
      if (this.table.vtepOf(mac) === undefined) yield* stopSending(this.#tunnelIndex, mac)
    }
    for (const ip of present.neighbours.keys()) {
      if (this.table.macOf(ip) === undefined) yield removeNeighbour(this.#bridgeIndex, ip)
    }
    for (const vtep of present.flooded) {
      if (!this.table.isPeer(vtep)) yield flood(this.#tunnelIndex, vtep, false)
    }
  }

  async #apply(requests: Iterable<Request>): Promise<void> {
    const failure = await this.#context.tables.apply(requests)
    if (failure === undefined) return
    // When the devices went away under it, others may have taken their place already: look again at once.
    this.#tunnelIndex = -1
    if (errnoOf(failure) === 'ENODEV') this.#isSuspect = true
    else this.#context.log(`overlay ${this.#tunnel.vni}: ${failure.message}`)
  }
}

/** An entry of the registry; none when it is not of a form that we know. */
function placed(entry: Entry, family: number): readonly (readonly [string, Placed])[] {
  const endpoint = endpointFromValue(entry.value, family)
  if (endpoint === undefined) return []
  const host = entry.name.split('/')[0] ?? ''
  return [[entry.name, { host, ...endpoint, revision: entry.revision }]]
}

function isIpv6(ip: string): boolean {
  return ip.includes(':')
}

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, Math.max(0, milliseconds)))
}
