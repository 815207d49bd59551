/**
 * The subnets of a new network, with gateway, range and excluded addresses in each: what was asked for, judged, and what
 * was not, chosen. Pure: what there is already is passed in.
 */
import { randomBytes } from 'node:crypto'
import { UNUSABLE } from '../agent/networks/record.ts'
import {
  addressesEqual,
  addToAddress,
  compareAddresses,
  formatAddress,
  type IpAddress,
  parseAddress
} from '../lib/ip/address.ts'
import {
  formatPrefix,
  type IpPrefix,
  lastAddress,
  networkOf,
  parsePrefix,
  prefixContains,
  prefixesOverlap
} from '../lib/ip/prefix.ts'
import { CommandError, UsageError } from './output.ts'

/** What a person asked for, as written. */
export interface PoolWish {
  readonly subnets: readonly string[]
  readonly gateways: readonly string[]
  readonly ipRanges: readonly string[]
  /** `NAME=ADDRESS` or `ADDRESS`: never given to a container. */
  readonly auxAddresses: readonly string[]
  readonly ipv6: boolean
  /** Subnets that are asked for may be those of others, too. */
  readonly mayOverlap: boolean
}

/** A prefix that is somebody's, and whose: `network "blue"`, `interface eth0`. */
export interface TakenPrefix {
  readonly prefix: IpPrefix
  readonly owner: string
}

/** One subnet with what is chosen in it. */
export interface Pool {
  readonly subnet: IpPrefix
  readonly gateway: IpAddress
  /** First and last address to give away; undefined where the whole subnet is. */
  readonly range: { readonly first: IpAddress; readonly last: IpAddress } | undefined
  readonly excluded: readonly IpAddress[]
}

export interface Occupied {
  /** A new network must keep clear of these: the subnets of other networks and of the host's interfaces. */
  readonly taken: readonly TakenPrefix[]
  /** Where the host has routes to. A route to half the Internet, as a VPN has it, is no clash; but nothing is chosen there. */
  readonly routed: readonly TakenPrefix[]
}

/** Subnets are taken from here when none is given, in this order: a /24 each. */
const DEFAULT_POOLS: readonly string[] = ['10.89.0.0/16', '10.90.0.0/16', '172.28.0.0/14', '192.168.128.0/17']

/** @throws UsageError for what is wrong in itself, CommandError for what is taken */
export function poolsOf(wish: PoolWish, occupied: Occupied): readonly Pool[] {
  const subnets = wish.subnets.map(readSubnet)
  subnets.forEach((subnet, i) => {
    const own = subnets.slice(0, i).map(prefix => ({ prefix, owner: 'another --subnet' }))
    refuseTaken(subnet, own, 'choose another --subnet')
    const others = [...occupied.taken, ...occupied.routed.filter(one => !isHalfOfAll(one.prefix))]
    if (!wish.mayOverlap)
      refuseTaken(subnet, others, 'choose another --subnet, or none to have one chosen; or add --allow-overlap')
  })
  if (subnets.length === 0) subnets.push(freeSubnet(occupied))
  if (wish.ipv6 && !subnets.some(one => one.address.family === 6)) subnets.push(randomLocalSubnet())
  const gateways = inSubnets('gateway', wish.gateways.map(readGateway), subnets)
  const ranges = inSubnets('ip-range', wish.ipRanges.map(readRange), subnets)
  const excluded = wish.auxAddresses.map(readAux)
  for (const one of excluded) subnetOf('aux-address', one.address, subnets)
  return subnets.map((subnet, i) => {
    const gateway = gateways[i]?.address ?? firstHost(subnet)
    const pool = {
      subnet,
      gateway,
      range: boundsOf(ranges[i], subnet),
      excluded: excluded.map(one => one.address).filter(address => prefixContains(subnet, address))
    }
    refuseEmpty(pool)
    return pool
  })
}

function readSubnet(text: string): IpPrefix {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new UsageError(`read --subnet ${JSON.stringify(text)}: must be like 10.1.0.0/24`)
  const subnet = networkOf(prefix)
  for (const [unusable, what] of UNUSABLE) {
    const other = parsePrefix(unusable)
    if (other === undefined || !prefixesOverlap(other, subnet)) continue
    throw new UsageError(
      `read --subnet ${text}: holds addresses that are ${what} (${unusable})`,
      'private addresses are 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and fd00::/8'
    )
  }
  const limit = prefix.address.family === 4 ? 30 : 126
  if (prefix.length > limit) throw new UsageError(`read --subnet ${text}: too small for a gateway and a container`)
  return subnet
}

/** A route over so much is about nothing in particular. */
function isHalfOfAll(prefix: IpPrefix): boolean {
  return prefix.length < (prefix.address.family === 4 ? 8 : 16)
}

function refuseTaken(subnet: IpPrefix, taken: readonly TakenPrefix[], advice: string): void {
  const other = taken.find(one => prefixesOverlap(one.prefix, subnet))
  if (other === undefined) return
  throw new CommandError(
    `create network: subnet ${formatPrefix(subnet)} overlaps ${formatPrefix(other.prefix)} of ${other.owner}`,
    advice
  )
}

function readGateway(text: string): IpPrefix {
  const address = readAddress('gateway', text)
  return { address, length: address.family === 4 ? 32 : 128 }
}

function readAddress(option: string, text: string): IpAddress {
  const address = parseAddress(text)
  if (address === undefined) throw new UsageError(`read --${option} ${JSON.stringify(text)}: must be an address`)
  return address
}

function readAux(text: string): IpPrefix {
  return { ...readGateway(text.slice(text.indexOf('=') + 1)) }
}

