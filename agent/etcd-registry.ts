/**
 * The registry in etcd.
 *
 *     <prefix>/hosts/<host>                                            who is there: host-record.ts
 *     <prefix>/endpoints/<vni>/<host>/<network>/<containerID>/<ifname>
 *     <prefix>/addresses/<pool>/<address>
 *     <prefix>/names/<network>/<host>/<containerID>/<ifname>
 *     <prefix>/name-owners/<network>/<name>
 *     <prefix>/networks/<name>                                         without a lease: no host's
 *     <prefix>/services/<name>                                         without a lease, and so are their addresses
 *
 * One loop keeps it going: connect, follow what the others write, put right what is there of ours; when anything of that
 * breaks, begin again with the next endpoint. Following comes first and goes on when etcd refuses to be written to: its
 * disk quota is used up, or another agent has this host's name.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { isSameAttachment } from '../lib/daemon/attachment.ts'
import { messageOf } from '../lib/sys/errors.ts'
import type { AddressOwner } from './endpoint.ts'
import type { EtcdStream } from './etcd/channel.ts'
import {
  Etcd,
  type EtcdOptions,
  isFull,
  isPassing,
  NO_LEASE,
  portions,
  put,
  read,
  remove,
  unwatchRequest,
  type WatchReply,
  watchRequest
} from './etcd/etcd.ts'
import { Forgetting } from './forgetting.ts'
import { type HostOptions, HostRecord, presenceKey } from './host-record.ts'
import {
  type Follower,
  type Following,
  type OwnRecords,
  type Reading,
  type Registry,
  readingOf,
  registryAway,
  type Shared,
  type Unchanged
} from './registry.ts'
import { ownerFromValue, ownerValue } from './registry-value.ts'
import { noticeSleep } from './sleep.ts'

export interface EtcdRegistryOptions extends EtcdOptions, HostOptions {
  readonly own: OwnRecords
  readonly log: (message: string) => void
}

interface Followed {
  readonly prefix: string
  readonly follower: Follower
  /** Of its watch, 0 = none yet. Each watch gets a new one: what is still under way of a former one is not for this. */
  watchId: number
  synced: boolean
}

/** How a key is claimed. */
interface Claim {
  /** This host has given it back, and etcd may not have heard of it: what is there of this host is void. */
  readonly isLeft: boolean
  readonly milliseconds: number
}

const CALL_MS = 5000
const LONGEST_PAUSE_MS = 1000
/** A connection that was good for less was none: the next attempt waits longer. */
const LASTING_MS = 5000
/** Until etcd is asked again to take what it has refused. */
const REFUSED_MS = 2000
/** Every agent has come back by then to an etcd that has lost its memory, and written what it knows. */
const REBUILT_MS = 3 * LONGEST_PAUSE_MS

export class EtcdRegistry implements Registry {
  readonly learns = false
  readonly #options: EtcdRegistryOptions
  readonly #etcd: Etcd
  readonly #host: HostRecord
  readonly #followed = new Set<Followed>()
  readonly #watches = new Map<number, Followed>()
  readonly #waiting = new Set<() => void>()
  readonly #forgetting: Forgetting
  readonly #stop = new AbortController()
  #nextWatch = 1
  #trouble = 'not connected yet'
  #stream: EtcdStream | undefined
  /** Ends this connection. Who waits takes it along: what was begun before a partition fails when there is the next one. */
  #break: (reason: string) => void = () => undefined
  /** Settles when what is there of ours has been put right, or could not be. */
  #whenRight: Promise<unknown> = Promise.resolve()
  #loop: Promise<void> = Promise.resolve()
  /** The cluster that was read last, how far its history went, and whether this connection has read anything yet. */
  #cluster = ''
  #revision = 0
  #isFresh = false
  #rebuiltAt = Number.NEGATIVE_INFINITY
  #resync: NodeJS.Timeout | undefined

