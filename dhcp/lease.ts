/**
 * A lease that an attachment holds, and its file: what the daemon must still know after a restart.
 *
 *     <state directory>/leases/<hash of the attachment's names>.json        of DHCP
 *     <state directory>/leases/<hash of the attachment's names>-6.json      of DHCPv6
 *
 * On tmpfs, because neither the container nor its interface outlives the boot.
 */
import { createHash } from 'node:crypto'
import type { Attachment } from '../lib/attachment.ts'
import { readAddress, readMac, readPrefix } from '../lib/config/addresses.ts'
import { FORMAT_ADVICE, FormatError, refuseNewer, withFormat } from '../lib/config/format.ts'
import { type Json, jsonText, parseJson } from '../lib/config/json.ts'
import { jsonOf, type PlainObject } from '../lib/config/plain-json.ts'
import { Section } from '../lib/config/section.ts'
import { attachmentKey, attachmentToJson } from '../lib/daemon/attachment.ts'
import { formatAddress, type IpAddress } from '../lib/ip/address.ts'
import { formatMac, hex } from '../lib/ip/mac.ts'
import { formatPrefix } from '../lib/ip/prefix.ts'
import { ensureDirectory, listDirectory, readText, removeFile, writeAtomic } from '../lib/sys/files.ts'
import type { Client } from './exchange.ts'
import { DEFAULT_PROBE, type Family } from './options-config.ts'
import type { Given, Terms } from './speech.ts'
import type { Client6 } from './v6/exchange.ts'

export interface Lease extends Given {
  readonly attachment: Attachment
  /** As the runtime named it. */
  readonly netns: string
  /** Device and inode: the path may lead to another container by now. */
  readonly netnsId: string
  readonly mac: Uint8Array
  /** The server took it back, or it ended unheard; the interface does not have the address. */
  readonly isLost: boolean
}

/** The lease with what was given now. The runtime was told the address and what came with it at first. */
export function prolonged(lease: Lease, { terms, moments }: Given): Lease {
  return { ...lease, terms, moments, isLost: false }
}

/** The leases' files. */
export class LeaseStore {
  readonly #directory: string
  readonly #boot: string

