/**
 * A lease that an attachment holds, and its file: what the daemon must still know after a restart.
 *
 *     <state directory>/leases/<hash of the attachment's names>.json
 *
 * On tmpfs, because neither the container nor its interface outlives the boot.
 */
import { createHash } from 'node:crypto'
import { type Json, jsonText, parseJson } from '../lib/config/json.ts'
import { parseAddress } from '../lib/ip/address.ts'
import { formatMac, hex, parseMac } from '../lib/ip/mac.ts'
import { formatPrefix, type IpPrefix, parsePrefix } from '../lib/ip/prefix.ts'
import { ensureDirectory, listDirectory, readText, removeFile, writeAtomic } from '../lib/sys/files.ts'
import type { Client, Granted, Held } from './exchange.ts'
import type { Times } from './grant.ts'

/** Whose it is. */
export interface Attachment {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

export function attachmentKey({ network, containerId, ifName }: Attachment): string {
  return `${network}:${containerId}:${ifName}`
}

/** The attachment in messages. */
export function attachmentText({ network, containerId, ifName }: Attachment): string {
  return `${JSON.stringify(ifName)} of container ${JSON.stringify(containerId)} on network ${JSON.stringify(network)}`
}

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
  return JSON.stringify({
    boot,
    attachment: lease.attachment,
    netns: lease.netns,
    netnsId: lease.netnsId,
    mac: formatMac(lease.mac),
    clientId: hex(client.clientId),
    request: client.options.request,
    provide: [...client.options.provide].map(([code, value]) => [code, hex(value)]),
    priority: client.options.priority,
    broadcast: client.broadcast,
    address: formatPrefix(lease.address),
    server: [...held.server.bytes].join('.'),
    serverMac: formatMac(held.serverMac),
    renewAt: moments.renewAt,
    rebindAt: moments.rebindAt,
    expireAt: moments.expireAt,
    result: JSON.parse(jsonText(lease.result)),
    isLost: lease.isLost
  })
}

/** undefined for what is no lease of this boot, torn or of another version. */
export function leaseFromText(text: string, boot: string): Lease | undefined {
  try {
    const file = JSON.parse(text)
    const address = parsePrefix(String(file.address))
    const server = parseAddress(String(file.server))
    const mac = parseMac(String(file.mac))
    const serverMac = parseMac(String(file.serverMac))
    const { network, containerId, ifName } = file.attachment
    const isWhole = [network, containerId, ifName, file.netns, file.netnsId].every(one => typeof one === 'string')
    if (file.boot !== boot || !isWhole || !address || !server || !mac || !serverMac) return undefined
    return {
      attachment: { network, containerId, ifName },
      netns: file.netns,
      netnsId: file.netnsId,
      mac,
      client: {
        clientId: Buffer.from(file.clientId, 'hex'),
        options: {
          request: file.request.map(Number),
          provide: new Map(file.provide.map(([code, value]: [number, string]) => [code, Buffer.from(value, 'hex')])),
          priority: file.priority
        },
        broadcast: file.broadcast === true
      },
      address,
      held: { address: address.address, server, serverMac },
      moments: {
        renewAt: momentOf(file.renewAt),
        rebindAt: momentOf(file.rebindAt),
        expireAt: momentOf(file.expireAt)
      },
      result: parseJson(JSON.stringify(file.result)),
      isLost: file.isLost === true
    }
  } catch {
    return undefined
  }
}

function momentOf(value: unknown): number {
  if (value === null) return Infinity
  if (typeof value === 'number') return value
  throw new Error('read moment: no number')
}
