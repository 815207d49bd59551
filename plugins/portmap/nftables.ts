/** Port mappings as elements of the maps in table.ts: added, removed, looked for. */

import { sameBytes } from '../../lib/bytes/compare.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import { hex } from '../../lib/ip/mac.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import { type FoundMember, type Group, type GroupTable, type Member, nothingMore } from '../../lib/nft/groups.ts'
import { Lookup } from '../../lib/nft/lookup.ts'
import {
  addressField,
  concatenate,
  gotoElement,
  keyElement,
  type Nft,
  type NftBatch,
  type NftElement,
  portField,
  protocolField
} from '../../lib/nft/nft.ts'
import { isOfFamily, type Mapping, specificAddress } from './mapping.ts'
import type { Published } from './published.ts'
import {
  ADDRESS_PORTS,
  addressPortKey,
  allOnes,
  baseRules,
  CONDITIONS,
  type Gate,
  groupOf,
  INDEX,
  PORTS,
  portKey,
  RANGES,
  rulesOfChain,
  TABLE,
  TARGETS,
  tableOf,
  targetData
} from './table.ts'

const FAMILIES: readonly (4 | 6)[] = [4, 6]

/** An element and the map that it is in. */
interface Placed {
  readonly map: string
  readonly element: NftElement
}

/** One container's mappings, as what `addMembers` adds. */
export function publishedMembers(published: Published): readonly Member[] {
  const members: Member[] = []
  for (const address of published.addresses) {
    members.push(memberOf(address, published))
    const gate = gateMember(address, published)
    if (gate !== undefined) members.push(gate)
  }
  return members
}

/** Others that have mappings to these addresses. The addresses are ours now, so those containers went without DEL. */
export function formerOwners(nft: Nft, published: Published): readonly string[] {
  const owners: string[] = []
  for (const { address } of published.addresses) {
    const element = nft.findElement(tableOf(address.family).family, TABLE, TARGETS, addressField(address))
    if (element !== undefined && element.comment !== published.comment) owners.push(element.comment)
  }
  return owners
}

/** The addresses that an owner's ports lead to. */
export function targetsOf(nft: Nft, comment: string): readonly IpAddress[] {
  const targets: IpAddress[] = []
  for (const family of FAMILIES) {
    for (const element of nft.listElements(tableOf(family).family, TABLE, TARGETS)) {
      if (element.comment === comment) targets.push({ family, bytes: element.key })
    }
  }
  return targets
}

/** Whether somebody else has taken the table of a family away, or nobody has needed it so far. */
export function isTableMissing(nft: Nft, family: 4 | 6): boolean {
  return nft.findTable(tableOf(family).family, TABLE) === undefined
}

/** What is not as `publishedMembers` says, as sentences. */
export function mappingProblems(nft: Nft, published: Published): readonly string[] {
  const problems: string[] = []
  for (const address of published.addresses) {
    const table = tableOf(address.address.family)
    const elements = elementsOf(address, published)
    const lookup = new Lookup(nft, table.family, TABLE, elements.length)
    for (const { map, element } of elements) {
      const found = lookup.find(map, element.key)
      const isSame = found !== undefined && found.comment === element.comment && isSameTarget(found, element)
      if (!isSame) problems.push(`an element of table ${table.family} ${TABLE}, map ${map}, is missing or another's`)
    }
    const gate = gateFor(address, published)
    const chains = baseRules().concat(gate === undefined ? [] : [[gate.chain, gate.rules.length]])
    for (const [chain, count] of chains) {
      if (nft.listRules(table.family, TABLE, chain).length === count) continue
      problems.push(`chain ${chain} of table ${table.family} ${TABLE} has lost rules`)
    }
  }
  return problems
}

function isSameTarget(a: NftElement, b: NftElement): boolean {
  if (b.verdict !== undefined) return a.verdict?.chain === b.verdict.chain
  if (b.data === undefined) return true
  return a.data !== undefined && sameBytes(a.data, b.data)
}

function memberOf(address: IpPrefix, published: Published): Member {
  const table = tableOf(address.address.family)
  const group = groupOf(address, published.sources)
  const placed = elementsOf(address, published)
  const element = gotoElement(addressField(address.address), group.chain, published.comment)
  function addMore(batch: NftBatch): void {
    const elementsOfMap = (map: string) => placed.filter(one => one.map === map).map(one => one.element)
    for (const map of [PORTS, ADDRESS_PORTS, RANGES]) {
      batch.createElements(table.family, TABLE, map, elementsOfMap(map))
    }
    // Several containers share an element of the index: the same port at different addresses.
    batch.addElements(table.family, TABLE, INDEX, elementsOfMap(INDEX))
  }
  return { table, group, element, addMore }
}

