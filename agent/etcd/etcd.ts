/**
 * A client of etcd v3: keys, transactions, leases, watches, over one connection at a time to one of several endpoints.
 * When an endpoint fails, the next one is tried; a call that can be repeated is, until its time is up.
 */

import { DEADLINE_EXCEEDED, GrpcConnection, GrpcError, type GrpcStream, type TlsFiles, UNAVAILABLE } from './grpc.ts'
import type { KeyValue, LeaseReply, Operation, RangeReply, TxnReply, WatchReply } from './messages.ts'
import * as messages from './messages.ts'

export type { Condition, KeyValue, Operation, WatchEvent } from './messages.ts'

export interface EtcdOptions {
  /** URLs, http or https. */
  readonly endpoints: readonly string[]
  readonly tls: TlsFiles
  readonly user?: { readonly name: string; readonly password: string } | undefined
  readonly count: (sent: number, received: number) => void
}

/**
 * etcd takes pings that come within five seconds of each other for an attack (--grpc-keepalive-min-time) and closes the
 * connection after the third, unless it had something to say in between.
 */
const PING_MS = 7000
/** One attempt; an endpoint that takes longer is passed over. */
const ATTEMPT_MS = 2500
const PAUSE_MS = 50
const FAILED_PRECONDITION = 9
const NOT_FOUND = 5

export class Etcd {
  readonly #options: EtcdOptions
  #endpoint: number
  #connection: GrpcConnection | undefined
  #token = ''

  constructor(options: EtcdOptions) {
    this.#options = options
    // Hosts spread over the endpoints.
    this.#endpoint = Math.floor(Math.random() * options.endpoints.length)
  }

