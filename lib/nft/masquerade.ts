/**
 * Masquerade: what a container sends beyond its own subnet leaves with the address of the host.
 *
 *     table ip patchbay-masquerade {
 *       map sources { type ipv4_addr : verdict; elements = { 10.4.0.5 comment "net id eth0" : goto from-10.4.0.0/24 } }
 *       chain postrouting { type nat hook postrouting priority srcnat; ip saddr vmap @sources }
 *       chain from-10.4.0.0/24 { ip daddr 10.4.0.0/24 return; ip daddr 224.0.0.0/4 return; masquerade }
 *     }
 *
 * and the same as `table ip6` with ff00::/8. Where destinations are left out, or the source is a fixed one, the chain is
 * `from-10.4.0.0/24-` and a hash of those, with a rule more for each, and `snat to 192.0.2.1` at its end. The backend `iptables` is lib/iptables/masquerade.ts.
 */

import { createHash } from 'node:crypto'
import { type Attachment, isOfNetwork, ownerText } from '../attachment.ts'
import { formatAddress, type IpAddress } from '../ip/address.ts'
import { formatPrefix, type IpPrefix, networkOf, parsePrefix } from '../ip/prefix.ts'
import { addIptablesMasquerade, checkIptablesMasquerade, removeIptablesMasquerade } from '../iptables/masquerade.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import {
  addMembers,
  type FoundMember,
  type Group,
  type GroupTable,
  type Member,
  nothingMore,
  removeMembers
} from './groups.ts'
import {
  addressField,
  type Expression,
  gotoElement,
  type Nft,
  type NftBatch,
  type NftElement,
  nftFamily
} from './nft.ts'
import { masquerade, matchAddress, rule, translateSource, verdict, verdictFrom } from './rule.ts'

/** As the configuration key `ipMasqBackend`. */
export type MasqueradeBackend = 'nftables' | 'iptables'

/** What of a container's packets is masqueraded, and how. */
export interface Masquerade {
  /** The container's own, each with the length of its subnet. */
  readonly addresses: readonly IpPrefix[]
  /** Destinations that see the container's own address, besides its subnet and multicast. */
  readonly excluded: readonly IpPrefix[]
  /** What is seen instead, one address of a family at most; of the others the outgoing interface's. */
  readonly sources: readonly IpAddress[]
  /** undefined chooses */
  readonly backend: MasqueradeBackend | undefined
}

/** Everything of these addresses, as the outgoing interface. */
export function masqueradeOf(addresses: readonly IpPrefix[], backend?: MasqueradeBackend): Masquerade {
  return { addresses, excluded: [], sources: [], backend }
}

const TABLE = 'patchbay-masquerade'
const MAP = 'sources'
const PRIORITY = 100
const HASH_DIGITS = 16

/**
 * Masquerades what the container sends. What is there for the same owner stays.
 *
 * @returns whether nobody was masqueraded before: nobody has needed it, or somebody has taken the rules away
 */
export function ensureMasquerade(nft: Nft, owner: Attachment, wanted: Masquerade): boolean {
  if (wanted.backend === 'iptables') return addIptablesMasquerade(owner, wanted)
  const isFirst = wanted.addresses.some(one => nft.findTable(tableFor(one).family, TABLE) === undefined)
  if (wanted.addresses.length > 0) ensureNftMasquerade(nft, owner, wanted)
  return isFirst
}

/**
 * Removes it again, without namespace, configuration or result.
 *
 * @param addresses those that were masqueraded, as the journal has them; undefined looks for the owner in the whole table
 * @param backend undefined looks with both
 * @returns false when there was nothing, which costs no transaction
 */
export function removeMasquerade(
  nft: Nft,
  owner: Attachment,
  addresses: readonly IpPrefix[] | undefined,
  backend: MasqueradeBackend | undefined
): boolean {
  const fromNft = backend !== 'iptables' && removeNftMasquerade(nft, owner, addresses)
  const fromIptables = backend !== 'nftables' && removeIptablesMasquerade(owner, addresses)
  return fromNft || fromIptables
}

/** @throws {KernelError} ENOENT when an address is not masqueraded, or for somebody else */
export function checkMasquerade(nft: Nft, owner: Attachment, wanted: Masquerade): void {
  if (wanted.backend === 'iptables') {
    checkIptablesMasquerade(owner, wanted)
    return
  }
  for (const address of wanted.addresses) {
    const table = tableFor(address)
    const group = groupOf(address, wanted)
    const element = nft.findElement(table.family, TABLE, MAP, addressField(address.address))
    const object = formatAddress(address.address)
    if (element === undefined) throw new KernelError('find masquerade', object, 'ENOENT', 'no rule for it')
    if (element.comment !== ownerText(owner) || element.verdict?.chain !== group.chain) {
      const explanation = `the rule is of ${JSON.stringify(element.comment)}`
      throw new KernelError('find masquerade', object, 'ENOENT', explanation)
    }
    const chain = nft.listRules(table.family, TABLE, group.chain)
    const base = nft.listRules(table.family, TABLE, 'postrouting')
    if (chain.length !== group.rules.length || base.length !== 1) {
      throw new KernelError('find masquerade', object, 'ENOENT', `table ${TABLE} has lost rules`)
    }
  }
}

/**
 * Removes what belongs to the network and to no attachment that `isValid` knows.
 *
 * @param isValid asked with the text of an owner, `ownerText`
 * @returns false when there was nothing
 */
export function collectMasquerade(nft: Nft, network: string, isValid: (ownerText: string) => boolean): boolean {
  return removeMembers(nft, () => findAll(nft, comment => isOfNetwork(comment, network) && !isValid(comment)))
}

