/**
 * Networks of the cluster: made and removed on one host, there on all.
 *
 *     patchbay network create --> agent --transaction--> registry --> every agent --file--> runtimes
 *
 * The registry says which networks there are. The files in the runtimes' directory follow it; they stay as they are while it is
 * away, and go when a network is gone and no container of this host is on it any more.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { CniError, INVALID_CONFIG, TRY_AGAIN_LATER } from '../../lib/cni/error.ts'
import { formatPrefix } from '../../lib/ip/prefix.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Metrics } from '../metrics.ts'
import {
  type Entry,
  endpointPrefix,
  type Following,
  NETWORKS,
  type Reading,
  type Registry,
  SERVICES,
  type Shared,
  type Unchanged
} from '../registry.ts'
import { serviceFromValue } from '../services/record.ts'
import type { ConfDir } from './conf-dir.ts'
import type { KnownNetwork } from './conflist.ts'
import { containersOf, type NetworkContainer } from './containers.ts'
import { LARGEST_VNI, type NetworkRecord, overlapOf, recordFromValue, recordToValue } from './record.ts'
import { RemovedNetworks } from './removed.ts'

/** A network that is to be made: the agent gives it an id, and a VNI if none is asked for. */
export type NewNetwork = Omit<NetworkRecord, 'id' | 'vni' | 'created'> & { readonly vni: number | undefined }

/** A network as this host has it. */
export interface HostNetwork extends KnownNetwork {
  readonly path: string
  /** Why runtimes of this host do not find it; '' when they do. */
  readonly problem: string
}

export interface NetworksOptions {
  /** No other host hears of them. */
  readonly isAlone: boolean
  readonly registry: Registry
  readonly confDir: ConfDir
  /** Whether a container of this host is on the network. */
  readonly isUsed: (network: string) => boolean
  /** What of this host has one of the network's subnets; '' for nothing. Asked before runtimes are told of the network. */
  readonly clashOf: (record: NetworkRecord) => string
  /** The network is gone: gives back what dead containers of this host still hold of it. */
  readonly release: (network: string) => void
  /** How often files are compared, whatever has happened. */
  readonly compareSeconds: number
  readonly metrics: Metrics
  readonly log: (message: string) => void
}

/** Below it are the numbers that people write into configurations themselves. */
const LEAST_VNI = 65_536
/** A registry that somebody fills up must not fill up the hosts. */
const MOST_NETWORKS = 4096
/** Revisions of a registry in a directory are times (alone-registry.ts); etcd counts, and never comes so far. */
const SMALLEST_TIME = 1_000_000_000_000
/** How long after its last container a network that is gone stays, ms. */
const LOOK_MS = 1000
/** What restoring a network may take, ms. */
const RESTORE_MS = 10_000

export class Networks {
  readonly #options: NetworksOptions
  #known = new Map<string, KnownNetwork>()
  /** In the registry, but no networks: neither written nor removed. */
  readonly #unreadable = new Map<string, string>()
  /** By name. */
  readonly #problems = new Map<string, string>()
  /** Whose file is not as it must be, as far as is known. */
  readonly #toWrite = new Set<string>()
  /** Those that are gone, with files that are still there. */
  #leaving: ReadonlySet<string> = new Set()
  #following: Following | undefined
  /** The revision up to which everything has been heard. */
  #heard = 0
  /** Kept while the registry has lost them: their revisions are those of its former history. */
  readonly #lost = new Set<string>()
  #timers: readonly NodeJS.Timeout[] = []

  constructor(options: NetworksOptions) {
    this.#options = options
  }

