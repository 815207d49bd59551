/** The configuration list that `patchbay network create` writes. Pure: what exists already is passed in. */
import { createHash } from 'node:crypto'
import { ifNameFault } from '../lib/cni/env.ts'
import { formatAddress, type IpAddress } from '../lib/ip/address.ts'
import { formatPrefix, type IpPrefix, prefixContains } from '../lib/ip/prefix.ts'
import { DRIVER_NAMES, IPAM_DRIVERS } from './driver-names.ts'
import { didYouMean } from './nearest.ts'
import { type Occupied, type Pool, type PoolWish, poolsOf, type TakenPrefix } from './network-pools.ts'
import { UsageError } from './output.ts'

/** What a person asked for. */
export interface NetworkWish extends PoolWish {
  readonly name: string
  readonly driver: string
  /** `host-local`, `dhcp` or `none`. */
  readonly ipamDriver: string
  readonly internal: boolean
  /** Containers are found by name. */
  readonly names: boolean
  readonly options: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
}

/** What there is on the host. */
export interface Surroundings {
  /** The plugins that this build has. */
  readonly plugins: readonly string[]
  /** The subnets of the networks that are configured already. */
  readonly networks: readonly TakenPrefix[]
  /** The prefixes of the host's interfaces. */
  readonly connected: readonly (TakenPrefix & { readonly interface: string; readonly address: IpAddress })[]
  /** Where the host has routes to, but for the default ones. */
  readonly routed: readonly IpPrefix[]
}

type JsonValue = string | number | boolean | readonly JsonValue[] | { readonly [key: string]: JsonValue }
type Chain = readonly { readonly [key: string]: JsonValue }[]

type ChainMaker = (wish: NetworkWish, around: Surroundings, options: OptionReader) => Chain

/** Each driver is the plugin of the same name, and makes the chain around it. */
const DRIVERS: Readonly<Record<string, ChainMaker>> & Readonly<Record<(typeof DRIVER_NAMES)[number], ChainMaker>> = {
  bridge: bridgeChain,
  ptp: ptpChain,
  macvlan: parentChain,
  ipvlan: parentChain
}

/**
 * @throws UsageError for wishes that are wrong, contradictory, or beyond this build's plugins
 * @throws CommandError when what they need is taken
 */
export function networkConfig(wish: NetworkWish, around: Surroundings): { readonly [key: string]: JsonValue } {
  const make = Object.hasOwn(DRIVERS, wish.driver) ? DRIVERS[wish.driver] : undefined
  if (make === undefined || !around.plugins.includes(wish.driver)) throw unknownDriver(wish.driver, around)
  const options = new OptionReader(wish.options)
  const chain = [...make(wish, around, options), ...(wish.names ? [namesOf(wish)] : [])]
  const plugins = chain.filter(plugin => around.plugins.includes(String(plugin['type'])))
  options.finish()
  return {
    cniVersion: '1.1.0',
    name: wish.name,
    ...(wish.labels.size === 0 ? {} : { labels: Object.fromEntries(wish.labels) }),
    plugins
  }
}

function unknownDriver(driver: string, around: Surroundings): UsageError {
  const have = DRIVER_NAMES.filter(name => around.plugins.includes(name))
  if (driver === 'overlay') {
    return new UsageError(
      'create network: a network of several hosts is not made by this command yet',
      'write its configuration on each host as docs/overlay.md shows (plugin vxlan)'
    )
  }
  const message = `create network: there is no driver ${JSON.stringify(driver)}${didYouMean(driver, have)}`
  return new UsageError(message, `drivers are ${have.join(', ')}`)
}

function bridgeChain(wish: NetworkWish, around: Surroundings, options: OptionReader): Chain {
  const isolated = !options.boolean(['com.docker.network.bridge.enable_icc', 'icc'], true)
  const name = options.text(['com.docker.network.bridge.name', 'bridge']) ?? bridgeName(wish.name)
  const fault = ifNameFault(name)
  if (fault !== '') throw new UsageError(`read -o bridge=${name}: ${fault}`, 'it becomes the name of an interface')
  const masquerade = options.boolean(['com.docker.network.bridge.enable_ip_masquerade', 'ip-masq'], true)
  const bridge = {
    type: 'bridge',
    bridge: name,
    isGateway: !wish.internal,
    ipMasq: !wish.internal && masquerade,
    hairpinMode: true,
    ...options.mtu(),
    ...(isolated ? { portIsolation: true } : {}),
    capabilities: { ips: true, mac: true },
    // A bridge that is there already may have the subnet: it becomes the gateway.
    ...ipamOf(wish, takenOf({ ...around, connected: around.connected.filter(one => one.interface !== name) }))
  }
  return [bridge, ...guards(wish, isolated)]
}

function namesOf(wish: NetworkWish): Chain[number] {
  return { type: 'dns', ...(wish.internal ? { internal: true } : {}), capabilities: { aliases: true, dns: true } }
}

function ptpChain(wish: NetworkWish, around: Surroundings, options: OptionReader): Chain {
  const masquerade = options.boolean(['ip-masq'], true)
  const ptp = {
    type: 'ptp',
    ipMasq: !wish.internal && masquerade,
    ...options.mtu(),
    capabilities: { ips: true },
    ...ipamOf(wish, takenOf(around))
  }
  return [ptp, ...guards(wish, false)]
}

/** What follows in the chain where containers are behind the host. */
function guards(wish: NetworkWish, isolated: boolean): Chain {
  return [
    ...(wish.internal ? [] : [{ type: 'portmap', capabilities: { portMappings: true } }]),
    { type: 'firewall', ingressPolicy: isolated ? 'isolated' : 'same-bridge' },
    { type: 'tuning', capabilities: { mac: true } }
  ]
}

