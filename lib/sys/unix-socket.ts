/**
 * A request to a daemon on this host: one line to a unix socket, one line back, in bounded time.
 */
import { SysError } from './errors.ts'
import { UnixStream } from './unix-stream.ts'

/** An answer that does not end is no answer. */
const ANSWER_LIMIT = 16 * 1024 * 1024
const NEWLINE = 10

/**
 * Sends the line and waits for one.
 *
 * @param milliseconds for each step; the daemon's own bound has to be shorter to be heard
 * @returns the answer without its line end
 * @throws {SysError} ENOENT or ECONNREFUSED when no daemon is there, EAGAIN when it takes too long, ECONNRESET when it
 *   went away over the request
 */
export function askDaemon(path: string, line: string, milliseconds: number): string {
  const stream = new UnixStream(path, milliseconds)
  try {
    stream.send(new TextEncoder().encode(`${line}\n`))
    return receiveLine(stream, path)
  } finally {
    stream.close()
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
