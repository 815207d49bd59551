/**
 * Names: containers find each other, on every network that they are on and no other.
 *
 *     plugin dns --file--> NameFiles --> Zone <-- Listener <-- container asks 127.0.0.11
 *                                                    |
 *                                                Forwarder --> the host's resolvers
 *
 * The files are the truth: an agent that is killed finds them again, and one that was away has missed nothing.
 */
import { statSync } from 'node:fs'
import type { Attachment } from '../../lib/attachment.ts'
import { attachmentKey } from '../../lib/daemon/attachment.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Metrics } from '../metrics.ts'
import { failure, type Transport, verdictOn } from './answer.ts'
import { Listener } from './listener.ts'
import { type NameFile, NameFiles } from './name-files.ts'
import { HostResolvers } from './resolv-conf.ts'
import { Forwarder, type Upstream } from './upstream.ts'
import { type Named, Zone } from './zone.ts'

/** A namespace that died without DEL is noticed within this, ms. */
const LOOK_MS = 1000

export interface NamesOptions {
  readonly stateDir: string
  readonly kernel: Kernel
  readonly metrics: Metrics
  readonly log: (message: string) => void
  /** The host's resolvers; a test's stand in their place. */
  readonly resolvers?: () => readonly Upstream[]
}

/** A container: everything that shares a network namespace. */
interface Container {
  readonly path: string
  /** Held as long as its resolver is: undefined while that cannot be opened. */
  readonly net: Net
  readonly attachments: Map<string, Named>
  listener: Promise<Listener | undefined>
}

export class Names {
  readonly #options: NamesOptions
  readonly #files: NameFiles
  readonly zone = new Zone()
  readonly #containers = new Map<string, Container>()
  readonly #forwarder = new Forwarder()
  readonly #resolvers: () => readonly Upstream[]
  #timer: NodeJS.Timeout | undefined
  #queries = 0

  constructor(options: NamesOptions) {
    this.#options = options
    this.#files = new NameFiles(options.stateDir, () => this.#look())
    const host = new HostResolvers()
    this.#resolvers = options.resolvers ?? (() => host.get())
  }

  start(): void {
    this.#look()
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    const { metrics } = this.#options
    metrics.gauge('patchbay_agent_names', 'Attachments that have a name', () => this.zone.size)
    metrics.gauge('patchbay_agent_resolvers', 'Containers that are answered at 127.0.0.11', () => this.#containers.size)
    metrics.counter('patchbay_agent_name_queries_total', 'Questions of containers', () => this.#queries)
    const { counts } = this.#forwarder
    metrics.counter(
      'patchbay_agent_name_queries_forwarded_total',
      'Passed on to the host’s resolvers',
      () => counts.asked
    )
    metrics.counter(
      'patchbay_agent_name_queries_failed_total',
      'Answered by no resolver',
      () => counts.failed + counts.refused
    )
  }

  /** Ends it: what it put into containers stays for the next agent, so that nothing is refused meanwhile. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#files.close()
    const containers = [...this.#containers.values()]
    this.#containers.clear()
    for (const container of containers) {
      ;(await container.listener)?.close(undefined)
      container.net.close()
    }
  }

  /** A plugin has written down an attachment: its names are known and its container is answered when this returns. */
  async arrived(attachment: Attachment): Promise<void> {
    const file = this.#files.find(attachment)
    if (file === undefined) return
    this.#take(file)
    const container = this.#containers.get(idOf(file.record.netns) ?? '')
    await container?.listener
  }

  /** DEL: at once, without waiting for the file's event. */
  left(attachment: Attachment): void {
    this.#drop(attachment)
  }

  /** Compares everything that is known with what is written down and still lives. */
  #look(): void {
    const present = new Set<string>()
    for (const file of this.#files.list()) {
      if (this.#take(file)) present.add(attachmentKey(file))
    }
    for (const named of [...this.zone.all()]) {
      if (named.host === '' && !present.has(attachmentKey(named))) this.#drop(named)
    }
  }

  /** @returns false when its namespace is gone: what nobody can be reached at has no name */
  #take(file: NameFile): boolean {
    const id = idOf(file.record.netns)
    if (id === undefined) return false
    const known = this.zone.get(file)
    const isSame = known !== undefined && JSON.stringify(known.record) === JSON.stringify(file.record)
    if (isSame && this.#containers.get(id)?.attachments.has(attachmentKey(file)) === true) return true
    if (known !== undefined) this.#drop(known)
    const named: Named = { ...file, host: '' }
    this.zone.set(named)
    this.#open(id, named)
    return true
  }

  #open(id: string, named: Named): void {
    const present = this.#containers.get(id)
    if (present !== undefined) {
      present.attachments.set(attachmentKey(named), named)
      return
    }
    const path = named.record.netns
    const net = this.#options.kernel.find(path)
    if (net === undefined) return
    const attachments = new Map([[attachmentKey(named), named]])
    const respond = (question: Uint8Array, transport: Transport) => this.#respond(id, attachments, question, transport)
    const listener = Listener.open(net, respond, this.#options.log).catch(error => {
      this.#options.log(`answer ${path} at 127.0.0.11: ${messageOf(error)}`)
      return undefined
    })
    this.#containers.set(id, { path, net, attachments, listener })
  }

  #drop(attachment: Attachment): void {
    const key = attachmentKey(attachment)
    this.zone.delete(attachment)
    for (const [id, container] of this.#containers) {
      if (!container.attachments.delete(key) || container.attachments.size > 0) continue
      this.#containers.delete(id)
      void container.listener
        .then(listener => listener?.close(container.net))
        .catch(error => this.#options.log(`leave ${container.path}: ${messageOf(error)}`))
        .finally(() => container.net.close())
    }
  }

  async #respond(
    id: string,
    attachments: ReadonlyMap<string, Named>,
    question: Uint8Array,
    transport: Transport
  ): Promise<Uint8Array | undefined> {
    this.#queries += 1
    const asker = [...attachments.values()]
    const verdict = verdictOn(question, transport, asker, this.zone)
    if (verdict.do === 'answer') return verdict.bytes
    if (verdict.do === 'ignore') return undefined
    const own = asker.flatMap(one => one.record.upstreams).map(address => ({ address }))
    const upstreams = own.length > 0 ? own : this.#resolvers()
    const answer = await this.#forwarder.ask(question, upstreams, transport, id)
    return answer ?? failure(verdict.asked, transport)
  }
}

/** What tells one namespace from another, whatever path it is found by; undefined when the path leads nowhere. */
function idOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path)
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}
