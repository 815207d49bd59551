/**
 * A client of etcd v3: keys, transactions, leases, watches, over one connection at a time to one of several endpoints.
 * When an endpoint fails, the next one is tried; a call that can be repeated is, until its time is up.
 */
import { messageOf } from '../../lib/sys/errors.ts'
import { type AccessFiles, ownReason, readTls, readUser, tlsReason, versionOf } from './access.ts'
import {
  type Count,
  DEADLINE_EXCEEDED,
  EtcdChannel,
  EtcdError,
  type EtcdStream,
  FAILED_PRECONDITION,
  NOT_FOUND,
  RESOURCE_EXHAUSTED,
  UNAVAILABLE
} from './channel.ts'
import type { KeyValueMessage, LeaseResponse, RangeResponse, TxnResponse, WatchResponse } from './schema.ts'

export interface EtcdOptions {
  /** URLs, http or https. */
  readonly endpoints: readonly string[]
  readonly access: AccessFiles
  readonly count: Count
}

export interface KeyValue {
  readonly key: string
  readonly value: string
  readonly modRevision: number
  readonly lease: bigint
}

export interface RangeReply {
  readonly cluster: string
  readonly revision: number
  readonly entries: readonly KeyValue[]
}

export interface TxnReply {
  readonly revision: number
  readonly succeeded: boolean
  /** What the reads among the operations found, in their order. */
  readonly found: readonly (readonly KeyValue[])[]
}

interface WatchEvent {
  readonly isDelete: boolean
  readonly entry: KeyValue
}

export interface WatchReply {
  readonly watchId: number
  readonly created: boolean
  readonly canceled: boolean
  readonly reason: string
  readonly events: readonly WatchEvent[]
}

export interface WatchListener {
  readonly heard: (reply: WatchReply) => void
  readonly ended: (error: Error) => void
}

/** A condition of a transaction: the key is not there, has not changed since, or no key that begins so has. */
export type Condition =
  | { readonly key: string; readonly absent: true }
  | { readonly key: string; readonly since: number }
  | { readonly under: string; readonly since: number }

/** One operation of a transaction, as the schema has it. */
export type Operation = object

/** One attempt; an endpoint that takes longer is passed over. */
const ATTEMPT_MS = 2500
/** What a reason begins with that is told of certificates. */
const OF_TLS = 'TLS: '
const PAUSE_MS = 50

export class Etcd {
  readonly #options: EtcdOptions
  #endpoint: number
  #channel: EtcdChannel | undefined
  #opening: Promise<EtcdChannel> | undefined
  /** Of the files that the connection was made with. */
  #accessVersion = ''
  #token = ''

  constructor(options: EtcdOptions) {
    this.#options = options
    // Hosts spread over the endpoints.
    this.#endpoint = Math.floor(Math.random() * options.endpoints.length)
  }

  async range(prefix: string, milliseconds: number): Promise<RangeReply> {
    const request = { key: Buffer.from(prefix), range_end: rangeEnd(prefix) }
    const reply = await this.#call<RangeResponse>('KV/Range', request, milliseconds)
    return {
      cluster: reply.header.cluster_id,
      revision: Number(reply.header.revision),
      entries: reply.kvs.map(keyValueOf)
    }
  }

  async get(key: string, milliseconds: number): Promise<KeyValue | undefined> {
    const reply = await this.#call<RangeResponse>('KV/Range', { key: Buffer.from(key) }, milliseconds)
    return reply.kvs.map(keyValueOf)[0]
  }

  /** Several operations at once, if all conditions hold; else those of `failure`. */
  async txn(
    conditions: readonly Condition[],
    success: readonly Operation[],
    failure: readonly Operation[],
    milliseconds: number
  ): Promise<TxnReply> {
    const request = { compare: conditions.map(comparison), success, failure }
    const reply = await this.#call<TxnResponse>('KV/Txn', request, milliseconds)
    const found = reply.responses.flatMap(({ response_range: range }) => (range ? [range.kvs.map(keyValueOf)] : []))
    return { revision: Number(reply.header.revision), succeeded: reply.succeeded, found }
  }

  /** Makes a lease of this id; one that is there is as good, for then an earlier attempt has made it. */
  async grantLease(id: bigint, seconds: number, milliseconds: number): Promise<void> {
    try {
      await this.#call('Lease/LeaseGrant', { TTL: seconds, ID: String(id) }, milliseconds)
    } catch (error) {
      if (!(error instanceof EtcdError) || error.code !== FAILED_PRECONDITION) throw error
    }
  }

