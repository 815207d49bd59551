/**
 * The daemon behind ipam "dhcp": plugins ask, it speaks with the DHCP servers, and keeps what they grant for as long as
 * the containers live.
 *
 *     plugin --"take"--> daemon --DISCOVER, REQUEST--> server
 *                          `-- renews until "release", or until the namespace is gone
 */

import type { Attachment } from '../lib/attachment.ts'
import { sameBytes } from '../lib/bytes/compare.ts'
import { CniError } from '../lib/cni/error.ts'
import type { Result } from '../lib/cni/result.ts'
import { resultFromJson, resultToJson } from '../lib/cni/result-json.ts'
import { type Json, jsonNull } from '../lib/config/json.ts'
import { attachmentKey, attachmentText } from '../lib/daemon/attachment.ts'
import { markHeld, syncHeld, takeReleased, unmarkHeld } from '../lib/daemon/released.ts'
import type { DaemonRequest } from '../lib/daemon/request.ts'
import { formatPrefix } from '../lib/ip/prefix.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { messageOf } from '../lib/sys/errors.ts'
import type { Patience } from './acquisition.ts'
import { ContainerLink, netnsIdOf } from './container-link.ts'
import { RESULT_VERSION } from './grant.ts'
import type { Lease, LeaseStore } from './lease.ts'
import { type Family, readOptionsConfig } from './options-config.ts'
import { Renewal } from './renewal.ts'
import { abandoned, type Taking, takeAll } from './taking.ts'

/** CHECK: the lease is not what prevResult says. As host-local's. */
const LEASE_DIFFERS = 102
const SWEEP_MS = 5000
/** After a restart, leases that are due are not all renewed in the same moment. */
const SPREAD_MS = 1000

export interface DaemonOptions {
  readonly kernel: Kernel
  readonly store: LeaseStore
  /** Where plugins ask, and beside which they leave notes when nobody answers. */
  readonly socket: string
  /** Put before every namespace's path. */
  readonly hostPrefix: string
  /** Has all answers sent as broadcasts. */
  readonly broadcast: boolean
  readonly patience: Patience
  readonly log: (message: string) => void
}

/** All leases of one attachment: one by each version of the protocol. */
type Renewals = readonly Renewal[]

export class DhcpDaemon {
  readonly #options: DaemonOptions
  readonly #renewals = new Map<string, Renewals>()
  /** Leases that are being taken. */
  readonly #pending = new Map<string, { readonly abort: AbortController; readonly done: Promise<unknown> }>()
  /** Leases that are being given back. */
  readonly #ending = new Map<string, Promise<void>>()
  #sweeper: NodeJS.Timeout | undefined

  constructor(options: DaemonOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#renewals.size
  }

