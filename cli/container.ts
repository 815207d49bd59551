/**
 * Containers as a person names them, the same way in every command: the id of a process, a namespace's name under
 * /run/netns, its path, the id under which it was attached, the name or id that its runtime knows it by, or the beginning
 * of one.
 */
import { statSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { isName } from '../lib/attachment.ts'
import type { AttachmentCache, CachedAttachment } from '../lib/runtime/cache.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import { inodeOf, netnsIdentity } from '../lib/sys/netns-identity.ts'
import { didYouMean } from './nearest.ts'
import { CommandError, UsageError } from './output.ts'
import { type ContainerState, ContainerStore, isRunning } from './run/store.ts'
import type { RuntimeContainer } from './runtimes/runtime-container.ts'

export interface Container {
  /** The namespace's path; '' when it is gone. */
  readonly netns: string
  readonly containerId: string
  /** What whoever started it calls it; '' where nobody has given it a name. */
  readonly name: string
}

export const WHAT_TO_NAME =
  'name a container of run, containerd or podman by its name or id, a process by its id, a namespace by its name (see: ip ' +
  'netns) or its path'

export class Containers {
  readonly namespaces = new Namespaces()
  readonly #cached: readonly CachedAttachment[]
  readonly #started: readonly ContainerState[]
  readonly #ended: readonly ContainerState[]

  /** @param runDir where `run` keeps its containers, which may be on no network yet */
  constructor(cache: AttachmentCache, runDir: string) {
    this.#cached = cache.list()
    const all = new ContainerStore(runDir).list()
    this.#started = all.filter(isRunning)
    this.#ended = all.filter(one => !isRunning(one))
  }

  /**
   * A container that is there.
   * @param id what --container-id says
   * @throws CommandError when the word names nothing, or a container that is gone
   */
  async living(word: string, id: string | undefined): Promise<Container> {
    const container = await this.find(word, id)
    if (container.netns !== '') return container
    throw new CommandError(
      `find container ${JSON.stringify(word)}: it is gone`,
      'patchbay gc removes what is left of it'
    )
  }

  /** The same where one that is gone is nothing unusual: DEL needs only the id. */
  async find(word: string, id: string | undefined): Promise<Container> {
    const path = pathOf(word)
    if (path !== undefined) {
      const recorded = this.#recordedAt(path)
      const containerId = checkedId(id ?? recorded?.containerId ?? idOf(path))
      return { netns: path, containerId, name: recorded?.name ?? '' }
    }
    const found = this.#recorded(word) ?? (await this.#named(word))
    return id === undefined ? found : { ...found, containerId: checkedId(id) }
  }

  /** As `find`, but what names nothing is taken for the id of something forgotten. */
  async former(word: string | undefined, id: string | undefined): Promise<Container> {
    if (word === undefined) return this.#recorded(id ?? '') ?? forgotten(checkedId(id ?? ''))
    try {
      return await this.find(word, id)
    } catch (error) {
      if (!(error instanceof CommandError) || error instanceof UsageError) throw error
      const containerId = /^[0-9]+$/.test(word) ? processId(word) : basename(word)
      return forgotten(checkedId(id ?? containerId))
    }
  }

  /** Of the runtimes' containers, and of those whose recorded id begins so. @throws CommandError, UsageError */
  async #named(word: string): Promise<Container> {
    const { containers, problems, isExact } = await (await import('./runtimes/find.ts')).findInRuntimes(word)
    const candidates = containers.map(one => ({ shown: one.shown, container: this.#ofRuntime(one) }))
    const called = this.#called(word)
    candidates.push(...called.map(container => ({ shown: container.containerId, container })))
    if (!isExact && called.length === 0) {
      for (const id of this.#ids().filter(one => one.startsWith(word))) {
        const container = this.#recorded(id)
        if (container !== undefined) candidates.push({ shown: id, container })
      }
    }
    // A pod's containers share their namespace, and what was attached is known by its record, too.
    // The runtime's answer, which comes first, has the name too.
    const all = new Map<string, (typeof candidates)[number]>()
    for (const one of candidates) if (!all.has(one.container.containerId)) all.set(one.container.containerId, one)
    const [only, second] = [...all.values()]
    if (second !== undefined) {
      const names = [...all.values()].map(one => JSON.stringify(one.shown).slice(1, -1))
      throw new UsageError(
        `find container ${JSON.stringify(word)}: ${names.join(', ')} are called so, or begin so`,
        'write more of it, or its id'
      )
    }
    if (only !== undefined) return only.container
    if (this.#ended.some(one => one.name === word)) {
      throw new CommandError(
        `find container ${JSON.stringify(word)}: it has ended`,
        `see: patchbay ps --all, patchbay logs ${word}`
      )
    }
    const near = didYouMean(word, this.#ids())
    const why = [`${absence(word)}${near}`, ...problems].join('; ')
    throw new CommandError(`find container ${JSON.stringify(word)}: ${why}`, WHAT_TO_NAME)
  }

  #ofRuntime(one: RuntimeContainer): Container {
    const containerId = this.#recordedAt(one.netns)?.containerId ?? checkedId(one.containerId)
    return { netns: one.netns, containerId, name: one.name }
  }

  /** Those that their runtimes have told the plugins this name of, `NAME` or `NAMESPACE/NAME`: pods of CRI-O, for one. */
  #called(word: string): readonly Container[] {
    const names = this.#cached.filter(one => {
      const of = (key: string): string => one.args.find(pair => pair[0] === key)?.[1] ?? ''
      const pod = of('K8S_POD_NAME')
      return pod !== '' && [pod, `${of('K8S_POD_NAMESPACE')}/${pod}`].includes(word)
    })
    const ids = [...new Set(names.map(one => one.containerId))]
    return ids.flatMap(id => this.#recorded(id) ?? []).filter(one => one.netns !== '')
  }

  #ids(): readonly string[] {
    return [...new Set([...this.#cached.map(one => one.containerId), ...this.#started.map(one => one.name)])]
  }

  /** Started by `run`, or attached, under this very id. */
  #recorded(id: string): Container | undefined {
    const started = this.#started.find(one => one.name === id)
    if (started !== undefined) return containerOf(started)
    const records = this.#cached.filter(one => one.containerId === id)
    if (records.length === 0) return undefined
    const netns = records.map(one => this.namespaces.pathOf(one)).find(path => path !== '')
    return { netns: netns ?? '', containerId: id, name: '' }
  }

  /** What the namespace at this path is known as already, however it was named then. */
  #recordedAt(path: string): Container | undefined {
    const identity = identityOf(path)
    if (identity === '') return undefined
    const started = this.#started.find(one => identityOf(netnsOf(one)) === identity)
    if (started !== undefined) return containerOf(started)
    const record = this.#cached.find(one =>
      // Other runtimes' records have no identity.
      one.netnsIdentity === '' ? inodeAt(one.netns) === inodeOf(identity) : one.netnsIdentity === identity
    )
    return record === undefined ? undefined : { netns: path, containerId: record.containerId, name: '' }
  }
}

