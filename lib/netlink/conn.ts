/**
 * A connection to the kernel over one netlink socket: requests out, answers in, refusals as KernelError. rtnetlink,
 * nf_tables, conntrack, generic netlink and events all stand on it.
 *
 * @source man 7 netlink; linux/netlink.h; net/netlink/af_netlink.c, net/netfilter/nfnetlink.c nfnetlink_rcv_batch
 */

import { Writer } from '../bytes/writer.ts'
import { asError, errnoOf } from '../sys/errors.ts'
import { closeNetlink, openNetlink, receiveNetlink, sendNetlink, setNetlinkBuffers } from '../sys/netlink-socket.ts'
import { comeHome, inNamespace } from '../sys/netns.ts'
import { randomU32 } from '../sys/random.ts'
import { errnoSymbol, errnoText } from './errno.ts'
import { KernelError } from './kernel-error.ts'
import {
  appendMessage,
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
  NLMSG_OVERRUN,
  type Verdict
} from './message.ts'
import { encodeBatchBegin, encodeBatchEnd, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END } from './nf/nfnetlink.ts'

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
  /** Puts it in words, with the kernel's own sentence (NETLINK_EXT_ACK) where it gave one. */
  readonly explain: () => string
  readonly payloads: readonly Uint8Array[]
}

/** What became of a transaction: the place of the first command that was refused in it, and why. */
export interface Refused {
  /** -1 when it was no single command. */
  readonly at: number
  readonly errno: string
  readonly explanation: string
}

/** The error that a refused request becomes. */
export function refusal(answer: Answer): KernelError {
  const { operation, object } = answer.request
  return new KernelError(operation, object, answer.errno, answer.explain())
}

/**
 * Acknowledgements queue up in the socket while the kernel works through one send; each takes about 1 KiB of the
 * 208 KiB that a receive buffer has at least, and one that finds no room is lost.
 */
const REQUESTS_PER_SEND = 64

/** A table that changes during every one of so many dumps is not going to hold still. */
const DUMP_ATTEMPTS = 50

/** Room that every socket has without asking. */
const ORDINARY_BUFFER = 65536

/** What carries the datagrams: the kernel's socket, or a test. */
export abstract class Datagrams {
  abstract send(datagram: Uint8Array): void
  /** @returns bytes that the next call may overwrite */
  abstract receive(): Uint8Array
  /** @param bytes of the largest datagram to come, for which the ordinary buffers are too small */
  abstract makeRoom(bytes: number): void
  abstract close(): void
}

/** A socket of one namespace, wherever the process is. It opens with the first datagram. */
export class NetlinkSocket extends Datagrams {
  readonly #protocol: number
  readonly #namespaceFd: number
  #fd = -1

  /**
   * @param protocol NETLINK_*
   * @param namespaceFd the namespace to open it in; -1 = the one the process is in
   */
  constructor(protocol: number, namespaceFd: number) {
    super()
    this.#protocol = protocol
    this.#namespaceFd = namespaceFd
  }

