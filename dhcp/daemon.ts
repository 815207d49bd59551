/**
 * The daemon behind ipam "dhcp": plugins ask, it speaks with the DHCP servers, and keeps what they grant for as long as
 * the containers live.
 *
 *     plugin --"take"--> daemon --DISCOVER, REQUEST--> server
 *                          `-- renews until "release", or until the namespace is gone
 */
import { CniError, INVALID_CONFIG, TRY_AGAIN_LATER, toCniError } from '../lib/cni/error.ts'
import { type Json, jsonNull, jsonText, memberOf, parseJson } from '../lib/config/json.ts'
import { Section } from '../lib/config/section.ts'
import { formatPrefix } from '../lib/ip/prefix.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import type { Link } from '../lib/net/links.ts'
import { takeReleased } from '../lib/overlay/released.ts'
import { messageOf } from '../lib/sys/errors.ts'
import { ContainerLink, netnsIdOf } from './container-link.ts'
import { acquire, type Client, type Grant, NoLease, type Patience } from './exchange.ts'
import { LeaseKeeper } from './keeper.ts'
import { type Attachment, attachmentKey, attachmentText, type Lease, type LeaseStore, momentsOf } from './lease.ts'
import { clock } from './time.ts'
import { clientIdOf, readWishes } from './wishes.ts'

/** CHECK: the lease is not what prevResult says. As host-local's. */
const LEASE_DIFFERS = 102
const SWEEP_MS = 5000
/** After a restart, leases that are due are not all renewed in the same moment. */
const SPREAD_MS = 1000

export interface DaemonOptions {
  readonly kernel: Kernel
  readonly store: LeaseStore
  /** The plugins' door, beside which they leave notes when nobody answers. */
  readonly socket: string
  /** Put before every namespace's path. */
  readonly hostPrefix: string
  /** Has all answers sent as broadcasts. */
  readonly broadcast: boolean
  readonly patience: Patience
  readonly log: (message: string) => void
}

export class DhcpDaemon {
  readonly #options: DaemonOptions
  readonly #keepers = new Map<string, LeaseKeeper>()
  /** Leases that are being taken. */
  readonly #pending = new Map<string, { readonly abort: AbortController; readonly done: Promise<unknown> }>()
  /** Leases that are being given back. */
  readonly #ending = new Map<string, Promise<void>>()
  #sweeper: NodeJS.Timeout | undefined

  constructor(options: DaemonOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#keepers.size
  }

