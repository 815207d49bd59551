/**
 * The configuration list of a network of the cluster: made from the fields of its record, each of which was judged. Nothing of
 * what others wrote is copied into it.
 *
 * It ends with a mark, by which the agent knows its own file again, and out of which it knows the network when the registry is
 * away, or has lost its memory:
 *
 *     "patchbay": { "network": { record }, "revision": 17, "sha256": "…" }
 *
 * The digest is that of the file without it: a file that somebody has edited since is that person's.
 */
import { createHash } from 'node:crypto'
import { type Json, jsonText, memberOf, parseJson, withMember } from '../../lib/config/json.ts'
import { jsonOf, type Plain, type PlainObject } from '../../lib/config/plain-json.ts'
import { Section } from '../../lib/config/section.ts'
import { DEFAULT_SOCKET } from '../../lib/overlay/agent-call.ts'
import { OFFERED_VERSIONS } from '../../lib/runtime/network.ts'
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import { type NetworkRecord, rangeToJson, readRecord, recordToJson } from './record.ts'

/** A network as the registry had it at a revision. */
export interface KnownNetwork {
  readonly record: NetworkRecord
  readonly revision: number
}

/** What plugins of this host have to be told of it. */
export interface HostSettings {
  /** The agent's socket. */
  readonly socket: string
  /** The plugins' `stateDir`. */
  readonly stateDir: string
  /** Interface and address that carry the tunnels; '' = the plugin chooses. */
  readonly underlay: { readonly dev: string; readonly local: string }
}

const MARK = 'patchbay'
const DIGEST = 'sha256'
const LARGEST_REVISION = Number.MAX_SAFE_INTEGER

/** The text of the file. */
export function conflistOf({ record, revision }: KnownNetwork, settings: HostSettings): string {
  const { labels } = record
  const mark = jsonOf({ network: recordToJson(record), revision })
  const config = jsonOf({
    cniVersion: OFFERED_VERSIONS[0],
    cniVersions: OFFERED_VERSIONS,
    name: record.name,
    labels: labels.size === 0 ? undefined : labels,
    plugins: chainOf(record, settings),
    [MARK]: mark
  })
  return fileText(withMember(config, MARK, withMember(mark, DIGEST, jsonOf(digestOf(config)))))
}

/** @returns the network of a file that is the agent's, as it left it; undefined for any other text */
export function networkOfConflist(text: string): KnownNetwork | undefined {
  try {
    const config = parseJson(text)
    const file = new Section(config)
    const mark = file.section(MARK)
    const network = mark?.section('network')
    if (mark === undefined || network === undefined) return undefined
    const record = readRecord(file.text('name') ?? '', network)
    const revision = mark.integer('revision', 0, LARGEST_REVISION) ?? 0
    file.finish()
    return digestOf(withoutDigest(config)) === mark.text(DIGEST) ? { record, revision } : undefined
  } catch {
    return undefined
  }
}

function fileText(config: Json): string {
  return `${jsonText(config, 2)}\n`
}

function digestOf(config: Json): string {
  return createHash('sha256').update(fileText(config)).digest('hex')
}

function withoutDigest(config: Json): Json {
  const mark = memberOf(config, MARK)
  const members = (mark?.keys ?? []).map((key, i) => [key, mark?.items[i]] as const)
  return withMember(config, MARK, jsonOf(new Map(members.filter(([key]) => key !== DIGEST))))
}

function chainOf(record: NetworkRecord, settings: HostSettings): readonly Json[] {
  const leadsOut = !record.internal
  const capabilities = (...names: readonly string[]): Plain => new Map(names.map(name => [name, true]))
  const registry = { socket: settings.socket === DEFAULT_SOCKET ? undefined : settings.socket }
  const given = (text: string): string | undefined => (text === '' ? undefined : text)
  const stateDir = settings.stateDir === DEFAULT_STATE_DIR ? undefined : settings.stateDir
  const plugin = (type: string, members: PlainObject): Json => jsonOf({ type, ...members, stateDir })
  const isRanged = record.ranges.some(range => range.span !== undefined)
  const ipam = {
    type: 'cluster',
    // As with Docker, --ip-range is where addresses are chosen, not where they may be asked for.
    requestedFrom: isRanged ? 'subnet' : undefined,
    ranges: record.ranges.map(range => [rangeToJson(range)])
  }
  const vxlan = plugin('vxlan', {
    vni: record.vni,
    // What carries an encrypted one is the agent's matter.
    dev: record.encrypted ? undefined : given(settings.underlay.dev),
    local: record.encrypted ? undefined : given(settings.underlay.local),
    isDefaultGateway: leadsOut,
    ipMasq: leadsOut && record.masquerade,
    hairpinMode: true,
    mtu: record.mtu,
    // An older plugin knows no encryption, and would have the network in clear: without "registry" it refuses it.
    [record.encrypted ? 'encrypted' : 'registry']: registry,
    capabilities: capabilities('ips', 'mac'),
    ipam
  })
  const internal = record.internal ? true : undefined
  const dns = plugin('dns', { internal, registry, capabilities: capabilities('aliases') })
  return [
    vxlan,
    ...(leadsOut ? [plugin('portmap', { capabilities: capabilities('portMappings') })] : []),
    plugin('firewall', { ingressPolicy: 'same-bridge' }),
    ...(record.names ? [dns] : [])
  ]
}