  override send(datagram: Uint8Array): void {
    sendNetlink(this.#open(), datagram)
  }

  override receive(): Uint8Array {
    return receiveNetlink(this.#open())
  }

  override makeRoom(bytes: number): void {
    setNetlinkBuffers(this.#open(), bytes * 4)
  }

  override close(): void {
    if (this.#fd >= 0) closeNetlink(this.#fd)
    this.#fd = -1
  }

  #open(): number {
    if (this.#fd < 0) this.#fd = openIn(this.#protocol, this.#namespaceFd)
    return this.#fd
  }
}

/** What verbs are written against: the kernel, or a test that refuses changes on their way to it. */
export abstract class Conn {
  /**
   * Carries out requests in their order with as few sends as there is room for. The kernel goes on after one that it
   * refuses.
   *
   * @returns an answer per request
   */
  abstract batch(requests: readonly Request[]): readonly Answer[]

  /**
   * Carries out all commands or none (nf_tables).
   *
   * @param generation of the ruleset that the commands were made for: refused with ERESTART when it is another by now;
   *   undefined does not ask
   * @returns the first refusal; undefined when all is done
   */
  abstract transact(commands: readonly Request[], generation: number | undefined): Refused | undefined

  /**
   * Lists: the payloads of a dump, begun anew when the table changed under it.
   *
   * @throws {KernelError} EAGAIN when it changed every time
   */
  dump(operation: string, object: string, type: number, payload: Uint8Array): readonly Uint8Array[] {
    const request: Request = { operation, object, type, flags: 0, payload, answer: 'message' }
    return this.dumpSome(request, Number.MAX_SAFE_INTEGER)
  }

  /**
   * The first payloads of a dump, up to so many bytes: of a list that somebody else can have made as long as he likes.
   *
   * @throws {KernelError} as by `dump`
   */
  abstract dumpSome(request: Request, mostBytes: number): readonly Uint8Array[]

  abstract close(): void

  /** Carries out one request. */
  attempt(request: Request): Answer {
    return this.batch([request])[0] ?? unanswered(request)
  }

  /**
   * Carries out one request that must not be refused.
   *
   * @returns the payloads of the messages that came back
   * @throws {KernelError}
   */
  execute(request: Request): readonly Uint8Array[] {
    const answer = this.attempt(request)
    if (answer.errno !== '') throw refusal(answer)
    return answer.payloads
  }
}

/** The kernel at the other end. */
export class KernelConn extends Conn {
  readonly #datagrams: Datagrams
  /** Nobody who has not seen the socket's traffic knows which number the next answer bears. */
  #sequence: number

  constructor(datagrams: Datagrams) {
    super()
    this.#datagrams = datagrams
    this.#sequence = randomU32()
  }

  override close(): void {
    this.#datagrams.close()
  }

  override batch(requests: readonly Request[]): readonly Answer[] {
    if (requests.length === 0) return []
    if (requests.length <= REQUESTS_PER_SEND) return this.#batchOfOneSend(requests)
    const answers: Answer[] = []
    for (let i = 0; i < requests.length; i += REQUESTS_PER_SEND) {
      for (const answer of this.#batchOfOneSend(requests.slice(i, i + REQUESTS_PER_SEND))) answers.push(answer)
    }
    return answers
  }

  override transact(commands: readonly Request[], generation: number | undefined): Refused | undefined {
    const about = commands[0]
    if (about === undefined) return undefined
    const begin = this.#takeSequences(commands.length + 2)
    const datagram = new Writer()
    datagram.bytes(encodeMessage(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, begin, encodeBatchBegin(generation)))
    for (let i = 0; i < commands.length; i += 1) {
      const command = commands[i] ?? about
      // One acknowledgement for all: a batch without errors answers once, one with errors also once per error.
      const acknowledged = i === commands.length - 1 ? NLM_F_ACK : 0
      const flags = command.flags | NLM_F_REQUEST | acknowledged
      const { type, payload } = command
      appendMessage(datagram, { type, flags, sequence: after(begin, i + 1), payload })
    }
    const end = after(begin, commands.length + 1)
    datagram.bytes(encodeMessage(NFNL_MSG_BATCH_END, NLM_F_REQUEST, end, encodeBatchEnd()))
    const bytes = datagram.finish()
    // A batch is one datagram, and its answers come at once: a large one needs room for both.
    if (bytes.length > ORDINARY_BUFFER) this.#datagrams.makeRoom(bytes.length)
    this.#send(about, bytes)
    return this.#firstRefused(about, begin, commands.length)
  }

  override dumpSome(request: Request, mostBytes: number): readonly Uint8Array[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
      const payloads = this.#dumpOnce(request, mostBytes)
      if (payloads !== undefined) return payloads
    }
    const { operation, object } = request
    throw new KernelError(operation, object, 'EAGAIN', 'the table changed during every attempt to read it')
  }

  /** @returns the first of so many sequence numbers in a row */
  #takeSequences(count: number): number {
    const first = after(this.#sequence, 1)
    this.#sequence = after(this.#sequence, count)
    return first
  }

  #batchOfOneSend(requests: readonly Request[]): readonly Answer[] {
    const first = this.#takeSequences(requests.length)
    const datagram = new Writer()
    const pending: Pending[] = []
    for (const request of requests) {
      const isLast = pending.length === requests.length - 1
      const flags = request.flags | NLM_F_REQUEST | (isLast && request.answer === 'acknowledgement' ? NLM_F_ACK : 0)
      const { type, payload } = request
      appendMessage(datagram, { type, flags, sequence: after(first, pending.length), payload })
      pending.push(new Pending(request))
    }
    this.#send(requests[0], datagram.finish())
    // The kernel goes through a send in its order, and speaks of what it refuses without being asked: the last answer speaks
    // for all that nothing was said about.
    const last = pending[pending.length - 1]
    while (last !== undefined && !last.isDone) {
      for (const message of this.#receive(requests[0])) {
        // Answers to earlier requests, given up after an error, fall out here.
        const place = pending[distance(first, message.sequence)]
        if (place !== undefined && !place.isDone) place.take(message)
      }
    }
    return pending.map(place => place.answer())
  }

  /** The kernel answers in the order of the batch; the last command's answer is the last one. */
  #firstRefused(about: Request, begin: number, count: number): Refused | undefined {
    let refused: Refused | undefined
    let isOpen = true
    while (isOpen) {
      for (const message of this.#receive(about)) {
        const place = distance(begin, message.sequence)
        if (message.type !== NLMSG_ERROR || place > count + 1) continue
        if (place === 0 || place >= count) isOpen = false
        const verdict = decodeVerdict(message)
        if (verdict.errno === 0 || refused !== undefined) continue
        const at = place >= 1 && place <= count ? place - 1 : -1
        refused = { at, errno: errnoSymbol(verdict.errno), explanation: explain(verdict) }
      }
    }
    return refused
  }

  /** @returns undefined when the answer is incomplete or torn and must be asked for again */
  #dumpOnce(request: Request, mostBytes: number): readonly Uint8Array[] | undefined {
    const sequence = this.#takeSequences(1)
    const flags = request.flags | NLM_F_REQUEST | NLM_F_DUMP
    this.#send(request, encodeMessage(request.type, flags, sequence, request.payload))
    const payloads: Uint8Array[] = []
    let bytes = 0
    let isTorn = false
    for (;;) {
      const messages = this.#receiveDump(request)
      if (messages === undefined) return undefined
      for (const message of messages) {
        if (message.sequence !== sequence) continue
        if (message.type === NLMSG_OVERRUN || (message.flags & NLM_F_DUMP_INTR) !== 0) isTorn = true
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const errno = endOfDump(request, message)
          return isTorn || errno === 'EINTR' ? undefined : payloads
        }
        if (message.type === NLMSG_NOOP || message.type === NLMSG_OVERRUN) continue
        bytes += message.payload.length
        if (bytes > mostBytes) {
          // The rest is given up with the socket, which opens anew with the next request.
          this.#datagrams.close()
          return payloads
        }
        payloads.push(message.payload.slice(0))
      }
    }
  }

