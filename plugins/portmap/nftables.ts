/** Port mappings as elements of the maps in table.ts: added, removed, looked for. */

import { isOfNetwork } from '../../lib/attachment.ts'
import { sameBytes } from '../../lib/bytes/compare.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import type { IpPrefix } from '../../lib/ip/prefix.ts'
import {
  addMembers,
  type FoundMember,
  type Group,
  type GroupTable,
  type Member,
  nothingMore,
  removeMembers
} from '../../lib/nft/groups.ts'
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
  tableOf
} from './table.ts'

/** An element and the map that it is in. */
interface Placed {
  readonly map: string
  readonly element: NftElement
}

/** @throws {NftError} EEXIST of `add element` when a port is taken */
export function publish(nft: Nft, published: Published): void {
  const members: Member[] = []
  for (const address of published.addresses) {
    members.push(memberOf(address, published))
    const gate = gateMember(address, published)
    if (gate !== undefined) members.push(gate)
  }
  addMembers(nft, members)
}

/**
 * Removes one container's mappings.
 *
 * @param published what ADD wrote down; undefined looks through all elements for the owner
 * @returns false when there was nothing, which costs no transaction
 */
export function unpublish(nft: Nft, comment: string, published: Published | undefined): boolean {
  if (published !== undefined) return removeMembers(nft, () => findPublished(nft, published))
  return removeMembers(nft, () => findAll(nft, one => one === comment))
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

/** Removes what belongs to the network and to no valid attachment. */
export function collectMappings(nft: Nft, network: string, isValid: (comment: string) => boolean): boolean {
  return removeMembers(nft, () => findAll(nft, comment => isOfNetwork(comment, network) && !isValid(comment)))
}

/** What is not as `publish` left it, as sentences. */
export function mappingProblems(nft: Nft, published: Published): readonly string[] {
  const problems: string[] = []
  for (const address of published.addresses) {
    const table = tableOf(address.address.family)
    for (const { map, element } of elementsOf(address, published)) {
      const found = nft.findElement(table.family, TABLE, map, element.key)
      const isSame = found !== undefined && found.comment === element.comment && isSameTarget(found, element)
      if (!isSame) problems.push(`an element of table ${table.family} ${TABLE}, map ${map}, is missing or another's`)
    }
    const gate = gateFor(address, published)
    const chains = baseRules(table.family).concat(gate === undefined ? [] : [[gate.chain, gate.rules.length]])
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
    for (const map of [PORTS, ADDRESS_PORTS, RANGES, INDEX]) {
      const elements = placed.filter(one => one.map === map).map(one => one.element)
      // Several containers share an element of the index: the same port at different addresses.
      batch.addElements(table.family, TABLE, map, elements, map !== INDEX)
    }
  }
  return { table, group, element, addMore }
}

/** The elements that lead to the conditions; undefined where there are none, or nothing to meet them. */
function gateMember(address: IpPrefix, published: Published): Member | undefined {
  const table = tableOf(address.address.family)
  const gate = gateFor(address, published)
  const elements = elementsOf(address, published).filter(one => one.map === CONDITIONS)
  const first = elements[0]
  if (gate === undefined || first === undefined) return undefined
  const group: Group = { chain: gate.chain, rules: gate.rules, addMore: nothingMore, removeMore: nothingMore }
  function addMore(batch: NftBatch): void {
    batch.addElements(table.family, TABLE, CONDITIONS, elements.slice(1).map(elementIn), true)
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
    const data = concatenate([addressField(target), portField(mapping.containerPort)])
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
function findPublished(nft: Nft, published: Published): readonly FoundMember[] {
  const members: FoundMember[] = []
  for (const address of published.addresses) {
    const table = tableOf(address.address.family)
    const found: Placed[] = []
    for (const { map, element } of elementsOf(address, published)) {
      if (map === INDEX) continue
      const there = nft.findElement(table.family, TABLE, map, element.key)
      if (there !== undefined && there.comment === published.comment) found.push({ map, element: there })
    }
    for (const member of foundMembers(nft, table, found)) members.push(member)
  }
  return members
}

function findAll(nft: Nft, isWanted: (comment: string) => boolean): readonly FoundMember[] {
  const members: FoundMember[] = []
  for (const table of [tableOf(4), tableOf(6)]) {
    const found: Placed[] = []
    for (const map of [TARGETS, PORTS, ADDRESS_PORTS, RANGES, CONDITIONS]) {
      for (const element of nft.listElements(table.family, TABLE, map)) {
        if (isWanted(element.comment)) found.push({ map, element })
      }
    }
    for (const target of found.filter(one => one.map === TARGETS)) {
      const own = found.filter(one => one.map !== TARGETS && one.element.comment === target.element.comment)
      for (const member of foundMembers(nft, table, [target].concat(own))) members.push(member)
    }
  }
  return members
}

/** One container's: the element in `targets` with all others, but each that leads to conditions by itself. */
function foundMembers(nft: Nft, table: GroupTable, found: readonly Placed[]): readonly FoundMember[] {
  const target = found.find(one => one.map === TARGETS)
  if (target === undefined) return []
  const others = found.filter(one => one.map !== TARGETS && one.map !== CONDITIONS)
  const members: FoundMember[] = [foundMember(nft, table, target, others)]
  for (const { map, element } of found) {
    if (map !== CONDITIONS) continue
    const chain = element.verdict?.chain ?? ''
    const rules = nft.listRules(table.family, TABLE, chain).map(one => one.expressions)
    const group: Group = { chain, rules, addMore: nothingMore, removeMore: nothingMore }
    members.push({ table: withMap(table, CONDITIONS), group, element, removeMore: nothingMore })
  }
  return members
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
      for (const { map, element } of others) batch.removeElements(table.family, TABLE, map, [element])
      batch.removeElements(table.family, TABLE, INDEX, index)
    }
  }
}

/** The elements of the index that no other mapping of the same port needs. */
function unusedIndex(nft: Nft, table: GroupTable, found: readonly Placed[]): readonly NftElement[] {
  const leaving = found.filter(one => one.map === ADDRESS_PORTS).map(one => one.element)
  if (leaving.length === 0) return []
  const staying = nft
    .listElements(table.family, TABLE, ADDRESS_PORTS)
    .filter(one => !leaving.some(other => sameBytes(other.key, one.key)))
  const unused: NftElement[] = []
  for (const { key } of leaving) {
    const port = key.slice(key.length - 8)
    const isUsed = staying.some(one => sameBytes(one.key.subarray(one.key.length - 8), port))
    const isListed = unused.some(one => sameBytes(one.key, port))
    if (!isUsed && !isListed) unused.push(keyElement(port, ''))
  }
  return unused
}
