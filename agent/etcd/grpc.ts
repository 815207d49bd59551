/**
 * gRPC over one HTTP/2 connection: calls with one answer, and streams. Node's own HTTP/2 does the work; on top are five
 * bytes before each message, a status in the trailers, a time limit for every call and pings that notice a peer that has
 * vanished without a word.
 *
 * @source gRPC over HTTP2 (grpc/doc/PROTOCOL-HTTP2.md); status codes grpc/doc/statuscodes.md
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'

export const UNAVAILABLE = 14
export const DEADLINE_EXCEEDED = 4
const UNKNOWN = 2
const WINDOW = 8 * 1024 * 1024
const LARGEST_MESSAGE = 256 * 1024 * 1024

/** A call that failed, by the status code of gRPC. */
export class GrpcError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.name = 'GrpcError'
    this.code = code
  }
}

export interface TlsFiles {
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
}

export interface ConnectionOptions {
  readonly tls: TlsFiles
  /** How long the peer may be silent before it is asked, and again before it counts as gone. */
  readonly pingMilliseconds: number
  /** Bytes in each direction, for the metrics. */
  readonly count: (sent: number, received: number) => void
}

/** A stream of messages in both directions. */
export interface GrpcStream {
  readonly send: (message: Uint8Array) => void
  /** Ends it; nothing is heard of it afterwards. */
  readonly close: () => void
}

export class GrpcConnection {
  readonly #session: ClientHttp2Session
  readonly #options: ConnectionOptions
  readonly #url: string
  #failure: GrpcError | undefined
  #pinger: NodeJS.Timeout | undefined
  #lastHeard = Date.now()
  #lastLooked = Date.now()

