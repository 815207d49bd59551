/**
 * What this agent must still know after a restart: the endpoints and addresses of this host's containers, and its leases.
 * One file each, on tmpfs: none of it outlives the boot.
 *
 *     endpoints/<network>:<containerID>:<ifname>.json
 *     addresses/<network>:<containerID>:<ifname>.json
 *     leases.json
 */
import { readdirSync } from 'node:fs'
import { jsonText, parseJson } from '../lib/config/json.ts'
import { tunnelFromJson, tunnelToJson } from '../lib/overlay/tunnel-json.ts'
import { ensureDirectory, readText, removeFile, writeAtomic } from '../lib/sys/files.ts'
import { type Attachment, attachmentKey, type LocalEndpoint, type LocalLease } from './endpoint.ts'
import type { LeaseIds, LeaseStore } from './etcd-registry.ts'

export class LocalStore implements LeaseStore {
  readonly endpoints: ReadonlyMap<string, LocalEndpoint>
  readonly addresses: ReadonlyMap<string, LocalLease>
  readonly #directory: string
  readonly #endpoints = new Map<string, LocalEndpoint>()
  readonly #addresses = new Map<string, LocalLease>()

  constructor(directory: string) {
    this.#directory = directory
    this.endpoints = this.#endpoints
    this.addresses = this.#addresses
    for (const part of ['endpoints', 'addresses']) ensureDirectory(`${directory}/${part}`, 0o700)
    for (const text of this.#read('endpoints')) {
      const one = endpointFromText(text)
      if (one !== undefined) this.#endpoints.set(attachmentKey(one), one)
    }
    for (const text of this.#read('addresses')) {
      const one = leaseFromText(text)
      if (one !== undefined) this.#addresses.set(leaseKey(one), one)
    }
  }

  putEndpoint(endpoint: LocalEndpoint): void {
    const { tunnel, ...rest } = endpoint
    const text = JSON.stringify({ ...rest, tunnel: JSON.parse(jsonText(tunnelToJson(tunnel))) })
    this.#write('endpoints', attachmentKey(endpoint), text)
    this.#endpoints.set(attachmentKey(endpoint), endpoint)
  }

  removeEndpoint(one: Attachment): LocalEndpoint | undefined {
    const known = this.#endpoints.get(attachmentKey(one))
    this.#endpoints.delete(attachmentKey(one))
    removeFile(this.#path('endpoints', attachmentKey(one)))
    return known
  }

  putLease(lease: LocalLease): void {
    this.#write('addresses', leaseKey(lease), JSON.stringify(lease))
    this.#addresses.set(leaseKey(lease), lease)
  }

  removeLease(lease: LocalLease): void {
    this.#addresses.delete(leaseKey(lease))
    removeFile(this.#path('addresses', leaseKey(lease)))
  }

  leasesOf(one: Attachment): readonly LocalLease[] {
    return [...this.#addresses.values()].filter(lease => attachmentKey(lease) === attachmentKey(one))
  }

  read(): LeaseIds | undefined {
    try {
      const { endpoints, addresses } = JSON.parse(readText(`${this.#directory}/leases.json`) ?? '')
      return { endpoints: BigInt(endpoints), addresses: BigInt(addresses) }
    } catch {
      return undefined
    }
  }

  write(ids: LeaseIds): void {
    const text = JSON.stringify({ endpoints: String(ids.endpoints), addresses: String(ids.addresses) })
    writeAtomic(`${this.#directory}/leases.json`, `${text}\n`, 0o600, false)
  }

  #names(part: string): readonly string[] {
    return readdirSync(`${this.#directory}/${part}`).filter(name => name.endsWith('.json') && !name.startsWith('.'))
  }

  #read(part: string): readonly string[] {
    return this.#names(part).map(name => readText(`${this.#directory}/${part}/${name}`) ?? '')
  }

  #write(part: string, key: string, text: string): void {
    writeAtomic(this.#path(part, key), `${text}\n`, 0o600, false)
  }

  #path(part: string, key: string): string {
    return `${this.#directory}/${part}/${key}.json`
  }
}

/** An attachment may have addresses of several pools. */
function leaseKey(lease: LocalLease): string {
  return `${attachmentKey(lease)}:${lease.pool}`
}

function endpointFromText(text: string): LocalEndpoint | undefined {
  try {
    const value: LocalEndpoint = JSON.parse(text)
    const tunnel = tunnelFromJson(parseJson(JSON.stringify(value.tunnel)))
    return tunnel === undefined ? undefined : { ...value, tunnel }
  } catch {
    return undefined
  }
}

function leaseFromText(text: string): LocalLease | undefined {
  try {
    const value: LocalLease = JSON.parse(text)
    return Array.isArray(value.ips) ? value : undefined
  } catch {
    return undefined
  }
}
