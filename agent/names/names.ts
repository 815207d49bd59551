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
import { CniError, LIMITED_CONNECTIVITY, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { attachmentKey, attachmentText } from '../../lib/daemon/attachment.ts'
import { formatAddress } from '../../lib/ip/address.ts'
import { RESOLVER } from '../../lib/names/record.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Nft } from '../../lib/nft/nft.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Metrics } from '../metrics.ts'
import type { Registry } from '../registry.ts'
import { failure, type Transport, verdictOn } from './answer.ts'
import { ClusterNames } from './cluster-names.ts'
import { Listener } from './listener.ts'
import { type NameFile, NameFiles } from './name-files.ts'
import { HostResolvers } from './resolv-conf.ts'
import { Forwarder, type Upstream } from './upstream.ts'
import { type Named, Zone } from './zone.ts'

/** A namespace that died without DEL is noticed within this, ms. */
const LOOK_MS = 1000

/** A container that could not be answered is tried again after this, ms. */
const AGAIN_MS = 10_000
/** What the registry may take where nobody waits, ms. */
const CLUSTER_MS = 9000
/** Of a container, whatever its networks name. */
const MOST_UPSTREAMS = 8
/** CHECK: the container is not answered as its names are written down. */
const NOT_ANSWERED = 100

export interface NamesOptions {
  /** This host's name in the registry. */
  readonly host: string
  /** Where plugins write attachments down. */
  readonly stateDir: string
  readonly kernel: Kernel
  readonly registry: Registry
  readonly metrics: Metrics
  readonly log: (message: string) => void
  /** What else must be there before a container is attached. */
  readonly arrived?: (named: Named, milliseconds: number) => Promise<void>
  /** The host's resolvers; a test's stand in their place. */
  readonly resolvers?: () => readonly Upstream[]
}

/** A container: everything that shares a network namespace. */
interface Container {
  readonly path: string
  /** Held as long as its resolver is, and with it the namespace's inode: nobody else gets the same number. */
  readonly net: Net
  readonly nft: Nft
  readonly attachments: Map<string, Named>
  listener: Promise<Listener | CniError>
}

export class Names {
  readonly stateDir: string
  readonly zone = new Zone()
  readonly cluster: ClusterNames
  readonly #options: NamesOptions
  readonly #files: NameFiles
  /** By the namespace's device and inode. */
  readonly #containers = new Map<string, Container>()
  /** Resolvers that are being closed: the next one of the same namespace waits, lest its rules go with the former's. */
  readonly #closing = new Map<string, Promise<void>>()
  readonly #forwarder = new Forwarder()
  readonly #resolvers: () => readonly Upstream[]
  /** What has gone wrong with a container or a name, and when: told once, tried again later. */
  readonly #failedAt = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #queries = 0