/** The elements that lead to the conditions; undefined where there are none, or nothing to meet them. */
function gateMember(address: IpPrefix, published: Published): Member | undefined {
  const table = tableOf(address.address.family)
  const gate = gateFor(address, published)
  if (gate === undefined) return undefined
  const elements = elementsOf(address, published).filter(one => one.map === CONDITIONS)
  const first = elements[0]
  if (first === undefined) return undefined
  const group: Group = { chain: gate.chain, rules: gate.rules, addMore: nothingMore, removeMore: nothingMore }
  function addMore(batch: NftBatch): void {
    batch.createElements(table.family, TABLE, CONDITIONS, elements.slice(1).map(elementIn))
  }
  return { table: withMap(table, CONDITIONS), group, element: first.element, addMore }
}

function elementIn(placed: Placed): NftElement {
  return placed.element
}

function withMap(table: GroupTable, map: string): GroupTable {
  return { family: table.family, table: table.table, map, baseUse: table.baseUse, addBase: table.addBase }
}

function gateFor(address: IpPrefix, published: Published): Gate | undefined {
  return published.gates.find(one => one.family === address.address.family)
}

/** Everything of one family that a container has in the maps; the element in `targets` first. */
function elementsOf(address: IpPrefix, published: Published): readonly Placed[] {
  const { comment } = published
  const target = address.address
  const gate = gateFor(address, published)
  const chain = groupOf(address, published.sources).chain
  const placed: Placed[] = [{ map: TARGETS, element: gotoElement(addressField(target), chain, comment) }]
  for (const mapping of published.mappings) {
    if (!isOfFamily(mapping, target.family)) continue
    const specific = specificAddress(mapping)
    const { protocol, first } = mapping
    if (gate !== undefined) placed.push({ map: CONDITIONS, element: gateElement(mapping, target, gate.chain, comment) })
    const data = targetData(target, mapping.containerPort)
    if (first !== mapping.last) placed.push({ map: RANGES, element: rangeElement(mapping, target, comment) })
    else if (specific === undefined)
      placed.push({ map: PORTS, element: dataElement(portKey(protocol, first), data, comment) })
    else {
      const key = addressPortKey(specific, protocol, first)
      placed.push({ map: ADDRESS_PORTS, element: dataElement(key, data, comment) })
      placed.push({ map: INDEX, element: keyElement(portKey(protocol, first), '') })
    }
  }
  return placed
}

function dataElement(key: Uint8Array, data: Uint8Array, comment: string): NftElement {
  return { key, keyEnd: undefined, data, verdict: undefined, comment }
}

function gateElement(mapping: Mapping, target: IpAddress, chain: string, comment: string): NftElement {
  const { key, keyEnd } = rangeElement(mapping, target, comment)
  return { key, keyEnd, data: undefined, verdict: { name: 'jump', chain }, comment }
}

/** Of every address of the host, or of one, each port of the mapping. */
function rangeElement(mapping: Mapping, target: IpAddress, comment: string): NftElement {
  const specific = specificAddress(mapping)
  const lowest = specific === undefined ? new Uint8Array(target.bytes.length) : specific.bytes
  const highest = specific === undefined ? allOnes(target.bytes.length) : specific.bytes
  const protocol = protocolField(mapping.protocol)
  return {
    key: concatenate([lowest, protocol, portField(mapping.first)]),
    keyEnd: concatenate([highest, protocol, portField(mapping.last)]),
    data: addressField(target),
    verdict: undefined,
    comment
  }
}

/** What ADD wrote down and is still there, the owner's alone. */
export function findPublished(nft: Nft, published: Published): readonly FoundMember[] {
  const members: FoundMember[] = []
  for (const address of published.addresses) {
    const table = tableOf(address.address.family)
    const found: Placed[] = []
    const elements = elementsOf(address, published)
    const lookup = new Lookup(nft, table.family, TABLE, elements.length)
    for (const { map, element } of elements) {
      if (map === INDEX) continue
      const there = lookup.find(map, element.key)
      if (there !== undefined && there.comment === published.comment) found.push({ map, element: there })
    }
    for (const member of foundMembers(nft, table, found)) members.push(member)
  }
  return members
}

