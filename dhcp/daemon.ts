/**
 * The daemon behind ipam "dhcp": plugins ask, it speaks with the DHCP servers, and keeps what they grant for as long as
 * the containers live.
 *
 *     plugin --"take"--> daemon --DISCOVER, REQUEST--> server
 *                          `-- renews until "release", or until the namespace is gone
 */

import type { Attachment } from '../lib/attachment.ts'
import { CniError, INVALID_CONFIG, TRY_AGAIN_LATER } from '../lib/cni/error.ts'
import { type Json, jsonNull } from '../lib/config/json.ts'
import { attachmentKey, attachmentText } from '../lib/daemon/attachment.ts'
import { markHeld, syncHeld, takeReleased, unmarkHeld } from '../lib/daemon/released.ts'
import type { DaemonRequest } from '../lib/daemon/request.ts'
import { formatPrefix } from '../lib/ip/prefix.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import type { Link } from '../lib/net/links.ts'
import { messageOf } from '../lib/sys/errors.ts'
import { ContainerLink, netnsIdOf } from './container-link.ts'
import { acquire, type Client, type Granted, NoLease, type Patience } from './exchange.ts'
import { type Lease, type LeaseStore, momentsOf } from './lease.ts'
import { clientIdOf, readOptionsConfig } from './options-config.ts'
import { Renewal } from './renewal.ts'
import { clock } from './time.ts'

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

/** A lease that is being taken. */
interface Taking {
  readonly found: Link
  readonly client: Client
  readonly attachment: Attachment
  readonly request: DaemonRequest
  readonly signal: AbortSignal
}