  start(): void {
    const { registry, confDir, compareSeconds, metrics } = this.#options
    this.#known = new Map(confDir.own())
    this.#following = registry.follow(NETWORKS, {
      reset: (entries, keepRest, revision) => {
        this.#heard = revision
        this.#reset({ entries, revision }, keepRest)
      },
      change: (name, value, revision) => {
        this.#heard = revision
        this.#change({ name, value: value ?? '', revision }, value === undefined)
      },
      settled: () => this.#settle()
    })
    this.#timers = [
      setInterval(() => this.#removeLeaving(), LOOK_MS),
      setInterval(() => {
        for (const name of this.#known.keys()) this.#toWrite.add(name)
        this.#settle()
      }, compareSeconds * 1000)
    ]
    metrics.gauge('patchbay_agent_networks', 'Networks of the cluster', () => this.#known.size)
    metrics.gauge(
      'patchbay_agent_networks_missing',
      'Networks that runtimes here do not find',
      () => this.#problems.size
    )
  }

  get isAlone(): boolean {
    return this.#options.isAlone
  }

  /** Ends it; files stay. */
  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#following?.stop()
  }

  /** Those that are known here, by name; after `whenSynced` those of the registry. */
  list(): readonly HostNetwork[] {
    const { confDir } = this.#options
    return [...this.#known.values()].map(known => {
      const { name } = known.record
      return { ...known, path: confDir.pathOf(name), problem: this.#problems.get(name) ?? '' }
    })
  }

  find(name: string): KnownNetwork | undefined {
    return this.#known.get(name)
  }

  /**
   * Makes a network. Name and subnets are its alone, and its VNI is free, when this returns.
   *
   * @throws {CniError} code 7 naming the network that is in the way; 11 without the registry
   */
  async create(wish: NewNetwork, milliseconds: number): Promise<HostNetwork> {
    const id = randomBytes(32).toString('hex')
    const known = await this.#place({ ...wish, id, created: new Date().toISOString() }, milliseconds)
    const path = this.#options.confDir.pathOf(wish.name)
    return { ...known, path, problem: this.#problems.get(wish.name) ?? '' }
  }

  /**
   * Removes a network that no container is on, on no host.
   *
   * @throws {CniError} code 7 when there is none, or naming who is on it; 11 without the registry
   */
  async remove(name: string, milliseconds: number): Promise<void> {
    const { registry } = this.#options
    const deadline = Date.now() + milliseconds
    let isTried = false
    for (;;) {
      const all = await registry.read(NETWORKS, deadline - Date.now())
      const entry = all.entries.find(one => one.name === name)
      if (entry === undefined) {
        // The answer to our own removal may have got lost.
        if (isTried) return
        throw new CniError(INVALID_CONFIG, `remove network ${JSON.stringify(name)}: the cluster has none of this name`)
      }
      const record = recordFromValue(name, entry.value)
      const services = await registry.read(SERVICES, deadline - Date.now())
      refuseServed(name, services.entries)
      const conditions: Unchanged[] = [
        { under: NETWORKS, since: all.revision },
        { under: SERVICES, since: services.revision }
      ]
      const writes: Shared[] = [{ key: `${NETWORKS}${name}`, value: undefined }]
      if (typeof record !== 'string') {
        const { containers, revision } = await containersOf(registry, record, deadline - Date.now())
        if (containers.length > 0) throw inUse(name, containers)
        conditions.push({ under: endpointPrefix(record.vni), since: revision })
        // Of a host that is alone nobody misses anything.
        if (!this.#options.isAlone) {
          const removed = await RemovedNetworks.read(registry, deadline - Date.now())
          conditions.push(removed.unchanged)
          writes.push(removed.with(record.id))
        }
      }
      isTried = true
      const revision = await registry.share(writes, conditions, deadline - Date.now())
      if (revision !== undefined) {
        this.#change({ name, value: '', revision }, true)
        this.#settle()
        return
      }
      refuseLate('remove', name, deadline)
    }
  }

  /** Everybody on it, on all hosts. @throws {CniError} code 7 when there is no such network; 11 without the registry */
  async containers(name: string, milliseconds: number): Promise<readonly NetworkContainer[]> {
    const known = this.#known.get(name)
    if (known === undefined)
      throw new CniError(INVALID_CONFIG, `look into network ${JSON.stringify(name)}: the cluster has none of this name`)
    return (await containersOf(this.#options.registry, known.record, milliseconds)).containers
  }

  /**
   * Writes a record in one transaction, in which nobody else takes its name, subnets or VNI.
   *
   * @param whileWanted what else must hold; throws when it is not wanted any more
   */
  async #place(
    wish: Omit<NetworkRecord, 'vni'> & { readonly vni: number | undefined },
    milliseconds: number,
    whileWanted: (milliseconds: number) => Promise<readonly Unchanged[]> = async () => []
  ): Promise<KnownNetwork> {
    const { registry } = this.#options
    const deadline = Date.now() + milliseconds
    for (;;) {
      const all = await registry.read(NETWORKS, deadline - Date.now())
      const others = all.entries.map(one => ({ ...one, record: recordFromValue(one.name, one.value) }))
      const own = others.find(({ record }) => typeof record !== 'string' && record.id === wish.id)
      // The answer to our own transaction got lost.
      if (own !== undefined && typeof own.record !== 'string')
        return this.#learn({ record: own.record, revision: own.revision })
      const records = others.flatMap(({ record }) => (typeof record === 'string' ? [] : [record]))
      refuseTaken(wish, all.entries, records)
      const record = { ...wish, vni: wish.vni ?? freeVni(records) }
      const endpoints = await registry.read(endpointPrefix(record.vni), deadline - Date.now())
      const wanted = await whileWanted(deadline - Date.now())
      if (endpoints.entries.length > 0) {
        if (wish.vni !== undefined) throw vniInUse(wish.name, wish.vni, endpoints.entries)
        continue
      }
      const one = { key: `${NETWORKS}${wish.name}`, value: recordToValue(record) }
      const conditions = [
        { under: NETWORKS, since: all.revision },
        { under: endpointPrefix(record.vni), since: 0 },
        ...wanted
      ]
      const revision = await registry.share([one], conditions, deadline - Date.now())
      if (revision !== undefined) return this.#learn({ record, revision })
      refuseLate('create', wish.name, deadline)
    }
  }

  /**
   * What this agent has written itself it need not wait to hear of. On a busy host the answer can come later than the news that
   * somebody has removed it since: then it stays removed.
   */
  #learn(known: KnownNetwork): KnownNetwork {
    const { name } = known.record
    if (known.revision <= this.#heard && !this.#known.has(name)) return known
    this.#change({ name, value: recordToValue(known.record), revision: known.revision }, false)
    this.#settle()
    return known
  }

  #reset({ entries, revision }: Reading, keepRest: boolean): void {
    const before = this.#known
    this.#known = new Map()
    this.#unreadable.clear()
    this.#lost.clear()
    for (const entry of entries) this.#change(entry, false)
    const names = new Set(entries.map(one => one.name))
    for (const [name, known] of before) {
      if (names.has(name)) continue
      // Started without its configuration, an agent of a cluster knows of no network: that removes none.
      if (this.#options.isAlone && known.revision < SMALLEST_TIME) {
        this.#refuse(name, "it is a cluster's, and this agent is alone: its file stays as it is")
        continue
      }
      // A registry whose history is shorter than what was read of it has lost its memory: this is no removal.
      if (!keepRest && known.revision <= revision) continue
      this.#known.set(name, known)
      this.#lost.add(name)
      this.#restore(known)
    }
  }

  #restore({ record }: KnownNetwork): void {
    const { log, registry } = this.#options
    const what = `network ${JSON.stringify(record.name)}`
    const whileNotRemoved = async (milliseconds: number): Promise<readonly Unchanged[]> => {
      const removed = await RemovedNetworks.read(registry, milliseconds)
      if (removed.has(record.id) || this.#known.get(record.name)?.record.id !== record.id)
        throw new CniError(INVALID_CONFIG, 'it has been removed meanwhile')
      return [removed.unchanged]
    }
    this.#place(record, RESTORE_MS, whileNotRemoved).then(
      () => log(`${what}: the registry had lost it, and has it again`),
      (error: unknown) => {
        if (error instanceof CniError && error.code === INVALID_CONFIG) this.#forget(record)
        log(`${what}: the registry has lost it: ${messageOf(error)}`)
      }
    )
  }

  /** Another network has taken its place meanwhile. */
  #forget({ name, id }: NetworkRecord): void {
    if (this.#known.get(name)?.record.id === id) this.#known.delete(name)
    this.#settle()
  }

  #change({ name, value, revision }: Entry, isGone: boolean): void {
    const known = this.#known.get(name)
    // What was heard of by the answer to a transaction is heard of again.
    const isLater = known !== undefined && known.revision > revision && !this.#lost.has(name)
    if (isLater && this.#following !== undefined) return
    this.#lost.delete(name)
    this.#unreadable.delete(name)
    if (isGone) {
      this.#known.delete(name)
      return
    }
    const record = recordFromValue(name, value)
    if (typeof record === 'string') this.#refuse(name, record)
    else if (known === undefined && this.#known.size >= MOST_NETWORKS)
      this.#refuse(name, `there are ${MOST_NETWORKS} already`)
    else this.#known.set(name, { record, revision })
    this.#toWrite.add(name)
  }

  #refuse(name: string, why: string): void {
    this.#unreadable.set(name, why)
    this.#options.log(`registry: network ${JSON.stringify(name)} is left out: ${why}`)
  }

  /** Makes the files be as the networks are. */
  #settle(): void {
    const { confDir, log } = this.#options
    for (const name of this.#toWrite) {
      const known = this.#known.get(name)
      const problem = known === undefined ? '' : this.#put(known)
      if (problem !== '' && problem !== this.#problems.get(name))
        log(`network ${JSON.stringify(name)} is not known to runtimes here: ${problem}`)
      if (problem === '') this.#problems.delete(name)
      else this.#problems.set(name, problem)
    }
    this.#toWrite.clear()
    const files = [...confDir.own().keys()]
    this.#leaving = new Set(files.filter(name => !this.#known.has(name) && !this.#unreadable.has(name)))
    this.#removeLeaving()
  }

  /** What runtimes have been told of stays, whatever the host is given later: containers may be on it. */
  #put(known: KnownNetwork): string {
    const { confDir, clashOf } = this.#options
    const clash = confDir.has(known.record) ? '' : clashOf(known.record)
    return clash === '' ? confDir.put(known) : clash
  }

  #removeLeaving(): void {
    const { confDir, isUsed, release, log } = this.#options
    for (const name of [...this.#leaving].filter(one => !isUsed(one))) {
      try {
        release(name)
        confDir.drop(name)
        this.#leaving = new Set([...this.#leaving].filter(one => one !== name))
      } catch (error) {
        log(`remove network ${JSON.stringify(name)}: ${messageOf(error)}`)
      }
    }
  }
}

