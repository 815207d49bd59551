/**
 * What both versions of DHCP do alike to get an address: they ask until a server grants one that nobody on the link has, or the time
 * is over, and know how far it got.
 */
import { errnoOf } from '../lib/sys/errors.ts'
import { clock, jittered, pause } from './time.ts'

/** How patiently, in milliseconds. */
export interface Patience {
  /** The longest wait for the answer to one message. */
  readonly answer: number
  /** The longest pause between two messages. */
  readonly pause: number
  /** For the whole. */
  readonly total: number
}

/** No lease came of it; `message` tells how far it got. */
export class NoLease extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NoLease'
  }
}

/** RFC 2131 section 4.1 begins with 4 seconds for networks of its days. */
const FIRST_PAUSE = 1000
const REQUEST_TRIES = 4
/** After an address that somebody has: a server that gives it again shall not be asked all the time. @source RFC 2131 section 3.1 */
const DECLINE_PAUSE = 10_000

/** Who hears of it, and who ends it. */
export interface Listener {
  readonly signal: AbortSignal
  /** Hears what of a server's messages cannot be used, and why. */
  readonly log: (message: string) => void
}

export abstract class Acquisition<G> {
  readonly #listener: Listener
  readonly #patience: Patience
  readonly #began = clock()
  readonly #deadline: number
  /** How far it got. */
  #note: string
  #sent = 0

  /** @param note how far it got before anything was heard */
  constructor(listener: Listener, patience: Patience, note: string) {
    this.#listener = listener
    this.#patience = patience
    this.#deadline = this.#began + patience.total
    this.#note = note
  }

  /** Looks for an offer until then, and requests it. @returns undefined when nothing came of it */
  protected abstract attempt(until: number, isFirst: boolean): Promise<G | undefined>

  /** Whether nobody on the link has the address; else it has been declined. */
  protected abstract isFree(grant: G): Promise<boolean>

  /** @throws {NoLease} when the time is over */
  async run(): Promise<G> {
    for (let tries = 0; clock() < this.#deadline; tries += 1) {
      const until = this.#pauseEnd(tries)
      const grant = await this.attempt(until, tries === 0)
      if (grant !== undefined) {
        if (await this.isFree(grant)) return grant
        await pause(Math.min(DECLINE_PAUSE, this.#patience.pause), this.#listener.signal)
        continue
      }
      // A refusal comes at once: the next question waits for its time all the same.
      const left = until - clock()
      if (left > 0) await pause(left, this.#listener.signal)
    }
    const seconds = Math.round(this.elapsed / 1000)
    throw new NoLease(`${this.#note}, in ${seconds} s and with ${this.#sent} messages sent`)
  }

  /** milliseconds since it began */
  protected get elapsed(): number {
    return clock() - this.#began
  }

  /**
   * Requests what was offered, a few times.
   *
   * @param once sends the request and listens until then. @returns the end of it, or undefined when nobody answered
   */
  protected async request<T>(once: (until: number) => Promise<T | undefined>): Promise<T | undefined> {
    for (let tries = 0; tries < REQUEST_TRIES && clock() < this.#deadline; tries += 1) {
      const answer = await once(this.#pauseEnd(tries))
      if (answer !== undefined) return answer
    }
    return undefined
  }

  /** Until when the answer is waited for before the next message, after so many tries. */
  #pauseEnd(tries: number): number {
    const { answer, pause: longest } = this.#patience
    return Math.min(this.#deadline, clock() + jittered(Math.min(FIRST_PAUSE * 2 ** tries, answer, longest)))
  }

  /** It got as far as this. */
  protected note(text: string): void {
    this.#note = text
  }

  /** Why what a server said is of no use. The same as before is said once. */
  protected refuse(reason: string): void {
    if (reason !== this.#note) this.#listener.log(reason)
    this.#note = reason
  }

  /** An interface that is still coming up loses its first messages, as a network would. */
  protected send(message: () => void): void {
    try {
      message()
      this.#sent += 1
    } catch (error) {
      const errno = errnoOf(error)
      if (errno !== 'ENETDOWN' && errno !== 'ENOBUFS' && errno !== 'EAGAIN') throw error
      this.#note = errno === 'ENETDOWN' ? 'the interface is down' : `the interface takes no messages (${errno})`
    }
  }
}
