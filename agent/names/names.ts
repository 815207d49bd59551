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
import { CniError, LIMITED_CONNECTIVITY } from '../../lib/cni/error.ts'
import { attachmentKey, attachmentText } from '../../lib/daemon/attachment.ts'
import { formatAddress } from '../../lib/ip/address.ts'
import { RESOLVER } from '../../lib/names/record.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import type { Metrics } from '../metrics.ts'
import type { Registry } from '../registry.ts'
import { type Asked, failure, hasRecords, type Transport, verdictOn } from './answer.ts'
import { ClusterNames } from './cluster-names.ts'
import { attachmentOf, closeAll, Handover } from './handover.ts'
import type { Response } from './listener.ts'
import { NameFiles } from './name-files.ts'
import { OwnAddresses } from './own-addresses.ts'
import { HostResolvers } from './resolv-conf.ts'
import { type Asker, Resolvers } from './resolvers.ts'
import { Forwarder, type Upstream } from './upstream.ts'
import { type Named, Zone } from './zone.ts'

/**
 * Everything that is written down, and whether its namespace lives, is looked at once a second: a part of it at a time, so
 * that of a thousand containers none waits for its answer until the others were looked at.
 */
const LOOK_MS = 1000
const PARTS = 20

/** A name that could not be published is tried again after this, ms. */
const AGAIN_MS = 10_000
/** What the registry may take where nobody waits, ms. */
const CLUSTER_MS = 9000
/**
 * A plugin hands the resolver's sockets over within this after it has written the names down, ms: until then their ports are not tried,
 * of which it has one already. A plugin that has to ask instead does so.
 */
const HANDOVER_MS = 2000
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
  /** Whether it is known which networks that takes more than a look on. */
  readonly isReady?: () => boolean
  /** What else must be there before a container is attached. */
  readonly arrived?: (named: Named, milliseconds: number) => Promise<void>
  /** How long a plugin may take to hand over what it has written down; a test's may take longer. */
  readonly handoverMilliseconds?: number
  /** The host's resolvers; a test's stand in their place. */
  readonly resolvers?: () => readonly Upstream[]
}

export class Names {
  readonly stateDir: string
  readonly zone = new Zone()
  readonly cluster: ClusterNames
  readonly #options: NamesOptions
  readonly #files: NameFiles
  readonly #resolvers: Resolvers
  readonly #forwarder = new Forwarder()
  readonly #handover: Handover
  readonly #upstreams: () => readonly Upstream[]
  /** What was found in each file. */
  readonly #found = new Map<string, Named>()
  /** Files that are still to be looked at in this round, and how many at a time. */
  #round: string[] = []
  #share = 1
  /** Attachments whose names could not be published, and when: told once, tried again later. */
  readonly #failedAt = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #queries = 0

  constructor(options: NamesOptions) {
    this.#options = options
    this.stateDir = options.stateDir
    this.#files = new NameFiles(options.stateDir, path => this.#look(path))
    this.#resolvers = new Resolvers(options.kernel, (...asked) => this.#answer(...asked), options.log)
    this.cluster = new ClusterNames({ host: options.host, registry: options.registry, zone: this.zone })
    this.#handover = new Handover(options.stateDir, this.zone, options.log)
    const own = new OwnAddresses(options.kernel)
    this.zone.isOwnAddress = address => own.has(address)
    const host = new HostResolvers()
    this.#upstreams = options.resolvers ?? (() => host.get())
  }