  /** @param boot differs from boot to boot: a file of an earlier one is nobody's */
  constructor(stateDir: string, boot: string) {
    this.#directory = `${stateDir}/leases`
    this.#boot = boot
    ensureDirectory(this.#directory, 0o700)
  }

  /** Those of this boot; files that tell of none are removed, unless a newer daemon has written them. @param log is told of those */
  read(log: (line: string) => void): readonly Lease[] {
    return listDirectory(this.#directory).flatMap(name => this.#read(`${this.#directory}/${name}`, log))
  }

  #read(path: string, log: (line: string) => void): readonly Lease[] {
    try {
      const lease = leaseFromText(readText(path) ?? '', this.#boot, JSON.stringify(path))
      if (lease === undefined) removeFile(path)
      return lease === undefined ? [] : [lease]
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      log(`${error.message}: it is not renewed (${FORMAT_ADVICE})`)
      return []
    }
  }

  put(lease: Lease): void {
    const path = this.#path(lease.attachment, lease.terms.family)
    writeAtomic(path, `${leaseToText(lease, this.#boot)}\n`, 0o600, false)
  }

  remove(attachment: Attachment): void {
    removeFile(this.#path(attachment, 4))
    removeFile(this.#path(attachment, 6))
  }

  /** Names have no limit in the specification, file names do. */
  #path(attachment: Attachment, family: Family): string {
    const digest = createHash('sha256').update(attachmentKey(attachment)).digest('hex').slice(0, 32)
    return `${this.#directory}/${digest}${family === 6 ? '-6' : ''}.json`
  }
}

/** The file's content. Never-ending times are null in JSON. */
export function leaseToText(lease: Lease, boot: string): string {
  const { moments } = lease
  const file = {
    boot,
    attachment: attachmentToJson(lease.attachment),
    netns: lease.netns,
    netnsId: lease.netnsId,
    mac: formatMac(lease.mac),
    address: formatPrefix(lease.address),
    ...plainTerms(lease.terms),
    renewAt: plainMoment(moments.renewAt),
    rebindAt: plainMoment(moments.rebindAt),
    expireAt: plainMoment(moments.expireAt),
    result: lease.result,
    isLost: lease.isLost
  }
  return jsonText(withFormat(jsonOf(file)))
}

function plainTerms(terms: Terms): PlainObject {
  if (terms.family === 6) {
    const { duid, iaid, hostName, probe } = terms.client
    return { duid: hex(duid), iaid, hostName, probe, serverDuid: hex(terms.held.server) }
  }
  const { client, held } = terms
  const { request, provide, priority, probe } = client.options
  return {
    clientId: hex(client.clientId),
    request,
    provide: [...provide].map(([code, value]) => [code, hex(value)]),
    priority,
    probe,
    broadcast: client.broadcast,
    server: formatAddress(held.server),
    serverMac: formatMac(held.serverMac)
  }
}

/**
 * @param path the file's, ready to print
 * @returns undefined for what is no lease of this boot, or torn
 * @throws {FormatError}
 */
export function leaseFromText(text: string, boot: string, path: string): Lease | undefined {
  try {
    const json = parseJson(text)
    refuseNewer(json, path)
    const file = new Section(json)
    const lease = readLease(file)
    file.finish()
    return file.text('boot') === boot ? lease : undefined
  } catch (error) {
    if (error instanceof FormatError) throw error
    return undefined
  }
}

/** @throws Error for a member that is missing; of another form, it is a problem of the section */
function readLease(file: Section): Lease {
  const attachment = new Section(required(file.json('attachment')))
  const address = required(readPrefix(file, 'address'))
  const lease: Lease = {
    attachment: {
      network: required(attachment.text('network')),
      containerId: required(attachment.text('containerId')),
      ifName: required(attachment.text('ifName'))
    },
    netns: required(file.text('netns')),
    netnsId: required(file.text('netnsId')),
    mac: required(readMac(file, 'mac')),
    address,
    terms: address.address.family === 6 ? readTerms6(file, address.address) : readTerms4(file, address.address),
    moments: {
      renewAt: momentOf(file, 'renewAt'),
      rebindAt: momentOf(file, 'rebindAt'),
      expireAt: momentOf(file, 'expireAt')
    },
    result: required(file.json('result')),
    isLost: file.boolean('isLost', false)
  }
  attachment.finish()
  return lease
}

function readTerms4(file: Section, address: IpAddress): Terms {
  const client: Client = {
    clientId: bytesOf(file.text('clientId')),
    options: {
      request: required(file.json('request')).items.map(one => Number(one.text)),
      provide: new Map(required(file.json('provide')).items.map(providedOf)),
      priority: file.integer('priority', 0, 4_294_967_295),
      probe: file.integer('probe', 0, 10_000) ?? DEFAULT_PROBE
    },
    broadcast: file.boolean('broadcast', false)
  }
  const held = {
    address,
    server: required(readAddress(file, 'server')),
    serverMac: required(readMac(file, 'serverMac'))
  }
  return { family: 4, client, held }
}

function readTerms6(file: Section, address: IpAddress): Terms {
  const client: Client6 = {
    duid: bytesOf(file.text('duid')),
    iaid: required(file.integer('iaid', 0, 4_294_967_295)),
    hostName: file.text('hostName') ?? '',
    probe: file.integer('probe', 0, 10_000) ?? DEFAULT_PROBE
  }
  return { family: 6, client, held: { address, server: bytesOf(file.text('serverDuid')) } }
}

function providedOf(pair: Json): readonly [number, Uint8Array] {
  return [Number(pair.items[0]?.text), bytesOf(pair.items[1]?.text)]
}

function bytesOf(text: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(required(text), 'hex'))
}

function plainMoment(moment: number): number | null {
  return Number.isFinite(moment) ? moment : null
}

/** Absent is as good as null: for ever. */
function momentOf(file: Section, key: string): number {
  const json = file.json(key)
  if (json === undefined) return Infinity
  if (json.type === 'number') return Number(json.text)
  throw new Error(`read ${key}: no number`)
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('read lease: something is missing')
  return value
}
