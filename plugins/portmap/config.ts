/** What portmap is told: options of the network, mappings of the call. */
import { runtimeConfig } from '../../lib/cni/inputs.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { readAddress } from '../../lib/config/addresses.ts'
import { ConfigError, type Section } from '../../lib/config/section.ts'
import { formatAddress, type IpAddress, isMulticast } from '../../lib/ip/address.ts'
import { argumentsProblem } from '../../lib/iptables/arguments.ts'
import { readChainName } from '../../lib/iptables/chain-name.ts'
import { findIptables } from '../../lib/iptables/iptables.ts'
import { parseMatches } from '../../lib/nft/conditions.ts'
import { nftFamily } from '../../lib/nft/nft.ts'
import { joinRanges, type Mapping, mappingText, parseProtocol, specificAddress } from './mapping.ts'
import { type Gate, gateOf } from './table.ts'

export type Backend = 'nftables' | 'iptables'

export interface Config {
  readonly backend: Backend
  /** Replace the source address where the answer would not find its way back: own subnet, localhost. */
  readonly snat: boolean
  /** Replace every source address. */
  readonly masqAll: boolean
  /** For iptables, as `IptablesWay` has it. */
  readonly markMasqBit: number
  readonly externalSetMarkChain: string | undefined
  /** Further conditions in the words of the backend, whichever it is. */
  readonly conditionsV4: readonly string[]
  readonly conditionsV6: readonly string[]
  /** nftables: what they mean. */
  readonly gates: readonly Gate[]
  readonly mappings: readonly Mapping[]
}

const DEFAULT_MARK_BIT = 13
/** More than every port of every protocol at one address, or one port at so many addresses. */
const MOST_MAPPINGS = 200_000
const CONDITION_KEYS: readonly string[] = ['conditionsV4', 'conditionsV6']

/** @throws {ConfigError} naming every wrong key with its value */
export function readConfig(request: Request): Config {
  const section = request.config
  const config: Config = {
    backend: 'nftables',
    snat: section.boolean('snat', true),
    masqAll: section.boolean('masqAll', false),
    markMasqBit: section.integer('markMasqBit', 0, 31) ?? DEFAULT_MARK_BIT,
    externalSetMarkChain: readChainName(section, 'externalSetMarkChain'),
    conditionsV4: section.textList('conditionsV4'),
    conditionsV6: section.textList('conditionsV6'),
    gates: [],
    mappings: readMappings(runtimeConfig(section))
  }
  if (section.has('markMasqBit') && config.externalSetMarkChain !== undefined) {
    section.problem('externalSetMarkChain', 'must be absent where markMasqBit is given')
  }
  // A jump back to what leads there would be a circle.
  if (/^CNI-(?:HOSTPORT|DN)-/.test(config.externalSetMarkChain ?? '')) {
    section.problem('externalSetMarkChain', 'must not be a chain of this plugin')
  }
  const asked = section.oneOf('backend', ['nftables', 'iptables'])
  section.finish()
  const backend = chooseBackend(section, config, asked)
  return { ...config, backend, gates: backend === 'nftables' ? readGates(section, config) : [] }
}

/** nftables, unless something is asked for that exists in iptables alone. */
function chooseBackend(section: Section, config: Config, asked: string | undefined): Backend {
  const only = iptablesOnly(config)
  if (asked === 'nftables' && only !== '') {
    throw section.unsupported(only, 'the backend "nftables" does not have it: remove it, or set "backend": "iptables"')
  }
  if (asked !== 'iptables' && only === '') return 'nftables'
  for (const key of CONDITION_KEYS) {
    const words = conditionsOf(config, key)
    if (areArguments(words)) {
      const problem = argumentsProblem(words)
      if (problem !== '') throw section.unsupported(key, problem)
    }
    if (words.length === 0 || areArguments(words)) continue
    const why = `with iptables${only === '' ? '' : ` (${only})`} conditions are its arguments`
    throw section.unsupported(key, `${why}, such as ["!", "-d", "192.0.2.0/24"]`)
  }
  if (config.mappings.length > 0 && findIptables(4) === undefined && findIptables(6) === undefined) {
    const key = asked === 'iptables' ? 'backend' : only
    throw section.unsupported(key, 'neither iptables nor ip6tables is installed')
  }
  return 'iptables'
}

/** The first key that needs iptables; '' when none does. */
function iptablesOnly(config: Config): string {
  if (config.externalSetMarkChain !== undefined) return 'externalSetMarkChain'
  return CONDITION_KEYS.find(key => areArguments(conditionsOf(config, key))) ?? ''
}

function conditionsOf(config: Config, key: string): readonly string[] {
  return key === 'conditionsV4' ? config.conditionsV4 : config.conditionsV6
}

/** Whether these are arguments of iptables; a condition of nft begins with neither. */
function areArguments(words: readonly string[]): boolean {
  const first = words[0] ?? ''
  return first.startsWith('-') || first === '!'
}

/** @throws {ConfigError} naming the word that is not understood */
function readGates(section: Section, config: Config): readonly Gate[] {
  const gates: Gate[] = []
  for (const key of CONDITION_KEYS) {
    const words = conditionsOf(config, key)
    if (words.length === 0) continue
    const family = key === 'conditionsV4' ? 4 : 6
    const { alternatives, problem } = parseMatches(words, nftFamily(family))
    if (problem !== '') throw section.unsupported(key, problem)
    gates.push(gateOf(family, words, alternatives))
  }
  return gates
}