  start(): void {
    for (const path of this.#files.paths()) this.#look(path)
    this.#timer = setInterval(() => this.#lookOn(), LOOK_MS / PARTS)
    const { metrics } = this.#options
    metrics.gauge('patchbay_agent_names', 'Attachments that have a name', () => this.zone.size)
    metrics.gauge('patchbay_agent_resolvers', 'Containers that are answered at 127.0.0.11', () => this.#resolvers.size)
    metrics.counter('patchbay_agent_name_queries_total', 'Questions of containers', () => this.#queries)
    const { counts } = this.#forwarder
    metrics.counter('patchbay_agent_name_queries_forwarded_total', 'Passed on to other resolvers', () => counts.asked)
    metrics.counter(
      'patchbay_agent_name_queries_failed_total',
      'Answered by no resolver',
      () => counts.failed + counts.refused
    )
  }

  /** Ends it: containers keep what the next agent finds them by. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#files.close()
    this.#handover.close()
    await this.#resolvers.stop()
  }

  /**
   * A plugin has written down an attachment: its names are known and its container is answered when this returns.
   *
   * @throws {CniError} code 7 for a name that is taken on a cluster network, 11 without its registry, 50 when the
   *   container cannot be answered
   */
  async arrived(attachment: Attachment, milliseconds: number): Promise<void> {
    const deadline = Date.now() + milliseconds
    this.#look(this.#files.pathOf(attachment), true)
    const named = this.#required(attachment)
    if (named.record.isCluster) await this.#publish(named, milliseconds)
    await this.#resolvers.whenOpen(named)
    await this.#options.arrived?.(named, deadline - Date.now())
  }

  /**
   * Takes over the resolvers that plugins have handed over, and knows whom they belong to when it returns.
   *
   * @returns whether there were any
   */
  takeHanded(): boolean {
    const all = this.#handover.take()
    for (const one of all) {
      const attachment = attachmentOf(one)
      if (!this.#resolvers.adopt(one, one.sockets)) closeAll(one.sockets)
      this.#look(this.#files.pathOf(attachment), true)
      this.#resolvers.forgetUnless(one.netnsId)
      const named = this.zone.get(attachment)
      if (named !== undefined) this.#options.arrived?.(named, 0).catch(error => this.#options.log(messageOf(error)))
    }
    return all.length > 0
  }

  /**
   * A plugin has removed what it had written down: without waiting for the file's event. Resolves when the name is free for a
   * container on any host, or after so long.
   */
  async left(attachment: Attachment, milliseconds: number): Promise<void> {
    this.takeHanded()
    const isElsewhere = this.zone.get(attachment)?.record.isCluster === true
    this.#look(this.#files.pathOf(attachment))
    if (isElsewhere) await this.#options.registry.forgotten(milliseconds)
  }

  /** @throws {CniError} code 100 when the container is not answered */
  async check(attachment: Attachment): Promise<void> {
    this.takeHanded()
    const named = this.#required(attachment)
    try {
      await this.#resolvers.check(named)
    } catch (error) {
      throw new CniError(NOT_ANSWERED, `check ${attachmentText(attachment)}: ${messageOf(error)}`)
    }
  }

  /** @throws {CniError} code 51 when names of cluster networks cannot be published */
  status(network: string | undefined, isCluster: boolean): void {
    const { registry } = this.#options
    const trouble = isCluster && !registry.learns ? registry.trouble(network) : ''
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

  #lookOn(): void {
    if (this.#options.isReady?.() !== false) this.#handover.open()
    this.takeHanded()
    if (this.#round.length === 0) {
      this.#round = [...new Set([...this.#found.keys(), ...this.#files.paths()])]
      this.#share = Math.ceil(this.#round.length / PARTS)
    }
    for (const path of this.#round.splice(0, this.#share)) this.#look(path)
  }

  /**
   * Compares what is known with what is written down and still lives.
   *
   * @param isAsked the plugin waits for it, or has handed its sockets over
   */
  #look(path: string, isAsked = false): void {
    const file = this.#files.read(path)
    const known = this.#found.get(path)
    // A namespace that is gone has no name. The path alone says nothing: a process id that is used again leads to another
    // container, which must not be answered as this one.
    const isAlive = file !== undefined && file.record.netnsId !== '' && idOf(file.record.netns) === file.record.netnsId
    if (known !== undefined && (!isAlive || known.record.netnsId !== file.record.netnsId)) this.#drop(path, known)
    if (!isAlive) return
    const named: Named = known?.record === file.record ? known : { ...file, host: '' }
    this.#found.set(path, named)
    if (known !== named) this.zone.set(named)
    const patience = this.#options.handoverMilliseconds ?? HANDOVER_MS
    const isAwaited = !isAsked && this.#handover.isOpen && performance.now() - file.seenAt < patience
    this.#resolvers.set(named, !isAwaited)
    if (named.record.isCluster) this.#publishAgain(named)
  }

  #publishAgain(named: Named): void {
    const key = attachmentKey(named)
    const failedAt = this.#failedAt.get(key)
    if (failedAt !== undefined && Date.now() - failedAt < AGAIN_MS) return
    this.#publish(named, CLUSTER_MS).catch(error => {
      if (failedAt === undefined) this.#options.log(messageOf(error))
      this.#failedAt.set(key, Date.now())
    })
  }

  async #publish(named: Named, milliseconds: number): Promise<void> {
    await this.cluster.publish(named, milliseconds)
    this.#failedAt.delete(attachmentKey(named))
  }

  #drop(path: string, named: Named): void {
    this.#found.delete(path)
    this.zone.delete(named)
    this.cluster.withdraw(named)
    this.#failedAt.delete(attachmentKey(named))
    this.#resolvers.delete(named)
  }

  #answer(asker: Asker, question: Buffer, transport: Transport): Response {
    this.#queries += 1
    const known = asker.answers.find(question, transport, this.zone.revision)
    if (known !== undefined && hasRecords(known)) return known
    // Sequence prevented: an ADD hands over and returns; a container asks for its name before we have looked, and hears that nobody
    // has it.
    const isNews = this.takeHanded()
    if (known !== undefined && !isNews) return known
    const verdict = verdictOn(question, transport, asker.attachments, this.zone)
    if (verdict.do === 'ignore') return undefined
    if (verdict.do === 'forward') return this.#forward(asker, question, verdict.asked, transport)
    asker.answers.keep(question, transport, verdict.bytes)
    return verdict.bytes
  }

  async #forward(
    { id, attachments }: Asker,
    question: Buffer,
    asked: Asked,
    transport: Transport
  ): Promise<Uint8Array> {
    // An upstream that is the resolver itself would never end.
    const named = attachments.flatMap(one => one.record.upstreams).filter(one => formatAddress(one) !== RESOLVER)
    const own = named.slice(0, MOST_UPSTREAMS).map(address => ({ address }))
    const upstreams = own.length > 0 ? own : this.#upstreams()
    const answer = await this.#forwarder.ask(question, upstreams, transport, id)
    return answer ?? failure(asked, transport)
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
