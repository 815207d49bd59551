/**
 * One endpoint of etcd over gRPC: calls with one answer, and streams. A channel that has lost its connection is done
 * with: which endpoint is tried next, with which certificates, and when, is etcd.ts's decision alone. So gRPC's own
 * retries, proxies, service configurations and shared connections are off.
 */
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { ClientDuplexStream, Metadata, ServiceError } from '@grpc/grpc-js'
import type { AnyDefinition, MethodDefinition } from '@grpc/proto-loader'
import type { TlsContent } from './access.ts'
import { SCHEMA, SCHEMA_OPTIONS } from './schema.ts'

/** Status codes. @source grpc/doc/statuscodes.md */
export const DEADLINE_EXCEEDED = 4
export const NOT_FOUND = 5
export const RESOURCE_EXHAUSTED = 8
export const FAILED_PRECONDITION = 9
export const UNAVAILABLE = 14
const UNKNOWN = 2

/** A call that failed, by the status code of gRPC. */
export class EtcdError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.name = 'EtcdError'
    this.code = code
  }
}

/** A stream of messages in both directions. */
export interface EtcdStream {
  readonly send: (message: object) => void
  /** Ends it; nothing is heard of it afterwards. */
  readonly close: () => void
}

/** What a stream tells. `ended` comes once, unless `close` comes first. */
export interface StreamListener<Reply> {
  readonly message: (reply: Reply) => void
  readonly ended: (error: EtcdError) => void
}

/** Bytes of messages in each direction, for the metrics. */
export type Count = (sent: number, received: number) => void

/**
 * etcd takes pings that come within five seconds of each other for an attack (--grpc-keepalive-min-time) and closes the
 * connection after the third, unless it had something to say in between.
 */
const PING_MS = 7000
/** Each message is preceded by its length and whether it is compressed. */
const FRAME_BYTES = 5
const WINDOW = 8 * 1024 * 1024

/** gRPC would send an address as the server's name, which TLS does not allow (RFC 6066 section 3); it sends this instead. */
const NO_NAME = 'etcd.invalid'

const OPTIONS = {
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.keepalive_time_ms': PING_MS,
  'grpc.keepalive_timeout_ms': PING_MS,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': -1,
  'grpc-node.flow_control_window': WINDOW
}

type Packages = typeof import('./packages.ts')
/** protobufjs wants what its own reflection would write of a method, too, and does not read it. */
type Descriptor = Parameters<Packages['fromJSON']>[0]
type Methods = ReadonlyMap<string, MethodDefinition<object, object>>
type Client = InstanceType<Packages['Client']>

/** Loaded with the first connection, not with the command. */
let loaded: Promise<readonly [Packages, Methods]> | undefined

async function load(): Promise<readonly [Packages, Methods]> {
  const packages = await import('./packages.ts')
  const definitions: Readonly<Record<string, AnyDefinition>> = packages.fromJSON(SCHEMA as Descriptor, SCHEMA_OPTIONS)
  const methods = new Map<string, MethodDefinition<object, object>>()
  for (const definition of Object.values(definitions)) {
    if ('format' in definition) continue
    for (const method of Object.values(definition)) methods.set(method.path, method)
  }
  return [packages, methods]
}

export class EtcdChannel {
  readonly #packages: Packages
  readonly #methods: Methods
  readonly #client: Client
  readonly #count: Count
  /** Ends a stream that nobody has closed. */
  readonly #streams = new Set<(error: EtcdError) => void>()
  #isUsable = true

  /** Connects with the first call. @param tls undefined for http */
  static async open(url: string, tls: TlsContent | undefined, count: Count): Promise<EtcdChannel> {
    loaded ??= load()
    return new EtcdChannel(await loaded, url, tls, count)
  }

  private constructor(
    [packages, methods]: readonly [Packages, Methods],
    url: string,
    tls: TlsContent | undefined,
    count: Count
  ) {
    this.#packages = packages
    this.#methods = methods
    this.#count = count
    const { credentials, Client } = packages
    const host = hostOf(url)
    const verify = { checkServerIdentity: (_name: string, cert: PeerCertificate) => checkServerIdentity(host, cert) }
    const shown =
      tls === undefined ? credentials.createInsecure() : credentials.createSsl(tls.ca, tls.key, tls.cert, verify)
    const named = isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': NO_NAME }
    this.#client = new Client(addressOf(url), shown, { ...OPTIONS, ...named })
    this.#watchState()
  }

  /** Nothing has gone wrong with its connection so far. */
  get isUsable(): boolean {
    return this.#isUsable
  }

