/** The configuration list that `patchbay network create` writes. Pure: what exists already is passed in. */
import { createHash } from 'node:crypto'
import { vlanOfName } from '../lib/attach/vlan-master.ts'
import { ifNameFault } from '../lib/cni/env.ts'
import { formatAddress, type IpAddress } from '../lib/ip/address.ts'
import { formatPrefix, prefixContains } from '../lib/ip/prefix.ts'
import { OFFERED_VERSIONS } from '../lib/runtime/network.ts'
import { DRIVER_NAMES, IPAM_DRIVERS } from './driver-names.ts'
import { OptionReader } from './driver-options.ts'
import { didYouMean } from './nearest.ts'
import { type Occupied, type Pool, type PoolWish, poolsOf, type TakenPrefix } from './network-pools.ts'
import { CommandError, UsageError } from './output.ts'

/** What a person asked for. */
export interface NetworkWish extends PoolWish {
  readonly name: string
  readonly driver: string
  /** '' = as the driver has it. */
  readonly ipamDriver: string
  readonly internal: boolean
  /** What goes to other hosts is encrypted. */
  readonly encrypted: boolean
  /** Containers are found by name. */
  readonly names: boolean
  /** Where the agent that answers them is asked; undefined for the usual place. */
  readonly agentSocket?: string | undefined
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
  readonly routed: readonly (TakenPrefix & { readonly interface: string })[]
  /** The names of the host's interfaces; undefined when they cannot be seen. */
  readonly links: readonly string[] | undefined
}

type JsonValue = string | number | boolean | readonly JsonValue[] | { readonly [key: string]: JsonValue }
type Chain = readonly { readonly [key: string]: JsonValue }[]

type ChainMaker = (wish: NetworkWish, around: Surroundings, options: OptionReader) => Chain

/** Each is the plugin of the same name, and makes the chain around it. The chain of an overlay is the agent's to make. */
const DRIVERS: Readonly<Record<string, ChainMaker>> &
  Readonly<Record<Exclude<(typeof DRIVER_NAMES)[number], 'overlay'>, ChainMaker>> = {
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
    cniVersion: OFFERED_VERSIONS[0],
    cniVersions: OFFERED_VERSIONS,
    name: wish.name,
    ...(wish.labels.size === 0 ? {} : { labels: Object.fromEntries(wish.labels) }),
    plugins
  }
}

function unknownDriver(driver: string, around: Surroundings): UsageError {
  const have = DRIVER_NAMES.filter(name => around.plugins.includes(name === 'overlay' ? 'vxlan' : name))
  const message = `create network: there is no driver ${JSON.stringify(driver)}${didYouMean(driver, have)}`
  const isBuiltIn = ['host', 'none', 'null'].includes(driver)
  const advice = isBuiltIn
    ? 'networks host and none are there: patchbay run --network host'
    : `drivers are ${have.join(', ')}`
  return new UsageError(message, advice)
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
    ...ipamOf(wish, takenOf(around, name))
  }
  return [bridge, ...guards(wish, isolated)]
}

function namesOf(wish: NetworkWish): Chain[number] {
  return {
    type: 'dns',
    ...(wish.internal ? { internal: true } : {}),
    ...(wish.agentSocket === undefined ? {} : { agent: { socket: wish.agentSocket } }),
    capabilities: { aliases: true, dns: true }
  }
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
  const created = parentToCreate(parent, around)
  const mode = options.choice([`${wish.driver}_mode`, 'mode'], MODES[wish.driver] ?? [])
  // The host's own addresses in the subnet must not be a container's.
  const own = around.connected.filter(one => one.interface === parent).map(one => one.address)
  const link = {
    type: wish.driver,
    master: parent,
    ...created,
    ...(mode === undefined ? {} : { mode }),
    ...options.mtu(),
    capabilities: { ips: true, ...(wish.driver === 'macvlan' ? { mac: true } : {}) },
    ...ipamOf(wish, takenOf(around, parent), own)
  }
  return [link]
}

const MODES: Readonly<Record<string, readonly string[]>> = {
  macvlan: ['bridge', 'private', 'vepa', 'passthru'],
  ipvlan: ['l2', 'l3', 'l3s']
}

/**
 * A parent that is not there is a VLAN which the plugin makes, `eth0.10`, or a mistake.
 *
 * @throws UsageError, CommandError
 */
function parentToCreate(parent: string, { links }: Surroundings): { readonly createMaster?: boolean } {
  // One that is longer than a first name can be is an alternative one: it is looked for, not judged.
  const fault = parent.length > 15 ? '' : ifNameFault(parent)
  if (fault !== '') throw new UsageError(`read -o parent=${parent}: ${fault}`)
  if (links === undefined || links.includes(parent)) return {}
  const vlan = vlanOfName(parent)
  if (vlan !== undefined && links.includes(vlan.trunk)) return { createMaster: true }
  throw new CommandError(
    `read -o parent=${parent}: this host has no interface ${vlan === undefined ? parent : vlan.trunk}${didYouMean(parent, links)}`,
    'name one that is there (ip link), or a VLAN of one, which is made: eth0.10'
  )
}

/** @param own an interface whose subnets the network is to share */
function takenOf({ networks, connected, routed }: Surroundings, own?: string): Occupied {
  const ofOthers = <T extends { readonly interface: string }>(all: readonly T[]): readonly T[] =>
    all.filter(one => one.interface !== own)
  return { taken: [...networks, ...ofOthers(connected)], routed: ofOthers(routed) }
}

function ipamOf(
  wish: NetworkWish,
  occupied: Occupied,
  hostAddresses: readonly IpAddress[] = []
): { readonly [key: string]: JsonValue } {
  if (!['', 'host-local'].includes(wish.ipamDriver)) return foreignIpam(wish)
  const pools = poolsOf(wish, occupied)
  const families = new Set(pools.map(pool => pool.subnet.address.family))
  const routes = [...families].map(family => ({ dst: family === 4 ? '0.0.0.0/0' : '::/0' }))
  const ranges = pools.map(pool => [rangeOf(pool, hostAddresses)])
  // As Docker has it: --ip-range bounds what is chosen, not what is asked for by --ip.
  const asked = wish.ipRanges.length === 0 ? {} : { requestedFrom: 'subnet' }
  return { ipam: { type: 'host-local', ranges, ...asked, ...(wish.internal ? {} : { routes }) } }
}

/** Addresses that somebody else gives, or none: then no subnet can be chosen here. */
function foreignIpam(wish: NetworkWish): { readonly [key: string]: JsonValue } {
  if (wish.ipamDriver === 'cluster') {
    throw new UsageError(
      `create network: ipam driver cluster goes with driver overlay, not ${wish.driver}`,
      'leave --ipam-driver out'
    )
  }
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
