/** The containers of this host that are answered, each by a resolver of its own in its own namespace. */
import { setImmediate } from 'node:timers/promises'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { attachmentKey } from '../../lib/daemon/attachment.ts'
import { RESOLVER } from '../../lib/names/record.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { SocketPair } from '../../lib/sys/loopback-sockets.ts'
import type { Transport } from './answer.ts'
import { KnownAnswers } from './known-answers.ts'
import { Listener, type Response } from './listener.ts'
import type { Named } from './zone.ts'

/** A container that could not be answered is tried again after this, ms. */
const AGAIN_MS = 2000

/** A container that asks. */
export interface Asker {
  /** Of its namespace. */
  readonly id: string
  /** What it is called on each of its networks. */
  readonly attachments: readonly Named[]
  readonly answers: KnownAnswers
}

/** A namespace by its path, and which one it is. */
export type Place = Pick<Named['record'], 'netns' | 'netnsId'>

/** Of a container that nobody listens for yet. */
const NEVER = new Promise<never>(() => undefined)

type Answer = (asker: Asker, question: Buffer, transport: Transport) => Response

/** A container: everything that shares a network namespace. */
interface Container {
  readonly id: string
  /** Held as long as its resolver is, and with it the namespace's inode: nobody else gets the same number. */
  readonly net: Net
  readonly nft: Nft
  readonly attachments: Map<string, Named>
  /** Another one with each change of its attachments. */
  asker: Asker
  listener: Promise<Listener | CniError>
  /** When it could not be answered the last time: told once, tried again later. */
  failedAt: number | undefined
}

export class Resolvers {
  readonly #kernel: Kernel
  readonly #answer: Answer
  readonly #log: (message: string) => void
  /** By the namespace's device and inode. */
  readonly #containers = new Map<string, Container>()
  /** Resolvers that are being closed: the next one of the same namespace waits, lest its rules go with the former's. */
  readonly #closing = new Map<string, Promise<void>>()
  #told = ''

  constructor(kernel: Kernel, answer: Answer, log: (message: string) => void) {
    this.#kernel = kernel
    this.#answer = answer
    this.#log = log
  }

  get size(): number {
    return this.#containers.size
  }

  /**
   * The container is answered, and as this attachment, too; what failed before is tried again.
   *
   * @param mayOpen false: only if it is answered already
   */
  set(named: Named, mayOpen: boolean): void {
    const container = this.#containers.get(named.record.netnsId)
    if (container === undefined) {
      if (mayOpen) this.#open(named)
      return
    }
    attach(container, named)
    if (container.failedAt === undefined || Date.now() - container.failedAt < AGAIN_MS) return
    container.failedAt = Date.now()
    container.listener = this.#listen(container, () => undefined)
  }

  /** With its last attachment the container is answered no more. */
  delete(named: Named): void {
    const container = this.#containers.get(named.record.netnsId)
    if (container?.attachments.delete(attachmentKey(named)) !== true) return
    container.asker = askerOf(container)
    if (container.attachments.size === 0) this.#close(container)
  }

  /** Resolves when the container is answered. @throws {CniError} code 50 when it cannot be */
  async whenOpen(named: Named): Promise<void> {
    const listener = await this.#containers.get(named.record.netnsId)?.listener
    if (listener instanceof Listener) return
    throw listener ?? new CniError(NOT_AVAILABLE, `answer ${JSON.stringify(named.record.netns)}: it is gone`)
  }

  /**
   * Resolves when the container is answered at port 53.
   *
   * @throws {CniError} code 50 when it cannot be; {Error} when its own rules lead elsewhere
   */
  async check(named: Named): Promise<void> {
    await this.whenOpen(named)
    const container = this.#containers.get(named.record.netnsId)
    const listener = await container?.listener
    if (container === undefined || !(listener instanceof Listener) || listener.isReached(container.nft)) return
    throw new Error(`port 53 of ${RESOLVER} does not lead to the resolver: its table ip patchbay-dns was changed`)
  }

