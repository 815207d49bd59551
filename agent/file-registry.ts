/**
 * The registry for a handful of hosts: a file with their addresses, the same on every host, brought there by whatever
 * manages the hosts. It is read again when it changes.
 *
 *     { "hosts": ["192.0.2.1", "192.0.2.2"], "networks": { "42": ["192.0.2.1"] } }
 *
 * It knows hosts, not containers: tunnels flood to these hosts and learn. A network that `networks` does not list is on
 * all of them.
 */
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import { CniError, LIMITED_CONNECTIVITY, TRY_AGAIN_LATER } from '../lib/cni/error.ts'
import { parseAddress } from '../lib/ip/address.ts'
import type { AddressOwner } from './endpoint.ts'
import type { Entry, Follower, Following, Reading, Registry } from './registry.ts'

const POLL_MS = 500

interface HostFile {
  readonly hosts: readonly string[]
  readonly networks: ReadonlyMap<string, readonly string[]>
}

export class FileRegistry implements Registry {
  readonly learns = true
  readonly #path: string
  readonly #log: (message: string) => void
  readonly #followers = new Map<Follower, string>()
  #content: HostFile = { hosts: [], networks: new Map() }
  #trouble = 'not read yet'
  #revision = 0

  constructor(path: string, log: (message: string) => void) {
    this.#path = path
    this.#log = log
  }

  start(): void {
    this.#read()
    watchFile(this.#path, { interval: POLL_MS }, () => this.#read())
  }

  async stop(): Promise<void> {
    unwatchFile(this.#path)
  }

  trouble(): string {
    return this.#trouble
  }

  async whenReady(): Promise<void> {
    if (this.#trouble !== '')
      throw new CniError(TRY_AGAIN_LATER, `read the registry: ${this.#trouble}`, 'correct the file')
  }

  follow(prefix: string, follower: Follower): Following {
    this.#followers.set(follower, prefix)
    this.#tell(prefix, follower)
    return { whenSynced: () => this.whenReady(), stop: () => this.#followers.delete(follower) }
  }

  /** Nobody else hears of it: they learn it from its frames. */
  async put(): Promise<number> {
    await this.whenReady()
    return this.#revision
  }

  forget(): void {}

  async forgotten(): Promise<void> {}

  /** It knows hosts only. */
  async value(): Promise<string | undefined> {
    return undefined
  }

  async claim(): Promise<AddressOwner | undefined> {
    throw new CniError(
      LIMITED_CONNECTIVITY,
      'take an address: a registry file cannot keep addresses unique across hosts',
      'use ipam "host-local" with a range for each host, or etcd as the registry'
    )
  }

  async read(): Promise<Reading> {
    return { entries: [], revision: this.#revision }
  }

  async share(): Promise<number | undefined> {
    throw new CniError(
      LIMITED_CONNECTIVITY,
      'write to the registry: it is a file, which the agent only reads',
      'use etcd as the registry, or write the configuration on each host as docs/overlay.md shows'
    )
  }

  /** A file that cannot be read changes nothing: what was known goes on to be used. */
  #read(): void {
    try {
      this.#content = parseHosts(readFileSync(this.#path, 'utf8'))
      this.#trouble = ''
      this.#revision += 1
      for (const [follower, prefix] of this.#followers) this.#tell(prefix, follower)
    } catch (error) {
      this.#trouble = error instanceof Error ? error.message : String(error)
      this.#log(`registry: ${this.#trouble}`)
    }
  }

  #tell(prefix: string, follower: Follower): void {
    const vni = /^endpoints\/([0-9]+)\//.exec(prefix)?.[1] ?? ''
    const hosts = this.#content.networks.get(vni) ?? this.#content.hosts
    const value = (vtep: string): string => JSON.stringify({ mac: '', ips: [], vtep })
    const entries: readonly Entry[] = hosts.map(vtep => ({ name: vtep, value: value(vtep), revision: this.#revision }))
    follower.reset(prefix.startsWith('endpoints/') ? entries : [], false, this.#revision)
    follower.settled()
  }
}

/** @throws {Error} saying what is wrong with the file */
export function parseHosts(text: string): HostFile {
  const json: unknown = JSON.parse(text)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('it must hold an object')
  const members = new Map<string, unknown>(Object.entries(json))
  const networks = new Map<string, readonly string[]>()
  for (const [vni, hosts] of Object.entries(members.get('networks') ?? {}))
    networks.set(vni, addressList(hosts, `networks.${vni}`))
  return { hosts: addressList(members.get('hosts'), 'hosts'), networks }
}

function addressList(value: unknown, path: string): readonly string[] {
  const isList = Array.isArray(value) && value.every(one => typeof one === 'string' && parseAddress(one) !== undefined)
  if (!isList) throw new Error(`${path} must be a list of addresses`)
  return value
}