export class DhcpDaemon {
  readonly #options: DaemonOptions
  readonly #renewals = new Map<string, Renewal>()
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
    for (const lease of this.#options.store.read()) this.#adopt(lease)
    syncHeld(
      this.#options.socket,
      [...this.#renewals.values()].map(renewal => renewal.lease.attachment)
    )
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
    await Promise.all([...this.#renewals.values()].map(renewal => renewal.stop()))
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
    const options = readOptionsConfig(request.members.json('ipam') ?? jsonNull, request.members.text('args') ?? '')
    const netns = request.text('netns')
    request.members.finish()
    const key = attachmentKey(attachment)
    await this.#ending.get(key)
    const before = this.#renewals.get(key)
    if (before !== undefined && this.#isStillRight(before, netns)) return before.lease.result
    if (before !== undefined) await this.#end(before)

    const link = new ContainerLink(this.#options.kernel, this.#pathOf(netns), attachment.ifName)
    try {
      const found = requireLink(link, attachment, netns)
      const mac = found.mac ?? new Uint8Array(6)
      const client: Client = {
        clientId: clientIdOf(attachment.containerId, attachment.network, attachment.ifName),
        options,
        // All ipvlans of an interface have its MAC: only by the address is an answer told apart, and there is none yet.
        broadcast: this.#options.broadcast || found.kind === 'ipvlan'
      }
      const grant = await this.#acquire(link, { found, client, attachment, request, signal })
      const lease: Lease = {
        attachment,
        netns,
        netnsId: netnsIdOf(this.#pathOf(netns)),
        mac,
        client,
        address: grant.address,
        held: { address: grant.address.address, server: grant.server, serverMac: grant.serverMac },
        moments: momentsOf(grant.askedAt, grant.times),
        result: grant.result,
        isLost: false
      }
      const renewal = this.#renewalOf(lease, link)
      if (signal.aborted) {
        await renewal.release()
        throw abandoned(attachment, signal)
      }
      markHeld(this.#options.socket, attachment)
      this.#options.store.put(lease)
      this.#renewals.set(key, renewal)
      renewal.start()
      this.#options.log(`lease for ${attachmentText(attachment)}: ${formatPrefix(lease.address)}`)
      return lease.result
    } catch (error) {
      link.close()
      throw error
    }
  }

  /** The same container asks again, and its interface is the one that has the lease. */
  #isStillRight({ lease, link }: Renewal, netns: string): boolean {
    const mac = link.find()?.mac
    return (
      !lease.isLost &&
      lease.netnsId === netnsIdOf(this.#pathOf(netns)) &&
      mac !== undefined &&
      Buffer.compare(mac, lease.mac) === 0
    )
  }

  /** The interface is left as it was found: the plugin sets it up when it has its address, which announces that. */
  async #acquire(link: ContainerLink, { found, client, attachment, request, signal }: Taking): Promise<Granted> {
    const log = (message: string): void => this.#options.log(`lease for ${attachmentText(attachment)}: ${message}`)
    const deadline = clock() + Math.min(this.#options.patience.total, request.milliseconds)
    const wasDown = !found.isUp
    try {
      await link.bringUp(found, signal)
      const total = deadline - clock()
      const socket = link.openSocket(found)
      try {
        return await acquire({ socket, client, signal, log }, { ...this.#options.patience, total })
      } finally {
        socket.close()
      }
    } catch (error) {
      if (signal.aborted) throw abandoned(attachment, signal)
      if (!(error instanceof NoLease)) throw error
      throw new CniError(
        TRY_AGAIN_LATER,
        `take a lease for ${attachmentText(attachment)}: ${error.message}`,
        "see that the network which the container's interface is connected to has a DHCP server with free addresses; ipam.timeout is how long it may take"
      )
    } finally {
      if (wasDown && link.find() !== undefined) link.takeDown(found)
    }
  }

  async #release(attachment: Attachment): Promise<undefined> {
    const key = attachmentKey(attachment)
    await this.#abandon(key)
    const renewal = this.#renewals.get(key)
    if (renewal !== undefined) await this.#end(renewal)
    else await this.#ending.get(key)
    return undefined
  }

  /** The file goes last: a renewal that was on its way has been written by then. */
  async #end(renewal: Renewal): Promise<void> {
    const { attachment } = renewal.lease
    const key = attachmentKey(attachment)
    this.#renewals.delete(key)
    const done = renewal.release().finally(() => {
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
    const lease = this.#renewals.get(attachmentKey(attachment))?.lease
    const shown = request.members.textList('ips')
    request.members.finish()
    const own = lease === undefined ? '' : formatPrefix(lease.address)
    const fault =
      lease === undefined
        ? 'it holds none'
        : lease.isLost
          ? `${own} was lost and no server gives it back`
          : shown.includes(own)
            ? ''
            : `it holds ${own}, which prevResult lacks`
    if (fault === '') return undefined
    const message = `check lease for ${attachmentText(attachment)}: ${fault}`
    throw new CniError(LEASE_DIFFERS, message, 'attach the container again')
  }

  async #collect(request: DaemonRequest): Promise<undefined> {
    const isStray = request.stray()
    const stray = [...this.#renewals.values()].filter(renewal => isStray(renewal.lease.attachment))
    await Promise.all(stray.map(renewal => this.#end(renewal)))
    return undefined
  }

  /** A lease of a container that is still there. */
  #adopt(lease: Lease): void {
    const { store, kernel, log } = this.#options
    const { attachment } = lease
    try {
      if (netnsIdOf(this.#pathOf(lease.netns)) !== lease.netnsId) throw new Error('its container is gone')
      const link = new ContainerLink(kernel, this.#pathOf(lease.netns), attachment.ifName)
      const mac = link.find()?.mac
      if (mac === undefined || Buffer.compare(mac, lease.mac) !== 0) {
        link.close()
        throw new Error('its interface is gone')
      }
      const renewal = this.#renewalOf(lease, link)
      this.#renewals.set(attachmentKey(attachment), renewal)
      renewal.start(Math.random() * SPREAD_MS)
    } catch (error) {
      log(`lease for ${attachmentText(attachment)} is dropped: ${messageOf(error)}`)
      store.remove(attachment)
    }
  }

  /** Gives back what plugins gave back while no daemon ran, and what belongs to containers that ended without DEL. */
  async #sweep(): Promise<void> {
    for (const attachment of takeReleased(this.#options.socket)) await this.#release(attachment)
    for (const renewal of [...this.#renewals.values()]) {
      const { lease } = renewal
      if (netnsIdOf(this.#pathOf(lease.netns)) === lease.netnsId) continue
      this.#options.log(`lease for ${attachmentText(lease.attachment)} is given back: its container is gone`)
      await this.#end(renewal)
    }
  }

  #renewalOf(lease: Lease, link: ContainerLink): Renewal {
    const { patience, store, log } = this.#options
    return new Renewal(lease, link, { patience, save: one => store.put(one), log })
  }

  #pathOf(netns: string): string {
    return `${this.#options.hostPrefix}${netns}`
  }
}

/** @throws CniError code 7 when there is no interface that could speak DHCP */
function requireLink(link: ContainerLink, attachment: Attachment, netns: string): Link {
  const found = link.find()
  // The loopback interface has six zeros.
  if (found?.mac?.length === 6 && found.mac.some(byte => byte !== 0)) return found
  const what = found === undefined ? 'no interface of this name' : 'an interface without a MAC address'
  throw new CniError(
    INVALID_CONFIG,
    `take a lease for ${attachmentText(attachment)}: the namespace ${JSON.stringify(netns)} has ${what}`,
    'ipam "dhcp" works with plugins that make an Ethernet interface before they ask for its address: macvlan, ipvlan, bridge, vlan, host-device'
  )
}

function abandoned(attachment: Attachment, signal: AbortSignal): CniError {
  return new CniError(
    TRY_AGAIN_LATER,
    `take a lease for ${attachmentText(attachment)}: ${messageOf(signal.reason)}`,
    'call ADD again'
  )
}
