/**
 * What this agent must still know after a restart: the endpoints and addresses of this host's containers, and its leases.
 * One file each, on tmpfs: none of it outlives the boot.
 *
 *     endpoints/<network>:<containerID>:<ifname>.json
 *     addresses/<network>:<containerID>:<ifname>.json
 *     leases.json
 */

import type { Attachment } from '../lib/attachment.ts'
import { FormatError, refuseNewer, withFormat } from '../lib/config/format.ts'
import { type Json, jsonText, parseJson } from '../lib/config/json.ts'
import { jsonOf } from '../lib/config/plain-json.ts'
import { Section } from '../lib/config/section.ts'
import { attachmentKey, attachmentToJson, isSameAttachment } from '../lib/daemon/attachment.ts'
import { tunnelFromJson, tunnelToJson } from '../lib/overlay/tunnel-json.ts'
import { ensureDirectory, listDirectory, readText, removeFile, writeAtomic } from '../lib/sys/files.ts'
import type { HeldAddresses, LocalEndpoint } from './endpoint.ts'
import type { EtcdLeaseStore, EtcdLeases } from './host-record.ts'

export class LocalStore implements EtcdLeaseStore {
  readonly endpoints: ReadonlyMap<string, LocalEndpoint>
  readonly addresses: ReadonlyMap<string, HeldAddresses>
  readonly #directory: string
  readonly #endpoints = new Map<string, LocalEndpoint>()
  readonly #addresses = new Map<string, HeldAddresses>()

  /** @throws {FormatError} where a newer agent has left more than this one understands: without it, containers would be cut off */
  constructor(directory: string) {
    this.#directory = directory
    this.endpoints = this.#endpoints
    this.addresses = this.#addresses
    for (const part of ['endpoints', 'addresses']) ensureDirectory(`${directory}/${part}`, 0o700)
    for (const path of this.#paths('endpoints')) {
      const one = readFile(path, readEndpoint)
      if (one !== undefined) this.#endpoints.set(attachmentKey(one), one)
    }
    for (const path of this.#paths('addresses')) {
      const one = readFile(path, readHeld)
      if (one !== undefined) this.#addresses.set(heldKey(one), one)
    }
  }

  putEndpoint(endpoint: LocalEndpoint): void {
    this.#write('endpoints', attachmentKey(endpoint), endpointToJson(endpoint))
    this.#endpoints.set(attachmentKey(endpoint), endpoint)
  }

  removeEndpoint(one: Attachment): LocalEndpoint | undefined {
    const known = this.#endpoints.get(attachmentKey(one))
    this.#endpoints.delete(attachmentKey(one))
    removeFile(this.#path('endpoints', attachmentKey(one)))
    return known
  }

  putAddresses(held: HeldAddresses): void {
    this.#write('addresses', heldKey(held), heldToJson(held))
    this.#addresses.set(heldKey(held), held)
  }

  removeAddresses(held: HeldAddresses): void {
    this.#addresses.delete(heldKey(held))
    removeFile(this.#path('addresses', heldKey(held)))
  }

  addressesOf(one: Attachment): readonly HeldAddresses[] {
    return [...this.#addresses.values()].filter(held => isSameAttachment(held, one))
  }

  read(): EtcdLeases | undefined {
    return readFile(`${this.#directory}/leases.json`, file => ({
      presence: BigInt(required(file.text('presence'))),
      records: BigInt(required(file.text('records')))
    }))
  }

  write(ids: EtcdLeases): void {
    const json = jsonOf({ presence: String(ids.presence), records: String(ids.records) })
    writeAtomic(`${this.#directory}/leases.json`, `${jsonText(withFormat(json))}\n`, 0o600, false)
  }

  #paths(part: string): readonly string[] {
    const names = listDirectory(`${this.#directory}/${part}`)
    return names
      .filter(name => name.endsWith('.json') && !name.startsWith('.'))
      .map(name => `${this.#directory}/${part}/${name}`)
  }

  #write(part: string, key: string, json: Json): void {
    writeAtomic(this.#path(part, key), `${jsonText(withFormat(json))}\n`, 0o600, false)
  }

  #path(part: string, key: string): string {
    return `${this.#directory}/${part}/${key}.json`
  }
}

/** An attachment may have addresses of several pools. */
function heldKey(held: HeldAddresses): string {
  return `${attachmentKey(held)}:${held.pool}`
}

function endpointToJson(endpoint: LocalEndpoint): Json {
  return jsonOf({
    attachment: attachmentToJson(endpoint),
    mac: endpoint.mac,
    ips: endpoint.ips,
    vtep: endpoint.vtep,
    netns: endpoint.netns,
    hostEnd: endpoint.hostEnd,
    tunnel: tunnelToJson(endpoint.tunnel),
    gateways: endpoint.gateways,
    stateDir: endpoint.stateDir
  })
}

function heldToJson(held: HeldAddresses): Json {
  return jsonOf({ attachment: attachmentToJson(held), pool: held.pool, ips: held.ips })
}

/** @returns undefined for a file that is torn, or not there @throws {FormatError} */
function readFile<T>(path: string, read: (file: Section) => T): T | undefined {
  try {
    const json = parseJson(readText(path) ?? '')
    refuseNewer(json, JSON.stringify(path))
    const file = new Section(json)
    const one = read(file)
    file.finish()
    return one
  } catch (error) {
    if (error instanceof FormatError) throw error
    return undefined
  }
}

function readAttachment(file: Section): Attachment {
  const one = required(file.section('attachment'))
  return {
    network: required(one.text('network')),
    containerId: required(one.text('containerId')),
    ifName: required(one.text('ifName'))
  }
}

function readEndpoint(file: Section): LocalEndpoint {
  return {
    ...readAttachment(file),
    mac: required(file.text('mac')),
    ips: file.textList('ips'),
    vtep: required(file.text('vtep')),
    netns: file.text('netns') ?? '',
    hostEnd: required(file.text('hostEnd')),
    tunnel: required(tunnelFromJson(required(file.json('tunnel')))),
    gateways: file.textList('gateways'),
    stateDir: file.text('stateDir') ?? ''
  }
}

function readHeld(file: Section): HeldAddresses {
  return { ...readAttachment(file), pool: required(file.text('pool')), ips: file.textList('ips') }
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('read file: something is missing')
  return value
}
