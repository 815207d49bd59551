/**
 * The conversation on an rtnetlink socket: requests out, answers in, errors as KernelError.
 *
 * @source man 7 rtnetlink, man 7 netlink; linux/netlink.h
 */

import { Writer } from '../bytes/writer.ts'
import { errnoSymbol, errnoText } from '../netlink/errno.ts'
import {
  decodeMessages,
  decodeVerdict,
  encodeMessage,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  NLMSG_OVERRUN
} from '../netlink/message.ts'
import { closeNetlink, NETLINK_ROUTE, openNetlink, receiveNetlink, sendNetlink } from '../sys/netlink-socket.ts'
import { inNamespace } from '../sys/netns.ts'
import { asError, errnoOf, KernelError } from './errors.ts'

/** A request, and how to speak of it when it is refused: `add link`, `"veth0"`. */
export interface Request {
  readonly operation: string
  readonly object: string
  readonly type: number
  /** NLM_F_* besides NLM_F_REQUEST and NLM_F_ACK */
  readonly flags: number
  readonly payload: Uint8Array
  /** What kind of answer ends it: one message (a get) or an acknowledgement (everything else). */
  readonly answer: 'message' | 'acknowledgement'
}

/** What became of a request: refused with an errno, or done with the payloads of the messages that came back. */
export interface Answer {
  readonly request: Request
  /** Empty when done. */
  readonly errno: string
  readonly explanation: string
  readonly extack: string
  readonly payloads: readonly Uint8Array[]
}

/** The error that a refused request becomes. */
export function refusal(answer: Answer): KernelError {
  const { operation, object } = answer.request
  return new KernelError(operation, object, answer.errno, answer.explanation, answer.extack)
}

/**
 * Acknowledgements queue up in the socket while the kernel works through one send; each takes about 1 KiB of the
 * 208 KiB that a receive buffer has at least, and one that finds no room is lost.
 */
const REQUESTS_PER_SEND = 64

/** A table that changes during every one of so many dumps is not going to hold still. */
const DUMP_ATTEMPTS = 20

/** What carries the datagrams: the kernel's socket, or a test. */
export abstract class Datagrams {
  abstract send(datagram: Uint8Array): void
  /** @returns bytes that the next call may overwrite */
  abstract receive(): Uint8Array
  abstract close(): void
}

/** A socket of one namespace, wherever the process is. */
export class RouteSocket extends Datagrams {
  readonly #fd: number

  /** @param namespaceFd the namespace to open it in; -1 = the one the process is in */
  constructor(namespaceFd: number) {
    super()
    this.#fd = openIn(namespaceFd)
  }