/** macvlan and ipvlan: the containers are on the network that the parent is connected to, whose subnet is no clash. */
function parentChain(wish: NetworkWish, around: Surroundings, options: OptionReader): Chain {
  const parent = options.text(['parent'])
  if (parent === undefined) {
    throw new UsageError(`create network: driver ${wish.driver} needs a parent interface`, 'give it: -o parent=eth0')
  }
  // One that is longer than a first name can be is an alternative one: it is looked for, not judged.
  const fault = parent.length > 15 ? '' : ifNameFault(parent)
  if (fault !== '') throw new UsageError(`read -o parent=${parent}: ${fault}`)
  const mode = options.text([`${wish.driver}_mode`, 'mode'])
  const others = { ...around, connected: around.connected.filter(one => one.interface !== parent) }
  // The host's own addresses in the subnet must not be a container's.
  const own = around.connected.filter(one => one.interface === parent).map(one => one.address)
  const link = {
    type: wish.driver,
    master: parent,
    ...(mode === undefined ? {} : { mode }),
    ...options.mtu(),
    capabilities: { ips: true, ...(wish.driver === 'macvlan' ? { mac: true } : {}) },
    ...ipamOf(wish, takenOf(others), own)
  }
  return [link]
}

function takenOf(around: Surroundings): Occupied {
  return { taken: [...around.networks, ...around.connected], routed: around.routed }
}

function ipamOf(
  wish: NetworkWish,
  occupied: Occupied,
  hostAddresses: readonly IpAddress[] = []
): { readonly [key: string]: JsonValue } {
  if (wish.ipamDriver !== 'host-local') return foreignIpam(wish)
  const pools = poolsOf(wish, occupied)
  const families = new Set(pools.map(pool => pool.subnet.address.family))
  const routes = [...families].map(family => ({ dst: family === 4 ? '0.0.0.0/0' : '::/0' }))
  const ranges = pools.map(pool => [rangeOf(pool, hostAddresses)])
  return { ipam: { type: 'host-local', ranges, ...(wish.internal ? {} : { routes }) } }
}

/** Addresses that somebody else gives, or none: then no subnet can be chosen here. */
function foreignIpam(wish: NetworkWish): { readonly [key: string]: JsonValue } {
  if (!IPAM_DRIVERS.some(one => one === wish.ipamDriver)) {
    const near = didYouMean(wish.ipamDriver, IPAM_DRIVERS)
    throw new UsageError(
      `create network: there is no ipam driver ${JSON.stringify(wish.ipamDriver)}${near}`,
      `ipam drivers are ${IPAM_DRIVERS.join(', ')}`
    )
  }
  const given = [...wish.subnets, ...wish.gateways, ...wish.ipRanges, ...wish.auxAddresses]
  if (given.length > 0 || wish.ipv6) {
    throw new UsageError(`create network: ipam driver ${wish.ipamDriver} takes no subnet, gateway, range or address`)
  }
  return wish.ipamDriver === 'dhcp' ? { ipam: { type: 'dhcp' } } : {}
}

function rangeOf(pool: Pool, hostAddresses: readonly IpAddress[]): JsonValue {
  const bounds =
    pool.range === undefined
      ? {}
      : { rangeStart: formatAddress(pool.range.first), rangeEnd: formatAddress(pool.range.last) }
  const subnet = formatPrefix(pool.subnet)
  const own = hostAddresses.filter(address => prefixContains(pool.subnet, address))
  const exclude = [...pool.excluded, ...own].map(formatAddress)
  return { subnet, gateway: formatAddress(pool.gateway), ...bounds, ...(exclude.length === 0 ? {} : { exclude }) }
}

/** As nerdctl names them, so that each network has its own within the 15 bytes of an interface's name. */
export function bridgeName(network: string): string {
  return `br-${createHash('sha256').update(network).digest('hex').slice(0, 12)}`
}

/** Docker's `-o KEY=VALUE`: every key must be one that somebody reads. */
class OptionReader {
  readonly #options: ReadonlyMap<string, string>
  readonly #known = new Set<string>()

  constructor(options: ReadonlyMap<string, string>) {
    this.#options = options
  }

  text(keys: readonly string[]): string | undefined {
    for (const key of keys) this.#known.add(key)
    const key = keys.find(one => this.#options.has(one))
    return key === undefined ? undefined : this.#options.get(key)
  }

  boolean(keys: readonly string[], fallback: boolean): boolean {
    const text = this.text(keys)
    if (text === undefined) return fallback
    if (text === 'true' || text === '1') return true
    if (text === 'false' || text === '0') return false
    throw new UsageError(`read -o ${keys[0] ?? ''}=${text}: must be true or false`)
  }

  /** As the plugins' key, or nothing. */
  mtu(): { readonly mtu?: number } {
    const text = this.text(['com.docker.network.driver.mtu', 'mtu'])
    if (text === undefined) return {}
    const mtu = Number(text)
    if (/^[0-9]+$/.test(text) && mtu >= 68 && mtu <= 65535) return { mtu }
    throw new UsageError(`read -o mtu=${text}: must be an integer from 68 to 65535`)
  }

  finish(): void {
    const known = [...this.#known]
    const unknown = [...this.#options.keys()].filter(key => !this.#known.has(key))
    if (unknown.length === 0) return
    const near = didYouMean(unknown[0] ?? '', known)
    throw new UsageError(`read -o ${unknown.join(', ')}: unknown${near}`, `known are ${known.join(', ')}`)
  }
}