function ensureNftMasquerade(nft: Nft, owner: Attachment, wanted: Masquerade): void {
  const comment = ownerText(owner)
  for (let attempt = 1; ; attempt += 1) {
    const missing = wanted.addresses.filter(address => !isMasqueraded(nft, address, wanted, comment))
    // The address is ours now: whoever else has an element for it went without DEL.
    if (findAt(nft, missing, undefined).length > 0) removeMembers(nft, () => findAt(nft, missing, undefined))
    const members = missing.map(address => memberOf(address, wanted, comment))
    try {
      if (members.length > 0) addMembers(nft, members)
      return
    } catch (error) {
      const isTaken = error instanceof KernelError && error.errno === 'EEXIST' && error.operation === 'add element'
      if (!isTaken || attempt === 3) throw error
    }
  }
}

function isMasqueraded(nft: Nft, address: IpPrefix, wanted: Masquerade, comment: string): boolean {
  const element = nft.findElement(tableFor(address).family, TABLE, MAP, addressField(address.address))
  return (
    element !== undefined && element.comment === comment && element.verdict?.chain === groupOf(address, wanted).chain
  )
}

function removeNftMasquerade(nft: Nft, owner: Attachment, addresses: readonly IpPrefix[] | undefined): boolean {
  const comment = ownerText(owner)
  if (addresses !== undefined) return removeMembers(nft, () => findAt(nft, addresses, comment))
  return removeMembers(nft, () => findAll(nft, one => one === comment))
}

function findAt(nft: Nft, addresses: readonly IpPrefix[], comment: string | undefined): readonly FoundMember[] {
  const found: FoundMember[] = []
  for (const address of addresses) {
    const table = tableFor(address)
    const element = nft.findElement(table.family, TABLE, MAP, addressField(address.address))
    if (element !== undefined && (comment === undefined || element.comment === comment)) {
      found.push(foundMember(nft, table, element))
    }
  }
  return found
}

function findAll(nft: Nft, isWanted: (comment: string) => boolean): readonly FoundMember[] {
  const found: FoundMember[] = []
  for (const table of [tableOf(4), tableOf(6)]) {
    for (const element of nft.listElements(table.family, TABLE, MAP)) {
      if (isWanted(element.comment)) found.push(foundMember(nft, table, element))
    }
  }
  return found
}

function tableFor(address: IpPrefix): GroupTable {
  return tableOf(address.address.family)
}

function tableOf(number: 4 | 6): GroupTable {
  const family = nftFamily(number)
  const type = number === 4 ? 'ipv4_addr' : 'ipv6_addr'
  function addBase(batch: NftBatch): void {
    batch.addSet(family, TABLE, { name: MAP, key: [type], data: [], isInterval: false })
    const hook = { type: 'nat', hook: 'postrouting', priority: PRIORITY, policy: undefined } as const
    batch.addChain(family, TABLE, 'postrouting', hook)
    // ip saddr vmap @sources
    batch.addRule(family, TABLE, 'postrouting', verdictFrom(family, ['saddr'], MAP))
  }
  return { family, table: TABLE, map: MAP, baseUse: 2, addBase }
}

function memberOf(address: IpPrefix, wanted: Masquerade, comment: string): Member {
  const group = groupOf(address, wanted)
  const element = gotoElement(addressField(address.address), group.chain, comment)
  return { table: tableFor(address), group, element, addMore: nothingMore }
}

function groupOf(address: IpPrefix, wanted: Masquerade): Group {
  const subnet = networkOf(address)
  const { family } = subnet.address
  const excluded = wanted.excluded.filter(one => one.address.family === family)
  const source = wanted.sources.find(one => one.family === family)
  const rules: (readonly Expression[])[] = []
  // ip daddr 10.4.0.0/24 return, ip daddr 224.0.0.0/4 return
  for (const one of [subnet, multicast(family)].concat(excluded)) {
    rules.push(rule([matchAddress('daddr', one), verdict('return')]))
  }
  rules.push(source === undefined ? masquerade() : translateSource(source))
  const words = excluded.map(one => formatPrefix(one)).concat(source === undefined ? [] : [formatAddress(source)])
  return { chain: `${subnetChain(subnet)}${wayOf(words)}`, rules, addMore: nothingMore, removeMore: nothingMore }
}

/** Networks of one subnet that are masqueraded in different ways have different chains. */
function wayOf(words: readonly string[]): string {
  if (words.length === 0) return ''
  return `-${createHash('sha256').update(words.join(' ')).digest('hex').slice(0, HASH_DIGITS)}`
}

/** The chain of a subnet, in characters that nft takes for a name: `from-10.4.0.0/24`, `from-fd00-0-0-1--/64`. */
export function subnetChain(subnet: IpPrefix): string {
  return `from-${formatPrefix(subnet).split(':').join('-')}`
}

function multicast(family: 4 | 6): IpPrefix {
  const prefix = parsePrefix(family === 4 ? '224.0.0.0/4' : 'ff00::/8')
  if (prefix === undefined) throw new Error('multicast prefix')
  return prefix
}

function foundMember(nft: Nft, table: GroupTable, element: NftElement): FoundMember {
  const chain = element.verdict?.chain ?? ''
  // Only the number of rules matters for telling an unused chain.
  const isPlain = chain.indexOf('-', chain.lastIndexOf('/')) < 0
  const rules = isPlain ? [[], [], []] : nft.listRules(table.family, TABLE, chain).map(one => one.expressions)
  const group: Group = { chain, rules, addMore: nothingMore, removeMore: nothingMore }
  return { table, element, group, removeMore: nothingMore }
}
