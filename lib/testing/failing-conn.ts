/** A connection that refuses changes on their way to the real kernel: what RefusedChanges is to the fake one. */
import { type Connect, connectToKernel } from '../net/kernel-net.ts'
import { type Answer, Conn, type Refused, type Request } from '../netlink/conn.ts'
import type { RefusedChanges } from './refused-changes.ts'

class FailingConn extends Conn {
  readonly #conn: Conn
  readonly #refused: RefusedChanges

  constructor(conn: Conn, refused: RefusedChanges) {
    super()
    this.#conn = conn
    this.#refused = refused
  }

  /** One by one: what follows a refused change may depend on it. */
  override batch(requests: readonly Request[]): readonly Answer[] {
    return requests.map(request => {
      const errno = isChange(request) ? this.#refused.note(request.operation, request.object) : ''
      if (errno === '') return this.#conn.attempt(request)
      return { request, errno, explain: () => 'as the test asked for', payloads: [] }
    })
  }

  override transact(commands: readonly Request[], generation: number | undefined): Refused | undefined {
    const errno = this.#refused.note('commit', 'nft batch')
    if (errno === '') return this.#conn.transact(commands, generation)
    return { at: -1, errno, explanation: 'as the test asked for' }
  }

  override dumpSome(request: Request, mostBytes: number): readonly Uint8Array[] {
    return this.#conn.dumpSome(request, mostBytes)
  }

  override close(): void {
    this.#conn.close()
  }
}

/** What is asked for answers with a message; what is done, with an acknowledgement. */
function isChange(request: Request): boolean {
  return request.answer === 'acknowledgement'
}

/** For LinuxKernel: every connection refuses what `refused` says. */
export function failingConnect(refused: RefusedChanges): Connect {
  return (protocol, namespaceFd) => new FailingConn(connectToKernel(protocol, namespaceFd), refused)
}
