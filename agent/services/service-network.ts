/** Where a service's address can come from: what the configuration of its network says, on this host. */
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { memberOf } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import type { IpRange } from '../../lib/ip/range.ts'
import { readExcludes, readRange } from '../../lib/ranges/range-config.ts'
import { type AddressRange, type RangeSet, rangeSet, setText, spanOf } from '../../lib/ranges/range-set.ts'
import { sortRanges } from '../../lib/ranges/sorted-ranges.ts'
import { loadNetwork, type Network, pluginType } from '../../lib/runtime/network.ts'

const DEFAULT_DATA_DIR = '/var/lib/cni/networks'

export interface ServiceNetwork {
  readonly name: string
  /** The plugin that makes the interface. */
  readonly driver: string
  readonly ipam: 'cluster' | 'host-local'
  /** Of ipam cluster. */
  readonly pool: string
  /** Of host-local: where its leases are. */
  readonly leases: string
  readonly sets: readonly RangeSet[]
}

/**
 * @param confDir where this host's runtimes look for networks
 * @throws {CniError} code 7 when there is none of that name, its containers have no names, or its ipam is another one
 */
export function serviceNetwork(confDir: string, name: string): ServiceNetwork {
  const network = refuseWithoutNames(confDir, name)
  const what = purpose(name)
  const plugin = network.plugins.find(one => memberOf(one, 'ipam') !== undefined)
  const ipam = plugin === undefined ? undefined : new Section(plugin).section('ipam')
  const type = ipam?.text('type') ?? ''
  if (ipam === undefined || (type !== 'cluster' && type !== 'host-local')) {
    const details =
      'the service needs an address of its own, from ipam "cluster" or "host-local"; --mode dnsrr needs none'
    throw new CniError(INVALID_CONFIG, `${what}: its ipam is ${JSON.stringify(type)}`, details)
  }
  const driver = network.plugins[0] === undefined ? '' : pluginType(network.plugins[0])
  const sets = setsOf(ipam)
  const pool = textOr(ipam, 'pool', name)
  const leases = `${textOr(ipam, 'dataDir', DEFAULT_DATA_DIR)}`
  return {
    name,
    driver,
    ipam: type,
    pool: type === 'cluster' ? pool : '',
    leases: type === 'cluster' ? '' : leases,
    sets
  }
}

/**
 * Judges addresses of services on a network, which somebody may have written into the registry by himself: what the network's
 * pool does not give is somebody else's, and its containers would be led astray.
 *
 * @returns what says why an address is refused; '' for one that the pool gives, and where this host has no such pool: with
 *   host-local each host may give others
 */
export function judgeOf(confDir: string, name: string): (vip: IpAddress) => string {
  try {
    const { ipam, sets } = serviceNetwork(confDir, name)
    if (ipam !== 'cluster') return () => ''
    const reason = `network ${JSON.stringify(name)} gives ${sets.map(setText).join(' and ')}`
    return vip => (sets.some(set => spanOf(set, vip) !== undefined) ? '' : reason)
  } catch {
    return () => ''
  }
}

/** @throws {CniError} code 7 when there is none of that name, or its containers have no names */
export function refuseWithoutNames(confDir: string, name: string): Network {
  const network = load(confDir, name)
  if (network.plugins.some(plugin => ['dns', 'dnsname'].includes(pluginType(plugin)))) return network
  const details = 'members are found by name: add {"type": "dns"} at the end of its plugins'
  throw new CniError(INVALID_CONFIG, `${purpose(name)}: its containers have no names`, details)
}

function purpose(name: string): string {
  return `make a service on network ${JSON.stringify(name)}`
}

function load(confDir: string, name: string): Network {
  try {
    return loadNetwork(confDir, name)
  } catch (error) {
    throw new CniError(INVALID_CONFIG, error instanceof Error ? error.message : String(error))
  }
}

function textOr(section: Section, key: string, fallback: string): string {
  const text = section.text(key) ?? ''
  return text === '' ? fallback : text
}

/** As host-local reads them: `ranges`, or the flat form. */
function setsOf(ipam: Section): readonly RangeSet[] {
  const flat = (ipam.text('subnet') ?? '') === '' ? [] : [[ipam]]
  const never: IpRange[] = [...readExcludes(ipam, undefined)]
  const lists = [...flat, ...ipam.sectionLists('ranges')].map(list => list.flatMap(one => rangeOf(one, ipam, never)))
  ipam.finish()
  const cuts = sortRanges(never)
  return lists.map((ranges, i) => rangeSet(`ipam.ranges[${i}]`, ranges, cuts))
}

function rangeOf(section: Section, ipam: Section, never: IpRange[]): readonly AddressRange[] {
  const range = readRange(section)
  if (range === undefined) return []
  if (range.gateway !== undefined) never.push({ first: range.gateway, last: range.gateway })
  if (section !== ipam) never.push(...readExcludes(section, range.subnet))
  return [range]
}
