/**
 * Port mappings by iptables, in the chains and comments of the reference plugin, so that either removes what the other
 * made and tools that read them (nerdctl looks for used ports there) find what they look for:
 *
 *     *nat
 *     -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT             (and OUTPUT)
 *     -A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
 *     -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: …" -m multiport --dports 8080 -j CNI-DN-<hash>
 *     -A CNI-DN-<hash> -s 10.4.0.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK
 *     -A CNI-DN-<hash> -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK
 *     -A CNI-DN-<hash> -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.4.0.2:80
 *     -A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
 *     -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
 */
import { ConfigError } from '../../lib/config/section.ts'
import { formatAddress, type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { formatPrefix, hostPrefix, type IpPrefix, networkOf } from '../../lib/ip/prefix.ts'
import {
  argument,
  attachmentChain,
  changeIptables,
  commentMatch,
  findIptables,
  hasChain,
  optionOf,
  rulesOf,
  saveIptables,
  withIptablesLock
} from '../../lib/iptables/iptables.ts'
import { type Lost, restoreIptables } from '../../lib/iptables/restore.ts'
import type { Config } from './config.ts'
import type { Conflict } from './conflict.ts'
import {
  isOfFamily,
  type Mapping,
  overlap,
  type Protocol,
  parseProtocol,
  protocolName,
  specificAddress
} from './mapping.ts'
import type { Published } from './published.ts'
import type { SourceTreatment } from './table.ts'

export const DNAT = 'CNI-HOSTPORT-DNAT'
const SETMARK = 'CNI-HOSTPORT-SETMARK'
const MASQ = 'CNI-HOSTPORT-MASQ'
/** Of `-m multiport`; a range counts twice. */
const PORTS_PER_RULE = 15

const FAMILIES: readonly (4 | 6)[] = [4, 6]
const PROTOCOLS: readonly Protocol[] = [6, 17, 132]

/** Whose mappings they are, as far as chains and comments tell: not which interface. */
export interface ChainOwner {
  readonly network: string
  readonly containerId: string
}

/** What the backend is told beside what is published. */
export interface IptablesWay {
  /** The packet mark that asks for masquerade, one bit. */
  readonly markMasqBit: number
  /** The chain that sets another mark, made by somebody else. */
  readonly externalSetMarkChain: string | undefined
  /** Further conditions, as arguments. */
  readonly conditionsV4: readonly string[]
  readonly conditionsV6: readonly string[]
}

/** What one container has published, and how. */
export interface ByIptables {
  readonly owner: ChainOwner
  readonly published: Published
  readonly way: IptablesWay
}

/** Adds the mappings, in place of what the same container had on the same network. */
export function publishByIptables(wanted: ByIptables): void {
  withIptablesLock(() => {
    for (const address of wanted.published.addresses) {
      const { family } = address.address
      const saved = saveIptables(family, 'nat')
      const lines = removal(saved, wanted.owner).concat(missingBase(saved, wanted), rulesFor(wanted, address))
      changeIptables(family, 'nat', lines)
    }
    return true
  })
}

/** Whether nothing leads to the chain of mappings. */
export function isUnreached(family: 4 | 6): boolean {
  if (findIptables(family) === undefined) return false
  return !rulesOf(saveIptables(family, 'nat'), 'PREROUTING').some(rule => optionOf(rule, '-j') === DNAT)
}

/** Adds again what containers have lost. */
export function publishAgain(lost: readonly ByIptables[]): void {
  withIptablesLock(() => {
    for (const family of FAMILIES) {
      const here: Lost[] = []
      for (const one of lost) {
        for (const address of one.published.addresses) {
          if (address.address.family !== family) continue
          const what = `publish the ports of ${one.published.comment}`
          here.push({ what, linesFor: saved => missingOf(saved, one, address) })
        }
      }
      restoreIptables({ family, table: 'nat', engine: '' }, here)
    }
    return true
  })
}

/** Everything, or nothing where its own chain has rules. */
function missingOf(saved: readonly string[], wanted: ByIptables, address: IpPrefix): readonly string[] {
  const chain = containerChain(wanted.owner)
  if (rulesOf(saved, chain).length > 0) return missingBase(saved, wanted)
  // `iptables -F` leaves the chain.
  const rules = rulesFor(wanted, address).filter(line => line !== `-N ${chain}` || !hasChain(saved, chain))
  return missingBase(saved, wanted).concat(rules)
}

/** @returns false when there was nothing */
export function unpublishByIptables(owner: ChainOwner): boolean {
  return withIptablesLock(() => {
    let removed = false
    for (const family of FAMILIES) {
      if (findIptables(family) === undefined) continue
      const lines = removal(saveIptables(family, 'nat'), owner)
      changeIptables(family, 'nat', lines)
      removed = removed || lines.length > 0
    }
    return removed
  })
}

/** The chain whose existence says that a container has mappings here. */
export function containerChain(owner: ChainOwner): string {
  return attachmentChain('CNI-DN-', owner.network, owner.containerId)
}

/** What is not as `publishByIptables` left it, as sentences. */
export function iptablesProblems(wanted: ByIptables): readonly string[] {
  const problems: string[] = []
  for (const address of wanted.published.addresses) {
    const saved = saveIptables(address.address.family, 'nat')
    const missing = missingBase(saved, wanted).concat(
      rulesFor(wanted, address).filter(line => !saved.some(one => isSameRule(one, line)))
    )
    const rules = missing.filter(line => !line.startsWith('-N '))
    if (rules.length > 0) problems.push(`iptables rules are missing: ${rules.join('; ')}`)
  }
  return problems
}

/** What iptables prints differs from what it is told in the order of options; the words are the same. */
function isSameRule(a: string, b: string): boolean {
  return a.split(' ').sort().join(' ') === b.split(' ').sort().join(' ')
}

/** A mapping that is wanted, and who has one in the chains here that it would meet. */
export interface IptablesConflict extends Conflict {
  readonly chain: string
  /** Where that one leads. */
  readonly target: IpAddress | undefined
}

/** Everybody who has a mapping here that one of these would meet. */
export function findIptablesConflicts(
  owner: ChainOwner,
  addresses: readonly IpPrefix[],
  mappings: readonly Mapping[]
): readonly IptablesConflict[] {
  const own = containerChain(owner)
  const conflicts: IptablesConflict[] = []
  for (const { address } of addresses) {
    const saved = findIptables(address.family) === undefined ? [] : saveIptables(address.family, 'nat')
    const wanted = mappings.filter(one => isOfFamily(one, address.family))
    for (const rule of saved) {
      const chain = optionOf(rule, '-A')
      if (!chain.startsWith('CNI-DN-') || optionOf(rule, '-j') !== 'DNAT' || chain === own) continue
      if (conflicts.some(one => one.chain === chain)) continue
      const theirs = mappingOf(rule, address.family)
      const mapping = wanted.find(one => overlap(one, theirs))
      if (mapping !== undefined) {
        conflicts.push({ owner: ownerOf(saved, chain), mapping, chain, target: targetOf(rule) })
      }
    }
  }
  return conflicts
}

/** `10.4.0.2:80`, `10.4.0.2`, `[fd00::2]:80`, `fd00::2` */
function targetOf(rule: string): IpAddress | undefined {
  const text = optionOf(rule, '--to-destination')
  if (text.startsWith('[')) return parseAddress(text.slice(1, text.indexOf(']')))
  return parseAddress(text) ?? parseAddress(text.split(':')[0] ?? '')
}

/** Removes chains of containers, with the jumps to them. */
export function removeChains(chains: readonly string[]): void {
  withIptablesLock(() => {
    for (const family of FAMILIES) {
      if (findIptables(family) === undefined) continue
      const saved = saveIptables(family, 'nat')
      const lines: string[] = []
      for (const chain of chains) for (const line of chainRemoval(saved, chain)) lines.push(line)
      changeIptables(family, 'nat', lines)
    }
    return true
  })
}

/**
 * A chain of somebody else that mappings are to jump to must be there.
 *
 * @throws {ConfigError} naming the key
 */
export function requireChains(addresses: readonly IpPrefix[], config: Config): void {
  const chain = config.externalSetMarkChain
  if (chain === undefined || config.backend !== 'iptables' || !config.snat) return
  for (const { address } of addresses) {
    if (!config.mappings.some(one => isOfFamily(one, address.family))) continue
    if (findIptables(address.family) === undefined || hasChain(saveIptables(address.family, 'nat'), chain)) continue
    const tool = address.family === 4 ? 'iptables' : 'ip6tables'
    const expected = `must be a chain of ${tool}'s table nat that is there`
    throw new ConfigError([`externalSetMarkChain ${expected}, got ${JSON.stringify(chain)}`])
  }
}

function mappingOf(rule: string, family: 4 | 6): Mapping {
  const ports = optionOf(rule, '--dport').split(':')
  const first = Number(ports[0] ?? '0')
  const hostAddress = parseAddress(optionOf(rule, '-d').split('/')[0] ?? '') ?? anyAddress(family)
  const protocol = parseProtocol(optionOf(rule, '-p')) ?? 6
  return { protocol, hostAddress, first, last: Number(ports[1] ?? String(first)), containerPort: 0 }
}

function anyAddress(family: 4 | 6): IpAddress {
  return { family, bytes: new Uint8Array(family === 4 ? 4 : 16) }
}

/** `name: "net1" id: "cid1"`, from the comment of the rule that leads to the chain. */
function ownerOf(saved: readonly string[], chain: string): string {
  const rule = rulesOf(saved, DNAT).find(one => optionOf(one, '-j') === chain) ?? ''
  const start = rule.indexOf('--comment "dnat ')
  const end = rule.indexOf('" -m multiport')
  if (start < 0 || end < start) return chain
  return rule
    .slice(start + '--comment "dnat '.length, end)
    .split('\\')
    .join('')
}

function removal(saved: readonly string[], owner: ChainOwner): string[] {
  return chainRemoval(saved, containerChain(owner))
}

function chainRemoval(saved: readonly string[], chain: string): string[] {
  if (!hasChain(saved, chain)) return []
  const jumps = rulesOf(saved, DNAT).filter(rule => optionOf(rule, '-j') === chain)
  return jumps.map(rule => `-D${rule.slice(2)}`).concat([`-F ${chain}`, `-X ${chain}`])
}

function missingBase(saved: readonly string[], { published, way }: ByIptables): string[] {
  const chains = [DNAT]
  const rules = [
    `-A PREROUTING -m addrtype --dst-type LOCAL -j ${DNAT}`,
    `-A OUTPUT -m addrtype --dst-type LOCAL -j ${DNAT}`
  ]
  const lines: string[] = []
  if (published.sources !== 'none' && way.externalSetMarkChain === undefined) {
    chains.push(SETMARK, MASQ)
    const mark = markText(way.markMasqBit)
    rules.push(
      `-A ${SETMARK} -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${mark}`,
      `-A ${MASQ} -m mark --mark ${mark} -j MASQUERADE`
    )
    const first = `-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j ${MASQ}`
    // Before the chains of networks, which let packets to their own subnet pass as they are.
    if (!saved.some(one => one === first)) lines.push(`-I${first.slice(2)}`)
  }
  const news = chains.filter(chain => !hasChain(saved, chain)).map(chain => `-N ${chain}`)
  return news.concat(
    lines,
    rules.filter(rule => !saved.some(one => one === rule))
  )
}

/** `0x2000/0x2000` */
function markText(bit: number): string {
  const digits = `${['1', '2', '4', '8'][bit % 4] ?? '1'}${'0'.repeat(Math.floor(bit / 4))}`
  return `0x${digits}/0x${digits}`
}

function rulesFor({ owner, published, way }: ByIptables, address: IpPrefix): string[] {
  const { family } = address.address
  const chain = containerChain(owner)
  const mappings = published.mappings.filter(one => isOfFamily(one, family))
  if (mappings.length === 0) return []
  const lines = [`-N ${chain}`]
  const text = `dnat name: ${JSON.stringify(owner.network)} id: ${JSON.stringify(owner.containerId)}`
  const conditions = (family === 4 ? way.conditionsV4 : way.conditionsV6).map(one => argument(one))
  for (const protocol of PROTOCOLS) {
    for (const ports of portLists(mappings.filter(one => one.protocol === protocol))) {
      const start = `-A ${DNAT} -p ${protocolName(protocol)} ${commentMatch(text)}`
      lines.push([start, `-m multiport --dports ${ports}`].concat(conditions, [`-j ${chain}`]).join(' '))
    }
  }
  const sources: Sources = { treatment: published.sources, setMark: way.externalSetMarkChain ?? SETMARK }
  for (const mapping of mappings) for (const line of rulesOfMapping(chain, address, mapping, sources)) lines.push(line)
  return lines
}

/** Whose source addresses are replaced, and the chain that asks for it. */
interface Sources {
  readonly treatment: SourceTreatment
  readonly setMark: string
}

function portLists(mappings: readonly Mapping[]): readonly string[] {
  const lists: string[] = []
  let ports: string[] = []
  let count = 0
  for (const { first, last } of mappings) {
    const size = first === last ? 1 : 2
    if (count + size > PORTS_PER_RULE) {
      lists.push(ports.join(','))
      ports = []
      count = 0
    }
    ports.push(first === last ? String(first) : `${String(first)}:${String(last)}`)
    count += size
  }
  if (ports.length > 0) lists.push(ports.join(','))
  return lists
}

function rulesOfMapping(chain: string, address: IpPrefix, mapping: Mapping, sources: Sources): readonly string[] {
  const target = address.address
  const name = protocolName(mapping.protocol)
  const specific = specificAddress(mapping)
  const toHost = specific === undefined ? '' : `-d ${formatPrefix(hostPrefix(specific))} `
  const isRange = mapping.first !== mapping.last
  const ports = isRange ? `${String(mapping.first)}:${String(mapping.last)}` : String(mapping.first)
  const match = `${toHost}-p ${name} -m ${name} --dport ${ports}`
  const { treatment, setMark } = sources
  const lines: string[] = []
  if (treatment !== 'none') {
    const from = treatment === 'all' ? '' : `-s ${formatPrefix(networkOf(address))} `
    lines.push(`-A ${chain} ${from}${match} -j ${setMark}`)
    if (target.family === 4) lines.push(`-A ${chain} -s 127.0.0.1/32 ${match} -j ${setMark}`)
  }
  const bare = formatAddress(target)
  const withPort = `${target.family === 6 ? `[${bare}]` : bare}:${String(mapping.containerPort)}`
  lines.push(`-A ${chain} ${match} -j DNAT --to-destination ${isRange ? bare : withPort}`)
  return lines
}