/** @throws {CniError} code 7 naming the network that has the name, a subnet or the VNI */
function refuseTaken(
  wish: Omit<NetworkRecord, 'vni'> & { readonly vni: number | undefined },
  entries: readonly Entry[],
  records: readonly NetworkRecord[]
): void {
  const what = `create network ${JSON.stringify(wish.name)}`
  if (entries.some(one => one.name === wish.name)) {
    const made = records.find(one => one.name === wish.name)
    const since = made === undefined ? '' : ` since ${made.created}`
    throw new CniError(INVALID_CONFIG, `${what}: the cluster has a network of this name${since}`, 'choose another name')
  }
  for (const other of records) {
    const named = `network ${JSON.stringify(other.name)} of the cluster`
    const overlap = overlapOf({ ...wish, vni: 0 }, other)
    if (overlap !== undefined) {
      const [own, taken] = overlap.map(formatPrefix)
      throw new CniError(
        INVALID_CONFIG,
        `${what}: subnet ${own} overlaps ${taken} of ${named}`,
        'choose another --subnet, or none to have one chosen'
      )
    }
    if (other.vni === wish.vni)
      throw new CniError(INVALID_CONFIG, `${what}: ${named} has the VNI ${wish.vni}`, 'leave it out to have one chosen')
  }
}

