/**
 * Asking the host's resolvers for names that are no container's. The question goes on under a random number, from a fresh
 * port each time and in random upper and lower case, and only an answer to exactly that from exactly there is passed on: an
 * off-path attacker has to guess all of it (RFC 5452; draft-vixie-dnsext-dns0x20).
 */
import { randomBytes, randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { connect } from 'node:net'
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import type { Transport } from './answer.ts'
import { endOfName, HEADER, questionBytes, TYPE_AND_CLASS, viewOf } from './question-bytes.ts'

/** Until the next resolver is asked, ms: as glibc and musl have it, divided by the resolvers that are asked in one of theirs. */
const PATIENCE_MS = 2000
/** Questions that wait at once; one more is answered with a failure, so that a container cannot use up all ports. */
const MOST_WAITING = 2048
const MOST_WAITING_OF_ONE = 256
/** A resolver that said nothing is asked last for so long, ms: its silence is waited for once, not with every question. */
const SILENT_MS = 10_000
const PORT = 53
/** SERVFAIL, NOTIMP, REFUSED */
const UNABLE: readonly number[] = [2, 4, 5]

/** A resolver to ask. */
export interface Upstream {
  readonly address: IpAddress
  /** 53 everywhere but in tests. */
  readonly port?: number | undefined
}

export class Forwarder {
  #waiting = 0
  readonly #waitingOf = new Map<string, number>()
  /** Questions under way: who asks the very same hears the same answer. */
  readonly #pending = new Map<string, Promise<Uint8Array | undefined>>()
  readonly #silentSince = new Map<string, number>()
  /** Questions passed on, answered, and given up. */
  readonly counts = { asked: 0, answered: 0, failed: 0, refused: 0 }
  readonly #patience: number

  /** @param patience ms until the next resolver is asked; a test's is shorter */
  constructor(patience = PATIENCE_MS) {
    this.#patience = patience
  }

  /**
   * Asks the resolvers one after the other. One question is asked once at a time: many at once would multiply an off-path
   * attacker's chance (RFC 5452 section 5), and where a resolver asks a container that asks us again, the circle ends as
   * soon as the same question comes round.
   *
   * @param asker whose question it is: each container has a share
   * @returns the answer under the question's own number; undefined when none came
   */
  async ask(
    question: Uint8Array,
    upstreams: readonly Upstream[],
    transport: Transport,
    asker: string
  ): Promise<Uint8Array | undefined> {
    const own = this.#waitingOf.get(asker) ?? 0
    if (this.#waiting >= MOST_WAITING || own >= MOST_WAITING_OF_ONE) {
      this.counts.refused += 1
      return undefined
    }
    this.#waiting += 1
    this.#waitingOf.set(asker, own + 1)
    try {
      const answer = await this.#askOnce(question, upstreams, transport)
      if (answer === undefined) return undefined
      return asAskedFor(question, answer)
    } finally {
      this.#waiting -= 1
      const left = (this.#waitingOf.get(asker) ?? 1) - 1
      if (left <= 0) this.#waitingOf.delete(asker)
      else this.#waitingOf.set(asker, left)
    }
  }

  #askOnce(
    question: Uint8Array,
    upstreams: readonly Upstream[],
    transport: Transport
  ): Promise<Uint8Array | undefined> {
    const whom = upstreams.map(placeOf).join(' ')
    const key = `${transport} ${whom} ${Buffer.from(question.subarray(2)).toString('latin1')}`
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending
    this.counts.asked += 1
    const asking = this.#askAll(question, upstreams, transport).finally(() => this.#pending.delete(key))
    this.#pending.set(key, asking)
    return asking
  }

  async #askAll(
    question: Uint8Array,
    upstreams: readonly Upstream[],
    transport: Transport
  ): Promise<Uint8Array | undefined> {
    const order = this.#inOrder(upstreams)
    // The only one is asked twice: a datagram may be lost, and a failure is not asked again by everybody.
    const attempts = order.length === 1 && transport === 'udp' ? [...order, ...order] : order
    let unable: Uint8Array | undefined
    for (const upstream of attempts) {
      const answer =
        transport === 'udp'
          ? await askByUdp(question, upstream, this.#patience)
          : await askByTcp(question, upstream, this.#patience)
      if (answer === undefined) {
        this.#silentSince.set(placeOf(upstream), Date.now())
        continue
      }
      this.#silentSince.delete(placeOf(upstream))
      if (isUnable(answer) && order.length > 1) {
        unable ??= answer
        continue
      }
      this.counts.answered += 1
      return answer
    }
    if (unable === undefined) this.counts.failed += 1
    else this.counts.answered += 1
    return unable
  }

  /** Those that have answered or were not asked lately, then the others; each group as it was named. */
  #inOrder(upstreams: readonly Upstream[]): readonly Upstream[] {
    const now = Date.now()
    for (const [place, since] of this.#silentSince) if (now - since >= SILENT_MS) this.#silentSince.delete(place)
    const isSilent = (one: Upstream): boolean => this.#silentSince.has(placeOf(one))
    return [...upstreams.filter(one => !isSilent(one)), ...upstreams.filter(isSilent)]
  }
}

/** It cannot or will not say, as a resolver of a company of names outside: glibc asks the next one then. */
function isUnable(answer: Uint8Array): boolean {
  return UNABLE.includes((answer[3] ?? 0) & 0xf)
}

function placeOf({ address, port }: Upstream): string {
  return `${formatAddress(address)}#${port ?? PORT}`
}

/** The datagram that was answered, and whether the answer has its letters as they were asked. */
interface UdpAnswer {
  readonly bytes: Uint8Array
  readonly isExact: boolean
}

/**
 * A resolver that writes the name in letters of its own is asked again by TCP, which cannot be forged from off the path.
 * Where it has no TCP, its answer is as good as any without this.
 */
async function askByUdp(question: Uint8Array, upstream: Upstream, patience: number): Promise<Uint8Array | undefined> {
  const answer = await exchangeDatagram(inRandomLetters(renumbered(question)), upstream, patience)
  if (answer === undefined || answer.isExact) return answer?.bytes
  return (await askByTcp(question, upstream, patience)) ?? answer.bytes
}

function exchangeDatagram(question: Uint8Array, upstream: Upstream, patience: number): Promise<UdpAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<UdpAnswer | undefined>()
  const socket: Socket = createSocket(upstream.address.family === 4 ? 'udp4' : 'udp6')
  const timer = setTimeout(() => finish(undefined), patience)
  let isOpen = true
  function finish(answer: UdpAnswer | undefined): void {
    if (!isOpen) return
    isOpen = false
    clearTimeout(timer)
    socket.close()
    resolve(answer)
  }
  socket.on('error', () => finish(undefined))
  socket.on('message', message => {
    if (isAnswerTo(question, message)) finish({ bytes: message, isExact: hasSameLetters(question, message) })
  })
  // Connected: the kernel drops what comes from anywhere else, and tells when nobody listens there.
  // Not the callback of `connect`, which is called for a failure too: sending then would end the agent.
  socket.on('connect', () => {
    if (isOpen) socket.send(question)
  })
  socket.connect(upstream.port ?? PORT, formatAddress(upstream.address))
  return promise
}

function askByTcp(asked: Uint8Array, upstream: Upstream, patience: number): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>()
  const question = renumbered(asked)
  const socket = connect(upstream.port ?? PORT, formatAddress(upstream.address))
  let bytes = Buffer.alloc(0)
  // Of all of it: a resolver that sends a byte now and then does not hold the question for ever.
  const timer = setTimeout(() => finish(undefined), patience)
  function finish(answer: Uint8Array | undefined): void {
    clearTimeout(timer)
    socket.destroy()
    resolve(answer)
  }
  socket.on('error', () => finish(undefined))
  socket.on('close', () => finish(undefined))
  socket.on('connect', () => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(question.length)
    socket.write(Buffer.concat([length, question]))
  })
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE()) return
    const answer = bytes.subarray(2, 2 + bytes.readUInt16BE())
    finish(isAnswerTo(question, answer) ? answer : undefined)
  })
  return promise
}