  constructor(url: string, options: ConnectionOptions) {
    this.#url = url
    this.#options = options
    const { ca, cert, key } = options.tls
    this.#session = connect(url, {
      settings: { initialWindowSize: WINDOW, enablePush: false },
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key })
    })
    this.#session.on('connect', () => {
      // It may have been given up in the same moment.
      if (!this.#session.destroyed) this.#session.setLocalWindowSize(2 * WINDOW)
    })
    this.#session.on('error', error => this.#fail(error.message))
    this.#session.on('goaway', () => this.#fail('the server closes the connection'))
    this.#session.on('close', () => this.#fail('the connection was closed'))
    this.#pinger = setInterval(() => this.#ping(), options.pingMilliseconds)
    this.#session.unref()
    this.#pinger.unref()
  }

  get isUsable(): boolean {
    return this.#failure === undefined
  }

  /** One question, one answer. @throws {GrpcError} UNAVAILABLE without a connection, DEADLINE_EXCEEDED, the server's own */
  call(path: string, message: Uint8Array, headers: Record<string, string>, milliseconds: number): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    let answer: Uint8Array | undefined
    const stream = this.#open(
      path,
      { ...headers, 'grpc-timeout': `${Math.max(1, Math.round(milliseconds))}m` },
      one => {
        answer = one
      },
      error => {
        clearTimeout(timer)
        if (error !== undefined) reject(error)
        else if (answer === undefined) reject(new GrpcError(UNKNOWN, `${path}: no answer`))
        else resolve(answer)
      }
    )
    const giveUp = (): void => {
      reject(new GrpcError(DEADLINE_EXCEEDED, `${this.#url} does not answer`))
      stream?.close(constants.NGHTTP2_CANCEL)
    }
    // When this process has been busy or had to wait for its turn, the answer may be there and only not be read yet.
    const timer = setTimeout(() => setImmediate(() => setImmediate(giveUp)), milliseconds)
    stream?.end(frame(message))
    this.#options.count(message.length + 5, 0)
    return promise
  }

  /** @param onEnd called once, with the reason, unless `close` comes first */
  stream(
    path: string,
    headers: Record<string, string>,
    onMessage: (message: Uint8Array) => void,
    onEnd: (error: GrpcError) => void
  ): GrpcStream {
    let closed = false
    const stream = this.#open(path, headers, onMessage, error => {
      if (!closed) onEnd(error ?? new GrpcError(UNAVAILABLE, `${path}: the server ended the stream`))
      closed = true
    })
    return {
      send: message => {
        this.#options.count(message.length + 5, 0)
        stream?.write(frame(message))
      },
      close: () => {
        closed = true
        stream?.close(constants.NGHTTP2_CANCEL)
      }
    }
  }

  close(): void {
    this.#fail('closed')
  }

  #open(
    path: string,
    headers: Record<string, string>,
    onMessage: (message: Uint8Array) => void,
    onEnd: (error: GrpcError | undefined) => void
  ): ClientHttp2Stream | undefined {
    let ended = false
    const end = (error: GrpcError | undefined): void => {
      if (!ended) onEnd(error)
      ended = true
    }
    if (this.#failure !== undefined) {
      const failure = this.#failure
      queueMicrotask(() => end(failure))
      return undefined
    }
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'patchbay',
      ...headers
    })
    const messages = new MessageReader(onMessage)
    let status: GrpcError | undefined | null = null
    const readStatus = (received: Record<string, unknown>): void => {
      const code = received['grpc-status']
      if (code === undefined) return
      const text = decodeURIComponent(String(received['grpc-message'] ?? ''))
      status = Number(code) === 0 ? undefined : new GrpcError(Number(code), text)
    }
    stream.on('response', received => {
      if (received[':status'] !== 200) status = new GrpcError(UNAVAILABLE, `HTTP status ${String(received[':status'])}`)
      readStatus(received)
    })
    stream.on('trailers', readStatus)
    stream.on('data', (chunk: Buffer) => {
      this.#lastHeard = Date.now()
      this.#options.count(0, chunk.length)
      try {
        messages.take(chunk)
      } catch (error) {
        end(new GrpcError(UNKNOWN, error instanceof Error ? error.message : String(error)))
        stream.close(constants.NGHTTP2_CANCEL)
      }
    })
    stream.on('error', error => end(this.#failure ?? new GrpcError(UNAVAILABLE, error.message)))
    stream.on('close', () => {
      end(
        status === null
          ? (this.#failure ?? new GrpcError(UNAVAILABLE, `the connection to ${this.#url} was lost`))
          : status
      )
    })
    return stream
  }

  /**
   * A peer whose machine lost power sends no FIN: without this, a watch would wait for it for ever. After a sleep of our
   * own (a machine that was suspended, a process that was stopped) what the peer has sent still waits to be read: then it
   * is only asked.
   */
  #ping(): void {
    const now = Date.now()
    if (now - this.#lastLooked > 1.5 * this.#options.pingMilliseconds) this.#lastHeard = now
    this.#lastLooked = now
    const silent = now - this.#lastHeard
    if (silent > 2 * this.#options.pingMilliseconds) this.#fail(`${this.#url} has been silent for ${silent} ms`)
    if (this.#failure !== undefined || this.#session.connecting) return
    this.#session.ping(error => {
      if (error === null) this.#lastHeard = Date.now()
    })
  }

  #fail(reason: string): void {
    if (this.#failure !== undefined) return
    this.#failure = new GrpcError(UNAVAILABLE, reason)
    clearInterval(this.#pinger)
    this.#session.destroy()
  }
}

function frame(message: Uint8Array): Uint8Array {
  const framed = Buffer.alloc(5 + message.length)
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, 5)
  return framed
}

/** Puts messages together from chunks of any size. */
export class MessageReader {
  readonly #onMessage: (message: Uint8Array) => void
  #chunks: Uint8Array[] = []
  #length = 0
  /** Bytes of the message at the front, with its five; -1 = not known yet. */
  #wanted = -1

  constructor(onMessage: (message: Uint8Array) => void) {
    this.#onMessage = onMessage
  }

  /** @throws {RangeError} for a compressed message, which nobody asked for, or one that is absurdly large */
  take(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    while (this.#length >= (this.#wanted < 0 ? 5 : this.#wanted)) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? new Uint8Array()) : Buffer.concat(this.#chunks)
      this.#chunks = [all]
      if (this.#wanted < 0) {
        const view = new DataView(all.buffer, all.byteOffset, 5)
        if (view.getUint8(0) !== 0) throw new RangeError('a compressed message')
        this.#wanted = 5 + view.getUint32(1)
        if (this.#wanted > LARGEST_MESSAGE) throw new RangeError(`a message of ${this.#wanted} bytes`)
        continue
      }
      const message = all.subarray(5, this.#wanted)
      this.#chunks = [all.subarray(this.#wanted)]
      this.#length -= this.#wanted
      this.#wanted = -1
      this.#onMessage(message)
    }
  }
}
