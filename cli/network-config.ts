/** The configuration list that `patchbay network create` writes. Pure: what exists already is passed in. */
import { createHash, randomBytes } from 'node:crypto'
import { addToAddress, formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import {
  formatPrefix,
  type IpPrefix,
  lastAddress,
  networkOf,
  parsePrefix,
  prefixContains,
  prefixesOverlap
} from '../lib/ip/prefix.ts'
import { CommandError } from './output.ts'

/** What a person asked for. */
export interface NetworkWish {
  readonly name: string
  readonly driver: string
  readonly subnets: readonly string[]
  readonly gateways: readonly string[]
  readonly ipRanges: readonly string[]
  readonly internal: boolean
  readonly ipv6: boolean
  readonly options: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
}

/** What there is on the host. */
export interface Surroundings {
  /** The plugins that this build has. */
  readonly plugins: readonly string[]
  /** Prefixes that a new network must keep clear of: other networks, the host's routes. */
  readonly used: readonly IpPrefix[]
}

/** One subnet with what is chosen in it. */
interface Pool {
  readonly subnet: IpPrefix
  readonly gateway: IpAddress
  readonly range: IpPrefix | undefined
}

type JsonValue = string | number | boolean | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** Subnets are taken from here when none is given: a /24 each. */
const DEFAULT_POOL = '10.89.0.0/16'

const DRIVERS: readonly string[] = ['bridge', 'macvlan', 'ipvlan']

/**
 * @throws CommandError for wishes that are wrong, contradictory, or beyond this build's plugins
 */
export function networkConfig(wish: NetworkWish, around: Surroundings): { readonly [key: string]: JsonValue } {
  if (!DRIVERS.includes(wish.driver) || !around.plugins.includes(wish.driver)) {
    const have = DRIVERS.filter(driver => around.plugins.includes(driver)).join(', ')
    throw new CommandError(`create network: there is no driver ${JSON.stringify(wish.driver)}`, `drivers are ${have}`)
  }
  const pools = poolsOf(wish, around.used)
  const options = new OptionReader(wish.options)
  const plugins =
    wish.driver === 'bridge' ? bridgeChain(wish, pools, options, around) : [parentPlugin(wish, pools, options)]
  options.finish()
  const labels = Object.fromEntries(wish.labels)
  return {
    cniVersion: '1.1.0',
    name: wish.name,
    ...(wish.labels.size === 0 ? {} : { labels }),
    plugins
  }
}

function bridgeChain(
  wish: NetworkWish,
  pools: readonly Pool[],
  options: OptionReader,
  around: Surroundings
): readonly JsonValue[] {
  const masquerade =
    !wish.internal && options.boolean(['com.docker.network.bridge.enable_ip_masquerade', 'ip-masq'], true)
  const isolated = !options.boolean(['com.docker.network.bridge.enable_icc', 'icc'], true)
  const mtu = options.mtu()
  const bridge = {
    type: 'bridge',
    bridge: options.text(['com.docker.network.bridge.name', 'bridge']) ?? bridgeName(wish.name),
    isGateway: !wish.internal,
    ipMasq: masquerade,
    hairpinMode: true,
    ...(mtu === undefined ? {} : { mtu }),
    ...(isolated ? { portIsolation: true } : {}),
    capabilities: { ips: true, mac: true },
    ipam: ipamConfig(wish, pools)
  }
  const chain: JsonValue[] = [bridge]
  if (!wish.internal) chain.push({ type: 'portmap', capabilities: { portMappings: true } })
  chain.push({ type: 'firewall', ingressPolicy: isolated ? 'isolated' : 'same-bridge' })
  chain.push({ type: 'tuning', capabilities: { mac: true } })
  return chain.filter(plugin => around.plugins.includes(typeOf(plugin)))
}

function typeOf(plugin: JsonValue): string {
  return typeof plugin === 'object' && 'type' in plugin ? String(plugin.type) : ''
}

function parentPlugin(wish: NetworkWish, pools: readonly Pool[], options: OptionReader): JsonValue {
  const parent = options.text(['parent'])
  if (parent === undefined) {
    throw new CommandError(`create network: driver ${wish.driver} needs a parent interface`, 'give it: -o parent=eth0')
  }
  const mode = options.text([`${wish.driver}_mode`, 'mode'])
  const mtu = options.mtu()
  return {
    type: wish.driver,
    master: parent,
    ...(mode === undefined ? {} : { mode }),
    ...(mtu === undefined ? {} : { mtu }),
    capabilities: { ips: true, ...(wish.driver === 'macvlan' ? { mac: true } : {}) },
    ipam: ipamConfig(wish, pools)
  }
}

function ipamConfig(wish: NetworkWish, pools: readonly Pool[]): JsonValue {
  const ranges = pools.map(pool => {
    const range = pool.range
    const bounds =
      range === undefined
        ? {}
        : { rangeStart: formatAddress(firstUsable(range, pool)), rangeEnd: formatAddress(lastUsable(range)) }
    return [{ subnet: formatPrefix(pool.subnet), gateway: formatAddress(pool.gateway), ...bounds }]
  })
  const families = new Set(pools.map(pool => pool.subnet.address.family))
  const routes = [...families].map(family => ({ dst: family === 4 ? '0.0.0.0/0' : '::/0' }))
  return { type: 'host-local', ranges, ...(wish.internal ? {} : { routes }) }
}

/** A range that begins at the subnet's own address begins behind it. */
function firstUsable(range: IpPrefix, pool: Pool): IpAddress {
  const first = networkOf(range).address
  const isSubnet = formatAddress(first) === formatAddress(pool.subnet.address)
  return isSubnet ? (addToAddress(first, 1) ?? first) : first
}

function lastUsable(range: IpPrefix): IpAddress {
  const last = lastAddress(range)
  return range.address.family === 4 ? (addToAddress(last, range.length >= 31 ? 0 : -1) ?? last) : last
}

function poolsOf(wish: NetworkWish, used: readonly IpPrefix[]): readonly Pool[] {
  const given = wish.subnets.map(text => readSubnet(text))
  given.forEach((subnet, i) => {
    const taken = [...used, ...given.slice(0, i)].find(one => prefixesOverlap(one, subnet))
    if (taken === undefined) return
    const message = `create network: subnet ${formatPrefix(subnet)} overlaps ${formatPrefix(taken)}, which is in use`
    throw new CommandError(message, 'choose another --subnet, or none to have one chosen')
  })
  const subnets = [...given]
  if (!subnets.some(one => one.address.family === 4) && given.length === 0) subnets.push(freeSubnet(used))
  if (wish.ipv6 && !subnets.some(one => one.address.family === 6)) subnets.push(randomLocalSubnet())
  const gateways = wish.gateways.map(text => readAddressOption('gateway', text))
  const ranges = wish.ipRanges.map(text => readRange(text))
  checkContained('gateway', gateways, subnets)
  checkContained(
    'ip-range',
    ranges.map(range => range.address),
    subnets
  )
  return subnets.map(subnet => ({
    subnet,
    gateway: gateways.find(one => prefixContains(subnet, one)) ?? firstHost(subnet),
    range: ranges.find(one => prefixContains(subnet, one.address))
  }))
}

function readSubnet(text: string): IpPrefix {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new CommandError(`read --subnet ${JSON.stringify(text)}: must be like 10.1.0.0/24`)
  const limit = prefix.address.family === 4 ? 30 : 126
  if (prefix.length > limit) throw new CommandError(`read --subnet ${text}: too small for a gateway and a container`)
  return networkOf(prefix)
}

function readRange(text: string): IpPrefix {
  const prefix = parsePrefix(text)
  if (prefix === undefined)
    throw new CommandError(`read --ip-range ${JSON.stringify(text)}: must be like 10.1.0.128/25`)
  return prefix
}

function readAddressOption(option: string, text: string): IpAddress {
  const address = parseAddress(text)
  if (address === undefined) throw new CommandError(`read --${option} ${JSON.stringify(text)}: must be an address`)
  return address
}

function checkContained(option: string, addresses: readonly IpAddress[], subnets: readonly IpPrefix[]): void {
  for (const address of addresses) {
    if (subnets.some(subnet => prefixContains(subnet, address))) continue
    const list = subnets.map(formatPrefix).join(', ')
    throw new CommandError(
      `read --${option} ${formatAddress(address)}: not in ${list}`,
      'give the --subnet that holds it'
    )
  }
}

function firstHost(subnet: IpPrefix): IpAddress {
  return addToAddress(subnet.address, 1) ?? subnet.address
}

function freeSubnet(used: readonly IpPrefix[]): IpPrefix {
  const pool = parsePrefix(DEFAULT_POOL)
  for (let i = 0; pool !== undefined && i < 256; i += 1) {
    const address = addToAddress(pool.address, i * 256)
    const subnet = address === undefined ? undefined : { address, length: 24 }
    if (subnet !== undefined && !used.some(one => prefixesOverlap(one, subnet))) return subnet
  }
  throw new CommandError(`create network: every subnet of ${DEFAULT_POOL} is in use`, 'give one: --subnet 10.1.0.0/24')
}

/** A unique local /64. @source RFC 4193 section 3.2 */
function randomLocalSubnet(): IpPrefix {
  const bytes = new Uint8Array(16)
  bytes.set(randomBytes(5), 1)
  bytes[0] = 0xfd
  return { address: { family: 6, bytes }, length: 64 }
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
    throw new CommandError(`read -o ${keys[0] ?? ''}=${text}: must be true or false`)
  }

  mtu(): number | undefined {
    const text = this.text(['com.docker.network.driver.mtu', 'mtu'])
    if (text === undefined) return undefined
    const mtu = Number(text)
    if (/^[0-9]+$/.test(text) && mtu >= 68 && mtu <= 65535) return mtu
    throw new CommandError(`read -o mtu=${text}: must be an integer from 68 to 65535`)
  }

  finish(): void {
    const unknown = [...this.#options.keys()].filter(key => !this.#known.has(key))
    if (unknown.length === 0) return
    throw new CommandError(`read -o ${unknown.join(', ')}: unknown`, `known are ${[...this.#known].join(', ')}`)
  }
}
