/**
 * A network of the cluster, as the registry has it under `networks/<name>`:
 *
 *     { "id": "5f0c…", "vni": 70001, "created": "2026-11-27T08:00:00.000Z",
 *       "ranges": [{ "subnet": "10.42.0.0/24", "gateway": "10.42.0.1",
 *                    "rangeStart": "10.42.0.128", "rangeEnd": "10.42.0.254", "exclude": ["10.42.0.200"] }],
 *       "internal": true, "masquerade": false, "names": false, "encrypted": true,
 *       "mtu": 1400, "labels": { "tier": "front" } }
 *
 * What the other hosts' agents wrote is judged field by field before it gets anywhere: of a value that is wrong in one of
 * them nothing is used. A record is never changed: a network that is made again has another id.
 */
import { isName } from '../../lib/attachment.ts'
import { readAddress, readPrefix } from '../../lib/config/addresses.ts'
import { type Json, jsonText, parseJson } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
import { Section } from '../../lib/config/section.ts'
import { compareAddresses, formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import {
  formatPrefix,
  type IpPrefix,
  networkOf,
  parsePrefix,
  prefixContains,
  prefixesEqual,
  prefixesOverlap
} from '../../lib/ip/prefix.ts'
import { LEAST_IPV6_MTU } from '../../lib/overlay/tunnel.ts'

/** The addresses of one subnet; a container gets one of each. */
export interface NetworkRange {
  readonly subnet: IpPrefix
  readonly gateway: IpAddress
  /** First and last address that containers get; undefined where the whole subnet is theirs. */
  readonly span: { readonly first: IpAddress; readonly last: IpAddress } | undefined
  /** Addresses that no container gets. */
  readonly exclude: readonly IpAddress[]
}

export interface NetworkRecord {
  readonly name: string
  /** 64 hexadecimal digits; of two networks that had one name, one after the other, each has its own. */
  readonly id: string
  /** The network's number on the wire, 1 to 16777215. */
  readonly vni: number
  /** ISO 8601 */
  readonly created: string
  readonly ranges: readonly NetworkRange[]
  /** Nothing leads out of it. */
  readonly internal: boolean
  /** What leaves it bears the host's address. */
  readonly masquerade: boolean
  /** Containers are found by name. */
  readonly names: boolean
  /** What goes to other hosts is encrypted. */
  readonly encrypted: boolean
  /** bytes; undefined = what the underlay allows */
  readonly mtu: number | undefined
  readonly labels: ReadonlyMap<string, string>
}

export const LARGEST_VNI = 16_777_215
/** What is left of a file name's 255 bytes beside `.patchbay-` and `.conflist.tmp`. */
export const LONGEST_NAME = 230
const MOST_RANGES = 16
const MOST_EXCLUDED = 256
const MOST_LABELS = 64
const LONGEST_LABEL = 1024
/** Longer than any record with all of that. */
const LONGEST_VALUE = 256 * 1024

/** No container can have an address there. @source IANA special-purpose registries; RFC 4291 section 2.4 */
export const UNUSABLE: readonly (readonly [string, string])[] = [
  ['0.0.0.0/8', 'of "this network"'],
  ['127.0.0.0/8', 'of the loopback'],
  ['224.0.0.0/4', 'of multicast'],
  ['240.0.0.0/4', 'reserved'],
  ['::/8', 'reserved'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'of multicast']
]

/** Of a name that keys and files can be made of. */
export function isNetworkName(name: string): boolean {
  return isName(name) && name.length <= LONGEST_NAME
}

/**
 * A record out of a value of the registry.
 *
 * @returns the record, or what is wrong with the value
 */
export function recordFromValue(name: string, value: string): NetworkRecord | string {
  if (!isNetworkName(name)) return 'its name is none'
  if (value.length > LONGEST_VALUE) return 'it is too long'
  try {
    return readRecord(name, new Section(parseJson(value)))
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** The same out of a section that may be part of a larger object. @throws {ConfigError} naming every wrong key */
export function readRecord(name: string, section: Section): NetworkRecord {
  const id = section.text('id') ?? ''
  if (!/^[0-9a-f]{64}$/.test(id)) section.problem('id', 'must be 64 hexadecimal digits')
  const vni = section.integer('vni', 1, LARGEST_VNI) ?? 0
  if (vni === 0 && !section.has('vni')) section.problem('vni', 'is required')
  const created = section.text('created') ?? ''
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(created)) section.problem('created', 'must be a time')
  const record = {
    name,
    id,
    vni,
    created,
    ranges: readRanges(section),
    internal: section.boolean('internal', false),
    masquerade: section.boolean('masquerade', true),
    names: section.boolean('names', true),
    encrypted: section.boolean('encrypted', false),
    mtu: section.integer('mtu', 68, 65_535),
    labels: readLabels(section)
  }
  const { mtu, ranges } = record
  if (mtu !== undefined && mtu < LEAST_IPV6_MTU && ranges.some(({ subnet }) => subnet.address.family === 6))
    section.problem('mtu', `must be at least ${LEAST_IPV6_MTU} where a subnet is of IPv6`)
  refuseUnknownKeys(section)
  section.finish()
  return record
}

/** A key of a later version may be what the network is not safe without. */
function refuseUnknownKeys(section: Section): void {
  for (const member of section.members()) {
    if (!KEYS.has(member.key)) section.memberProblem(member, 'is unknown here: the agent that wrote it is newer')
  }
}

const KEYS: ReadonlySet<string> = new Set([
  'id',
  'vni',
  'created',
  'ranges',
  'internal',
  'masquerade',
  'names',
  'encrypted',
  'mtu',
  'labels'
])

function readRanges(section: Section): readonly NetworkRange[] {
  const sections = section.sections('ranges')
  if (sections.length === 0 || sections.length > MOST_RANGES)
    section.problem('ranges', `must be a list of 1 to ${MOST_RANGES} ranges`)
  const ranges = sections.slice(0, MOST_RANGES).flatMap(one => readRange(one) ?? [])
  ranges.forEach(({ subnet }, i) => {
    if (ranges.slice(0, i).some(other => prefixesOverlap(other.subnet, subnet)))
      section.problem('ranges', `must not overlap, as ${formatPrefix(subnet)} does`)
  })
  return ranges
}

function readRange(section: Section): NetworkRange | undefined {
  const subnet = readPrefix(section, 'subnet')
  const gateway = readAddress(section, 'gateway')
  if (subnet === undefined || gateway === undefined) {
    section.problem('subnet', 'and "gateway" are required')
    return undefined
  }
  const fault = subnetFault(subnet)
  if (fault !== '') section.problem('subnet', fault)
  const within = (key: string, address: IpAddress | undefined): void => {
    if (address !== undefined && !prefixContains(subnet, address))
      section.problem(key, `must be in ${formatPrefix(subnet)}`)
  }
  within('gateway', gateway)
  const first = readAddress(section, 'rangeStart')
  const last = readAddress(section, 'rangeEnd')
  within('rangeStart', first)
  within('rangeEnd', last)
  const isSpan = first !== undefined && last !== undefined && first.family === last.family
  if (isSpan ? compareAddresses(first, last) > 0 : first !== last)
    section.problem('rangeStart', 'and "rangeEnd" must be the ends of a range')
  const exclude = section.textList('exclude').flatMap(text => parseAddress(text) ?? [])
  if (exclude.length > MOST_EXCLUDED || exclude.length < section.textList('exclude').length)
    section.problem('exclude', `must be a list of at most ${MOST_EXCLUDED} addresses`)
  for (const address of exclude) within('exclude', address)
  return { subnet, gateway, span: isSpan ? { first, last } : undefined, exclude }
}

/** What is wrong with the subnet of a network; '' when nothing is. */
function subnetFault(subnet: IpPrefix): string {
  if (!prefixesEqual(subnet, networkOf(subnet)))
    return `must have no host bits, as in "${formatPrefix(networkOf(subnet))}"`
  const [least, most] = subnet.address.family === 4 ? [8, 30] : [16, 126]
  if (subnet.length < least || subnet.length > most) return `must have a length from ${least} to ${most}`
  for (const [text, what] of UNUSABLE) {
    const unusable = parsePrefix(text)
    if (unusable !== undefined && prefixesOverlap(unusable, subnet)) return `must hold no addresses that are ${what}`
  }
  return ''
}

/** They are shown on terminals: no control characters. */
function readLabels(section: Section): ReadonlyMap<string, string> {
  const labels = new Map<string, string>()
  const members = section.section('labels')?.members() ?? []
  if (members.length > MOST_LABELS) section.problem('labels', `must be at most ${MOST_LABELS}`)
  for (const { key, json } of members.slice(0, MOST_LABELS)) {
    const isLabel = json.type === 'string' && [key, json.text].every(isPlain) && key !== ''
    if (isLabel) labels.set(key, json.text)
    else section.problem('labels', `must be texts of at most ${LONGEST_LABEL} characters without control characters`)
  }
  return labels
}

function isPlain(text: string): boolean {
  return text.length <= LONGEST_LABEL && !/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/u.test(text)
}

/** As the registry has it, without the name. */
export function recordToJson(record: NetworkRecord): Json {
  return jsonOf({
    id: record.id,
    vni: record.vni,
    created: record.created,
    ranges: record.ranges.map(rangeToJson),
    internal: record.internal,
    masquerade: record.masquerade,
    names: record.names,
    // Agents that do not know the key refuse the network for it: they would have it in clear.
    encrypted: record.encrypted ? true : undefined,
    mtu: record.mtu,
    labels: record.labels
  })
}

/** As an IPAM plugin reads it, too. */
export function rangeToJson({ subnet, gateway, span, exclude }: NetworkRange): Json {
  return jsonOf({
    subnet: formatPrefix(subnet),
    gateway: formatAddress(gateway),
    rangeStart: span && formatAddress(span.first),
    rangeEnd: span && formatAddress(span.last),
    exclude: exclude.length === 0 ? undefined : exclude.map(formatAddress)
  })
}

export function recordToValue(record: NetworkRecord): string {
  return jsonText(recordToJson(record))
}

/** The subnet of `record` that clashes with one of `other`, and that one. */
export function overlapOf(record: NetworkRecord, other: NetworkRecord): readonly [IpPrefix, IpPrefix] | undefined {
  for (const { subnet } of record.ranges) {
    const taken = other.ranges.find(one => prefixesOverlap(one.subnet, subnet))
    if (taken !== undefined) return [subnet, taken.subnet]
  }
  return undefined
}
