/**
 * Port mappings as elements of maps, so that neither a packet nor an ADD meets the other mappings:
 *
 *     table ip patchbay-portmap {
 *       map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
 *       map address-ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
 *       map ranges { type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags interval; }
 *       map targets { type ipv4_addr : verdict; }
 *       set address-port-index { type inet_proto . inet_service; }
 *       map conditions { type ipv4_addr . inet_proto . inet_service : verdict; flags interval; }
 *       chain prerouting { type nat hook prerouting priority -100; fib daddr type local jump translate; }
 *       chain output { type nat hook output priority -100; fib daddr type local jump translate; }
 *       chain translate {
 *         ip daddr . meta l4proto . th dport vmap @conditions
 *         meta mark set meta mark | 0x1000
 *         dnat ip to ip daddr . meta l4proto . th dport map @address-ports
 *         dnat ip to meta l4proto . th dport map @ports
 *         dnat ip to ip daddr . meta l4proto . th dport map @ranges
 *         meta mark set meta mark & 0xffffefff
 *       }
 *       chain postrouting { type nat hook postrouting priority 100; meta mark & 0x1000 == 0x1000 ip daddr vmap @targets; }
 *       chain from-10.4.0.0/24 { ip saddr 10.4.0.0/24 masquerade; ip saddr 127.0.0.0/8 masquerade; }
 *       chain if-0123456789abcdef { iifname "eth0" return; accept; }
 *     }
 *
 * Every container with mappings has an element in `targets`, whose chain says whose source address is replaced: of its
 * own subnet and of localhost (`from-…`), everybody's (`from-all`), nobody's (`from-none`). The mark lives from the
 * translation to the end of the same packet's way and keeps translations by others apart. localhost.ts is about what
 * 127.0.0.1 needs besides.
 *
 * Ports with conditions (`conditionsV4`) have an element in `conditions` besides. Its chain, which all networks with the
 * same conditions share, sends a packet back to be translated, or ends its way through here.
 */
import { createHash } from 'node:crypto'
import type { IpAddress } from '../../lib/ip/address.ts'
import { type IpPrefix, networkOf, parsePrefix } from '../../lib/ip/prefix.ts'
import { type Group, type GroupTable, nothingMore } from '../../lib/nft/groups.ts'
import { subnetChain } from '../../lib/nft/masquerade.ts'
import {
  addressField,
  concatenate,
  type Expression,
  type NftBatch,
  type NftFamily,
  type NftField,
  type NftHookName,
  nftFamily,
  portField,
  protocolField
} from '../../lib/nft/nft.ts'
import {
  clearMark,
  jump,
  masquerade,
  matchAddress,
  matchLocalDestination,
  matchMark,
  rule,
  setMark,
  translateFrom,
  verdict,
  verdictFrom
} from '../../lib/nft/rule.ts'

export const TABLE = 'patchbay-portmap'
export const PORTS = 'ports'
export const ADDRESS_PORTS = 'address-ports'
export const RANGES = 'ranges'
export const TARGETS = 'targets'
export const CONDITIONS = 'conditions'
/** Which ports `address-ports` has, whatever the address: what a mapping of all addresses must look at. */
export const INDEX = 'address-port-index'
const TRANSLATE = 'translate'
const DNAT_PRIORITY = -100
const SNAT_PRIORITY = 100
/** Not the reference's 0x2000, whose chains outlive it and masquerade whatever bears that mark. */
const MARK = 0x1000
const HASH_DIGITS = 16
const HOOKS: readonly NftHookName[] = ['prerouting', 'output', 'postrouting']

/** Whose source addresses are replaced. */
export type SourceTreatment = 'subnet' | 'all' | 'none'

/** What packets of one family must be for their port to be mapped. */
export interface Gate {
  readonly family: 4 | 6
  /** As they were configured. */
  readonly words: readonly string[]
  /** `if-` and a hash of the conditions. */
  readonly chain: string
  readonly rules: readonly (readonly Expression[])[]
}

/**
 * @param words nft's
 * @param alternatives what they mean
 */
export function gateOf(
  family: 4 | 6,
  words: readonly string[],
  alternatives: readonly (readonly Expression[])[]
): Gate {
  const hash = createHash('sha256').update(words.join(' ')).digest('hex')
  const rules = alternatives.map(one => rule([one, verdict('return')]))
  return { family, words, chain: `if-${hash.slice(0, HASH_DIGITS)}`, rules: rules.concat([verdict('accept')]) }
}

export function groupOf(address: IpPrefix, sources: SourceTreatment): Group {
  const subnet = networkOf(address)
  const family = nftFamily(subnet.address.family)
  if (sources === 'none') return chainGroup('from-none', [])
  if (sources === 'all') return chainGroup('from-all', [masquerade()])
  const rules = [rule([matchAddress('saddr', subnet), masquerade()])]
  if (family === 'ip') rules.push(rule([matchAddress('saddr', loopbackPrefix()), masquerade()]))
  return chainGroup(subnetChain(subnet), rules)
}

function chainGroup(chain: string, rules: readonly (readonly Expression[])[]): Group {
  return { chain, rules, addMore: nothingMore, removeMore: nothingMore }
}