  /** @returns undefined when the kernel had to drop some of it */
  #receiveDump(request: Request): readonly Message[] | undefined {
    try {
      return this.#receive(request)
    } catch (error) {
      if (errnoOf(error) === 'ENOBUFS') return undefined
      throw error
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

/** Sequence numbers have 32 bits and begin again at 0. */
function after(sequence: number, count: number): number {
  return (sequence + count) >>> 0
}

function distance(first: number, sequence: number): number {
  return (sequence - first) >>> 0
}

/** The verdict at the end of a dump: '' when it is whole, EINTR when a change overtook it. @throws {KernelError} */
function endOfDump(request: Request, message: Message): string {
  const verdict = decodeVerdict(message)
  if (verdict.errno === 0) return ''
  const errno = errnoSymbol(verdict.errno)
  if (errno === 'EINTR') return errno
  throw new KernelError(request.operation, request.object, errno, explain(verdict))
}

/** A request on its way and what has come back so far. */
class Pending {
  readonly request: Request
  readonly payloads: Uint8Array[] = []
  verdict: Verdict | undefined
  isDone = false

  constructor(request: Request) {
    this.request = request
  }

  take(message: Message): void {
    if (message.type === NLMSG_ERROR) {
      this.verdict = decodeVerdict(message)
      this.isDone = true
    } else {
      this.payloads.push(message.payload.slice(0))
      this.isDone = this.request.answer === 'message'
    }
  }

  answer(): Answer {
    const { request, payloads, verdict } = this
    if (verdict === undefined || verdict.errno === 0) return { request, errno: '', explain: nothing, payloads }
    return { request, errno: errnoSymbol(verdict.errno), explain: () => explain(verdict), payloads }
  }
}

function nothing(): string {
  return ''
}

/** As people read it; the kernel's own sentence last. */
function explain(verdict: Verdict): string {
  const text = errnoText(verdict.errno)
  if (text === '' || verdict.text === '') return text + verdict.text
  return `${text}; ${verdict.text}`
}

/** For a list of requests that was empty. */
function unanswered(request: Request): Answer {
  return { request, errno: 'EIO', explain: () => 'the kernel did not answer', payloads: [] }
}

function openIn(protocol: number, namespaceFd: number): number {
  if (namespaceFd < 0) {
    comeHome()
    return openNetlink(protocol)
  }
  return inNamespace(namespaceFd, () => openNetlink(protocol))
}

/** The socket's own failure, in the words of the request that met it. */
function socketError(about: Request | undefined, error: unknown): Error {
  const known = asError(error)
  const errno = errnoOf(error)
  if (errno === '' || about === undefined) return known
  return new KernelError(about.operation, about.object, errno, 'netlink socket')
}