  async range(prefix: string, milliseconds: number): Promise<RangeReply> {
    return messages.decodeRange(await this.#kv('Range', messages.encodeRange(prefix, true).finish(), milliseconds))
  }

  async get(key: string, milliseconds: number): Promise<KeyValue | undefined> {
    const reply = await this.#kv('Range', messages.encodeRange(key, false).finish(), milliseconds)
    return messages.decodeRange(reply).entries[0]
  }

  /** Several operations at once, if all conditions hold; else those of `failure`. */
  async txn(
    conditions: readonly messages.Condition[],
    success: readonly Operation[],
    failure: readonly Operation[],
    milliseconds: number
  ): Promise<TxnReply> {
    const message = messages.encodeTxn(conditions, success, failure).finish()
    return messages.decodeTxn(await this.#kv('Txn', message, milliseconds))
  }

  /** Makes a lease of this id; one that is there is as good, for then an earlier attempt has made it. */
  async grantLease(id: bigint, seconds: number, milliseconds: number): Promise<void> {
    try {
      await this.#lease('LeaseGrant', messages.encodeLeaseGrant(seconds, id).finish(), milliseconds)
    } catch (error) {
      if (!(error instanceof GrpcError) || error.code !== FAILED_PRECONDITION) throw error
    }
  }

  /** @returns the seconds that the lease will live; not above 0 when it is gone */
  async keepAlive(id: bigint, milliseconds: number): Promise<number> {
    const reply = await this.#lease('LeaseKeepAlive', messages.encodeLease(id).finish(), milliseconds)
    return messages.decodeLease(reply).ttl
  }

  /** The keys that go with the lease. `ttl` is not above 0 when it is gone. */
  async leaseKeys(id: bigint, milliseconds: number): Promise<LeaseReply> {
    return messages.decodeLease(
      await this.#lease('LeaseTimeToLive', messages.encodeLeaseKeys(id).finish(), milliseconds)
    )
  }

  /** Ends a lease and removes its keys. */
  async revokeLease(id: bigint, milliseconds: number): Promise<void> {
    try {
      await this.#lease('LeaseRevoke', messages.encodeLease(id).finish(), milliseconds)
    } catch (error) {
      if (!(error instanceof GrpcError) || error.code !== NOT_FOUND) throw error
    }
  }

  /**
   * Opens a stream of watches on the connection in use; each `send` of `watchRequest` adds one.
   *
   * A member of the cluster that has lost its leader ends the stream instead of keeping silent.
   */
  async watch(
    onReply: (reply: WatchReply) => void,
    onEnd: (error: Error) => void,
    milliseconds: number
  ): Promise<GrpcStream> {
    const connection = this.#connect()
    const headers = { ...(await this.#headers(connection, milliseconds)), hasleader: 'true' }
    return connection.stream(
      '/etcdserverpb.Watch/Watch',
      headers,
      message => onReply(messages.decodeWatch(message)),
      onEnd
    )
  }

  close(): void {
    this.#connection?.close()
    this.#connection = undefined
  }

  /** Leaves this endpoint for the next one. */
  moveOn(): void {
    this.close()
    this.#endpoint = (this.#endpoint + 1) % this.#options.endpoints.length
  }

  endpoint(): string {
    return this.#options.endpoints[this.#endpoint] ?? ''
  }

  #kv(method: string, message: Uint8Array, milliseconds: number): Promise<Uint8Array> {
    return this.#call(`/etcdserverpb.KV/${method}`, message, milliseconds)
  }

  #lease(method: string, message: Uint8Array, milliseconds: number): Promise<Uint8Array> {
    return this.#call(`/etcdserverpb.Lease/${method}`, message, milliseconds)
  }

  /** Every call made here has the same effect twice as once. */
  async #call(path: string, message: Uint8Array, milliseconds: number): Promise<Uint8Array> {
    const deadline = Date.now() + milliseconds
    const reasons = new Map<string, string>()
    for (;;) {
      const endpoint = this.endpoint()
      const connection = this.#connect()
      const left = Math.min(deadline - Date.now(), ATTEMPT_MS)
      try {
        const headers = await this.#headers(connection, left)
        return await connection.call(path, message, headers, left)
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error
        if (isTokenRefused(error)) this.#token = ''
        else if (!isPassing(error)) throw error
        else if (connection === this.#connection) this.moveOn()
        reasons.set(endpoint, error.message)
        if (Date.now() + PAUSE_MS >= deadline) throw new GrpcError(error.code, reasonText(reasons))
        await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
      }
    }
  }

  #connect(): GrpcConnection {
    if (this.#connection?.isUsable !== true) {
      this.#connection?.close()
      const { tls, count } = this.#options
      this.#connection = new GrpcConnection(this.endpoint(), { tls, count, pingMilliseconds: PING_MS })
    }
    return this.#connection
  }

  async #headers(connection: GrpcConnection, milliseconds: number): Promise<Record<string, string>> {
    const { user } = this.#options
    if (user === undefined) return {}
    if (this.#token === '') {
      const question = messages.encodeAuthenticate(user.name, user.password).finish()
      const reply = await connection.call('/etcdserverpb.Auth/Authenticate', question, {}, milliseconds)
      this.#token = messages.decodeToken(reply)
    }
    return { token: this.#token }
  }
}

/** The last word of each endpoint: that of the last one alone may be the least telling. */
function reasonText(reasons: ReadonlyMap<string, string>): string {
  return [...reasons]
    .map(([endpoint, reason]) => (reason.includes(endpoint) ? reason : `${endpoint}: ${reason}`))
    .join('; ')
}

/** It has run out, or users have been changed since; another one will do. */
function isTokenRefused(error: GrpcError): boolean {
  return /invalid auth token|revision of auth store is old/.test(error.message)
}

/** Another endpoint, or the same a moment later, may do better. */
function isPassing(error: GrpcError): boolean {
  return error.code === UNAVAILABLE || error.code === DEADLINE_EXCEEDED
}

export function put(key: string, value: string, lease: bigint): Operation {
  return { kind: 'put', message: messages.encodePut(key, value, lease) }
}

export function remove(key: string): Operation {
  return { kind: 'delete', message: messages.encodeDelete(key) }
}

export function read(key: string): Operation {
  return { kind: 'range', message: messages.encodeRange(key, false) }
}

/** What to send on a watch stream to follow a prefix from a revision on. */
export function watchRequest(prefix: string, startRevision: number, watchId: number): Uint8Array {
  return messages.encodeWatch(prefix, startRevision, watchId).finish()
}

/** What to send on a watch stream to end one watch. */
export function unwatchRequest(watchId: number): Uint8Array {
  return messages.encodeUnwatch(watchId).finish()
}
