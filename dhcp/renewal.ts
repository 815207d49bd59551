/**
 * Keeps one lease: renews it in time, takes the address away when the lease is lost, and gets it back when it can.
 *
 *     bound --T1--> asks its server --T2--> asks every server --end--> lost --> asks for the same address again
 *
 * @source RFC 2131 section 4.4.5, RFC 8415 sections 18.2.4 and 18.2.5
 */
import { attachmentText } from '../lib/daemon/attachment.ts'
import { formatAddress } from '../lib/ip/address.ts'
import { formatPrefix } from '../lib/ip/prefix.ts'
import { messageOf } from '../lib/sys/errors.ts'
import { NoLease, type Patience } from './acquisition.ts'
import type { ContainerLink } from './container-link.ts'
import { type Lease, prolonged } from './lease.ts'
import { extend, type Given, giveBack, type Place, take } from './speech.ts'
import { clock, jittered, pause, pauseUntil } from './time.ts'

export interface RenewalOptions {
  readonly patience: Patience
  /** Writes the lease down. */
  readonly save: (lease: Lease) => void
  readonly log: (message: string) => void
}

/** RFC 2131 wants a minute between renewals; leases of minutes have less. */
const SHORTEST_PART = 16
/** A full disk, an interface that somebody else renamed. */
const AFTER_TROUBLE = 5000

export class Renewal {
  readonly link: ContainerLink
  readonly #options: RenewalOptions
  readonly #stop = new AbortController()
  #lease: Lease
  #running: Promise<void> = Promise.resolve()

  constructor(lease: Lease, link: ContainerLink, options: RenewalOptions) {
    this.link = link
    this.#lease = lease
    this.#options = options
  }

  get lease(): Lease {
    return this.#lease
  }

  /** Goes on by itself from now. @param delay in milliseconds, before the first look at the lease */
  start(delay = 0): void {
    // It ends by the signal only.
    this.#running = this.#keep(delay).catch(() => undefined)
  }

  /** Ends the keeping, not the lease: for the next daemon. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    this.link.close()
  }

  /** Ends the lease: the interface loses the address before the server may give it to somebody else. */
  async release(): Promise<void> {
    this.#stop.abort()
    await this.#running
    try {
      this.link.removeAddress(this.#lease.address)
      if (!this.#lease.isLost) await this.#sendRelease()
    } catch (error) {
      this.#log(`is not given back, the server will notice when it ends: ${messageOf(error)}`)
    } finally {
      this.link.close()
    }
  }

  async #sendRelease(): Promise<void> {
    const { signal } = new AbortController()
    const place = { ...this.#place(), signal }
    const wasDown = await this.link.bringUp(place.found, [this.#lease.terms.family], signal)
    await giveBack(place, this.#lease.terms, wasDown)
  }

  async #keep(delay: number): Promise<void> {
    const { signal } = this.#stop
    await pause(delay, signal)
    for (;;) {
      try {
        await this.#step()
      } catch (error) {
        signal.throwIfAborted()
        this.#log(`has trouble: ${messageOf(error)}`)
        await pause(AFTER_TROUBLE, signal)
      }
    }
  }

  async #step(): Promise<void> {
    if (this.#lease.isLost) {
      await this.#recover()
      return
    }
    await pauseUntil(this.#lease.moments.renewAt, this.#stop.signal)
    const reason = await this.#extend()
    if (reason !== '') this.#lose(reason)
  }

  /** @returns why the lease is lost, '' when it has been prolonged */
  async #extend(): Promise<string> {
    const { signal } = this.#stop
    const { moments } = this.#lease
    const shortest = Math.min(
      60_000,
      this.#options.patience.pause,
      (moments.expireAt - moments.renewAt) / SHORTEST_PART
    )
    for (;;) {
      const now = clock()
      if (now >= moments.expireAt) return 'it ended, and no server answered'
      const everybody = now >= moments.rebindAt
      const end = everybody ? moments.expireAt : moments.rebindAt
      const rest = Math.min(end - now, Math.max((end - now) / 2, shortest))
      const outcome = await this.#ask(everybody, now + Math.min(rest, this.#options.patience.answer))
      if (outcome === 'refused') return 'the server refused to prolong it'
      if (outcome !== undefined) {
        this.#put(prolonged(this.#lease, outcome))
        return ''
      }
      await pauseUntil(Math.min(end, now + jittered(rest)), signal)
    }
  }

  async #ask(everybody: boolean, until: number): Promise<Given | 'refused' | undefined> {
    const { signal } = this.#stop
    try {
      return await extend(this.#place(), this.#lease.terms, everybody, until)
    } catch (error) {
      signal.throwIfAborted()
      this.#log(`cannot be prolonged now: ${messageOf(error)}`)
      return undefined
    }
  }

  #lose(reason: string): void {
    this.#log(`${formatPrefix(this.#lease.address)} is lost: ${reason}`)
    this.#put({ ...this.#lease, isLost: true })
    this.link.removeAddress(this.#lease.address)
  }

  /**
   * Asks for the address again until it is there. A server that gives another one has not helped: the runtime was told
   * this one.
   */
  async #recover(): Promise<void> {
    const { signal } = this.#stop
    const { patience } = this.#options
    const { terms, address, result } = this.#lease
    const began = clock()
    try {
      const place = this.#place()
      const given = await take(place, terms, patience, address.address)
      if (formatAddress(given.address.address) === formatAddress(address.address)) {
        this.link.restoreAddress(address, result)
        this.#put(prolonged(this.#lease, given))
        this.#log(`${formatPrefix(address)} is there again`)
      } else {
        await giveBack(place, given.terms, false)
        this.#log(`the server gives ${formatAddress(given.address.address)} now: attach the container again`)
      }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof NoLease)) this.#log(`cannot be had again now: ${messageOf(error)}`)
    }
    if (this.#lease.isLost) await pauseUntil(began + jittered(patience.pause), signal)
  }

  /** @throws Error when the interface is gone */
  #place(): Place {
    const found = this.link.find()
    if (found === undefined) throw new Error('the interface is gone')
    const log = (message: string): void => this.#log(`is not prolonged: ${message}`)
    return { link: this.link, found, signal: this.#stop.signal, log }
  }

  #put(lease: Lease): void {
    this.#lease = lease
    this.#options.save(lease)
  }

  #log(what: string): void {
    this.#options.log(`lease for ${attachmentText(this.#lease.attachment)} ${what}`)
  }
}