  /** @returns the seconds that the lease will live; not above 0 when it is gone */
  async keepAlive(id: bigint, milliseconds: number): Promise<number> {
    const reply = await this.#call<LeaseResponse>('Lease/LeaseKeepAlive', { ID: String(id) }, milliseconds)
    return Number(reply.TTL)
  }

  /** How long the lease has still to live, in seconds, and its keys. Not above 0 when it is gone. */
  async lease(
    id: bigint,
    milliseconds: number
  ): Promise<{ readonly seconds: number; readonly keys: readonly string[] }> {
    const request = { ID: String(id), keys: true }
    const reply = await this.#call<LeaseResponse>('Lease/LeaseTimeToLive', request, milliseconds)
    return { seconds: Number(reply.TTL), keys: (reply.keys ?? []).map(key => key.toString('utf8')) }
  }

  /** Ends a lease and removes its keys. */
  async revokeLease(id: bigint, milliseconds: number): Promise<void> {
    try {
      await this.#call('Lease/LeaseRevoke', { ID: String(id) }, milliseconds)
    } catch (error) {
      if (!(error instanceof EtcdError) || error.code !== NOT_FOUND) throw error
    }
  }

  /**
   * Opens a stream of watches on the connection in use; each `send` of `watchRequest` adds one.
   *
   * A member of the cluster that has lost its leader ends the stream instead of keeping silent.
   */
  async watch(listener: WatchListener, milliseconds: number): Promise<EtcdStream> {
    const channel = await this.#connect()
    const endpoint = this.endpoint()
    const headers = { ...(await this.#headers(channel, milliseconds)), hasleader: 'true' }
    return channel.stream<WatchResponse>('/etcdserverpb.Watch/Watch', headers, {
      message: reply => listener.heard(watchReplyOf(reply)),
      ended: error => {
        this.#reasonOf(endpoint, error).then(
          reason => listener.ended(new EtcdError(error.code, reason)),
          listener.ended
        )
      }
    })
  }

  /** Certificates or password were renewed since the connection was made. */
  isOutdated(): boolean {
    return this.#channel !== undefined && versionOf(this.#options.access) !== this.#accessVersion
  }

  close(): void {
    this.#channel?.close()
    this.#channel = undefined
  }

  /** Leaves this endpoint for the next one. */
  moveOn(): void {
    this.close()
    this.#endpoint = (this.#endpoint + 1) % this.#options.endpoints.length
  }

  endpoint(): string {
    return this.#options.endpoints[this.#endpoint] ?? ''
  }

  /** Every call made here has the same effect twice as once. */
  async #call<Reply>(method: string, message: object, milliseconds: number): Promise<Reply> {
    const deadline = Date.now() + milliseconds
    const reasons = new Map<string, string>()
    for (;;) {
      const endpoint = this.endpoint()
      const channel = await this.#connect()
      const left = Math.max(1, Math.min(deadline - Date.now(), ATTEMPT_MS))
      try {
        const headers = await this.#headers(channel, left)
        return await channel.call<Reply>(`/etcdserverpb.${method}`, message, headers, left)
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error
        if (isTokenRefused(error)) this.#token = ''
        else if (!isPassing(error)) throw error
        else if (channel === this.#channel) this.moveOn()
        reasons.set(endpoint, await this.#reasonOf(endpoint, error))
        const isOver = Date.now() + PAUSE_MS >= deadline
        if (isOver || this.#isLockedOut(reasons)) throw new EtcdError(error.code, reasonText(reasons))
        await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
      }
    }
  }

  /** No endpoint takes our certificate: that does not pass within a call, and whoever looks should be told at once. */
  #isLockedOut(reasons: ReadonlyMap<string, string>): boolean {
    return this.#options.endpoints.every(one => reasons.get(one)?.startsWith(OF_TLS) === true)
  }

  async #reasonOf(endpoint: string, error: EtcdError): Promise<string> {
    const { access } = this.#options
    if (error.code === DEADLINE_EXCEEDED) {
      // A server that closes at once makes gRPC connect again until the time is over.
      const reason = await ownReason(endpoint, access).catch(messageOf)
      return reason === '' ? `${endpoint} does not answer` : OF_TLS + reason
    }
    const reason = error.code === UNAVAILABLE ? await tlsReason(endpoint, access) : ''
    return reason === '' ? plainReason(error.message) : OF_TLS + reason
  }

  /** One connection for all who ask at the same moment. */
  async #connect(): Promise<EtcdChannel> {
    if (this.#channel?.isUsable === true) return this.#channel
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #open(): Promise<EtcdChannel> {
    const { access, count } = this.#options
    this.close()
    this.#accessVersion = versionOf(access)
    const url = this.endpoint()
    const tls = url.startsWith('https:') ? readTls(access) : undefined
    this.#channel = await EtcdChannel.open(url, tls, count)
    return this.#channel
  }

  async #headers(channel: EtcdChannel, milliseconds: number): Promise<Readonly<Record<string, string>>> {
    if (this.#options.access.username === '') return {}
    if (this.#token === '') {
      const user = readUser(this.#options.access) ?? {}
      const path = '/etcdserverpb.Auth/Authenticate'
      this.#token = (await channel.call<{ readonly token: string }>(path, user, {}, milliseconds)).token
    }
    return { token: this.#token }
  }
}

/** gRPC's own words around the reason of the system. */
function plainReason(message: string): string {
  const last = /Last error: (?:Error: )?(.+?)(?: \([-0-9T:.Z]+\))?\.? Resolution note/s.exec(message)?.[1]
  return (last ?? message).trim()
}

/** The last word of each endpoint: that of the last one alone may be the least telling. */
function reasonText(reasons: ReadonlyMap<string, string>): string {
  return [...reasons]
    .map(([endpoint, reason]) => (reason.includes(endpoint) ? reason : `${endpoint}: ${reason}`))
    .join('; ')
}

/** It has run out, or users have been changed since; another one will do. */
function isTokenRefused(error: EtcdError): boolean {
  return /invalid auth token|revision of auth store is old/.test(error.message)
}

/** The connection is to blame: another endpoint, or the same a moment later, may do better. */
export function isPassing(error: unknown): boolean {
  return error instanceof EtcdError && (error.code === UNAVAILABLE || error.code === DEADLINE_EXCEEDED)
}

/** etcd takes no writes until its administrator makes room. */
export function isFull(error: unknown): boolean {
  return error instanceof EtcdError && error.code === RESOURCE_EXHAUSTED
}

/** The first key behind all keys that begin with the prefix. */
function rangeEnd(prefix: string): Buffer {
  const bytes = Buffer.from(prefix)
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) + 1
  return bytes
}

function comparison(condition: Condition): object {
  if ('under' in condition) return noneSince(condition.under, condition.since)
  const key = Buffer.from(condition.key)
  return 'absent' in condition
    ? { result: 'EQUAL', target: 'CREATE', key, create_revision: 0 }
    : { result: 'EQUAL', target: 'MOD', key, mod_revision: condition.since }
}

/** Where no key begins so, etcd compares with the revision 0. */
function noneSince(prefix: string, revision: number): object {
  const range = { key: Buffer.from(prefix), range_end: rangeEnd(prefix) }
  return { ...range, result: 'LESS', target: 'MOD', mod_revision: revision + 1 }
}

/** etcd refuses transactions of more than 128 operations. */
export const OPERATIONS_PER_TXN = 100

/** As many at a time as one transaction takes. */
export function portions<T>(all: readonly T[]): readonly (readonly T[])[] {
  const count = Math.ceil(all.length / OPERATIONS_PER_TXN)
  return Array.from({ length: count }, (_, i) => all.slice(i * OPERATIONS_PER_TXN, (i + 1) * OPERATIONS_PER_TXN))
}

/** Of what stays until somebody removes it. */
export const NO_LEASE = 0n

export function put(key: string, value: string, lease: bigint): Operation {
  return { request_put: { key: Buffer.from(key), value: Buffer.from(value), lease: String(lease) } }
}

export function remove(key: string): Operation {
  return { request_delete_range: { key: Buffer.from(key) } }
}

export function read(key: string): Operation {
  return { request_range: { key: Buffer.from(key) } }
}

/** What to send on a watch stream to follow a prefix from a revision on. */
export function watchRequest(prefix: string, startRevision: number, watchId: number): object {
  const key = Buffer.from(prefix)
  return { create_request: { key, range_end: rangeEnd(prefix), start_revision: startRevision, watch_id: watchId } }
}

/** What to send on a watch stream to end one watch. */
export function unwatchRequest(watchId: number): object {
  return { cancel_request: { watch_id: watchId } }
}

function keyValueOf(message: KeyValueMessage): KeyValue {
  return {
    key: message.key.toString('utf8'),
    value: message.value.toString('utf8'),
    modRevision: Number(message.mod_revision),
    lease: BigInt(message.lease)
  }
}

function watchReplyOf(reply: WatchResponse): WatchReply {
  return {
    watchId: Number(reply.watch_id),
    created: reply.created,
    canceled: reply.canceled,
    reason: reply.cancel_reason,
    events: reply.events.map(({ type, kv }) => ({ isDelete: type === 'DELETE', entry: keyValueOf(kv) }))
  }
}