  /** Takes over what the last daemon left. */
  async start(): Promise<void> {
    for (const lease of this.#options.store.read(this.#options.log)) this.#adopt(lease)
    syncHeld(this.#options.socket, [...this.#renewals.values()].map(attachmentOf))
    await this.#sweep()
    this.#sweeper = setInterval(() => {
      this.#sweep().catch((error: unknown) =>
        this.#options.log(`look for containers that are gone: ${messageOf(error)}`)
      )
    }, SWEEP_MS)
  }

  /** Ends the daemon, not the leases: the next one goes on with them. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeper)
    for (const { abort } of this.#pending.values()) abort.abort()
    await Promise.allSettled([...[...this.#pending.values()].map(one => one.done), ...this.#ending.values()])
    await Promise.all([...this.#renewals.values()].flat().map(renewal => renewal.stop()))
  }

  /** @throws {CniError} {ConfigError} what the plugin is to tell */
  async answer(request: DaemonRequest, gone: AbortSignal): Promise<Json | undefined> {
    const { what } = request
    if (what === 'status') {
      readOptionsConfig(request.members.json('ipam') ?? jsonNull, '')
      return undefined
    }
    if (what === 'collect') return this.#collect(request)
    if (what === 'take') return this.#take(request, gone)
    if (what === 'release') return this.#release(request.attachment())
    if (what === 'check') return this.#check(request)
    throw request.unknown()
  }

  /** Of two calls for one attachment the later one counts: the runtime has given the first one up. */
  async #take(request: DaemonRequest, gone: AbortSignal): Promise<Json> {
    const attachment = request.attachment()
    const key = attachmentKey(attachment)
    await this.#abandon(key)
    const abort = new AbortController()
    gone.addEventListener('abort', () => abort.abort(new Error('the plugin that asked is gone')), { once: true })
    const done = this.#takeAlone(request, attachment, abort.signal)
    this.#pending.set(key, { abort, done })
    try {
      return await done
    } finally {
      if (this.#pending.get(key)?.done === done) this.#pending.delete(key)
    }
  }

  async #abandon(key: string): Promise<void> {
    const pending = this.#pending.get(key)
    if (pending === undefined) return
    pending.abort.abort(new Error('another call for the same attachment came'))
    await Promise.allSettled([pending.done])
  }

  async #takeAlone(request: DaemonRequest, attachment: Attachment, signal: AbortSignal): Promise<Json> {
    const config = readOptionsConfig(request.members.json('ipam') ?? jsonNull, request.members.text('args') ?? '')
    const netns = request.text('netns')
    request.members.finish()
    const key = attachmentKey(attachment)
    await this.#ending.get(key)
    const before = this.#renewals.get(key)
    if (before !== undefined && this.#areStillRight(before, netns, config.families)) return resultOf(before)
    if (before !== undefined) await this.#end(before)

    const { patience, broadcast, log } = this.#options
    const limited = { ...patience, total: Math.min(patience.total, request.milliseconds) }
    const taking: Taking = { attachment, netns, config, broadcast, patience: limited, signal, log }
    const renewals = await this.#acquire(taking)
    if (signal.aborted) {
      await Promise.all(renewals.map(renewal => renewal.release()))
      throw abandoned(attachment, signal)
    }
    markHeld(this.#options.socket, attachment)
    for (const { lease } of renewals) {
      this.#options.store.put(lease)
      log(`lease for ${attachmentText(attachment)}: ${formatPrefix(lease.address)}`)
    }
    this.#renewals.set(key, renewals)
    for (const renewal of renewals) renewal.start()
    return resultOf(renewals)
  }

  async #acquire(taking: Taking): Promise<Renewals> {
    const { attachment, netns } = taking
    const path = this.#pathOf(netns)
    const link = new ContainerLink(this.#options.kernel, path, attachment.ifName)
    try {
      const { found, given } = await takeAll(link, taking)
      const mac = found.mac ?? new Uint8Array(6)
      const netnsId = netnsIdOf(path)
      return given.map(one => this.#renewalOf({ attachment, netns, netnsId, mac, ...one, isLost: false }))
    } finally {
      link.close()
    }
  }

  /** The same container asks again for the same, and its interface is the one that has the leases. */
  #areStillRight(renewals: Renewals, netns: string, families: readonly Family[]): boolean {
    const id = netnsIdOf(this.#pathOf(netns))
    const isRight = ({ lease, link }: Renewal): boolean =>
      !lease.isLost && lease.netnsId === id && sameBytes(link.find()?.mac, lease.mac)
    const held = renewals.map(renewal => renewal.lease.terms.family)
    return held.join() === families.join() && renewals.every(isRight)
  }

  async #release(attachment: Attachment): Promise<undefined> {
    const key = attachmentKey(attachment)
    await this.#abandon(key)
    const renewals = this.#renewals.get(key)
    if (renewals !== undefined) await this.#end(renewals)
    else await this.#ending.get(key)
    return undefined
  }

  /** The files go last: a renewal that was on its way has been written by then. */
  async #end(renewals: Renewals): Promise<void> {
    const attachment = attachmentOf(renewals)
    const key = attachmentKey(attachment)
    this.#renewals.delete(key)
    const done = Promise.all(renewals.map(renewal => renewal.release())).then(() => {
      this.#options.store.remove(attachment)
      unmarkHeld(this.#options.socket, attachment)
    })
    this.#ending.set(key, done)
    try {
      await done
    } finally {
      if (this.#ending.get(key) === done) this.#ending.delete(key)
    }
  }

  #check(request: DaemonRequest): undefined {
    const attachment = request.attachment()
    const renewals = this.#renewals.get(attachmentKey(attachment)) ?? []
    const shown = request.members.textList('ips')
    request.members.finish()
    const faults = renewals.length === 0 ? ['it holds none'] : renewals.flatMap(({ lease }) => faultsOf(lease, shown))
    const fault = faults.join('; ')
    if (fault === '') return undefined
    const message = `check lease for ${attachmentText(attachment)}: ${fault}`
    throw new CniError(LEASE_DIFFERS, message, 'attach the container again')
  }

  async #collect(request: DaemonRequest): Promise<undefined> {
    const isStray = request.stray()
    const stray = [...this.#renewals.values()].filter(renewals => isStray(attachmentOf(renewals)))
    await Promise.all(stray.map(renewals => this.#end(renewals)))
    return undefined
  }

  /** A lease of a container that is still there. */
  #adopt(lease: Lease): void {
    const { store, log } = this.#options
    const { attachment } = lease
    const key = attachmentKey(attachment)
    try {
      if (netnsIdOf(this.#pathOf(lease.netns)) !== lease.netnsId) throw new Error('its container is gone')
      const renewal = this.#renewalOf(lease)
      if (!sameBytes(renewal.link.find()?.mac, lease.mac)) {
        renewal.link.close()
        throw new Error('its interface is gone')
      }
      const all = [...(this.#renewals.get(key) ?? []), renewal]
      this.#renewals.set(key, all.sort(byFamily))
      renewal.start(Math.random() * SPREAD_MS)
    } catch (error) {
      log(`lease for ${attachmentText(attachment)} is dropped: ${messageOf(error)}`)
      store.remove(attachment)
    }
  }

  /** Gives back what plugins gave back while no daemon ran, and what belongs to containers that ended without DEL. */
  async #sweep(): Promise<void> {
    for (const attachment of takeReleased(this.#options.socket)) await this.#release(attachment)
    for (const renewals of [...this.#renewals.values()]) {
      const lease = renewals[0]?.lease
      if (lease === undefined || netnsIdOf(this.#pathOf(lease.netns)) === lease.netnsId) continue
      this.#options.log(`lease for ${attachmentText(lease.attachment)} is given back: its container is gone`)
      await this.#end(renewals)
    }
  }

  /** @throws NetnsError when the path is no namespace */
  #renewalOf(lease: Lease): Renewal {
    const { kernel, patience, store, log } = this.#options
    const link = new ContainerLink(kernel, this.#pathOf(lease.netns), lease.attachment.ifName)
    return new Renewal(lease, link, { patience, save: one => store.put(one), log })
  }

  #pathOf(netns: string): string {
    return `${this.#options.hostPrefix}${netns}`
  }
}

function attachmentOf(renewals: Renewals): Attachment {
  const [first] = renewals
  if (first === undefined) throw new Error('an attachment without a lease')
  return first.lease.attachment
}

function byFamily(a: Renewal, b: Renewal): number {
  return a.lease.terms.family - b.lease.terms.family
}

/** What all of them together give the container. */
function resultOf(renewals: Renewals): Json {
  const results = renewals.map(({ lease }) => resultFromJson(lease.result, RESULT_VERSION, 'lease'))
  const dns = results.map(result => result.dns)
  const merged: Result = {
    interfaces: [],
    ips: results.flatMap(result => result.ips),
    routes: results.flatMap(result => result.routes),
    dns: {
      nameservers: dns.flatMap(one => one.nameservers),
      domain: dns.find(one => one.domain !== undefined)?.domain,
      search: [...new Set(dns.flatMap(one => one.search))],
      options: []
    }
  }
  return resultToJson(merged, RESULT_VERSION)
}

/** @param shown the addresses of prevResult */
function faultsOf(lease: Lease, shown: readonly string[]): readonly string[] {
  const own = formatPrefix(lease.address)
  if (lease.isLost) return [`${own} was lost and no server gives it back`]
  return shown.includes(own) ? [] : [`it holds ${own}, which prevResult lacks`]
}