/** By chance: one that was given back a moment ago is not the next one's, for frames on their way. */
function freeVni(records: readonly NetworkRecord[]): number {
  const taken = new Set(records.map(one => one.vni))
  for (;;) {
    const vni = randomInt(LEAST_VNI, LARGEST_VNI + 1)
    if (!taken.has(vni)) return vni
  }
}

function vniInUse(name: string, vni: number, endpoints: readonly Entry[]): CniError {
  const [host = '', network = ''] = (endpoints[0]?.name ?? '').split('/')
  return new CniError(
    INVALID_CONFIG,
    `create network ${JSON.stringify(name)}: VNI ${vni} is used by network ${JSON.stringify(network)} on host ${JSON.stringify(host)}`,
    'leave it out to have one chosen'
  )
}

function inUse(name: string, containers: readonly NetworkContainer[]): CniError {
  const shown = containers.slice(0, 5).map(one => {
    const called = one.names[0] === undefined || one.names[0] === one.containerId ? '' : ` (${one.names[0]})`
    return `${JSON.stringify(one.containerId)}${called} on host ${JSON.stringify(one.host)}`
  })
  const more = containers.length > shown.length ? ` and ${containers.length - shown.length} more` : ''
  return new CniError(
    INVALID_CONFIG,
    `remove network ${JSON.stringify(name)}: attached: ${shown.join(', ')}${more}`,
    'disconnect them on their hosts first'
  )
}

/** A service's address is the network's. @throws {CniError} code 7 naming the services that are on it */
function refuseServed(network: string, entries: readonly Entry[]): void {
  const records = entries.map(one => serviceFromValue(one.name, one.value))
  const names = records.flatMap(one => (typeof one !== 'string' && one.network === network ? [one.name] : []))
  if (names.length === 0) return
  throw new CniError(
    INVALID_CONFIG,
    `remove network ${JSON.stringify(network)}: services on it: ${names.join(', ')}`,
    `remove them first: patchbay service rm ${names.join(' ')}`
  )
}

/** @throws {CniError} code 11 when the time is over */
function refuseLate(what: string, name: string, deadline: number): void {
  if (Date.now() < deadline) return
  throw new CniError(TRY_AGAIN_LATER, `${what} network ${JSON.stringify(name)}: others write all the time`, 'try again')
}