function renumbered(question: Uint8Array): Uint8Array {
  const own = Uint8Array.from(question)
  new DataView(own.buffer).setUint16(0, randomInt(65_536))
  return own
}

function inRandomLetters(question: Uint8Array): Uint8Array {
  const random = randomBytes(question.length)
  const end = endOfName(question) ?? HEADER
  for (let i = HEADER; i < end; i += 1) {
    const code = lower(question[i] ?? 0)
    const isLetter = code >= 97 && code <= 122
    // A label's length is at most 63, before any letter.
    if (isLetter) question[i] = ((random[i] ?? 0) & 1) === 1 ? code : code - 32
  }
  return question
}

/** Under the asker's number, and with its letters. */
function asAskedFor(question: Uint8Array, answer: Uint8Array): Uint8Array {
  const own = Uint8Array.from(answer)
  own.set(question.subarray(0, 2))
  if (viewOf(answer).getUint16(4) === 1) own.set(questionBytes(question) ?? [], HEADER)
  return own
}

/** The same number, a response, and the same question, letter for letter but for their case. */
function isAnswerTo(question: Uint8Array, answer: Uint8Array): boolean {
  if (answer.length < HEADER) return false
  const [asked, told] = [viewOf(question), viewOf(answer)]
  if (told.getUint16(0) !== asked.getUint16(0) || (told.getUint16(2) & 0x8000) === 0) return false
  // A server that cannot read the question sends it back without.
  if (told.getUint16(4) === 0) return (told.getUint16(2) & 0xf) !== 0
  if (told.getUint16(4) !== 1) return false
  const [own, theirs] = [questionBytes(question), questionBytes(answer)]
  if (own === undefined || own.length !== theirs?.length) return false
  const end = own.length - TYPE_AND_CLASS
  return own.every((code, at) => code === theirs[at] || (at < end && lower(code) === lower(theirs[at] ?? 0)))
}

/** An answer without the question has no letters. */
function hasSameLetters(question: Uint8Array, answer: Uint8Array): boolean {
  if (viewOf(answer).getUint16(4) !== 1) return true
  const theirs = questionBytes(answer)
  return questionBytes(question)?.every((code, at) => code === theirs?.[at]) === true
}

function lower(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code
}
