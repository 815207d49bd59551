/** The configuration of the dns plugin, and the names that it and the caller give the container. */
import { presentText } from '../../lib/attach/parent.ts'
import { cniArgsSection, runtimeConfig } from '../../lib/cni/inputs.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import type { Section } from '../../lib/config/section.ts'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { canonicalName, nameProblem } from '../../lib/names/host-name.ts'
import { linksOf, type NameLink, RESOLVER } from '../../lib/names/record.ts'
import { isWord } from '../../lib/names/resolv-word.ts'
import { type AgentAddress, agentAddressIn, DEFAULT_SOCKET, readAgentAddress } from '../../lib/overlay/agent-call.ts'

export interface DnsConfig {
  /** Canonical; '' for none. */
  readonly domain: string
  readonly upstreams: readonly IpAddress[]
  /** What the caller has the container's resolver look below, and its options, in the words of resolv.conf. */
  readonly searches: readonly string[]
  readonly options: readonly string[]
  readonly isInternal: boolean
  readonly agent: AgentAddress
  /** `registry` is there: names are known on all hosts of the network. */
  readonly isCluster: boolean
  /** Canonical, in the order given, each once. */
  readonly aliases: readonly string[]
  readonly links: readonly NameLink[]
}

/** What a container start may wait for an agent that hangs, s: names come without it too, when it is there again. */
const PATIENCE = 2

/** Of an identifier of 64 hexadecimal digits, Docker's and containerd's form, people use the first twelve. */
const SHORT_ID = 12
const LONG_ID = 64

/** `ALIAS:NAME,…`: what this container alone calls others, as `docker run --link` has it. */
const LINK_ARGUMENT = 'PATCHBAY_LINKS'

/** Arguments that tell what the container is called, the best first: podman and kubelet; nerdctl. */
const NAME_ARGUMENTS: readonly string[] = ['K8S_POD_NAME', 'NERDCTL_CNI_DHCP_HOSTNAME']

/** @throws {ConfigError} naming every key that is wrong */
export function readConfig(request: Request): DnsConfig {
  const { config } = request
  const domain = canonicalName(presentText(config, 'domainName') ?? '')
  const problem = domain === '' ? '' : nameProblem(domain)
  if (problem !== '') config.problem('domainName', problem)
  // dnsname's: a domain for each network. That is always so here.
  config.boolean('multiDomain', false)
  const registry = readAgentAddress(config)
  const own = readOwnAgent(config, registry !== undefined)
  const read: DnsConfig = {
    domain,
    upstreams: readUpstreams(config),
    searches: readSearches(config),
    options: readOptions(config),
    isInternal: config.boolean('internal', false),
    agent: registry ?? own,
    isCluster: registry !== undefined,
    aliases: readAliases(request),
    links: linksOf((request.args.get(LINK_ARGUMENT) ?? '').split(','))
  }
  config.finish()
  return read
}

/** Where the agent of a network that is this host's alone is asked. */
function readOwnAgent(config: Section, hasRegistry: boolean): AgentAddress {
  const section = config.section('agent')
  if (section !== undefined && hasRegistry) config.problem('agent', 'must not stand beside "registry", which says it')
  if (section === undefined) return { socket: DEFAULT_SOCKET, milliseconds: PATIENCE * 1000 }
  return agentAddressIn(section, PATIENCE)
}

/**
 * What the caller asks for, else what is configured.
 *
 * @source CNI CONVENTIONS.md, "dns"
 */
function readUpstreams(config: Section): readonly IpAddress[] {
  const configured = readResolvers(config, 'remoteServers')
  const asked = runtimeConfig(config)?.section('dns')
  const servers = asked === undefined ? [] : readResolvers(asked, 'servers')
  return servers.length > 0 ? servers : configured
}

/** As they are written: they go into the container's resolv.conf. */
function readSearches(config: Section): readonly string[] {
  const asked = runtimeConfig(config)?.section('dns')
  if (asked === undefined) return []
  const searches = asked.textList('searches')
  for (const text of searches) {
    const problem = nameProblem(canonicalName(text))
    if (problem !== '') asked.problem('searches', `must hold domains; ${JSON.stringify(text)} ${problem}`)
  }
  return searches
}

function readOptions(config: Section): readonly string[] {
  const asked = runtimeConfig(config)?.section('dns')
  if (asked === undefined) return []
  const options = asked.textList('options')
  // Another line of resolv.conf would be another server.
  for (const text of options) if (!isWord(text)) asked.problem('options', 'must hold words of resolv.conf')
  return options
}

function readResolvers(section: Section, key: string): readonly IpAddress[] {
  const resolvers: IpAddress[] = []
  for (const text of section.textList(key)) {
    const address = parseAddress(text)
    if (address === undefined) section.problem(key, 'must hold IP addresses')
    else if (formatAddress(address) === RESOLVER)
      section.problem(key, `must not hold ${RESOLVER}, which would ask itself`)
    else resolvers.push(address)
  }
  return resolvers
}

/**
 * The aliases that the caller asks for: a list, as the conventions have it, or one list for each network, as podman sends
 * it. The capability's own come first.
 *
 * @source CNI CONVENTIONS.md, "aliases"
 */
function readAliases(request: Request): readonly string[] {
  const aliases: string[] = []
  for (const section of [runtimeConfig(request.config), cniArgsSection(request.config)]) {
    const json = section?.json('aliases')
    if (section === undefined || json === undefined) continue
    const perNetwork = json.type === 'object' ? section.section('aliases') : undefined
    if (perNetwork === undefined) addAliases(aliases, section, 'aliases')
    else addAliases(aliases, perNetwork, request.network)
  }
  return aliases
}

function addAliases(aliases: string[], section: Section, key: string): void {
  for (const text of section.textList(key)) {
    const alias = canonicalName(text)
    const problem = nameProblem(alias)
    if (problem !== '') section.problem(key, `must hold names; ${JSON.stringify(text)} ${problem}`)
    else if (!aliases.includes(alias)) aliases.push(alias)
  }
}

/** What the container is called by, its own name first, and what the caller calls it that cannot be a name. */
export interface OwnNames {
  readonly names: readonly string[]
  readonly refused: readonly string[]
}

/**
 * Own name, aliases, and the short identifier. A name that the runtime has chosen and that cannot be one is left out: the
 * container has done nothing wrong.
 */
export function namesOf(request: Request, aliases: readonly string[]): OwnNames {
  const names: string[] = []
  const refused: string[] = []
  const id = shortId(request.containerId)
  for (const argument of NAME_ARGUMENTS) {
    const text = request.args.get(argument)
    if (text === undefined) continue
    if (nameProblem(canonicalName(text)) !== '') refused.push(`${argument}=${text}`)
    else if (names.length === 0) names.push(canonicalName(text))
  }
  const isId = nameProblem(id) === ''
  if (!isId) refused.push(`CNI_CONTAINERID=${id}`)
  if (names.length === 0 && isId) names.push(id)
  for (const alias of aliases) if (!names.includes(alias)) names.push(alias)
  if (isId && !names.includes(id)) names.push(id)
  return { names, refused }
}

function shortId(containerId: string): string {
  const id = canonicalName(containerId)
  // containerd's clients write its namespace before it: `default-0123…`.
  const digits = id.length > LONG_ID && id.charAt(id.length - LONG_ID - 1) === '-' ? id.slice(id.length - LONG_ID) : id
  return /^[0-9a-f]{64}$/.test(digits) ? digits.slice(0, SHORT_ID) : id
}