  /** Takes over what the last daemon left. */
  async start(): Promise<void> {
    for (const lease of this.#options.store.read()) this.#adopt(lease)
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
    await Promise.all([...this.#keepers.values()].map(keeper => keeper.stop()))
  }

  /** One question of a plugin: an object in one line; so is the answer. */
  async answer(line: string, gone: AbortSignal): Promise<string> {
    try {
      const question = new Section(readQuestion(line))
      const answer = await this.#answerTo(question, gone)
      return `{"ok":true${answer === undefined ? '' : `,"result":${jsonText(answer)}`}}`
    } catch (error) {
      const { code, message: msg, details } = toCniError(error, 'ADD')
      return JSON.stringify({ ok: false, code, msg, details })
    }
  }

  async #answerTo(question: Section, gone: AbortSignal): Promise<Json | undefined> {
    const what = question.text('do') ?? ''
    if (what === 'status') {
      readWishes(question.json('ipam') ?? jsonNull, '')
      return undefined
    }
    if (what === 'collect') return this.#collect(question)
    const attachment = attachmentOf(question)
    if (what === 'take') return this.#take(question, attachment, gone)
    if (what === 'release') return this.#release(attachment)
    if (what === 'check') return this.#check(question, attachment)
    const hint = 'plugin and daemon are of different versions: install one of them anew'
    throw new CniError(INVALID_CONFIG, `answer ${JSON.stringify(what)}: no such question`, hint)
  }

  /** Of two calls for one attachment the later one counts: the runtime has given the first one up. */
  async #take(question: Section, attachment: Attachment, gone: AbortSignal): Promise<Json> {
    const key = attachmentKey(attachment)
    await this.#abandon(key)
    const abort = new AbortController()
    gone.addEventListener('abort', () => abort.abort(new Error('the plugin that asked is gone')), { once: true })
    const done = this.#takeAlone(question, attachment, abort.signal)
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

  async #takeAlone(question: Section, attachment: Attachment, signal: AbortSignal): Promise<Json> {
    const wishes = readWishes(question.json('ipam') ?? jsonNull, question.text('args') ?? '')
    const netns = question.text('netns') ?? ''
    const key = attachmentKey(attachment)
    await this.#ending.get(key)
    const before = this.#keepers.get(key)
    if (before !== undefined && this.#isStillRight(before, netns)) return before.lease.result
    if (before !== undefined) await this.#end(before)

    const link = new ContainerLink(this.#options.kernel, this.#pathOf(netns), attachment.ifName)
    try {
      const found = requireLink(link, attachment, netns)
      const mac = found.mac ?? new Uint8Array(6)
      const client: Client = {
        clientId: clientIdOf(attachment.containerId, attachment.network, attachment.ifName),
        wishes,
        // All ipvlans of an interface have its MAC: only by the address is an answer told apart, and there is none yet.
        broadcast: this.#options.broadcast || found.kind === 'ipvlan'
      }
      const grant = await this.#acquire(link, found, client, attachment, question, signal)
      const lease: Lease = {
        attachment,
        netns,
        netnsId: netnsIdOf(this.#pathOf(netns)),
        mac,
        client,
        address: grant.terms.address,
        held: { address: grant.terms.address.address, server: grant.terms.server, serverMac: grant.mac },
        moments: momentsOf(grant.askedAt, grant.terms.times),
        result: grant.terms.result,
        isLost: false
      }
      const keeper = this.#keeperOf(lease, link)
      if (signal.aborted) {
        await keeper.release()
        throw abandoned(attachment, signal)
      }
      this.#options.store.put(lease)
      this.#keepers.set(key, keeper)
      keeper.start()
      this.#options.log(`lease for ${attachmentText(attachment)}: ${formatPrefix(lease.address)}`)
      return lease.result
    } catch (error) {
      link.close()
      throw error
    }
  }

  /** The same container asks again, and its interface is the one that has the lease. */
  #isStillRight({ lease, link }: LeaseKeeper, netns: string): boolean {
    const mac = link.find()?.mac
    return (
      !lease.isLost &&
      lease.netnsId === netnsIdOf(this.#pathOf(netns)) &&
      mac !== undefined &&
      Buffer.compare(mac, lease.mac) === 0
    )
  }

  /** The interface is left as it was found: the plugin sets it up when it has its address, which announces that. */
  async #acquire(
    link: ContainerLink,
    found: Link,
    client: Client,
    attachment: Attachment,
    question: Section,
    signal: AbortSignal
  ): Promise<Grant> {
    const asked = question.integer('milliseconds', 1, 3_600_000) ?? this.#options.patience.total
    const deadline = clock() + Math.min(this.#options.patience.total, asked)
    const wasDown = !found.isUp
    try {
      await link.bringUp(found, signal)
      const total = deadline - clock()
      const wire = link.openWire(found)
      try {
        return await acquire(wire, client, { ...this.#options.patience, total }, signal)
      } finally {
        wire.close()
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
    const keeper = this.#keepers.get(key)
    if (keeper !== undefined) await this.#end(keeper)
    else await this.#ending.get(key)
    return undefined
  }

  /** The file goes last: a renewal that was on its way has been written by then. */
  async #end(keeper: LeaseKeeper): Promise<void> {
    const { attachment } = keeper.lease
    const key = attachmentKey(attachment)
    this.#keepers.delete(key)
    const done = keeper.release().finally(() => this.#options.store.remove(attachment))
    this.#ending.set(key, done)
    try {
      await done
    } finally {
      if (this.#ending.get(key) === done) this.#ending.delete(key)
    }
  }

  #check(question: Section, attachment: Attachment): undefined {
    const lease = this.#keepers.get(attachmentKey(attachment))?.lease
    const shown = question.textList('ips')
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

  async #collect(question: Section): Promise<undefined> {
    const network = question.text('network') ?? ''
    const keep = new Set(question.sections('keep').map(one => `${one.text('containerId')}:${one.text('ifName')}`))
    question.finish()
    const stray = [...this.#keepers.values()].filter(({ lease: { attachment } }) => {
      return attachment.network === network && !keep.has(`${attachment.containerId}:${attachment.ifName}`)
    })
    await Promise.all(stray.map(keeper => this.#end(keeper)))
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
      const keeper = this.#keeperOf(lease, link)
      this.#keepers.set(attachmentKey(attachment), keeper)
      keeper.start(Math.random() * SPREAD_MS)
    } catch (error) {
      log(`lease for ${attachmentText(attachment)} is dropped: ${messageOf(error)}`)
      store.remove(attachment)
    }
  }

  /** Gives back what plugins gave back while no daemon ran, and what belongs to containers that ended without DEL. */
  async #sweep(): Promise<void> {
    for (const attachment of takeReleased(this.#options.socket)) await this.#release(attachment)
    for (const keeper of [...this.#keepers.values()]) {
      const { lease } = keeper
      if (netnsIdOf(this.#pathOf(lease.netns)) === lease.netnsId) continue
      this.#options.log(`lease for ${attachmentText(lease.attachment)} is given back: its container is gone`)
      await this.#end(keeper)
    }
  }

  #keeperOf(lease: Lease, link: ContainerLink): LeaseKeeper {
    const { patience, store, log } = this.#options
    return new LeaseKeeper(lease, link, { patience, save: one => store.put(one), log })
  }

  #pathOf(netns: string): string {
    return `${this.#options.hostPrefix}${netns}`
  }
}

function readQuestion(line: string): Json {
  const json = parseJson(line)
  if (memberOf(json, 'do') !== undefined) return json
  throw new CniError(INVALID_CONFIG, 'read the question: it must be a JSON object in one line that says what to do')
}

function attachmentOf(question: Section): Attachment {
  const attachment = {
    network: question.text('network') ?? '',
    containerId: question.text('containerId') ?? '',
    ifName: question.text('ifName') ?? ''
  }
  for (const [key, name] of Object.entries(attachment)) {
    if (!/^[^\s/:]+$/.test(name)) question.problem(key, 'must be a name')
  }
  question.finish()
  return attachment
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