  constructor(options: NamesOptions) {
    this.#options = options
    this.stateDir = options.stateDir
    this.#files = new NameFiles(options.stateDir, () => this.#look())
    this.cluster = new ClusterNames({ host: options.host, registry: options.registry, zone: this.zone })
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
    metrics.counter('patchbay_agent_name_queries_forwarded_total', 'Passed on to other resolvers', () => counts.asked)
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
      const listener = await container.listener
      if (listener instanceof Listener) listener.close(undefined)
      container.nft.close()
      container.net.close()
    }
  }

  /**
   * A plugin has written down an attachment: its names are known and its container is answered when this returns.
   *
   * @throws {CniError} code 7 for a name that is taken on a cluster network, 11 without its registry, 50 when the
   *   container cannot be answered
   */
  async arrived(attachment: Attachment, milliseconds: number): Promise<void> {
    const deadline = Date.now() + milliseconds
    this.#look()
    const named = this.#required(attachment)
    if (named.record.isCluster) await this.#publish(named, milliseconds)
    const listener = await this.#containers.get(named.record.netnsId)?.listener
    if (listener instanceof CniError) throw listener
    await this.#options.arrived?.(named, deadline - Date.now())
  }

  /** DEL: at once, without waiting for the file's event. */
  left(attachment: Attachment): void {
    this.#drop(attachment)
  }

  /** @throws {CniError} code 100 when the container is not answered */
  async check(attachment: Attachment): Promise<void> {
    const named = this.#required(attachment)
    const listener = await this.#containers.get(named.record.netnsId)?.listener
    if (listener instanceof Listener) return
    throw new CniError(
      NOT_ANSWERED,
      `check ${attachmentText(attachment)}: ${listener?.message ?? 'it is not answered'}`
    )
  }

  /** @throws {CniError} code 51 when names of cluster networks cannot be published */
  status(isCluster: boolean): void {
    const { registry } = this.#options
    const trouble = isCluster && !registry.learns ? registry.trouble() : ''
    if (trouble === '') return
    throw new CniError(
      LIMITED_CONNECTIVITY,
      `reach the registry: ${trouble}`,
      'names that are known go on to be answered'
    )
  }

  #required(attachment: Attachment): Named {
    const named = this.zone.get(attachment)
    if (named !== undefined) return named
    const details = 'its namespace is gone, or nothing is written down of it: DEL and ADD name it again'
    throw new CniError(NOT_ANSWERED, `check ${attachmentText(attachment)}: the agent does not know it`, details)
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

  /**
   * @returns false when its namespace is gone: what nobody can be reached at has no name. The path alone says nothing: a
   *   process id that is used again leads to another container, which must not be answered as this one
   */
  #take(file: NameFile): boolean {
    const { netns, netnsId } = file.record
    if (netnsId === '' || idOf(netns) !== netnsId) return false
    const known = this.zone.get(file)
    if (known !== undefined && known.record.netnsId !== netnsId) this.#drop(known)
    const isSame = known?.record === file.record
    const named: Named = isSame ? known : { ...file, host: '' }
    if (!isSame) this.zone.set(named)
    this.#answer(netnsId, named)
    if (named.record.isCluster && !this.#isRecent(attachmentKey(named))) {
      this.#publish(named, CLUSTER_MS).catch((error: Error) => this.#tell(attachmentKey(named), error.message))
    }
    return true
  }

  async #publish(named: Named, milliseconds: number): Promise<void> {
    await this.cluster.publish(named, milliseconds)
    this.#failedAt.delete(attachmentKey(named))
  }

  #answer(id: string, named: Named): void {
    const present = this.#containers.get(id)
    if (present === undefined) {
      this.#open(id, named)
      return
    }
    present.attachments.set(attachmentKey(named), named)
    void present.listener.then(listener => {
      if (listener instanceof Listener || this.#isRecent(id) || this.#containers.get(id) !== present) return
      present.listener = this.#listen(id, present)
    })
  }

  #open(id: string, named: Named): void {
    const path = named.record.netns
    const net = this.#options.kernel.find(path)
    if (net === undefined) return
    // The path may have come to lead elsewhere since it was looked at.
    if (net.id() !== id) {
      net.close()
      return
    }
    const attachments = new Map([[attachmentKey(named), named]])
    const nft = this.#options.kernel.nft(net)
    const container: Container = { path, net, nft, attachments, listener: Promise.reject() }
    container.listener.catch(() => undefined)
    container.listener = this.#listen(id, container)
    this.#containers.set(id, container)
  }

  async #listen(id: string, { path, net, nft, attachments }: Container): Promise<Listener | CniError> {
    await this.#closing.get(id)
    const respond = (question: Uint8Array, transport: Transport) => this.#respond(id, attachments, question, transport)
    try {
      return await Listener.open(net, nft, respond, this.#options.log)
    } catch (error) {
      const what = `answer ${JSON.stringify(path)} at 127.0.0.11: ${messageOf(error)}`
      this.#tell(id, what)
      return new CniError(
        NOT_AVAILABLE,
        what,
        'its kernel needs nf_tables, or port 53 of 127.0.0.11 must be free there'
      )
    }
  }

  #drop(attachment: Attachment): void {
    const key = attachmentKey(attachment)
    this.zone.delete({ ...attachment, host: '' })
    this.cluster.withdraw(attachment)
    this.#failedAt.delete(key)
    for (const [id, container] of this.#containers) {
      if (container.attachments.delete(key) && container.attachments.size === 0) this.#close(id, container)
    }
  }

  #close(id: string, container: Container): void {
    this.#containers.delete(id)
    this.#failedAt.delete(id)
    const closing = container.listener
      .then(listener => (listener instanceof Listener ? listener.close(container.nft) : undefined))
      .catch(error => this.#options.log(`leave ${JSON.stringify(container.path)}: ${messageOf(error)}`))
      .finally(() => {
        container.nft.close()
        container.net.close()
        if (this.#closing.get(id) === closing) this.#closing.delete(id)
      })
    this.#closing.set(id, closing)
  }

  #isRecent(what: string): boolean {
    return Date.now() - (this.#failedAt.get(what) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS
  }

  #tell(what: string, message: string): void {
    if (!this.#failedAt.has(what)) this.#options.log(message)
    this.#failedAt.set(what, Date.now())
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
    // An upstream that is the resolver itself would never end.
    const named = asker.flatMap(one => one.record.upstreams).filter(address => formatAddress(address) !== RESOLVER)
    const own = named.slice(0, MOST_UPSTREAMS).map(address => ({ address }))
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