/** As many rules as `groupOf` gives the chain; only their number counts. */
export function rulesOfChain(chain: string, family: NftFamily): readonly (readonly Expression[])[] {
  if (chain === 'from-none') return []
  return chain === 'from-all' || family === 'ip6' ? [[]] : [[], []]
}

/** 127.0.0.0/8 */
export function loopbackPrefix(): IpPrefix {
  const prefix = parsePrefix('127.0.0.0/8')
  if (prefix === undefined) throw new Error('loopback prefix')
  return prefix
}

/** The chains that are always there, and how many rules each has. */
export function baseRules(): readonly (readonly [string, number])[] {
  return [
    ['prerouting', 1],
    ['output', 1],
    ['postrouting', 1],
    [TRANSLATE, 6]
  ]
}

export function tableOf(number: 4 | 6): GroupTable {
  const family = nftFamily(number)
  return {
    family,
    table: TABLE,
    map: TARGETS,
    baseUse: 6 + baseRules().length,
    addBase: (batch: NftBatch): void => {
      addMaps(batch, family)
      addTranslation(batch, family)
    }
  }
}

function addMaps(batch: NftBatch, family: NftFamily): void {
  const address: NftField = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const port: readonly NftField[] = ['inet_proto', 'inet_service']
  const key: readonly NftField[] = [address, 'inet_proto', 'inet_service']
  const data: readonly NftField[] = [address, 'inet_service']
  batch.addSet(family, TABLE, { name: PORTS, key: port, data, isInterval: false })
  batch.addSet(family, TABLE, { name: ADDRESS_PORTS, key, data, isInterval: false })
  batch.addSet(family, TABLE, { name: RANGES, key, data: [address], isInterval: true })
  batch.addSet(family, TABLE, { name: TARGETS, key: [address], data: [], isInterval: false })
  batch.addSet(family, TABLE, { name: INDEX, key: port, data: undefined, isInterval: false })
  batch.addSet(family, TABLE, { name: CONDITIONS, key, data: [], isInterval: true })
}

function addTranslation(batch: NftBatch, family: NftFamily): void {
  const add = (chain: string, expressions: readonly Expression[]): void => {
    batch.addRule(family, TABLE, chain, expressions)
  }
  batch.addChain(family, TABLE, TRANSLATE, undefined)
  for (const hook of HOOKS) {
    const priority = hook === 'postrouting' ? SNAT_PRIORITY : DNAT_PRIORITY
    batch.addChain(family, TABLE, hook, { type: 'nat', hook, priority, policy: undefined })
  }
  // ip daddr . meta l4proto . th dport vmap @conditions
  add(TRANSLATE, verdictFrom(family, ['daddr', 'l4proto', 'dport'], CONDITIONS))
  // meta mark set meta mark | 0x1000
  add(TRANSLATE, setMark(MARK))
  // dnat ip to ip daddr . meta l4proto . th dport map @address-ports
  add(TRANSLATE, translateFrom(family, ['daddr', 'l4proto', 'dport'], ADDRESS_PORTS, true))
  // dnat ip to meta l4proto . th dport map @ports
  add(TRANSLATE, translateFrom(family, ['l4proto', 'dport'], PORTS, true))
  // dnat ip to ip daddr . meta l4proto . th dport map @ranges
  add(TRANSLATE, translateFrom(family, ['daddr', 'l4proto', 'dport'], RANGES, false))
  // meta mark set meta mark & 0xffffefff
  add(TRANSLATE, clearMark(MARK))
  // fib daddr type local jump translate
  add('prerouting', rule([matchLocalDestination(), jump(TRANSLATE)]))
  add('output', rule([matchLocalDestination(), jump(TRANSLATE)]))
  // meta mark & 0x1000 == 0x1000 ip daddr vmap @targets
  add('postrouting', rule([matchMark(MARK), verdictFrom(family, ['daddr'], TARGETS)]))
}

export function allOnes(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i += 1) bytes[i] = 255
  return bytes
}

/** What `concatenate` makes of protocol and port; a call may have 65,000. */
export function portKey(protocol: number, port: number): Uint8Array {
  const key = new Uint8Array(PORT_KEY_LENGTH)
  key[0] = protocol
  setPort(key, PORT_KEY_LENGTH / 2, port)
  return key
}

export function addressPortKey(address: IpAddress, protocol: number, port: number): Uint8Array {
  return concatenate([addressField(address), protocolField(protocol), portField(port)])
}

/** Where a mapping leads: address and port, as `concatenate` makes it. */
export function targetData(address: IpAddress, port: number): Uint8Array {
  const { bytes } = address
  const data = new Uint8Array(bytes.length + FIELD)
  data.set(bytes, 0)
  setPort(data, bytes.length, port)
  return data
}

/** Fields of a concatenation begin at multiples of 4 bytes. */
const FIELD = 4
const PORT_KEY_LENGTH = 2 * FIELD

function setPort(bytes: Uint8Array, offset: number, port: number): void {
  bytes[offset] = port >> 8
  bytes[offset + 1] = port & 255
}
