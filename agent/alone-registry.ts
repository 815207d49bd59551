/**
 * For an agent that is one host's alone: what is shared is kept in a directory, a file for each key, and nobody else is told
 * anything.
 *
 * Endpoints, addresses and names of other networks than those made here are refused: a configuration that was written for a cluster
 * must not seem to work on a host whose agent has not been told of the others.
 */
import { statSync } from 'node:fs'
import { CniError, NOT_AVAILABLE } from '../lib/cni/error.ts'
import { FORMAT } from '../lib/config/format.ts'
import { isSameAttachment } from '../lib/daemon/attachment.ts'
import { ensureDirectory, listDirectory, readText, removeFile, writeAtomic } from '../lib/sys/files.ts'
import type { AddressOwner } from './endpoint.ts'
import {
  type Entry,
  FORMAT_KEY,
  type Follower,
  type Following,
  NETWORKS,
  type OwnRecords,
  type Reading,
  type Registry,
  refuseNewerRegistry,
  type Shared,
  type Unchanged
} from './registry.ts'
import { ownerFromValue, ownerValue } from './registry-value.ts'

const TROUBLE = 'the agent has none'
/** What keys begin with that are about one network. */
const OF_NETWORKS: readonly string[] = ['endpoints', 'addresses', 'names', 'name-owners']

export interface AloneOptions {
  /** Of what is shared; made when there is something. */
  readonly directory: string
  readonly own: Pick<OwnRecords, 'values' | 'claims'>
}

export class AloneRegistry implements Registry {
  readonly learns = false
  readonly #options: AloneOptions
  /** By key. */
  readonly #entries = new Map<string, Omit<Entry, 'name'>>()
  readonly #followers = new Map<Follower, string>()
  /** The time, so that it goes on over restarts. */
  #revision = Date.now()

  /** @throws {FormatError} where a newer agent has kept it */
  constructor(options: AloneOptions) {
    this.#options = options
    for (const name of listDirectory(options.directory)) {
      const path = `${options.directory}/${name}`
      const key = keyOf(name)
      const value = key === undefined ? undefined : readText(path)
      // The same over restarts, so that whoever goes by it has nothing to do.
      if (key !== undefined && value !== undefined)
        this.#entries.set(key, { value, revision: Math.floor(statSync(path).mtimeMs) })
      // The beginning of a file whose writer was killed.
      if (/^\..+\.tmp$/.test(name)) removeFile(path)
    }
    refuseNewerRegistry(this.#entries.get(FORMAT_KEY)?.value ?? '')
  }

  /** What this host had before the agent was started again. */
  start(): void {
    for (const [key, value] of this.#options.own.values()) this.#write(key, value)
    for (const [key, owner] of this.#options.own.claims()) this.#write(key, ownerValue(owner))
  }

  async stop(): Promise<void> {}

  trouble(network?: string): string {
    const isServing =
      network === undefined
        ? [...this.#entries.keys()].some(key => key.startsWith(NETWORKS))
        : this.#entries.has(`${NETWORKS}${network}`)
    return isServing ? '' : TROUBLE
  }

  async whenReady(): Promise<void> {
    if (this.trouble() !== '') throw none('')
  }

  follow(prefix: string, follower: Follower): Following {
    this.#followers.set(follower, prefix)
    follower.reset(this.#below(prefix), false, this.#revision)
    follower.settled()
    return { whenSynced: async () => undefined, stop: () => this.#followers.delete(follower) }
  }

  async put(key: string, value: string): Promise<number> {
    this.#refuseForeign(key)
    return this.#write(key, value)
  }

  forget(keys: readonly string[]): void {
    for (const key of keys) this.#write(key, undefined)
  }

  async forgotten(): Promise<void> {}

  async value(key: string): Promise<string | undefined> {
    return this.#entries.get(key)?.value
  }

  async read(prefix: string): Promise<Reading> {
    return { entries: this.#below(prefix), revision: this.#revision }
  }

  async share(all: readonly Shared[], conditions: readonly Unchanged[]): Promise<number | undefined> {
    if (!conditions.every(one => this.#holds(one))) return undefined
    for (const { key, value } of all) this.#keep(key, value)
    for (const { key, value } of all) this.#write(key, value)
    return this.#revision
  }

  #holds(condition: Unchanged): boolean {
    const { since } = condition
    if ('key' in condition) return this.#entries.get(condition.key)?.revision === since
    return this.#below(condition.under).every(one => one.revision <= since)
  }

  #keep(key: string, value: string | undefined): void {
    const { directory } = this.#options
    const path = `${directory}/${encodeURIComponent(key)}`
    if (value === undefined) {
      removeFile(path)
      return
    }
    ensureDirectory(directory, 0o700)
    if (!this.#entries.has(FORMAT_KEY)) {
      writeAtomic(`${directory}/${FORMAT_KEY}`, String(FORMAT), 0o600)
      this.#write(FORMAT_KEY, String(FORMAT))
    }
    writeAtomic(path, value, 0o600)
  }

  async claim(key: string, owner: AddressOwner): Promise<AddressOwner | undefined> {
    this.#refuseForeign(key)
    const present = this.#entries.get(key)
    const other = present === undefined ? undefined : ownerFromValue(present.value)
    if (other !== undefined && !isSameAttachment(other, owner)) return other
    this.#write(key, ownerValue(owner))
    return undefined
  }

  /** @throws {CniError} code 50 for an endpoint, an address or a name of a network that was not made here */
  #refuseForeign(key: string): void {
    const [kind = '', first = '', , network = ''] = key.split('/')
    if (!OF_NETWORKS.includes(kind)) return
    const name = kind === 'endpoints' ? network : first
    if (!this.#entries.has(`${NETWORKS}${name}`)) throw none(name)
  }

  #below(prefix: string): readonly Entry[] {
    return [...this.#entries].flatMap(([key, one]) =>
      key.startsWith(prefix) ? [{ name: key.slice(prefix.length), ...one }] : []
    )
  }

  #write(key: string, value: string | undefined): number {
    this.#revision = Math.max(this.#revision + 1, Date.now())
    if (value === undefined) this.#entries.delete(key)
    else this.#entries.set(key, { value, revision: this.#revision })
    for (const [follower, prefix] of this.#followers) {
      if (!key.startsWith(prefix)) continue
      follower.change(key.slice(prefix.length), value, this.#revision)
      follower.settled()
    }
    return this.#revision
  }
}

/** The key that a file is of; undefined for a file that is none of ours. */
function keyOf(name: string): string | undefined {
  try {
    const key = decodeURIComponent(name)
    return encodeURIComponent(key) === name && !name.startsWith('.') ? key : undefined
  } catch {
    return undefined
  }
}

function none(network: string): CniError {
  return new CniError(
    NOT_AVAILABLE,
    `reach the registry${network === '' ? '' : ` of network ${JSON.stringify(network)}`}: ${TROUBLE}`,
    'name one in its configuration: "etcd", or "file" with the other hosts; or make the network here: patchbay network create -d overlay'
  )
}