  /** @throws {EtcdError} UNAVAILABLE without a connection, DEADLINE_EXCEEDED, etcd's own */
  async call<Reply>(path: string, message: object, headers: Headers, milliseconds: number): Promise<Reply> {
    if (!this.#isUsable) throw new EtcdError(UNAVAILABLE, 'the connection was lost')
    const method = this.#method(path)
    if (method.responseStream) return this.#ask<Reply>(path, message, headers, milliseconds)
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const deadline = Date.now() + milliseconds
    const [serialize, deserialize] = this.#counted<Reply>(method)
    this.#client.makeUnaryRequest(
      path,
      serialize,
      deserialize,
      message,
      this.#metadata(headers),
      { deadline },
      (error, reply) => {
        if (error !== null) reject(errorOf(error))
        else if (reply === undefined) reject(new EtcdError(UNKNOWN, `${path}: no answer`))
        else resolve(reply)
      }
    )
    return promise
  }

  /** One message on a stream of its own, and the first answer. */
  #ask<Reply>(path: string, message: object, headers: Headers, milliseconds: number): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const stream = this.#open<Reply>(path, headers, Date.now() + milliseconds)
    stream.on('data', resolve)
    stream.on('error', (error: ServiceError) => reject(errorOf(error)))
    stream.on('end', () => reject(new EtcdError(UNKNOWN, `${path}: no answer`)))
    stream.write(message)
    stream.end()
    return promise
  }

  stream<Reply>(path: string, headers: Headers, listener: StreamListener<Reply>): EtcdStream {
    const stream = this.#open<Reply>(path, headers, Number.POSITIVE_INFINITY)
    let isOpen = true
    const end = (error: EtcdError): void => {
      this.#streams.delete(end)
      if (isOpen) listener.ended(error)
      isOpen = false
    }
    stream.on('data', (reply: Reply) => {
      if (isOpen) listener.message(reply)
    })
    stream.on('error', (error: ServiceError) => end(errorOf(error)))
    stream.on('end', () => end(new EtcdError(UNAVAILABLE, `${path}: etcd ended the stream`)))
    this.#streams.add(end)
    return {
      send: message => {
        if (isOpen) stream.write(message)
      },
      close: () => {
        isOpen = false
        this.#streams.delete(end)
        stream.cancel()
      }
    }
  }

  close(): void {
    this.#isUsable = false
    // A call that found the endpoint wanting may have closed it: who follows something on it has to hear of that.
    for (const end of [...this.#streams]) end(new EtcdError(UNAVAILABLE, 'the connection was lost'))
    this.#client.close()
  }

  #open<Reply>(path: string, headers: Headers, deadline: number): ClientDuplexStream<object, Reply> {
    const [serialize, deserialize] = this.#counted<Reply>(this.#method(path))
    return this.#client.makeBidiStreamRequest(path, serialize, deserialize, this.#metadata(headers), { deadline })
  }

  #method(path: string): MethodDefinition<object, object> {
    const method = this.#methods.get(path)
    if (method === undefined) throw new Error(`call ${path}: the schema has no such method`)
    return method
  }

  #counted<Reply>(
    method: MethodDefinition<object, object>
  ): readonly [(message: object) => Buffer, (bytes: Buffer) => Reply] {
    return [
      message => {
        const bytes = method.requestSerialize(message)
        this.#count(FRAME_BYTES + bytes.length, 0)
        return bytes
      },
      bytes => {
        this.#count(0, FRAME_BYTES + bytes.length)
        // The schema's own shape, which schema.ts describes.
        return method.responseDeserialize(bytes) as Reply
      }
    ]
  }

  #metadata(headers: Headers): Metadata {
    const metadata = new this.#packages.Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    return metadata
  }

  /** gRPC would connect again by itself, with the certificates of then. */
  #watchState(): void {
    const { SHUTDOWN, TRANSIENT_FAILURE } = this.#packages.connectivityState
    const channel = this.#client.getChannel()
    let wasReady = false
    const look = (): void => {
      const state = channel.getConnectivityState(false)
      if (state === SHUTDOWN) return
      const isReady = state === this.#packages.connectivityState.READY
      if ((wasReady && !isReady) || state === TRANSIENT_FAILURE) this.#isUsable = false
      wasReady ||= isReady
      channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, error => {
        if (error === undefined) look()
      })
    }
    look()
  }
}

type Headers = Readonly<Record<string, string>>

function errorOf(error: ServiceError): EtcdError {
  return new EtcdError(error.code, error.details)
}

/** Name or address, as certificates hold it. */
function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
}

/** `https://10.0.0.1:2379` as gRPC names it: host and port. */
function addressOf(url: string): string {
  const { protocol, hostname, port } = new URL(url)
  return `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`
}
