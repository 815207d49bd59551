/**
 * The registry in etcd. Everything this host writes goes with one of two leases: its endpoints with a short one, so that
 * the others forget a dead host soon; its addresses with a longer one, so that a host that was only cut off finds them
 * still its own.
 *
 *     <prefix>/hosts/<host>                                            who is there
 *     <prefix>/endpoints/<vni>/<host>/<network>/<containerID>/<ifname>
 *     <prefix>/addresses/<pool>/<address>
 *
 * One loop keeps it going: connect, put right what is there of ours, follow what the others write; when anything of that
 * breaks, begin again with the next endpoint.
 */
import { randomBytes } from 'node:crypto'
import type { AddressOwner } from './endpoint.ts'
import { isSameAttachment } from './endpoint.ts'
import { Etcd, type EtcdOptions, type KeyValue, put, read, remove, unwatchRequest, watchRequest } from './etcd/etcd.ts'
import type { GrpcStream } from './etcd/grpc.ts'
import type { WatchReply } from './etcd/messages.ts'
import { registryAway } from './failure.ts'
import type { Follower, Following, OwnRecords, Registry } from './registry.ts'
import { hostFromValue, ownerFromValue } from './registry-value.ts'

/** The leases, remembered over restarts of the agent. */
export interface LeaseStore {
  readonly read: () => LeaseIds | undefined
  readonly write: (ids: LeaseIds) => void
}

export interface LeaseIds {
  readonly endpoints: bigint
  readonly addresses: bigint
}

export interface EtcdRegistryOptions extends EtcdOptions {
  readonly prefix: string
  readonly host: string
  /** Tells two hosts of one name apart. */
  readonly machine: string
  readonly leaseSeconds: number
  readonly addressLeaseSeconds: number
  readonly leases: LeaseStore
  readonly own: OwnRecords
  readonly log: (message: string) => void
}

interface Followed {
  readonly prefix: string
  readonly follower: Follower
  /** Of its watch, 0 = none yet. Each watch gets a new one: what is still under way of a former one is not for this. */
  watchId: number
  /** On which its watch was asked for. */
  stream: GrpcStream | undefined
  synced: boolean
}

/** etcd refuses transactions of more than 128 operations. */
const OPERATIONS_PER_TXN = 100
const CALL_MS = 5000
const LONGEST_PAUSE_MS = 1000
/** A connection that was good for less was none: the next attempt waits longer. */
const LASTING_MS = 5000

export class EtcdRegistry implements Registry {
  readonly learns = false
  readonly #options: EtcdRegistryOptions
  readonly #etcd: Etcd
  readonly #followed = new Set<Followed>()
  readonly #watches = new Map<number, Followed>()
  readonly #waiting = new Set<() => void>()
  readonly #toForget = new Set<string>()
  #nextWatch = 1
  #trouble = 'not connected yet'
  #stream: GrpcStream | undefined
  #leases: LeaseIds | undefined
  #break: (reason: string) => void = () => undefined
  #stopped = false
  #loop: Promise<void> = Promise.resolve()