  constructor(options: EtcdRegistryOptions) {
    this.#options = options
    this.#etcd = new Etcd(options)
    this.#host = new HostRecord(this.#etcd, options)
    this.#forgetting = new Forgetting({
      etcd: this.#etcd,
      lease: () => this.#host.records,
      keyOf: key => this.#key(key),
      whenRight: () => this.#whenRight,
      changed: () => this.#tell(),
      patience: CALL_MS
    })
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Leaves what it wrote: the containers go on, and the next agent takes the leases over. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    this.#break('stopped')
    clearTimeout(this.#resync)
    this.#etcd.close()
    await this.#loop
  }

  trouble(): string {
    return this.#trouble
  }

  async whenReady(milliseconds: number): Promise<void> {
    await this.#until(() => this.#trouble === '', milliseconds)
  }

  follow(prefix: string, follower: Follower): Following {
    const followed: Followed = { prefix: this.#key(prefix), follower, watchId: 0, synced: false }
    this.#followed.add(followed)
    if (this.#stream !== undefined) this.#orBreak(this.#sync(followed))
    return {
      whenSynced: milliseconds => this.#until(() => followed.synced, milliseconds),
      stop: () => {
        this.#followed.delete(followed)
        this.#unwatch(followed)
        followed.synced = false
      }
    }
  }

  async put(key: string, value: string, milliseconds: number): Promise<number> {
    this.#forgetting.keep(key)
    return this.#retried(milliseconds, async left => {
      const write = put(this.#key(key), value, this.#host.records)
      return (await this.#etcd.txn([], [write], [], left)).revision
    })
  }

  forget(keys: readonly string[]): void {
    this.#forgetting.add(keys)
    if (this.#stream === undefined || this.#forgetting.isUnderWay(this.#stream)) return
    this.#orBreak(this.#forgetting.run(this.#stream))
  }

  async forgotten(milliseconds: number): Promise<void> {
    const isDone = this.#forgetting.whatIsToGo()
    await this.#until(() => this.#stream === undefined || isDone(), milliseconds).catch(() => undefined)
  }

  async claim(key: string, owner: AddressOwner, milliseconds: number): Promise<AddressOwner | undefined> {
    const isLeft = this.#forgetting.keep(key)
    return this.#retried(milliseconds, left => this.#claim(this.#key(key), owner, { isLeft, milliseconds: left }))
  }

  async value(key: string, milliseconds: number): Promise<string | undefined> {
    return this.#retried(milliseconds, async left => (await this.#etcd.get(this.#key(key), left))?.value)
  }

  async read(prefix: string, milliseconds: number): Promise<Reading> {
    const all = this.#key(prefix)
    return this.#retried(milliseconds, async left => readingOf(await this.#etcd.range(all, left), all))
  }

  async share(all: readonly Shared[], conditions: readonly Unchanged[], milliseconds: number) {
    const writes = all.map(({ key, value }) =>
      value === undefined ? remove(this.#key(key)) : put(this.#key(key), value, NO_LEASE)
    )
    const unchanged = conditions.map(one => {
      const { since } = one
      return 'key' in one ? { key: this.#key(one.key), since } : { under: this.#key(one.under), since }
    })
    return this.#retried(milliseconds, async left => {
      const { succeeded, revision } = await this.#etcd.txn(unchanged, writes, [], left)
      return succeeded ? revision : undefined
    })
  }

  async #retried<T>(milliseconds: number, attempt: (left: number) => Promise<T>): Promise<T> {
    const deadline = Date.now() + milliseconds
    for (;;) {
      await this.whenReady(deadline - Date.now())
      const broke = this.#break
      try {
        return await attempt(deadline - Date.now())
      } catch (error) {
        const reason = messageOf(error)
        // The lease may have ended a moment ago: the loop makes another.
        if (!isFull(error)) broke(reason)
        if (isFull(error) || Date.now() >= deadline) throw registryAway(reason)
      }
    }
  }

  /**
   * Takes the key when it is free, or this host's own; from another host, for the same attachment, only when no agent
   * is registered there: a container whose host has died takes its address along.
   */
  async #claim(key: string, owner: AddressOwner, { isLeft, milliseconds }: Claim): Promise<AddressOwner | undefined> {
    const write = put(key, ownerValue(owner), this.#host.records)
    for (;;) {
      const first = await this.#etcd.txn([{ key, absent: true }], [write], [read(key)], milliseconds)
      const present = first.found[0]?.[0]
      if (first.succeeded || present === undefined) return undefined
      const other = ownerFromValue(present.value)
      const isOwn = present.lease === this.#host.records || other.host === owner.host
      if (!isSameAttachment(other, owner) && !(isLeft && isOwn)) return other
      const unchanged = { key, since: present.modRevision }
      const hostIsGone = { key: presenceKey(this.#options.prefix, other.host), absent: true } as const
      const second = await this.#etcd.txn(isOwn ? [unchanged] : [unchanged, hostIsGone], [write], [], milliseconds)
      if (second.succeeded) return undefined
      // This host's own went in between, because it was to be forgotten: the next turn finds the key free.
      if (!isOwn) return other
    }
  }

  async #run(): Promise<void> {
    let failures = 0
    const { signal } = this.#stop
    while (!signal.aborted) {
      const broken = Promise.withResolvers<string>()
      const endpoint = this.#etcd.endpoint()
      this.#break = broken.resolve
      let timers: readonly NodeJS.Timeout[] = []
      try {
        // A stream that has ended is not what its calls, which go on asking by another channel, should make a connection of.
        await Promise.race([this.#listen(), broken.promise.then(reason => Promise.reject(new Error(reason)))])
        // etcd tells a watch that it has compacted what was to come, but not always one whose answers waited to be read.
        const slept = noticeSleep(seconds => this.#readAgain(`everything: this process had no turn for ${seconds} s`))
        timers = [this.#keepLeases(), slept]
        const connected = Date.now()
        const reason = await this.#registerUntil(broken.promise)
        failures = Date.now() - connected > LASTING_MS ? 0 : failures + 1
        this.#trouble = reason
        if (!signal.aborted) this.#options.log(`registry: ${reason}`)
      } catch (error) {
        this.#tellTrouble(messageOf(error))
        failures += 1
      }
      for (const timer of timers) clearInterval(timer)
      this.#stream?.close()
      this.#stream = undefined
      this.#break = () => undefined
      this.#tell()
      // A call that found it wanting has moved on already: of two, the other one's turn would be over before it began.
      if (endpoint === this.#etcd.endpoint()) this.#etcd.moveOn()
      // Many hosts lose one endpoint at the same moment: they shall not all come back at the same moment.
      if (!signal.aborted) await pause(Math.random() * Math.min(LONGEST_PAUSE_MS, 50 * 2 ** failures))
    }
  }

  #tellTrouble(reason: string): void {
    if (reason !== this.#trouble && !this.#stop.signal.aborted) this.#options.log(`registry: ${reason}`)
    this.#trouble = reason
  }

  /** Follows what is there. */
  async #listen(): Promise<void> {
    // Of this connection: the reason may be known only when there is another one.
    const broke = this.#break
    const listener = {
      heard: (reply: WatchReply) => this.#hear(reply),
      ended: (error: Error) => broke(error.message)
    }
    const stream = await this.#etcd.watch(listener, CALL_MS)
    if (broke !== this.#break) return stream.close()
    this.#stream = stream
    this.#watches.clear()
    this.#isFresh = true
    for (const followed of this.#followed) if (stream === this.#stream) await this.#sync(followed)
  }

  /** Makes etcd have what this host has, as often as it takes. @returns why the connection is broken */
  async #registerUntil(broken: Promise<string>): Promise<string> {
    const over = new AbortController()
    broken.then(reason => over.abort(new Error(reason)))
    for (;;) {
      const registering = this.#register(AbortSignal.any([over.signal, this.#stop.signal]))
      const reason = await Promise.race([broken, registering])
      // The next connection registers anew, not beside this one; a lease that this one waits for is nothing to wait for.
      await Promise.allSettled([registering])
      if (reason !== undefined) return reason
      const later = await (this.#trouble === '' ? broken : Promise.race([broken, pause(REFUSED_MS)]))
      if (later !== undefined) return later
    }
  }

  /** @throws Error when the connection is to blame */
  async #register(signal: AbortSignal): Promise<undefined> {
    try {
      await this.#host.register(signal)
      const putting = this.#putRight()
      this.#whenRight = Promise.allSettled([putting])
      await putting
      await this.#forgetting.run(this.#stream)
      this.#options.log(`registry: connected to ${this.#etcd.endpoint()}`)
      this.#trouble = ''
      this.#tell()
    } catch (error) {
      if (isPassing(error) || signal.aborted) throw error
      this.#tellTrouble(messageOf(error))
    }
    return undefined
  }

  /** Containers came and went while etcd was away, and this host may have had another name or address. */
  async #putRight(): Promise<void> {
    const leased = await this.#host.leasedKeys()
    const claims = this.#options.own.claims()
    const wanted = new Map<string, string>()
    for (const [key, value] of this.#options.own.values()) wanted.set(this.#key(key), value)
    for (const [key, owner] of claims) wanted.set(this.#key(key), ownerValue(owner))
    const own = new Set([...wanted.keys(), ...this.#host.keys])
    const present = await this.#valuesOf([...leased].filter(key => wanted.has(key)))
    const operations = [...leased].filter(key => !own.has(key)).map(remove)
    for (const [key, value] of wanted) {
      const isClaim = claims.has(key.slice(this.#key('').length))
      // An address or name that is not there is claimed, lest somebody else has it by now.
      if (present.get(key) === value || (isClaim && !present.has(key))) continue
      operations.push(put(key, value, this.#host.records))
    }
    for (const some of portions(operations)) await this.#etcd.txn([], some, [], CALL_MS)
    for (const [key, owner] of claims) {
      if (present.has(this.#key(key))) continue
      const other = await this.#claim(this.#key(key), owner, { isLeft: false, milliseconds: CALL_MS })
      if (other !== undefined) this.#options.own.onConflict(key, other)
    }
  }

  async #valuesOf(keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const values = new Map<string, string>()
    for (const some of portions(keys)) {
      const { found } = await this.#etcd.txn([], some.map(read), [], CALL_MS)
      for (const entry of found.flat()) values.set(entry.key, entry.value)
    }
    return values
  }

  #keepLeases(): NodeJS.Timeout {
    const { presenceSeconds, recordsSeconds } = this.#options
    const period = (Math.min(presenceSeconds, recordsSeconds) * 1000) / 3
    const keep = async (): Promise<void> => {
      if (this.#etcd.isOutdated()) throw new Error('certificates or password have been renewed')
      if (!(await this.#host.keepAlive(period))) throw new Error('the lease of this host has ended')
    }
    return setInterval(() => this.#orBreak(keep()), period)
  }

  #readAgain(what: string): void {
    this.#options.log(`registry: reads again ${what}`)
    for (const one of this.#followed) {
      this.#unwatch(one)
      this.#orBreak(this.#sync(one))
    }
  }

  /** Reads all of it and follows from there: nothing is missed in between. */
  async #sync(followed: Followed): Promise<void> {
    const stream = this.#stream
    const reply = await this.#etcd.range(followed.prefix, 4 * CALL_MS)
    if (!this.#followed.has(followed) || stream !== this.#stream) return
    this.#noteHistory(reply.cluster, reply.revision)
    const { entries, revision } = readingOf(reply, followed.prefix)
    followed.follower.reset(entries, Date.now() - this.#rebuiltAt < REBUILT_MS, revision)
    followed.follower.settled()
    followed.synced = true
    this.#unwatch(followed)
    followed.watchId = this.#nextWatch
    this.#nextWatch += 1
    this.#watches.set(followed.watchId, followed)
    this.#stream?.send(watchRequest(followed.prefix, reply.revision + 1, followed.watchId))
    this.#tell()
  }

  /** What still comes of its watch is for nobody. */
  #unwatch(followed: Followed): void {
    if (this.#watches.delete(followed.watchId)) this.#stream?.send(unwatchRequest(followed.watchId))
  }

  /**
   * An etcd that was set up anew counts from one and knows only who has come back to it so far. What is known here stays
   * for a moment, and then everything is read again.
   */
  #noteHistory(cluster: string, revision: number): void {
    const isOther = this.#cluster !== '' && (cluster !== this.#cluster || revision < this.#revision)
    const isRebuilt = this.#isFresh && isOther
    this.#revision = isRebuilt ? revision : Math.max(revision, this.#revision)
    this.#cluster = cluster
    this.#isFresh = false
    if (!isRebuilt) return
    this.#rebuiltAt = Date.now()
    clearTimeout(this.#resync)
    this.#resync = setTimeout(() => {
      for (const followed of this.#followed) this.#orBreak(this.#sync(followed))
    }, REBUILT_MS)
  }

  /** What fails of it is the fault of this connection. */
  #orBreak(work: Promise<unknown>): void {
    const broke = this.#break
    work.catch((error: Error) => broke(error.message))
  }

  #hear(reply: WatchReply): void {
    // The stream goes by the token that it was opened with. When that has run out (without use, in five minutes), etcd
    // refuses new watches on it, from version 3.5 on without naming which.
    if (reply.canceled && reply.created) {
      this.#break(`a watch is refused: ${reply.reason}`)
      return
    }
    const followed = this.#watches.get(reply.watchId)
    if (followed === undefined) return
    if (reply.canceled) {
      // Who slept through one compaction has slept through it everywhere, and those that are told have nothing to add.
      this.#readAgain(`${followed.prefix} and the rest: ${reply.reason || 'compacted'}`)
      return
    }
    const cut = followed.prefix.length
    for (const { isDelete, entry } of reply.events) {
      followed.follower.change(entry.key.slice(cut), isDelete ? undefined : entry.value, entry.modRevision)
    }
    if (reply.events.length > 0) followed.follower.settled()
  }

  #key(key: string): string {
    return `${this.#options.prefix}/${key}`
  }

  #tell(): void {
    for (const check of [...this.#waiting]) check()
  }

  async #until(isSo: () => boolean, milliseconds: number): Promise<void> {
    if (isSo()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const check = (): void => {
      if (isSo()) resolve()
    }
    const timer = setTimeout(() => reject(registryAway(this.#trouble || 'it is slow')), Math.max(0, milliseconds))
    this.#waiting.add(check)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(check)
    }
  }
}
