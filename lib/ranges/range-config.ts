/** One range of the configuration: its keys, their defaults, what it excludes. */
import { readAddress, readPrefix } from '../config/addresses.ts'
import type { Section } from '../config/section.ts'
import { addToAddress, compareAddresses, type IpAddress, parseAddress } from '../ip/address.ts'
import {
  formatPrefix,
  type IpPrefix,
  lastAddress,
  networkOf,
  parsePrefix,
  prefixContains,
  prefixesEqual
} from '../ip/prefix.ts'
import { type IpRange, rangesOverlap } from '../ip/range.ts'
import type { AddressRange } from './range-set.ts'

/** One range, its defaults filled in; undefined when there is no telling where it would be. */
export function readRange(section: Section): AddressRange | undefined {
  const subnet = readPrefix(section, 'subnet')
  const start = readAddress(section, 'rangeStart')
  const end = readAddress(section, 'rangeEnd')
  const gateway = readAddress(section, 'gateway')
  if (subnet === undefined) {
    if ((section.text('subnet') ?? '') === '') section.problem('subnet', 'is required')
    return undefined
  }
  const network = networkOf(subnet)
  if (!prefixesEqual(subnet, network)) {
    section.problem('subnet', `must have no host bits, as in "${formatPrefix(network)}"`)
    return undefined
  }
  const where = formatPrefix(subnet)
  if (start !== undefined && !prefixContains(subnet, start)) section.problem('rangeStart', `must be in ${where}`)
  if (end !== undefined && !prefixContains(subnet, end)) section.problem('rangeEnd', `must be in ${where}`)
  if (gateway !== undefined && gateway.family !== subnet.address.family) {
    section.problem('gateway', `must be of the family of ${where}`)
  }
  const first = start ?? firstHost(subnet)
  const last = end ?? lastHost(subnet)
  if (compareAddresses(first, last) > 0) {
    section.problem(end === undefined ? 'rangeStart' : 'rangeEnd', `must not leave ${where} without addresses`)
  }
  return { subnet, first, last, gateway: gateway ?? defaultGateway(subnet) }
}

function hostBits(subnet: IpPrefix): number {
  return (subnet.address.family === 4 ? 32 : 128) - subnet.length
}

/**
 * A subnet of two addresses is a point-to-point link with no address to spare for the network or a broadcast: the
 * lower one is the gateway, the other is given away. A single address is given away, its gateway is elsewhere.
 *
 * @source RFC 3021 (/31), RFC 6164 (/127)
 */
function defaultGateway(subnet: IpPrefix): IpAddress | undefined {
  const bits = hostBits(subnet)
  if (bits === 0) return undefined
  return bits === 1 ? subnet.address : addToAddress(subnet.address, 1)
}

function firstHost(subnet: IpPrefix): IpAddress {
  return hostBits(subnet) < 2 ? subnet.address : (addToAddress(subnet.address, 1) ?? subnet.address)
}

function lastHost(subnet: IpPrefix): IpAddress {
  const last = lastAddress(subnet)
  return subnet.address.family === 6 || hostBits(subnet) < 2 ? last : (addToAddress(last, -1) ?? last)
}

/** `exclude`: addresses, prefixes and `a-b` ranges, which must lie in `subnet` if there is one. */
export function readExcludes(section: Section, subnet: IpPrefix | undefined): IpRange[] {
  const excludes: IpRange[] = []
  for (const text of section.textList('exclude')) {
    const range = parseExclude(text)
    if (range === undefined) {
      section.problem(
        'exclude',
        `must hold addresses, prefixes or ranges as in "10.1.0.5-10.1.0.9", not ${JSON.stringify(text)}`
      )
    } else if (subnet !== undefined && !rangesOverlap(range, { first: subnet.address, last: lastAddress(subnet) })) {
      section.problem('exclude', `must lie in ${formatPrefix(subnet)}, not ${JSON.stringify(text)}`)
    } else excludes.push(range)
  }
  return excludes
}

function parseExclude(text: string): IpRange | undefined {
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return { first: networkOf(prefix).address, last: lastAddress(prefix) }
  const parts = text.split('-')
  const first = parseAddress((parts[0] ?? '').trim())
  const last = parts.length === 1 ? first : parseAddress((parts[1] ?? '').trim())
  if (first === undefined || last === undefined || parts.length > 2) return undefined
  return first.family !== last.family || compareAddresses(first, last) > 0 ? undefined : { first, last }
}
