/**
 * A lease that an attachment holds, and its file: what the daemon must still know after a restart.
 *
 *     <state directory>/leases/<hash of the attachment's names>.json
 *
 * On tmpfs, because neither the container nor its interface outlives the boot.
 */
import { createHash } from 'node:crypto'
import type { Attachment } from '../lib/attachment.ts'
import { readAddress, readMac, readPrefix } from '../lib/config/addresses.ts'
import {
  type Json,
  jsonArray,
  jsonBoolean,
  jsonNull,
  jsonNumber,
  jsonObject,
  jsonString,
  jsonText,
  parseJson
} from '../lib/config/json.ts'
import { Section } from '../lib/config/section.ts'
import { attachmentKey, attachmentToJson } from '../lib/daemon/attachment.ts'
import { formatAddress } from '../lib/ip/address.ts'
import { formatMac, hex } from '../lib/ip/mac.ts'
import { formatPrefix, type IpPrefix } from '../lib/ip/prefix.ts'
import { ensureDirectory, listDirectory, readText, removeFile, writeAtomic } from '../lib/sys/files.ts'
import type { Client, Granted, Held } from './exchange.ts'
import type { Times } from './grant.ts'

/** Moments of `clock()`. */
export interface Moments {
  readonly renewAt: number
  readonly rebindAt: number
  readonly expireAt: number
}

export interface Lease {
  readonly attachment: Attachment
  /** As the runtime named it. */
  readonly netns: string
  /** Device and inode: the path may lead to another container by now. */
  readonly netnsId: string
  readonly mac: Uint8Array
  readonly client: Client
  readonly address: IpPrefix
  readonly held: Held
  readonly moments: Moments
  /** For the runtime, in the form of cniVersion 1.1.0. */
  readonly result: Json
  /** The server took it back, or it ended unheard; the interface does not have the address. */
  readonly isLost: boolean
}

/** The lease with what was granted now. */
export function grantedTo(lease: Lease, grant: Granted): Lease {
  return {
    ...lease,
    held: { address: lease.address.address, server: grant.server, serverMac: grant.serverMac },
    moments: momentsOf(grant.askedAt, grant.times),
    isLost: false
  }
}

/** A lease is renewed somewhat earlier or later than at half its time, so that not all of a host's come at once. */
export function momentsOf(askedAt: number, times: Times): Moments {
  const renew = Number.isFinite(times.renew) ? times.renew * (0.95 + 0.1 * Math.random()) : Infinity
  return {
    renewAt: askedAt + Math.min(renew, times.rebind) * 1000,
    rebindAt: askedAt + times.rebind * 1000,
    expireAt: askedAt + times.expire * 1000
  }
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

  /** Those of this boot; files that tell of none are removed. */
  read(): readonly Lease[] {
    const leases: Lease[] = []
    for (const name of listDirectory(this.#directory)) {
      const path = `${this.#directory}/${name}`
      const lease = leaseFromText(readText(path) ?? '', this.#boot)
      if (lease === undefined) removeFile(path)
      else leases.push(lease)
    }
    return leases
  }

  put(lease: Lease): void {
    writeAtomic(this.#path(lease.attachment), `${leaseToText(lease, this.#boot)}\n`, 0o600, false)
  }

  remove(attachment: Attachment): void {
    removeFile(this.#path(attachment))
  }

  /** Names have no limit in the specification, file names do. */
  #path(attachment: Attachment): string {
    const digest = createHash('sha256').update(attachmentKey(attachment)).digest('hex').slice(0, 32)
    return `${this.#directory}/${digest}.json`
  }
}

/** The file's content. Never-ending times are null in JSON. */
export function leaseToText(lease: Lease, boot: string): string {
  const { client, held, moments } = lease
  const provide = [...client.options.provide].map(([code, value]) =>
    jsonArray([jsonNumber(code), jsonString(hex(value))])
  )
  const { priority } = client.options
  return jsonText(
    jsonObject([
      ['boot', jsonString(boot)],
      ['attachment', attachmentToJson(lease.attachment)],
      ['netns', jsonString(lease.netns)],
      ['netnsId', jsonString(lease.netnsId)],
      ['mac', jsonString(formatMac(lease.mac))],
      ['clientId', jsonString(hex(client.clientId))],
      ['request', jsonArray(client.options.request.map(jsonNumber))],
      ['provide', jsonArray(provide)],
      ['priority', priority === undefined ? undefined : jsonNumber(priority)],
      ['broadcast', jsonBoolean(client.broadcast)],
      ['address', jsonString(formatPrefix(lease.address))],
      ['server', jsonString(formatAddress(held.server))],
      ['serverMac', jsonString(formatMac(held.serverMac))],
      ['renewAt', momentToJson(moments.renewAt)],
      ['rebindAt', momentToJson(moments.rebindAt)],
      ['expireAt', momentToJson(moments.expireAt)],
      ['result', lease.result],
      ['isLost', jsonBoolean(lease.isLost)]
    ])
  )
}

/** undefined for what is no lease of this boot, torn or of another version. */
export function leaseFromText(text: string, boot: string): Lease | undefined {
  try {
    const file = new Section(parseJson(text))
    const lease = readLease(file)
    file.finish()
    return file.text('boot') === boot ? lease : undefined
  } catch {
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
    client: {
      clientId: bytesOf(file.text('clientId')),
      options: {
        request: required(file.json('request')).items.map(one => Number(one.text)),
        provide: new Map(required(file.json('provide')).items.map(providedOf)),
        priority: file.integer('priority', 0, 4_294_967_295)
      },
      broadcast: file.boolean('broadcast', false)
    },
    address,
    held: {
      address: address.address,
      server: required(readAddress(file, 'server')),
      serverMac: required(readMac(file, 'serverMac'))
    },
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

function providedOf(pair: Json): readonly [number, Uint8Array] {
  return [Number(pair.items[0]?.text), bytesOf(pair.items[1]?.text)]
}

function bytesOf(text: string | undefined): Uint8Array {
  return Buffer.from(required(text), 'hex')
}

function momentToJson(moment: number): Json {
  return Number.isFinite(moment) ? jsonNumber(moment) : jsonNull
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
