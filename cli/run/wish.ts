/** What `patchbay run` was asked for, as it goes from the command to the process that keeps the container. */
import { randomBytes } from 'node:crypto'
import { isName } from '../../lib/attachment.ts'
import { memberOf } from '../../lib/config/json.ts'
import { parseAddress } from '../../lib/ip/address.ts'
import type { CachedAttachment } from '../../lib/runtime/cache.ts'
import type { Call } from '../call.ts'
import { readEndpoint } from '../endpoint.ts'
import { checkedName } from '../names.ts'
import { UsageError } from '../output.ts'
import type { Place } from '../place.ts'
import { addHost } from './files.ts'
import { type LinkWish, parseLink } from './links.ts'
import { type Mode, type NetworkWish, parseNetworks } from './network-words.ts'
import { type Port, parsePorts } from './ports.ts'

export interface RunWish {
  readonly name: string
  readonly command: readonly string[]
  readonly mode: Mode
  /** As written, for `ps`. */
  readonly networks: readonly string[]
  readonly ports: readonly Port[]
  readonly hostname: string
  readonly domain: string
  readonly dns: readonly string[]
  readonly dnsSearch: readonly string[]
  readonly dnsOptions: readonly string[]
  readonly links: readonly LinkWish[]
  readonly addHosts: readonly string[]
  readonly env: readonly (readonly [string, string])[]
  readonly workdir: string
  /** In the background its standard input is a pipe that stays open; else it has ended. */
  readonly interactive: boolean
  /** Nothing is kept of it when it has ended. */
  readonly remove: boolean
  /** It was there before, and has ended. */
  readonly again: boolean
  readonly place: Place
  readonly runDir: string
}

/** Docker's name for the network of containers that name none. */
const DEFAULT_NETWORK = 'bridge'

/** @throws UsageError for every option that is wrong */
export function wishOf(call: Call): RunWish {
  const name = call.text('name') ?? `run-${randomBytes(4).toString('hex')}`
  if (!isName(name))
    throw new UsageError(`read --name ${JSON.stringify(name)}: only letters, digits and "_.-" make a name`)
  const networks = call.texts('network')
  const mode = modeOf(call, networks)
  const links = call.texts('link').map(parseLink)
  if (links.length > 0 && mode.kind !== 'networks') {
    throw new UsageError(`read --link: --network ${networks.join(' ')} has no names of its own`, 'name a network')
  }
  const ports = publishedPorts(call)
  if (ports.length > 0 && mode.kind !== 'networks') {
    throw new UsageError(
      `read --publish: --network ${networks.join(' ')} has no ports to publish`,
      'its ports are that network’s own'
    )
  }
  call.texts('add-host').forEach(addHost)
  return {
    name,
    command: call.words,
    mode,
    networks: mode.kind === 'networks' ? mode.wishes.map(one => one.name) : networks,
    ports,
    hostname: hostName(call, 'hostname'),
    domain: hostName(call, 'domainname'),
    dns: call.texts('dns').map(checkedServer),
    dnsSearch: call.texts('dns-search'),
    dnsOptions: call.texts('dns-option'),
    links,
    addHosts: call.texts('add-host'),
    env: call.texts('env').map(splitEnv),
    workdir: call.text('workdir') ?? process.cwd(),
    interactive: call.has('interactive'),
    remove: call.has('rm'),
    again: false,
    place: call.place,
    runDir: call.runDir
  }
}

/** The networks that it is on are those that the next start joins, whether `run` or `network connect` has joined them. */
export function withNetworks(wish: RunWish, attached: readonly CachedAttachment[]): RunWish {
  if (wish.mode.kind !== 'networks' || attached.length === 0) return wish
  const { wishes } = wish.mode
  const isOn = (name: string): boolean => attached.some(one => one.network === name)
  const more = attached.filter(one => !wishes.some(own => own.name === one.network)).map(connected)
  return withMode(wish, [...wishes.filter(one => isOn(one.name)), ...more])
}

function withMode(wish: RunWish, wishes: readonly NetworkWish[]): RunWish {
  return { ...wish, mode: { kind: 'networks', wishes }, networks: wishes.map(one => one.name) }
}

/** Its address is the pool's to choose again, as with Docker; what it is called there stays. */
function connected({ network, ifName, capabilityArgs }: CachedAttachment): NetworkWish {
  const aliases = capabilityArgs === undefined ? undefined : memberOf(capabilityArgs, 'aliases')
  const texts = aliases?.items.map(one => one.text) ?? []
  return { name: network, ifName, addresses: [], mac: undefined, aliases: texts, gatewayPriority: 0 }
}

/** As written; '' where it is not given. @throws UsageError for what is no name of a host */
function hostName(call: Call, option: string): string {
  const text = call.text(option)
  if (text !== undefined) checkedName(`--${option}`, text)
  return text ?? ''
}

/** In the order in which they are joined: the first one's default route counts. */
function modeOf(call: Call, networks: readonly string[]): Mode {
  const mode = parseNetworks(networks, DEFAULT_NETWORK)
  const valuesOf = (key: string): readonly string[] => (RUN_KEYS.includes(key) ? call.texts(optionOf(key)) : [])
  const asked = readEndpoint(valuesOf, key => `--${optionOf(key)}`)
  const isAsked = RUN_KEYS.some(key => valuesOf(key).length > 0)
  if (mode.kind !== 'networks') {
    if (isAsked) throw new UsageError(`read the command: --network ${networks.join(' ')} takes no address and no name`)
    return mode
  }
  const [first, ...rest] = mode.wishes
  if (first === undefined || !isAsked) return { ...mode, wishes: byPriority(mode.wishes) }
  if (rest.length > 0) {
    throw new UsageError(
      'read the command: which network are address and alias for?',
      'say it there: --network NET,ip=ADDRESS,alias=NAME'
    )
  }
  const { addresses, mac, aliases } = first
  const own = {
    ...first,
    addresses: [...addresses, ...asked.addresses],
    mac: asked.mac ?? mac,
    aliases: [...aliases, ...asked.aliases]
  }
  return { ...mode, wishes: [own] }
}

function byPriority(wishes: readonly NetworkWish[]): readonly NetworkWish[] {
  return wishes.toSorted((a, b) => b.gatewayPriority - a.gatewayPriority)
}

/** What of an endpoint `run` has options of its own for, as Docker does. */
const RUN_KEYS: readonly string[] = ['ip', 'ip6', 'mac-address', 'link-local-ip', 'alias']

function optionOf(key: string): string {
  return key === 'alias' ? 'network-alias' : key
}

function checkedServer(text: string): string {
  if (parseAddress(text) !== undefined) return text
  throw new UsageError(`read --dns ${JSON.stringify(text)}: must be an address`)
}

/** -P: what --expose names, each on a port of the host that is free. */
function publishedPorts(call: Call): readonly Port[] {
  const exposed = call.texts('expose').flatMap(text => parsePorts(text))
  if (exposed.some(port => port.hostPort !== 0)) {
    throw new UsageError('read --expose: must be a port of the container alone, as in 80 or 53/udp')
  }
  return [...call.texts('publish').flatMap(text => parsePorts(text)), ...(call.has('publish-all') ? exposed : [])]
}

function splitEnv(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text, process.env[text] ?? ''] : [text.slice(0, at), text.slice(at + 1)]
}