function readMappings(runtime: Section | undefined): readonly Mapping[] {
  if (runtime === undefined) return []
  const sections = runtime.sections('portMappings')
  if (sections.length > MOST_MAPPINGS) {
    throw new ConfigError([`${runtime.pathOf('portMappings')} must have ${String(MOST_MAPPINGS)} members at most`])
  }
  const mappings: Mapping[] = []
  const present = new Present()
  for (const section of sections) {
    const mapping = readMapping(section)
    if (mapping === undefined) continue
    const other = present.findOverlap(mapping)
    if (other === undefined) {
      mappings.push(mapping)
      present.add(mapping)
    } else if (!isRepetition(other, mapping)) {
      section.problem('hostPort', `is mapped twice in this call (${mappingText(other)})`)
    }
  }
  return joinRanges(mappings)
}

const ANY = '*'
const SOME = '?'

/** Mappings of single ports: those of all addresses of the host, which most are, and the others. */
class Present {
  readonly #everybodys: Map<number, Mapping> = new Map()
  /** By protocol, port, and one address, all of a family, or any of it. */
  readonly #byAddress: Map<string, Mapping> = new Map()
  #hasAddresses = false

  findOverlap(mapping: Mapping): Mapping | undefined {
    const everybodys = this.#everybodys.get(portNumber(mapping))
    if (everybodys !== undefined || !this.#hasAddresses) return everybodys
    for (const address of addressesMet(mapping)) {
      const found = this.#byAddress.get(keyAt(mapping, address))
      if (found !== undefined) return found
    }
    return undefined
  }

  add(mapping: Mapping): void {
    const { hostAddress } = mapping
    if (hostAddress === undefined) {
      this.#everybodys.set(portNumber(mapping), mapping)
      return
    }
    const family = String(hostAddress.family)
    const specific = specificAddress(mapping)
    const own = specific === undefined ? ANY + family : formatAddress(specific)
    for (const address of [own, SOME + family]) this.#byAddress.set(keyAt(mapping, address), mapping)
    this.#hasAddresses = true
  }
}

/** Under which addresses something that the mapping overlaps with would be noted. */
function addressesMet(mapping: Mapping): readonly string[] {
  const { hostAddress } = mapping
  if (hostAddress === undefined) return [`${SOME}4`, `${SOME}6`]
  const family = String(hostAddress.family)
  const specific = specificAddress(mapping)
  return specific === undefined ? [SOME + family] : [ANY + family, formatAddress(specific)]
}

function portNumber({ protocol, first }: Mapping): number {
  return protocol * 65_536 + first
}

function keyAt(mapping: Mapping, address: string): string {
  return `${String(portNumber(mapping))} ${address}`
}

function isRepetition(a: Mapping, b: Mapping): boolean {
  const addressOf = (one: Mapping): string => (one.hostAddress === undefined ? '' : formatAddress(one.hostAddress))
  return a.containerPort === b.containerPort && addressOf(a) === addressOf(b)
}

function readMapping(section: Section): Mapping | undefined {
  const hostPort = readPort(section, 'hostPort')
  const containerPort = readPort(section, 'containerPort')
  const name = section.text('protocol') ?? ''
  const protocol = parseProtocol(name === '' ? 'tcp' : name)
  if (protocol === undefined) section.problem('protocol', 'must be "tcp", "udp" or "sctp"')
  const hostAddress = readAddress(section, 'hostIP')
  if (hostAddress !== undefined && isNobodys(hostAddress)) {
    section.problem('hostIP', 'must be an address that a host can have')
  }
  if (hostPort === undefined || containerPort === undefined || protocol === undefined) return undefined
  return { protocol, hostAddress, first: hostPort, last: hostPort, containerPort }
}

/** What the kernel takes for no address of the host, so that nothing would ever be translated. */
function isNobodys(address: IpAddress): boolean {
  return isMulticast(address) || formatAddress(address) === '255.255.255.255'
}

function readPort(section: Section, key: string): number | undefined {
  const port = section.integer(key, 1, 65_535)
  if (port === undefined && !section.has(key)) section.problem(key, 'is missing: a port from 1 to 65535')
  return port
}

/** @throws {ConfigError} when a mapping asks for an address of the host in a family that the container has not */
export function refuseOtherFamilies(mappings: readonly Mapping[], has4: boolean, has6: boolean): void {
  const problems: string[] = []
  for (const mapping of mappings) {
    const { hostAddress } = mapping
    // 0.0.0.0 means "wherever possible": nerdctl sends it with every `-p`, on networks without IPv4 too.
    if (hostAddress === undefined || specificAddress(mapping) === undefined) continue
    if (hostAddress.family === 4 ? has4 : has6) continue
    const key = 'runtimeConfig.portMappings[].hostIP'
    const family = `IPv${String(hostAddress.family)}`
    const value = JSON.stringify(formatAddress(hostAddress))
    problems.push(`${key} must be of a family that the container has: it has no ${family} address, got ${value}`)
  }
  if (problems.length > 0) throw new ConfigError(problems)
}