  constructor(options: EtcdRegistryOptions) {
    this.#options = options
    this.#etcd = new Etcd(options)
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Leaves what it wrote: the containers go on, and the next agent takes the leases over. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#break('stopped')
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
    const followed: Followed = { prefix: this.#key(prefix), follower, watchId: 0, stream: undefined, synced: false }
    this.#followed.add(followed)
    if (this.#trouble === '') this.#syncOrBreak(followed)
    return {
      whenSynced: milliseconds => this.#until(() => followed.synced, milliseconds),
      stop: () => {
        this.#followed.delete(followed)
        this.#watches.delete(followed.watchId)
        this.#stream?.send(unwatchRequest(followed.watchId))
        followed.synced = false
      }
    }
  }

  async put(key: string, value: string, milliseconds: number): Promise<number> {
    const deadline = Date.now() + milliseconds
    this.#toForget.delete(key)
    for (;;) {
      await this.whenReady(deadline - Date.now())
      const lease = this.#leases?.endpoints ?? 0n
      try {
        const reply = await this.#etcd.txn([], [put(this.#key(key), value, lease)], [], deadline - Date.now())
        return reply.revision
      } catch (error) {
        // The lease may have ended a moment ago; the loop makes another.
        this.#break(messageOf(error))
        if (Date.now() >= deadline) throw registryAway(messageOf(error))
      }
    }
  }

  forget(keys: readonly string[]): void {
    for (const key of keys) this.#toForget.add(key)
    if (this.#trouble === '') this.#forgetNow().catch((error: Error) => this.#break(error.message))
  }

  async claim(key: string, owner: AddressOwner, milliseconds: number): Promise<AddressOwner | undefined> {
    const deadline = Date.now() + milliseconds
    this.#toForget.delete(key)
    for (;;) {
      await this.whenReady(deadline - Date.now())
      try {
        return await this.#claim(this.#key(key), owner, deadline - Date.now())
      } catch (error) {
        this.#break(messageOf(error))
        if (Date.now() >= deadline) throw registryAway(messageOf(error))
      }
    }
  }

  /** A container that has moved here takes its address along. */
  async #claim(key: string, owner: AddressOwner, milliseconds: number): Promise<AddressOwner | undefined> {
    const lease = this.#leases?.addresses ?? 0n
    const write = put(key, JSON.stringify(owner), lease)
    const first = await this.#etcd.txn([{ key, createRevision: 0 }], [write], [read(key)], milliseconds)
    const present = first.ranges[0]?.entries[0]
    if (first.succeeded || present === undefined) return undefined
    const other = ownerFromValue(present.value)
    if (!isSameAttachment(other, owner)) return other
    const second = await this.#etcd.txn([{ key, modRevision: present.modRevision }], [write], [], milliseconds)
    return second.succeeded ? undefined : other
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#stopped) {
      const broken = Promise.withResolvers<string>()
      this.#break = broken.resolve
      let keeper: NodeJS.Timeout | undefined
      try {
        await this.#connect()
        keeper = this.#keepLeases()
        if (this.#trouble !== '') this.#options.log(`registry: connected to ${this.#etcd.endpoint()}`)
        this.#trouble = ''
        const connected = Date.now()
        for (const followed of this.#followed) if (followed.stream !== this.#stream) this.#syncOrBreak(followed)
        this.#tell()
        const reason = await broken.promise
        failures = Date.now() - connected > LASTING_MS ? 0 : failures + 1
        this.#trouble = reason
        if (!this.#stopped) this.#options.log(`registry: ${reason}`)
      } catch (error) {
        const reason = messageOf(error)
        if (failures === 0 || reason !== this.#trouble) this.#options.log(`registry: ${reason}`)
        this.#trouble = reason
        failures += 1
      }
      clearInterval(keeper)
      this.#stream?.close()
      this.#stream = undefined
      this.#etcd.moveOn()
      // Many hosts lose one endpoint at the same moment: they shall not all come back at the same moment.
      if (!this.#stopped) await pause(Math.random() * Math.min(LONGEST_PAUSE_MS, 50 * 2 ** failures))
    }
  }

  async #connect(): Promise<void> {
    const fresh = await this.#ensureLeases()
    await this.#announce(fresh.endpoints)
    await this.#putRight(fresh)
    await this.#forgetNow()
    const stream = await this.#etcd.watch(
      reply => this.#hear(reply),
      error => this.#break(error.message),
      CALL_MS
    )
    this.#stream = stream
    for (const followed of this.#followed) await this.#sync(followed)
  }

  /** @returns which of the leases had to be made anew: what they held is gone */
  async #ensureLeases(): Promise<{ readonly endpoints: boolean; readonly addresses: boolean }> {
    const { leaseSeconds, addressLeaseSeconds } = this.#options
    const known = this.#leases ?? this.#options.leases.read()
    const endpoints = await this.#liveLease(known?.endpoints, leaseSeconds)
    const addresses = await this.#liveLease(known?.addresses, addressLeaseSeconds)
    this.#leases = { endpoints: endpoints.id, addresses: addresses.id }
    if (endpoints.isFresh || addresses.isFresh) this.#options.leases.write(this.#leases)
    return { endpoints: endpoints.isFresh, addresses: addresses.isFresh }
  }

  async #liveLease(known: bigint | undefined, seconds: number): Promise<{ id: bigint; isFresh: boolean }> {
    if (known !== undefined && (await this.#etcd.keepAlive(known, CALL_MS)) > 0) return { id: known, isFresh: false }
    const id = BigInt(`0x${randomBytes(8).toString('hex')}`) >> 1n
    await this.#etcd.grantLease(id, seconds, CALL_MS)
    return { id, isFresh: true }
  }

  /** Says that this host is there, and ends what an earlier life of it has left. */
  async #announce(isFresh: boolean): Promise<void> {
    const key = this.#key(`hosts/${this.#options.host}`)
    const before = await this.#etcd.get(key, CALL_MS)
    const { endpoints, addresses } = this.#leases ?? { endpoints: 0n, addresses: 0n }
    const record = { machine: this.#options.machine, endpoints: String(endpoints), addresses: String(addresses) }
    const other = before === undefined ? undefined : hostFromValue(before.value)
    if (other !== undefined) {
      if (other.machine !== record.machine) {
        const name = JSON.stringify(this.#options.host)
        const machine = JSON.stringify(other.machine)
        throw new Error(`another machine (${machine}) is registered as ${name}: give each host a name of its own`)
      }
      // The containers of before the reboot are gone, and their addresses are free.
      if (isFresh && other.endpoints !== '' && other.endpoints !== record.endpoints)
        await this.#etcd.revokeLease(BigInt(other.endpoints), CALL_MS)
      if (other.addresses !== '' && other.addresses !== record.addresses)
        await this.#etcd.revokeLease(BigInt(other.addresses), CALL_MS)
    }
    await this.#etcd.txn([], [put(key, JSON.stringify(record), endpoints)], [], CALL_MS)
  }

  /** Makes etcd have exactly what this host has: containers came and went while it was away. */
  async #putRight(fresh: { readonly endpoints: boolean; readonly addresses: boolean }): Promise<void> {
    const { endpoints, addresses } = this.#leases ?? { endpoints: 0n, addresses: 0n }
    const endpointKeys = fresh.endpoints ? [] : (await this.#etcd.leaseKeys(endpoints, CALL_MS)).keys
    const addressKeys = fresh.addresses ? [] : (await this.#etcd.leaseKeys(addresses, CALL_MS)).keys
    const present = new Set([...endpointKeys, ...addressKeys])
    const own = this.#options.own.endpoints()
    const held = this.#options.own.addresses()
    const hosts = this.#key('hosts/')
    const wanted = new Set([...own.keys(), ...held.keys()].map(key => this.#key(key)))
    const operations = [...present].filter(key => !wanted.has(key) && !key.startsWith(hosts)).map(remove)
    for (const [key, value] of own) {
      if (!present.has(this.#key(key))) operations.push(put(this.#key(key), value, endpoints))
    }
    for (let i = 0; i < operations.length; i += OPERATIONS_PER_TXN) {
      await this.#etcd.txn([], operations.slice(i, i + OPERATIONS_PER_TXN), [], CALL_MS)
    }
    for (const [key, value] of held) {
      if (present.has(this.#key(key))) continue
      const other = await this.#claim(this.#key(key), JSON.parse(value), CALL_MS)
      if (other !== undefined) this.#options.own.onConflict(key, JSON.stringify(other))
    }
  }

  #keepLeases(): NodeJS.Timeout {
    const period = (Math.min(this.#options.leaseSeconds, this.#options.addressLeaseSeconds) * 1000) / 3
    const keep = async (): Promise<void> => {
      const { endpoints, addresses } = this.#leases ?? { endpoints: 0n, addresses: 0n }
      const left = await Promise.all([this.#etcd.keepAlive(endpoints, period), this.#etcd.keepAlive(addresses, period)])
      if (left.some(seconds => seconds <= 0)) this.#break('the lease of this host has ended')
    }
    return setInterval(() => keep().catch((error: Error) => this.#break(error.message)), period)
  }

  /** Reads all of it and follows from there: nothing is missed in between. */
  async #sync(followed: Followed): Promise<void> {
    const reply = await this.#etcd.range(followed.prefix, 4 * CALL_MS)
    if (!this.#followed.has(followed)) return
    const cut = followed.prefix.length
    followed.follower.reset(
      reply.entries.map(entry => ({ name: entry.key.slice(cut), value: entry.value, revision: entry.modRevision }))
    )
    followed.follower.settled()
    followed.synced = true
    this.#watches.delete(followed.watchId)
    followed.watchId = this.#nextWatch
    followed.stream = this.#stream
    this.#nextWatch += 1
    this.#watches.set(followed.watchId, followed)
    this.#stream?.send(watchRequest(followed.prefix, reply.revision + 1, followed.watchId))
    this.#tell()
  }

  #syncOrBreak(followed: Followed): void {
    this.#sync(followed).catch((error: Error) => this.#break(error.message))
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
      this.#options.log(`registry: ${followed.prefix} is read again: ${reply.reason || 'compacted'}`)
      this.#syncOrBreak(followed)
      return
    }
    const cut = followed.prefix.length
    for (const { isDelete, entry } of reply.events) {
      followed.follower.change(entry.key.slice(cut), isDelete ? undefined : entry.value, entry.modRevision)
    }
    if (reply.events.length > 0) followed.follower.settled()
  }

  async #forgetNow(): Promise<void> {
    while (this.#toForget.size > 0) {
      const keys = [...this.#toForget].slice(0, OPERATIONS_PER_TXN)
      const lease = this.#leases
      const entries = await this.#ownEntries(keys, lease)
      await this.#etcd.txn(
        [],
        entries.map(entry => remove(entry.key)),
        [],
        CALL_MS
      )
      for (const key of keys) this.#toForget.delete(key)
    }
  }

  /** Those of the keys that still are this host's: an address may have gone on to another one. */
  async #ownEntries(keys: readonly string[], leases: LeaseIds | undefined): Promise<readonly KeyValue[]> {
    const reply = await this.#etcd.txn(
      [],
      keys.map(key => read(this.#key(key))),
      [],
      CALL_MS
    )
    const entries = reply.ranges.flatMap(range => range.entries)
    return entries.filter(entry => entry.lease === leases?.endpoints || entry.lease === leases?.addresses)
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

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
