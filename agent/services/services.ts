/**
 * Services: a name and an address that stand for all containers of a network with an alias.
 *
 *     registry --services/--> Services <--who is called what-- Zone
 *                                |
 *                      one transaction for each change
 *                                v
 *                 nf_tables of each container here that is on the network
 *
 * While the registry is away everything stays as it is. What nobody can be sure of is left alone: an agent that starts writes
 * into no namespace before it knows all services and everybody on the namespace's networks.
 */
import { attachmentKey } from '../../lib/daemon/attachment.ts'
import { formatAddress } from '../../lib/ip/address.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Metrics } from '../metrics.ts'
import type { Named, Zone } from '../names/zone.ts'
import { type Entry, type Following, type Registry, SERVICES } from '../registry.ts'
import { Client } from './client.ts'
import { balancedAt } from './client-rules.ts'
import { type Judges, KnownServices } from './known-services.ts'
import type { Balanced, Traffic, Way } from './layout.ts'
import { type Member, memberOf } from './member.ts'
import type { Refused } from './precedence.ts'
import { Presence } from './presence.ts'
import { type ServiceRecord, serviceFromValue } from './record.ts'
import { type MemberTraffic, TrafficTotals } from './traffic.ts'

export interface ServicesOptions {
  readonly registry: Registry
  readonly kernel: Kernel
  readonly zone: Zone
  /** Whether everybody on a network is known. */
  readonly isKnown: (network: string) => boolean
  readonly judges: Judges
  /** Keeps what is leased of a service's addresses. @returns what has become of it; '' when all is well */
  readonly keep: (record: ServiceRecord) => string
  /** How often tables are looked at, whatever has happened. */
  readonly compareSeconds: number
  readonly metrics: Metrics
  readonly log: (message: string) => void
}

interface TrafficSource {
  readonly traffic: (service?: string) => readonly Traffic[]
}

/** A registry that somebody fills up must not fill up the hosts. */
const MOST_SERVICES = 4096