function containerOf(state: ContainerState): Container {
  return { netns: netnsOf(state), containerId: state.name, name: state.name }
}

function netnsOf(state: ContainerState): string {
  return `/proc/${String(state.pid)}/ns/net`
}

function forgotten(containerId: string): Container {
  return { netns: '', containerId, name: '' }
}

/** The path that a word stands for, undefined when nothing is there. @throws CommandError when it may not be looked at */
function pathOf(word: string): string | undefined {
  if (word === '') return undefined
  const path = /^[0-9]+$/.test(word) ? `/proc/${word}/ns/net` : word.includes('/') ? word : `/run/netns/${word}`
  try {
    statSync(path)
    return path
  } catch (error) {
    if (errnoOf(error) === 'EACCES')
      throw new CommandError(`look at namespace ${JSON.stringify(path)}: EACCES`, 'run as root')
    return undefined
  }
}

function identityOf(path: string): string {
  try {
    return netnsIdentity(path)
  } catch {
    return '' // no namespace, or no rights: the plugins will say so
  }
}

/** '' when nothing is there that could be looked at. */
function inodeAt(path: string): string {
  try {
    return path === '' ? '' : String(statSync(path).ino)
  } catch {
    return ''
  }
}

function absence(word: string): string {
  if (/^[0-9]+$/.test(word)) return `there is no process ${word}`
  const unknown = 'no container of run, containerd or podman has this name or id'
  return word.includes('/') ? `there is no such file, and ${unknown}` : `no namespace has this name, and ${unknown}`
}

/** Ids are unique in a cluster, process ids are not: the host's name is part of it. */
function processId(pid: string): string {
  const host = hostname()
  return isName(host) ? `pid-${pid}.${host}` : `pid-${pid}`
}

function idOf(netns: string): string {
  const process = /^\/proc\/([0-9]+)\/ns\/net$/.exec(netns)
  if (process !== null) return processId(process[1] ?? '')
  const name = basename(netns)
  if (isName(name)) return name
  throw new UsageError(
    `name the container of ${JSON.stringify(netns)}: no id can be made of it`,
    'give --container-id ID'
  )
}

/** @throws UsageError for what the protocol does not allow as an id */
export function checkedId(id: string): string {
  if (isName(id)) return id
  throw new UsageError(
    `read container id ${JSON.stringify(id)}: only letters, digits and "_.-" make one`,
    'give --container-id ID'
  )
}