  /** What it put into containers stays for the next agent, so that nothing is refused meanwhile. */
  async stop(): Promise<void> {
    const containers = [...this.#containers.values()]
    this.#containers.clear()
    for (const container of containers) {
      const listener = await container.listener
      if (listener instanceof Listener) listener.close(undefined)
      container.nft.close()
      container.net.close()
    }
  }

  /**
   * A container is answered at sockets that its plugin has made.
   *
   * @returns false where they are not wanted, and remain the caller's: it is answered already, another resolver is just being
   *   closed there, or the path leads elsewhere by now
   */
  adopt({ netns, netnsId: id }: Place, handed: SocketPair): boolean {
    if (this.#containers.has(id) || this.#closing.has(id)) return false
    const container = this.#enter(netns, id)
    if (container === undefined) return false
    try {
      container.listener = Promise.resolve(this.#openListener(container, handed, this.#log))
      this.#containers.set(id, container)
      return true
    } catch (error) {
      leave(container)
      this.#tell(`take over the resolver of ${JSON.stringify(netns)}: ${messageOf(error)}`)
      return false
    }
  }

  /** Who was adopted, and is written down nowhere, is answered no more. */
  forgetUnless(id: string): void {
    const container = this.#containers.get(id)
    if (container?.attachments.size === 0) this.#close(container)
  }

  #open(named: Named): void {
    const { netns, netnsId: id } = named.record
    const container = this.#enter(netns, id)
    if (container === undefined) return
    attach(container, named)
    this.#containers.set(id, container)
    container.listener = this.#listen(container, this.#log)
  }

  /** Says what is so of many containers, and every second, once. */
  #tell(text: string): void {
    if (text !== this.#told) this.#log(text)
    this.#told = text
  }

  /**
   * undefined when the path leads nowhere, or elsewhere by now; and when it cannot be opened, as in an agent that is out of
   * descriptors, which must not be the end of it: it is tried again.
   */
  #enter(path: string, id: string): Container | undefined {
    let net: Net | undefined
    try {
      net = this.#kernel.find(path)
    } catch (error) {
      this.#tell(`enter ${JSON.stringify(path)}: ${messageOf(error)}`)
    }
    if (net === undefined) return undefined
    if (net.id() !== id) {
      net.close()
      return undefined
    }
    const attachments = new Map<string, Named>()
    return {
      id,
      net,
      nft: this.#kernel.nft(net),
      attachments,
      asker: askerOf({ id, attachments }),
      listener: NEVER,
      failedAt: undefined
    }
  }

  #openListener(container: Container, handed: SocketPair | undefined, log: (message: string) => void): Listener {
    const respond = (question: Buffer, transport: Transport) => this.#answer(container.asker, question, transport)
    return Listener.open({ container: container.net, nft: container.nft, handed }, respond, log)
  }

  async #listen(container: Container, log: (message: string) => void): Promise<Listener | CniError> {
    const { id, net } = container
    await this.#closing.get(id)
    const path = JSON.stringify(net.path())
    try {
      const listener = this.#openListener(container, undefined, log)
      container.failedAt = undefined
      return listener
    } catch (error) {
      const what = `answer ${path} at ${RESOLVER}: ${messageOf(error)}`
      log(what)
      container.failedAt = Date.now()
      return new CniError(
        NOT_AVAILABLE,
        what,
        `its lo must be up, and its kernel have nf_tables with NAT or port 53 of ${RESOLVER} be free there`
      )
    }
  }

  #close(container: Container): void {
    const { id, net, nft } = container
    this.#containers.delete(id)
    // Later: taking the rules away waits for the kernel, and DEL for its answer.
    const closing = Promise.all([container.listener, setImmediate()])
      .then(([listener]) => (listener instanceof Listener ? listener.close(nft) : undefined))
      .catch(error => this.#log(`leave ${JSON.stringify(net.path())}: ${messageOf(error)}`))
      .finally(() => {
        leave(container)
        if (this.#closing.get(id) === closing) this.#closing.delete(id)
      })
    this.#closing.set(id, closing)
  }
}

function leave({ net, nft }: Container): void {
  nft.close()
  net.close()
}

function attach(container: Container, named: Named): void {
  const key = attachmentKey(named)
  if (container.attachments.get(key) === named) return
  container.attachments.set(key, named)
  container.asker = askerOf(container)
}

function askerOf({ id, attachments }: Pick<Container, 'id' | 'attachments'>): Asker {
  return { id, attachments: [...attachments.values()], answers: new KnownAnswers() }
}
