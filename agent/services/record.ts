/**
 * A service, as the registry has it under `services/<name>`:
 *
 *     { "id": "5f0c…", "created": "2026-11-27T08:00:00.000Z", "network": "blue", "alias": "web",
 *       "mode": "vip", "vips": ["10.42.255.254"], "pool": "blue", "sticky": true,
 *       "publish": [{ "port": 8001, "target": 80, "protocol": "tcp" }] }
 *
 * `pool` is the one of ipam cluster that the addresses are of; with host-local `leases` stands in its place, the directory of its
 * leases on `leaseHost`. What other hosts' agents wrote is judged field by field; of a value that is wrong in one of them nothing is used.
 */
import { isName } from '../../lib/attachment.ts'
import { type Json, jsonText, parseJson } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
import { Section } from '../../lib/config/section.ts'
import {
  formatAddress,
  type IpAddress,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseAddress
} from '../../lib/ip/address.ts'
import { canonicalName, nameProblem } from '../../lib/names/host-name.ts'

/** `vip`: the name has an address of its own; `dnsrr`: it stands for the members' addresses. */
type Mode = 'vip' | 'dnsrr'

/** A port of every host. */
export interface Published {
  readonly port: number
  /** The members'. */
  readonly target: number
  /** IPPROTO_* */
  readonly protocol: number
}

export interface ServiceRecord {
  /** Canonical, one label. */
  readonly name: string
  /** 64 hexadecimal digits; of two services that had one name, one after the other, each has its own. */
  readonly id: string
  /** ISO 8601 */
  readonly created: string
  readonly network: string
  /** Canonical: whoever is called so on the network is a member. */
  readonly alias: string
  readonly mode: Mode
  /** At most one of each family; none of mode dnsrr. */
  readonly vips: readonly IpAddress[]
  /** '' with host-local */
  readonly pool: string
  /** '' with cluster */
  readonly leases: string
  /** On which host they are. */
  readonly leaseHost: string
  /** A source stays with its member. */
  readonly isSticky: boolean
  readonly published: readonly Published[]
}

const MODES: readonly Mode[] = ['vip', 'dnsrr']
const LONGEST_VALUE = 64 * 1024
const MOST_PUBLISHED = 256

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132]
])

/** What is said of another one. */
export const PROTOCOL_PROBLEM = `must be one of ${[...PROTOCOLS.keys()].join(', ')}`

/** @returns undefined for a protocol that nothing can be published by */
export function protocolNumber(name: string): number | undefined {
  return PROTOCOLS.get(name)
}

export function protocolName(number: number): string {
  return [...PROTOCOLS].find(one => one[1] === number)?.[0] ?? String(number)
}

/** `8001/tcp` */
export function portText({ port, protocol }: Pick<Published, 'port' | 'protocol'>): string {
  return `${port}/${protocolName(protocol)}`
}

/** @returns the record, or what is wrong with the value */
export function serviceFromValue(name: string, value: string): ServiceRecord | string {
  if (value.length > LONGEST_VALUE) return 'it is too long'
  try {
    return readService(name, new Section(parseJson(value)))
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export function serviceToValue(record: ServiceRecord): string {
  return jsonText(serviceToJson(record))
}

export function serviceToJson(record: ServiceRecord): Json {
  const { vips, pool, leases, leaseHost, published } = record
  return jsonOf({
    id: record.id,
    created: record.created,
    network: record.network,
    alias: record.alias,
    mode: record.mode,
    vips: vips.map(formatAddress),
    pool: pool === '' ? undefined : pool,
    leases: leases === '' ? undefined : leases,
    leaseHost: leaseHost === '' ? undefined : leaseHost,
    sticky: record.isSticky ? true : undefined,
    publish: published.length === 0 ? undefined : published.map(publishedToJson)
  })
}

function publishedToJson({ port, target, protocol }: Published): Json {
  return jsonOf({ port, target, protocol: protocolName(protocol) })
}

/** @throws {ConfigError} naming every wrong key */
export function readService(name: string, section: Section): ServiceRecord {
  const id = section.text('id') ?? ''
  if (!/^[0-9a-f]{64}$/.test(id)) section.problem('id', 'must be 64 hexadecimal digits')
  const problem = serviceNameProblem(name)
  if (problem !== '') section.problem('name', problem)
  const record = {
    name,
    id,
    created: section.text('created') ?? '',
    network: readNetwork(section),
    alias: readAlias(section, name),
    mode: readMode(section),
    vips: readVips(section),
    pool: section.text('pool') ?? '',
    leases: section.text('leases') ?? '',
    leaseHost: section.text('leaseHost') ?? '',
    isSticky: section.boolean('sticky', false),
    published: readPublished(section)
  }
  if (record.mode === 'dnsrr') refuseOfAddress(section, record)
  section.finish()
  return record
}

/** Without an address there is nothing between clients and members that could do it. */
function refuseOfAddress(section: Section, { vips, isSticky, published }: Partial<ServiceRecord>): void {
  const problem = 'and mode "dnsrr" exclude each other: the name stands for the members themselves'
  if ((vips ?? []).length > 0) section.problem('vips', problem)
  if (isSticky === true) section.problem('sticky', problem)
  if ((published ?? []).length > 0) section.problem('publish', problem)
}

/** A service is one label: what stands behind a dot is its network. */
function serviceNameProblem(name: string): string {
  if (name.includes('.')) return 'must have no dot'
  return canonicalName(name) === name ? nameProblem(name) : 'must be of small letters'
}

function readNetwork(section: Section): string {
  const network = section.text('network') ?? ''
  if (!isName(network)) section.problem('network', 'is required: the name of a network')
  return network
}

function readAlias(section: Section, name: string): string {
  const alias = canonicalName(section.text('alias') ?? name)
  const problem = nameProblem(alias)
  if (problem !== '') section.problem('alias', problem)
  return alias
}

function readMode(section: Section): Mode {
  const mode = section.oneOf('mode', MODES)
  return MODES.find(one => one === mode) ?? 'vip'
}

function readVips(section: Section): readonly IpAddress[] {
  const vips: IpAddress[] = []
  for (const text of section.textList('vips')) {
    const vip = parseAddress(text)
    if (vip === undefined || isUnspecified(vip) || isLoopback(vip) || isMulticast(vip)) {
      section.problem('vips', `must hold addresses, not ${JSON.stringify(text)}`)
    } else if (vips.some(one => one.family === vip.family)) section.problem('vips', 'must hold one of each family')
    else vips.push(vip)
  }
  return vips
}

/** @param key of a list of ports */
export function readPublished(section: Section, key = 'publish'): readonly Published[] {
  const published: Published[] = []
  const all = section.sections(key)
  if (all.length > MOST_PUBLISHED) section.problem(key, `must have at most ${MOST_PUBLISHED} ports`)
  for (const one of all) {
    const port = one.integer('port', 1, 65_535) ?? 0
    const target = one.integer('target', 1, 65_535) ?? port
    const protocol = protocolNumber(one.text('protocol') ?? 'tcp')
    if (port === 0) one.problem('port', 'is required: 1 to 65535')
    if (protocol === undefined) one.problem('protocol', PROTOCOL_PROBLEM)
    else if (published.some(other => other.port === port && other.protocol === protocol))
      one.problem('port', `${portText({ port, protocol })} is there twice`)
    else published.push({ port, target, protocol })
  }
  return published
}
