/**
 * A request to a daemon on this host: one line to a unix socket, one line back, in bounded time.
 */
import { SysError } from './errors.ts'
import { UnixStream } from './unix-stream.ts'

/** An answer that does not end is no answer. */
const ANSWER_LIMIT = 16 * 1024 * 1024
const NEWLINE = 10

/** A connection for one request. */
export class DaemonConnection {
  readonly #stream: UnixStream
  readonly #path: string

  /**
   * Connects.
   *
   * @param milliseconds for each step; the daemon's own bound has to be shorter to be heard
   * @throws {SysError} ENOENT or ECONNREFUSED when no daemon is there
   */
  constructor(path: string, milliseconds: number) {
    this.#path = path
    this.#stream = new UnixStream(path, milliseconds)
  }

  /** @throws {SysError} EAGAIN when it takes too long, EPIPE when the daemon has gone away */
  send(line: string): void {
    this.#stream.send(new TextEncoder().encode(`${line}\n`))
  }

  /**
   * Waits for a line.
   *
   * @returns the answer without its line end
   * @throws {SysError} EAGAIN when it takes too long, ECONNRESET when the daemon went away over the request
   */
  answer(): string {
    return receiveLine(this.#stream, this.#path)
  }

  close(): void {
    this.#stream.close()
  }
}

function receiveLine(stream: UnixStream, path: string): string {
  let buffer = new Uint8Array(0)
  for (;;) {
    const part = stream.receive()
    const larger = new Uint8Array(buffer.length + part.length)
    larger.set(buffer, 0)
    larger.set(part, buffer.length)
    buffer = larger
    if (buffer[buffer.length - 1] === NEWLINE) return new TextDecoder().decode(buffer.subarray(0, buffer.length - 1))
    if (buffer.length > ANSWER_LIMIT) {
      throw new SysError('receive from', JSON.stringify(path), 'EMSGSIZE', 'its answer does not end')
    }
  }
}