export class Services {
  readonly #options: ServicesOptions
  readonly #known: KnownServices
  /** What of a service clients are given, as long as it is the same. */
  readonly #balanced = new Map<string, readonly Balanced[]>()
  /** Whose members may be others by now. */
  readonly #stale = new Set<string>()
  /** By network, until something there changes. */
  readonly #wanted = new Map<string, readonly Balanced[]>()
  readonly #clients = new Map<string, Client>()
  /** Namespaces in which nothing of ours is. */
  readonly #clean = new Set<string>()
  readonly #failed = new Map<string, string>()
  readonly #dirty = new Set<string>()
  readonly #traffic = new TrafficTotals()
  /** Hears after each change. */
  changed: () => void = () => undefined
  /** What comes in by published ports of this host. */
  hostTraffic: TrafficSource = { traffic: () => [] }
  #isSynced = false
  #scheduled: NodeJS.Immediate | undefined
  #following: Following | undefined
  #presence: Presence | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: ServicesOptions) {
    this.#options = options
    this.#known = new KnownServices(options.judges)
  }

  start(): void {
    const { registry, zone, metrics, compareSeconds } = this.#options
    zone.changed = (network, names) => this.#touch(network, names)
    this.#presence = new Presence(registry, () => {
      for (const one of this.#known.list()) this.#touch(one.network)
    })
    this.#following = registry.follow(SERVICES, {
      reset: (entries, keepRest) => this.#reset(entries, keepRest),
      change: (name, value) => this.#change(name, value),
      settled: () => undefined
    })
    this.#timer = setInterval(() => this.#compare(), compareSeconds * 1000)
    metrics.gauge('patchbay_agent_services', 'Services', () => this.#known.size)
    metrics.gauge('patchbay_agent_service_clients', 'Containers that reach services', () => this.#clients.size)
    for (const what of ['packets', 'bytes'] as const)
      metrics.series(
        `patchbay_service_${what}_total`,
        `To and from members of services, of containers of this host, in ${what}`,
        () => this.#series(what)
      )
  }

  /** Ends it; what is in the containers stays. */
  stop(): void {
    clearInterval(this.#timer)
    clearImmediate(this.#scheduled)
    this.#following?.stop()
    this.#presence?.stop()
    this.#options.zone.changed = () => undefined
    for (const client of this.#clients.values()) client.close()
    this.#clients.clear()
  }

  /** Whether the registry has told of all services. */
  get isReady(): boolean {
    return this.#isSynced
  }

  isKnown(network: string): boolean {
    return this.#options.isKnown(network)
  }

  log(message: string): void {
    this.#options.log(message)
  }

  list(): readonly ServiceRecord[] {
    return this.#known.list()
  }

  find(name: string): ServiceRecord | undefined {
    return this.#known.find(name)
  }

  /** What it goes without. */
  refused(record: ServiceRecord): readonly Refused[] {
    return this.#known.refused(record)
  }

  /** Those that ports of hosts are to lead to, with the ports that are theirs. */
  published(): readonly ServiceRecord[] {
    const own = this.#known.list().map(one => ({ ...one, published: this.#known.publishedOf(one) }))
    return own.filter(one => one.published.length > 0)
  }

  /** @param others containers of other hosts on its network, where that is not followed here */
  membersOf(record: ServiceRecord, others: readonly Named[] = []): readonly Member[] {
    const bearers = [...this.#bearersOf(record), ...others.filter(one => one.record.names.includes(record.alias))]
    return bearers.map(one => memberOf(one, this.#presence?.isPresent(one.host) === false))
  }

  /** What clients of this host have sent to members and got back. */
  trafficOf(service: string): readonly MemberTraffic[] {
    this.#count(this.hostTraffic, service)
    for (const [id, client] of this.#clients) this.#tryCount(id, client, service)
    return this.#traffic.list(service)
  }

  /** Why containers of this host do not reach services as they should; one sentence each. */
  problems(): readonly string[] {
    return [...this.#failed.values()]
  }

  /**
   * A container is being attached: it reaches the services of its networks when this returns.
   *
   * @throws {CniError} code 11 when the registry has not told of them in time; {KernelError}
   */
  async arrived(named: Named, milliseconds: number): Promise<void> {
    if (!this.#isSynced) await this.#following?.whenSynced(milliseconds)
    this.#clean.delete(named.record.netnsId)
    if (this.#known.on(named.network).length === 0) return
    // The network may have been made after the service.
    if (!this.#hasClientOn(named.network)) for (const one of this.#known.judgeAgain(named.network)) this.#place(one)
    const client = this.#clientOf(named)
    if (client !== undefined) this.#apply(named.record.netnsId, client)
  }

  #hasClientOn(network: string): boolean {
    const attachments = [...this.#clients.values()].flatMap(one => [...one.attachments.values()])
    return attachments.some(one => one.network === network)
  }

  #reset(entries: readonly Entry[], keepRest: boolean): void {
    const present = new Set(entries.map(one => one.name))
    if (!keepRest) for (const { name } of this.#known.list()) if (!present.has(name)) this.#forget(name)
    for (const { name, value } of entries) this.#change(name, value)
    this.#isSynced = true
    this.#keepAll()
    // What an agent before has left is looked for once, whether or not there are services.
    for (const network of new Set([...this.#options.zone.all()].map(one => one.network))) this.#touch(network)
    this.#schedule()
  }

  #change(name: string, value: string | undefined): void {
    const { log } = this.#options
    const record = value === undefined ? undefined : serviceFromValue(name, value)
    if (record === undefined) this.#forget(name)
    else if (typeof record === 'string') log(`registry: service ${JSON.stringify(name)} stays as it is: ${record}`)
    else if (this.#known.find(name) === undefined && this.#known.size >= MOST_SERVICES)
      log(`registry: service ${JSON.stringify(name)} is left out: there are ${MOST_SERVICES} already`)
    else this.learn(record)
  }

  /** What this agent has written itself it need not wait to hear of. */
  learn(record: ServiceRecord): void {
    const before = this.#known.find(record.name)
    if (before !== undefined && before.network !== record.network) this.#forget(record.name)
    for (const one of [record, ...this.#known.set(record)]) this.#place(one)
  }

  forget(name: string): void {
    this.#forget(name)
  }

  #forget(name: string): void {
    const record = this.#known.find(name)
    if (record === undefined) return
    const rivals = this.#known.delete(record)
    this.#balanced.delete(name)
    for (const about of [name, addressOf(name)]) this.#failed.delete(about)
    this.#options.zone.deleteService(record.network, name)
    this.#touch(record.network)
    for (const one of rivals) this.#place(one)
  }

  /** What the name of a known service stands for, and its clients get: without an address of its own the members themselves. */
  #place(record: ServiceRecord): void {
    const { name, network, alias } = record
    this.#balanced.delete(name)
    this.#options.zone.setService(network, name, { alias, addresses: this.#known.vipsOf(record) })
    const refused = this.#known.refused(record).map(one => `${one.what} (${one.reason})`)
    const problem = `service ${JSON.stringify(name)} goes without ${refused.join(', ')}`
    this.tell(addressOf(name), refused.length === 0 ? '' : problem)
    this.#touch(network)
  }

  #bearersOf({ network, alias }: ServiceRecord): readonly Named[] {
    return this.#options.zone.bearersOf(network, alias)
  }

  /**
   * Brings about what follows from a change, once for all that come in the same moment.
   *
   * @param names of whom; of anybody when undefined
   */
  #touch(network: string, names?: readonly string[]): void {
    this.#dirty.add(network)
    const all =
      names === undefined
        ? [this.#known.on(network).map(one => one.name)]
        : names.map(name => this.#known.called(network, name))
    for (const services of all) for (const one of services) this.#stale.add(one)
    this.#wanted.delete(network)
    this.#schedule()
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined
      this.#settle()
    })
  }

  #settle(): void {
    if (!this.#isSynced) return
    const dirty = new Set(this.#dirty)
    this.#dirty.clear()
    const touched = new Set<string>()
    for (const [id, client] of this.#clients) {
      for (const [key, one] of client.attachments) {
        if (!dirty.has(one.network)) continue
        client.attachments.delete(key)
        touched.add(id)
      }
    }
    for (const named of this.#options.zone.all()) {
      if (named.host !== '' || !dirty.has(named.network)) continue
      const client = this.#clientOf(named)
      if (client !== undefined) touched.add(named.record.netnsId)
    }
    for (const id of touched) {
      const client = this.#clients.get(id)
      if (client !== undefined) this.#try(id, client)
    }
    this.changed()
  }

  /** @returns undefined where there is nothing to do: no services, and nothing left of any */
  #clientOf(named: Named): Client | undefined {
    const { netnsId } = named.record
    const known = this.#clients.get(netnsId)
    if (known !== undefined) {
      known.attachments.set(attachmentKey(named), named)
      return known
    }
    if (this.#clean.has(netnsId) && this.#known.on(named.network).length === 0) return undefined
    const client = Client.open(this.#options.kernel, named)
    if (client === undefined) return undefined
    this.#clients.set(netnsId, client)
    // It may be on other networks, too.
    for (const other of this.#options.zone.all())
      if (other.host === '' && other.record.netnsId === netnsId) client.attachments.set(attachmentKey(other), other)
    return client
  }

  #try(id: string, client: Client): void {
    try {
      this.#apply(id, client)
    } catch (error) {
      this.tell(id, `services of ${[...client.attachments.keys()].join(', ') || id}: ${messageOf(error)}`)
    }
  }

  #apply(id: string, client: Client): void {
    // Where two of its networks have one address, the same one wins everywhere.
    const networks = new Set([...client.attachments.values()].map(one => one.network).sort())
    if (![...networks].every(network => this.#options.isKnown(network))) return
    const wanted = [...networks].flatMap(network => this.#wantedOn(network))
    if (wanted.length === 0) this.#count(client)
    client.apply(wanted)
    this.#traffic.add(
      client,
      client.cutGone(way => this.isGone(way)),
      true
    )
    this.#failed.delete(id)
    if (wanted.length > 0) return
    // What is not there need not be held open.
    client.close()
    this.#clients.delete(id)
    this.#traffic.forgetClient(client)
    this.#failed.delete(`${id} counted`)
    if (networks.size > 0) this.#clean.add(id)
    else this.#clean.delete(id)
  }

  /** What containers on a network are given: looked at once for all of them. */
  #wantedOn(network: string): readonly Balanced[] {
    const known = this.#wanted.get(network)
    if (known !== undefined) return known
    const made = this.#known.on(network).flatMap(one => this.balancedOf(one))
    this.#wanted.set(network, made)
    return made
  }

  /** Not only out of service for a while. */
  isGone({ of, member }: Way): boolean {
    const record = this.#known.find(of.service)
    if (record === undefined) return true
    const text = formatAddress(member)
    return !this.#bearersOf(record).some(one => one.record.addresses.some(other => formatAddress(other) === text))
  }

  /** What clients are given of a service: the same objects as long as nothing is different. */
  balancedOf(record: ServiceRecord): readonly Balanced[] {
    const before = this.#balanced.get(record.name)
    if (before !== undefined && !this.#stale.has(record.name)) return before
    this.#stale.delete(record.name)
    const members = this.membersOf(record)
      .filter(one => !one.isAway)
      .flatMap(one => one.addresses)
    const now = this.#known.vipsOf(record).map(vip =>
      balancedAt(
        record.name,
        vip,
        members.filter(one => one.family === vip.family),
        record.isSticky
      )
    )
    if (before !== undefined && textOf(before) === textOf(now)) return before
    this.#balanced.set(record.name, now)
    return now
  }

  #compare(): void {
    this.#keepAll()
    this.#count(this.hostTraffic)
    for (const [id, client] of this.#clients) {
      try {
        this.#count(client)
        const repaired = client.repair()
        if (repaired > 0) this.#options.log(`services of ${[...client.attachments.keys()].join(', ')}: made anew`)
      } catch (error) {
        this.#options.log(`services of ${[...client.attachments.keys()].join(', ')}: ${messageOf(error)}`)
      }
      if (this.#failed.has(id)) this.#try(id, client)
    }
    const ids = new Set([...this.#options.zone.all()].map(one => one.record.netnsId))
    for (const id of this.#clean) if (!ids.has(id)) this.#clean.delete(id)
  }

  #keepAll(): void {
    const { keep } = this.#options
    for (const one of this.#known.list()) this.tell(one.name, keep(one))
  }

  /** Once, until it is another or over. */
  tell(about: string, problem: string): void {
    if (problem === '') {
      this.#failed.delete(about)
      return
    }
    if (this.#failed.get(about) !== problem) this.#options.log(problem)
    this.#failed.set(about, problem)
  }

  #count(source: TrafficSource, service?: string): void {
    this.#traffic.add(source, source.traffic(service), false)
  }

  /** What a container has made of its tables is its own misfortune: the others are counted all the same. */
  #tryCount(id: string, client: Client, service: string): void {
    try {
      this.#count(client, service)
      this.tell(`${id} counted`, '')
    } catch (error) {
      this.tell(
        `${id} counted`,
        `count for services of ${[...client.attachments.keys()].join(', ')}: ${messageOf(error)}`
      )
    }
  }

  /** What is about to be taken away, and counted no more. */
  countLast(source: TrafficSource, all: readonly Traffic[]): void {
    this.#traffic.add(source, all, true)
  }

  #series(what: 'packets' | 'bytes'): ReadonlyMap<string, number> {
    for (const name of new Set(this.#traffic.list().map(one => one.service))) this.#forgetFormerMembers(name)
    const lines = new Map<string, number>()
    for (const { service, member, sent, received } of this.#traffic.list()) {
      const labels = `service="${service}",member="${member}"`
      lines.set(`${labels},direction="sent"`, sent[what])
      lines.set(`${labels},direction="received"`, received[what])
    }
    return lines
  }

  /** Nobody is told of who has left: of all that ever were there would be no end. */
  #forgetFormerMembers(service: string): void {
    const record = this.#known.find(service)
    const members = record === undefined ? [] : this.membersOf(record)
    this.#traffic.keepOnly(service, new Set(members.flatMap(one => one.addresses.map(formatAddress))))
  }
}

/** What is told of what a service goes without. */
function addressOf(name: string): string {
  return `${name} refused`
}

function textOf(all: readonly Balanced[]): string {
  const lines = all.map(({ name, members, isSticky }) =>
    [name, String(isSticky), ...members.map(formatAddress).sort()].join(' ')
  )
  return lines.join('\n')
}