  override send(datagram: Uint8Array): void {
    sendNetlink(this.#fd, datagram)
  }

  override receive(): Uint8Array {
    return receiveNetlink(this.#fd)
  }

  override close(): void {
    closeNetlink(this.#fd)
  }
}

export class Rtnetlink {
  readonly #datagrams: Datagrams
  #sequence = 0

  constructor(datagrams: Datagrams) {
    this.#datagrams = datagrams
  }

  close(): void {
    this.#datagrams.close()
  }

  /**
   * Carries out one request that must not be refused.
   *
   * @returns the payloads of the messages that came back
   * @throws {KernelError}
   */
  request(request: Request): readonly Uint8Array[] {
    const answer = this.attempt(request)
    if (answer.errno !== '') throw refusal(answer)
    return answer.payloads
  }

  /** Carries out one request. */
  attempt(request: Request): Answer {
    return this.exchange([request])[0] ?? unanswered(request)
  }

  /**
   * Carries out requests in their order with one send for all. The kernel goes on after one that it refuses.
   *
   * @returns an answer per request
   */
  exchange(requests: readonly Request[]): readonly Answer[] {
    const answers: Answer[] = []
    for (let i = 0; i < requests.length; i += REQUESTS_PER_SEND) {
      for (const answer of this.#exchangeSome(requests.slice(i, i + REQUESTS_PER_SEND))) answers.push(answer)
    }
    return answers
  }

  /**
   * Lists: all messages of a dump, begun anew when the table changed under it.
   *
   * @throws {KernelError} EAGAIN when it changed every time
   */
  dump(operation: string, object: string, type: number, payload: Uint8Array): readonly Uint8Array[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
      const payloads = this.#dumpOnce(operation, object, type, payload)
      if (payloads !== undefined) return payloads
    }
    throw new KernelError(operation, object, 'EAGAIN', 'the table changed during every attempt to read it', '')
  }

  #exchangeSome(requests: readonly Request[]): readonly Answer[] {
    const first = this.#sequence + 1
    const datagram = new Writer()
    const pending: Pending[] = []
    for (const request of requests) {
      this.#sequence += 1
      const flags = request.flags | NLM_F_REQUEST | (request.answer === 'acknowledgement' ? NLM_F_ACK : 0)
      datagram.bytes(encodeMessage(request.type, flags, this.#sequence, request.payload))
      pending.push(new Pending(request))
    }
    this.#send(requests[0], datagram.finish())
    let open = pending.length
    while (open > 0) {
      for (const message of this.#receive(requests[0])) {
        // Answers to earlier requests, given up after an error, fall out here.
        const place = pending[message.sequence - first]
        if (place === undefined || place.isDone) continue
        place.take(message)
        if (place.isDone) open -= 1
      }
    }
    return pending.map(place => place.answer())
  }

  /** @returns undefined when the answer is incomplete or torn and must be asked for again */
  #dumpOnce(operation: string, object: string, type: number, payload: Uint8Array): readonly Uint8Array[] | undefined {
    this.#sequence += 1
    const sequence = this.#sequence
    const about: Request = { operation, object, type, flags: 0, payload, answer: 'message' }
    this.#send(about, encodeMessage(type, NLM_F_REQUEST | NLM_F_DUMP, sequence, payload))
    const payloads: Uint8Array[] = []
    let torn = false
    for (;;) {
      let messages: readonly Message[]
      try {
        messages = this.#receive(about)
      } catch (error) {
        if (errnoOf(error) === 'ENOBUFS') return undefined
        throw error
      }
      for (const message of messages) {
        if (message.sequence !== sequence) continue
        if (message.type === NLMSG_OVERRUN || (message.flags & NLM_F_DUMP_INTR) !== 0) torn = true
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const verdict = decodeVerdict(message)
          if (verdict.errno !== 0) {
            throw new KernelError(operation, object, errnoSymbol(verdict.errno), errnoText(verdict.errno), verdict.text)
          }
          return torn ? undefined : payloads
        }
        if (message.type !== NLMSG_NOOP && message.type !== NLMSG_OVERRUN) payloads.push(message.payload.slice(0))
      }
    }
  }

  #send(about: Request | undefined, datagram: Uint8Array): void {
    try {
      this.#datagrams.send(datagram)
    } catch (error) {
      throw socketError(about, error)
    }
  }

  #receive(about: Request | undefined): readonly Message[] {
    let datagram: Uint8Array
    try {
      datagram = this.#datagrams.receive()
    } catch (error) {
      throw socketError(about, error)
    }
    return decodeMessages(datagram)
  }
}

/** A request on its way and what has come back so far. */
class Pending {
  readonly request: Request
  readonly payloads: Uint8Array[] = []
  errno = 0
  extack = ''
  isDone = false

  constructor(request: Request) {
    this.request = request
  }

  take(message: Message): void {
    if (message.type === NLMSG_ERROR) {
      const verdict = decodeVerdict(message)
      this.errno = verdict.errno
      this.extack = verdict.text
      this.isDone = true
    } else {
      this.payloads.push(message.payload.slice(0))
      this.isDone = this.request.answer === 'message'
    }
  }

  answer(): Answer {
    const isRefused = this.errno !== 0
    return {
      request: this.request,
      errno: isRefused ? errnoSymbol(this.errno) : '',
      explanation: isRefused ? errnoText(this.errno) : '',
      extack: isRefused ? this.extack : '',
      payloads: this.payloads
    }
  }
}

/** For a list of requests that was empty. */
function unanswered(request: Request): Answer {
  return { request, errno: 'EIO', explanation: 'the kernel did not answer', extack: '', payloads: [] }
}

function openIn(namespaceFd: number): number {
  if (namespaceFd < 0) return openNetlink(NETLINK_ROUTE)
  return inNamespace(namespaceFd, () => openNetlink(NETLINK_ROUTE))
}

/** The socket's own failure, in the words of the request that met it. */
function socketError(about: Request | undefined, error: unknown): Error {
  const known = asError(error)
  const errno = errnoOf(error)
  if (errno === '' || about === undefined) return known
  return new KernelError(about.operation, about.object, errno, 'netlink socket', '')
}
