/**
 * Containers as a person names them, the same way in every command: the id of a process, a namespace's name under
 * /run/netns, its path, or the id under which it was attached, or the beginning of one.
 */
import { statSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { isName } from '../lib/cni/env.ts'
import type { AttachmentCache, CachedAttachment } from '../lib/runtime/cache.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import { netnsIdentity } from '../lib/sys/netns-identity.ts'
import { CommandError, UsageError } from './output.ts'
import { type ContainerState, ContainerStore, isRunning } from './run/store.ts'

export interface Container {
  /** The namespace's path; '' when it is gone. */
  readonly netns: string
  readonly containerId: string
}

export const WHAT_TO_NAME =
  'name a process by its id, a namespace by its name (see: ip netns) or its path, or an attached container by its id'

export class Containers {
  readonly namespaces = new Namespaces()
  readonly #cached: readonly CachedAttachment[]
  readonly #started: readonly ContainerState[]

  /** @param runDir where `run` keeps its containers, which may be on no network yet */
  constructor(cache: AttachmentCache, runDir: string) {
    this.#cached = cache.list()
    this.#started = new ContainerStore(runDir).list().filter(isRunning)
  }

  /**
   * A container that is there.
   * @param id what --container-id says
   * @throws CommandError when the word names nothing, or a container that is gone
   */
  living(word: string, id: string | undefined): Container {
    const container = this.find(word, id)
    if (container.netns !== '') return container
    throw new CommandError(
      `find container ${JSON.stringify(word)}: it is gone`,
      'patchbay gc removes what is left of it'
    )
  }

  /** The same where one that is gone is nothing unusual: DEL needs only the id. */
  find(word: string, id: string | undefined): Container {
    const path = pathOf(word)
    if (path === undefined) return this.#recorded(word, id)
    const containerId = id ?? this.#idAt(path) ?? idOf(path)
    return { netns: path, containerId: checkedId(containerId) }
  }

  /** As `find`, but what names nothing is taken for the id of something forgotten. */
  former(word: string | undefined, id: string | undefined): Container {
    if (word === undefined) return this.#recordedId(id ?? '') ?? { netns: '', containerId: checkedId(id ?? '') }
    try {
      return this.find(word, id)
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      const containerId = /^[0-9]+$/.test(word) ? processId(word) : basename(word)
      return { netns: '', containerId: checkedId(id ?? containerId) }
    }
  }

  #recorded(word: string, id: string | undefined): Container {
    const ids = [...new Set([...this.#cached.map(one => one.containerId), ...this.#started.map(one => one.name)])]
    const fitting = ids.includes(word) ? [word] : ids.filter(one => one.startsWith(word))
    const [only, second] = fitting
    if (second !== undefined) {
      throw new UsageError(
        `find container ${JSON.stringify(word)}: ${fitting.join(' and ')} begin so`,
        'write more of it'
      )
    }
    const found = only === undefined ? undefined : this.#recordedId(only)
    if (found === undefined)
      throw new CommandError(`find container ${JSON.stringify(word)}: ${absence(word)}`, WHAT_TO_NAME)
    return id === undefined ? found : { ...found, containerId: checkedId(id) }
  }

  #recordedId(id: string): Container | undefined {
    const started = this.#started.find(one => one.name === id)
    if (started !== undefined) return { netns: `/proc/${String(started.pid)}/ns/net`, containerId: id }
    const records = this.#cached.filter(one => one.containerId === id)
    if (records.length === 0) return undefined
    const netns = records.map(one => this.namespaces.pathOf(one)).find(path => path !== '')
    return { netns: netns ?? '', containerId: id }
  }

  /** The id that the namespace at this path is attached under already, however it was named then. */
  #idAt(path: string): string | undefined {
    const identity = identityOf(path)
    const started = this.#started.find(
      one => identity !== '' && identityOf(`/proc/${String(one.pid)}/ns/net`) === identity
    )
    if (started !== undefined) return started.name
    return this.#cached.find(one => identity !== '' && one.netnsIdentity === identity)?.containerId
  }
}

/** The path that a word stands for, undefined when nothing is there. @throws CommandError when it may not be looked at */
function pathOf(word: string): string | undefined {
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

function absence(word: string): string {
  if (/^[0-9]+$/.test(word)) return `there is no process ${word}`
  if (word.includes('/')) return 'there is no such file'
  return 'no namespace has this name, no container this id'
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
