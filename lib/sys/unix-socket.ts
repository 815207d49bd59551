/**
 * A request to a daemon on this host: one line to a unix socket, one line back, in bounded time.
 */
import { SysError } from './errors.ts'
import { UnixStream } from './unix-stream.ts'

/** An answer that does not end is no answer. */
const ANSWER_LIMIT = 16 * 1024 * 1024
const NEWLINE = 10

/** A request that has been sent. */
export class DaemonRequestLine {
  readonly #stream: UnixStream
  readonly #path: string

  /**
   * Sends the line.
   *
   * @param milliseconds for each step; the daemon's own bound has to be shorter to be heard
   * @throws {SysError} ENOENT or ECONNREFUSED when no daemon is there, EAGAIN when it takes too long
   */
  constructor(path: string, line: string, milliseconds: number) {
    this.#path = path
    this.#stream = new UnixStream(path, milliseconds)
    try {
      this.#stream.send(new TextEncoder().encode(`${line}\n`))
    } catch (error) {
      this.#stream.close()
      throw error
    }
  }

  /**
   * Waits for a line, and closes.
   *
   * @returns the answer without its line end
   * @throws {SysError} EAGAIN when it takes too long, ECONNRESET when the daemon went away over the request
   */
  answer(): string {
    try {
      return receiveLine(this.#stream, this.#path)
    } finally {
      this.#stream.close()
    }
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