function readRange(text: string): IpPrefix {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new UsageError(`read --ip-range ${JSON.stringify(text)}: must be like 10.1.0.128/25`)
  return networkOf(prefix)
}

/** For each subnet the value that lies in it: at most one. */
function inSubnets(
  option: 'gateway' | 'ip-range',
  values: readonly IpPrefix[],
  subnets: readonly IpPrefix[]
): readonly (IpPrefix | undefined)[] {
  const chosen: (IpPrefix | undefined)[] = subnets.map(() => undefined)
  for (const value of values) {
    const subnet = subnetOf(option, value.address, subnets)
    const i = subnets.indexOf(subnet)
    const shown = shownAs(option, value)
    if (value.length < subnet.length) {
      throw new UsageError(`read --${option} ${shown}: is not within ${formatPrefix(subnet)}`)
    }
    const earlier = chosen[i]
    if (earlier !== undefined) {
      const both = `${shownAs(option, earlier)} and ${shown}`
      throw new UsageError(`read --${option}: ${both} are both in ${formatPrefix(subnet)}, which has one`)
    }
    if (option === 'gateway') refuseNoHost(value.address, subnet)
    chosen[i] = value
  }
  return chosen
}

function shownAs(option: string, value: IpPrefix): string {
  return option === 'gateway' ? formatAddress(value.address) : formatPrefix(value)
}

function subnetOf(option: string, address: IpAddress, subnets: readonly IpPrefix[]): IpPrefix {
  const subnet = subnets.find(one => prefixContains(one, address))
  if (subnet !== undefined) return subnet
  const list = subnets.map(formatPrefix).join(', ')
  throw new UsageError(`read --${option} ${formatAddress(address)}: not in ${list}`, 'give the --subnet that holds it')
}

function refuseNoHost(gateway: IpAddress, subnet: IpPrefix): void {
  const what = addressesEqual(gateway, subnet.address)
    ? 'is the address of the network itself'
    : subnet.address.family === 4 && addressesEqual(gateway, lastAddress(subnet))
      ? 'is the broadcast address'
      : ''
  if (what === '') return
  throw new UsageError(`read --gateway ${formatAddress(gateway)}: ${what} of ${formatPrefix(subnet)}`)
}

/** Without the subnet's own address and its broadcast address. */
function boundsOf(range: IpPrefix | undefined, subnet: IpPrefix): Pool['range'] {
  if (range === undefined) return undefined
  const first = addressesEqual(range.address, subnet.address) ? addToAddress(range.address, 1) : range.address
  const end = lastAddress(range)
  const isBroadcast = range.address.family === 4 && addressesEqual(end, lastAddress(subnet))
  const last = isBroadcast ? addToAddress(end, -1) : end
  if (first === undefined || last === undefined || compareAddresses(first, last) > 0) {
    throw new UsageError(`read --ip-range ${formatPrefix(range)}: holds no address for a container`)
  }
  return { first, last }
}

/** A container must be able to have an address: more are looked at than can be taken. */
function refuseEmpty(pool: Pool): void {
  const taken = [pool.gateway, ...pool.excluded]
  let address: IpAddress | undefined = pool.range?.first ?? firstHost(pool.subnet)
  const last = pool.range?.last ?? lastHost(pool.subnet)
  for (let i = 0; i <= taken.length; i += 1) {
    const here: IpAddress | undefined = address
    if (here === undefined || compareAddresses(here, last) > 0) break
    if (!taken.some(one => addressesEqual(one, here))) return
    address = addToAddress(here, 1)
  }
  const what =
    pool.range === undefined
      ? formatPrefix(pool.subnet)
      : `${formatAddress(pool.range.first)} to ${formatAddress(last)}`
  throw new UsageError(
    `create network: ${what} has no address left for a container`,
    'choose a larger --subnet or --ip-range'
  )
}

function firstHost(subnet: IpPrefix): IpAddress {
  return addToAddress(subnet.address, 1) ?? subnet.address
}

function lastHost(subnet: IpPrefix): IpAddress {
  const last = lastAddress(subnet)
  return subnet.address.family === 4 ? (addToAddress(last, -1) ?? last) : last
}

/** One clear of all that is taken and routed; where the routes cover everything, clear of what is taken. */
function freeSubnet({ taken, routed }: Occupied): IpPrefix {
  const prefixes = taken.map(one => one.prefix)
  const free = firstClear([...prefixes, ...routed.map(one => one.prefix)]) ?? firstClear(prefixes)
  if (free !== undefined) return free
  throw new CommandError(
    `create network: every subnet of ${DEFAULT_POOLS.join(', ')} is in use`,
    'give one: --subnet 10.1.0.0/24'
  )
}

function firstClear(used: readonly IpPrefix[]): IpPrefix | undefined {
  for (const text of DEFAULT_POOLS) {
    const pool = parsePrefix(text)
    if (pool === undefined) continue
    for (let i = 0; i < 2 ** (24 - pool.length); i += 1) {
      const address = addToAddress(pool.address, i * 256)
      const subnet = address === undefined ? undefined : { address, length: 24 }
      if (subnet !== undefined && !used.some(one => prefixesOverlap(one, subnet))) return subnet
    }
  }
  return undefined
}

/** A unique local /64. @source RFC 4193 section 3.2 */
function randomLocalSubnet(): IpPrefix {
  const bytes = new Uint8Array(16)
  bytes.set(randomBytes(5), 1)
  bytes[0] = 0xfd
  return { address: { family: 6, bytes }, length: 64 }
}
