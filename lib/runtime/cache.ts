/**
 * libcni's cache of attachments: a file each with the configuration, the arguments and the result of ADD, from which DEL,
 * CHECK and GC take what the caller no longer knows. Runtimes over libcni and this one read each other's files.
 * @source libcni/api.go of containernetworking/cni, cachedInfo
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Json, jsonText, memberOf, parseJson } from '../config/json.ts'
import { jsonOf } from '../config/plain-json.ts'
import { ensureDirectory } from '../sys/files.ts'

const KIND = 'cniCacheV1'

/** A key of ours, which libcni passes over. */
const IDENTITY = 'patchbay.netnsIdentity'

/** What the cache remembers of an attachment. */
export interface CachedAttachment {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
  /** '' when it was not recorded. */
  readonly netns: string
  /** Which namespace the path led to at ADD (lib/sys/netns-identity.ts); '' in what libcni wrote. */
  readonly netnsIdentity: string
  /** The network's configuration at the time of ADD. */
  readonly config: string
  readonly args: readonly (readonly [string, string])[]
  readonly capabilityArgs: Json | undefined
  readonly result: Json | undefined
}

/** The files below `<directory>/results`. */
export class AttachmentCache {
  readonly #directory: string

  /** @param directory libcni's default is /var/lib/cni */
  constructor(directory: string) {
    this.#directory = join(directory, 'results')
  }

  pathOf(network: string, containerId: string, ifName: string): string {
    return join(this.#directory, `${network}-${containerId}-${ifName}`)
  }

  /** Remembers an attachment, replacing what was known of it. A reader sees the old file or the new one. */
  write(attachment: CachedAttachment): void {
    const path = this.pathOf(attachment.network, attachment.containerId, attachment.ifName)
    ensureDirectory(this.#directory, 0o700)
    // Not among the results: whoever lists them reads every file there.
    const fresh = join(this.#directory, '..', `.${basename(path)}.${String(process.pid)}`)
    writeFileSync(fresh, jsonText(toJson(attachment)), { mode: 0o600 })
    renameSync(fresh, path)
  }

  /** undefined when there is none, or the file is damaged. */
  find(network: string, containerId: string, ifName: string): CachedAttachment | undefined {
    const path = this.pathOf(network, containerId, ifName)
    const json = readObject(path)
    if (json === undefined || memberOf(json, 'kind') !== undefined) return attachmentFromJson(json)
    // Before the cache had kinds, the file held the result alone.
    const nothing = { netns: '', netnsIdentity: '', config: '', args: [], capabilityArgs: undefined }
    return { network, containerId, ifName, ...nothing, result: json }
  }

  remove(network: string, containerId: string, ifName: string): void {
    rmSync(this.pathOf(network, containerId, ifName), { force: true })
  }

  /** All attachments, or those of one network. Files that are none are passed over. */
  list(network?: string): readonly CachedAttachment[] {
    let names: readonly string[]
    try {
      names = readdirSync(this.#directory)
    } catch {
      return []
    }
    const all = [...names].sort().map(name => attachmentFromJson(readObject(join(this.#directory, name))))
    const whole = all.filter(one => one !== undefined).filter(one => one.network !== '' && one.ifName !== '')
    return whole.filter(one => network === undefined || one.network === network)
  }
}

function toJson(one: CachedAttachment): Json {
  return jsonOf({
    kind: KIND,
    containerId: one.containerId,
    config: Buffer.from(one.config, 'utf8').toString('base64'),
    ifName: one.ifName,
    networkName: one.network,
    netns: one.netns === '' ? undefined : one.netns,
    [IDENTITY]: one.netnsIdentity === '' ? undefined : one.netnsIdentity,
    cniArgs: one.args.length === 0 ? undefined : one.args,
    capabilityArgs: one.capabilityArgs,
    result: one.result
  })
}

function readObject(path: string): Json | undefined {
  try {
    return objectOrNothing(parseJson(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}

function attachmentFromJson(json: Json | undefined): CachedAttachment | undefined {
  if (json === undefined || memberOf(json, 'kind')?.text !== KIND) return undefined
  const ifName = memberOf(json, 'ifName')?.text ?? ''
  const result = objectOrNothing(memberOf(json, 'result'))
  return {
    network: memberOf(json, 'networkName')?.text ?? '',
    containerId: memberOf(json, 'containerId')?.text ?? '',
    ifName,
    netns: memberOf(json, 'netns')?.text ?? sandboxIn(result, ifName),
    netnsIdentity: memberOf(json, IDENTITY)?.text ?? '',
    config: Buffer.from(memberOf(json, 'config')?.text ?? '', 'base64').toString('utf8'),
    args: (memberOf(json, 'cniArgs')?.items ?? []).map(pair => [pair.items[0]?.text ?? '', pair.items[1]?.text ?? '']),
    capabilityArgs: objectOrNothing(memberOf(json, 'capabilityArgs')),
    result
  }
}

/** Where the interface is, by the result of ADD: not every libcni writes the namespace down. '' where the result has none. */
function sandboxIn(result: Json | undefined, ifName: string): string {
  const interfaces = result === undefined ? [] : (memberOf(result, 'interfaces')?.items ?? [])
  return (
    interfaces
      .filter(one => memberOf(one, 'name')?.text === ifName)
      .map(one => memberOf(one, 'sandbox')?.text ?? '')
      .find(path => path !== '') ?? ''
  )
}

function objectOrNothing(json: Json | undefined): Json | undefined {
  return json?.type === 'object' ? json : undefined
}