/** Whatever is in the maps of owners that are wanted. */
export function findAll(nft: Nft, isWanted: (comment: string) => boolean): readonly FoundMember[] {
  const members: FoundMember[] = []
  for (const table of [tableOf(4), tableOf(6)]) {
    const found: Placed[] = []
    for (const map of [TARGETS, PORTS, ADDRESS_PORTS, RANGES, CONDITIONS]) {
      for (const element of nft.listElements(table.family, TABLE, map)) {
        if (isWanted(element.comment)) found.push({ map, element })
      }
    }
    for (const own of byOwner(found)) for (const member of foundMembers(nft, table, own)) members.push(member)
  }
  return members
}

function byOwner(found: readonly Placed[]): readonly (readonly Placed[])[] {
  const owners: Placed[][] = []
  const lists: Map<string, Placed[]> = new Map()
  for (const one of found) {
    const known = lists.get(one.element.comment)
    if (known !== undefined) {
      known.push(one)
      continue
    }
    const list = [one]
    lists.set(one.element.comment, list)
    owners.push(list)
  }
  return owners
}

/** One container's: the element in `targets` with all others, but each that leads to conditions by itself. */
function foundMembers(nft: Nft, table: GroupTable, found: readonly Placed[]): readonly FoundMember[] {
  const target = found.find(one => one.map === TARGETS)
  if (target === undefined) return []
  const others = found.filter(one => one.map !== TARGETS && one.map !== CONDITIONS)
  const members: FoundMember[] = [foundMember(nft, table, target, others)]
  const conditions: NftTableMap = { table: withMap(table, CONDITIONS), groups: new Map() }
  for (const { map, element } of found) {
    if (map !== CONDITIONS) continue
    const group = gateGroup(nft, conditions, element.verdict?.chain ?? '')
    members.push({ table: conditions.table, group, element, removeMore: nothingMore })
  }
  return members
}

interface NftTableMap {
  readonly table: GroupTable
  /** By their chains, as far as they were asked for. */
  readonly groups: Map<string, Group>
}

function gateGroup(nft: Nft, conditions: NftTableMap, chain: string): Group {
  const known = conditions.groups.get(chain)
  if (known !== undefined) return known
  const rules = nft.listRules(conditions.table.family, TABLE, chain).map(one => one.expressions)
  const group: Group = { chain, rules, addMore: nothingMore, removeMore: nothingMore }
  conditions.groups.set(chain, group)
  return group
}

function foundMember(nft: Nft, table: GroupTable, target: Placed, others: readonly Placed[]): FoundMember {
  const chain = target.element.verdict?.chain ?? ''
  const group: Group = {
    chain,
    rules: rulesOfChain(chain, table.family),
    addMore: nothingMore,
    removeMore: nothingMore
  }
  const index = unusedIndex(nft, table, others)
  return {
    table,
    group,
    element: target.element,
    removeMore: (batch: NftBatch): void => {
      for (const map of [PORTS, ADDRESS_PORTS, RANGES]) {
        const elements = others.filter(one => one.map === map).map(elementIn)
        batch.removeElements(table.family, TABLE, map, elements)
      }
      batch.removeElements(table.family, TABLE, INDEX, index)
    }
  }
}

/** The elements of the index that no other mapping of the same port needs. */
function unusedIndex(nft: Nft, table: GroupTable, found: readonly Placed[]): readonly NftElement[] {
  const leaving = found.filter(one => one.map === ADDRESS_PORTS).map(elementIn)
  if (leaving.length === 0) return []
  /** How many mappings a port has, those that leave taken away. */
  const users: Map<string, number> = new Map()
  for (const { key } of nft.listElements(table.family, TABLE, ADDRESS_PORTS)) count(users, portOf(key), 1)
  for (const { key } of leaving) count(users, portOf(key), -1)
  const unused: NftElement[] = []
  for (const { key } of leaving) {
    const port = portOf(key)
    if (users.get(port) !== 0) continue
    unused.push(keyElement(key.slice(key.length - 8), ''))
    users.delete(port)
  }
  return unused
}

function count(users: Map<string, number>, port: string, more: number): void {
  users.set(port, (users.get(port) ?? 0) + more)
}

/** Protocol and port, which a key ends with. */
function portOf(key: Uint8Array): string {
  return hex(key.subarray(key.length - 8))
}
