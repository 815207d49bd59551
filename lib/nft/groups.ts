/**
 * Tables in which each container is one element of a map that sends its packets to the chain of its group: of its
 * subnet, of its bridge. What a packet and an ADD cost does not depend on the number of containers.
 *
 *     table ip T {
 *       map M { type ipv4_addr : verdict; elements = { 10.4.0.5 comment "net id eth0" : goto from-10.4.0.0/24 } }
 *       chain base { type … hook …; ip saddr vmap @M }
 *       chain from-10.4.0.0/24 { … }
 *     }
 *
 * First users: a table with its sets, base chains and rules comes in one transaction that begins with an exclusive
 * `add table`, a group's chain and rules in one with an exclusive `add chain`. Of any number of ADDs that find nothing
 * one makes it, the others are told EEXIST, and come again with the element alone. So nothing is ever there twice and
 * nothing half, and no lock is needed that another tool's flush would not respect.
 *
 * Last users: the kernel counts what leads to a chain and what is in a table. Who finds that only its own elements are
 * left removes the chain, and the table with the last chain, under the condition that the ruleset's generation is still
 * the one in which it looked; otherwise it looks again. So a group never loses its chain to a DEL while an ADD uses it,
 * and after the last DEL nothing is left.
 */
import type { Expression } from '../netlink/nf/expression.ts'
import { errnoOf } from '../sys/errors.ts'
import { type Nft, NftBatch, type NftElement, NftError, type NftFamily } from './nft.ts'

/** A table of this kind. */
export interface GroupTable {
  readonly family: NftFamily
  readonly table: string
  /** The map from containers to chains. */
  readonly map: string
  /** How many sets and chains `addBase` makes. */
  readonly baseUse: number
  /** Adds all that is there whoever uses it, except the table itself. */
  readonly addBase: (batch: NftBatch) => void
}

/** A chain that several containers share. */
export interface Group {
  readonly chain: string
  readonly rules: readonly (readonly Expression[])[]
  /** Adds what comes with the chain, and goes with it. */
  readonly addMore: (batch: NftBatch) => void
  readonly removeMore: (batch: NftBatch) => void
}

/** A container in its group. */
export interface Member {
  readonly table: GroupTable
  readonly group: Group
  /** Its element in the map. */
  readonly element: NftElement
  /** Adds other elements of the same container. */
  readonly addMore: (batch: NftBatch) => void
}

/** A container found in a table. */
export interface FoundMember {
  readonly table: GroupTable
  readonly element: NftElement
  readonly group: Group
  /** Removes the container's other elements. */
  readonly removeMore: (batch: NftBatch) => void
}

/** For groups and members that are only their chain and their element. */
export function nothingMore(): void {}

/** Each round somebody else got ahead of us, which 64 ADDs at once may do 64 times. */
const ROUNDS = 500
/** After so many rounds the last ones out leave an unused chain behind rather than wait for quiet. */
const GUARDED_ROUNDS = 100

/** What must be made besides the elements: nothing, the group's chain, or the whole table. */
type Need = 0 | 1 | 2

function nobody(): readonly FoundMember[] {
  return []
}

/**
 * Adds the members, all of them or none.
 *
 * @param findLeaving who goes in the same transaction, as it is now: whoever has no claim any more to what is added
 * @throws {NftError} EEXIST of `add element` when an element's key is taken; ENOENT when the table is there without
 *   its parts, because somebody took them away one by one
 */
export function addMembers(
  nft: Nft,
  members: readonly Member[],
  findLeaving: () => readonly FoundMember[] = nobody
): void {
  // A batch that is refused costs as much as one that deletes (the kernel waits for an RCU grace period), a question next
  // to nothing: only ADDs that truly run into each other are refused.
  const needs: Need[] = []
  for (const member of members) {
    needs.push(needBeside(members, needs, member, currentNeed(nft, member)))
  }
  for (let round = 1; ; round += 1) {
    const isGuarded = findLeaving !== nobody
    const generation = isGuarded ? nft.generation() : undefined
    const ends: number[] = []
    const batch = new NftBatch()
    const leaving = findLeaving()
    for (const here of byTable(leaving)) removeLeaving(nft, batch, here, members)
    const start = batch.length()
    for (let i = 0; i < members.length; i += 1) {
      const member = members[i]
      if (member !== undefined) addMember(batch, member, needs[i] ?? 0)
      ends.push(batch.length())
    }
    try {
      nft.commit(batch, generation)
      return
    } catch (error) {
      if (!(error instanceof NftError) || round === ROUNDS) throw error
      const { step } = error
      // Somebody changed the ruleset, or removed what is leaving: look again.
      if (isGuarded && step < start && isOvertaken(error)) continue
      const at = ends.findIndex(end => step < end)
      const next = nextNeed(error, needs[at] ?? 2)
      if (at < 0 || next === undefined) throw error
      needs[at] = next
    }
  }
}

/**
 * The table comes with the first of several members in it, a chain with the first that is led there. Otherwise the kernel refuses
 * the second, and a container with a thousand addresses takes a thousand transactions.
 */
function needBeside(members: readonly Member[], needs: readonly Need[], member: Member, alone: Need): Need {
  let need = alone
  for (let i = 0; i < needs.length && need > 0; i += 1) {
    const one = members[i]
    if (one === undefined || !isSameTable(one.table, member.table)) continue
    if (one.group.chain === member.group.chain) return 0
    need = 1
  }
  return need
}

function currentNeed(nft: Nft, member: Member): Need {
  const { family, table } = member.table
  if (nft.findChain(family, table, member.group.chain) !== undefined) return 0
  return nft.findTable(family, table) === undefined ? 2 : 1
}

/** What to bring next time; undefined when the refusal has another reason than what is there already. */
function nextNeed(error: NftError, need: Need): Need | undefined {
  if (error.errno === 'ENOENT' && need < 2) return need === 0 ? 1 : 2
  if (error.errno === 'EEXIST' && error.operation === 'add table') return 1
  if (error.errno === 'EEXIST' && error.operation === 'add chain') return 0
  return undefined
}

function addMember(batch: NftBatch, member: Member, need: Need): void {
  const { table, group } = member
  if (need === 2) {
    batch.createTable(table.family, table.table)
    table.addBase(batch)
  }
  if (need >= 1) {
    batch.createChain(table.family, table.table, group.chain)
    for (const rule of group.rules) batch.addRule(table.family, table.table, group.chain, rule)
    group.addMore(batch)
  }
  batch.createElements(table.family, table.table, table.map, [member.element])
  member.addMore(batch)
}

/**
 * Removes members, and with the last of a group its chain, and with the last group the table: in one transaction, or
 * in none when there are no members.
 *
 * @param find what is there now; called again when the ruleset has changed meanwhile
 * @returns false when there was nothing to remove
 */
export function removeMembers(nft: Nft, find: () => readonly FoundMember[]): boolean {
  for (let round = 1; ; round += 1) {
    const isGuarded = round <= GUARDED_ROUNDS
    const generation = isGuarded ? nft.generation() : undefined
    const members = find()
    if (members.length === 0) return false
    const batch = new NftBatch()
    for (const here of byTable(members)) removeFrom(nft, batch, here, isGuarded)
    try {
      nft.commit(batch, generation)
      return true
    } catch (error) {
      if (!isOvertaken(error) || round === ROUNDS) throw error
    }
  }
}

function isOvertaken(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === 'ERESTART' || errno === 'ENOENT' || errno === 'EBUSY'
}

/** Those that make room for others: the table stays for these, and so does a chain that one of these is to use. */
function removeLeaving(nft: Nft, batch: NftBatch, leaving: OfOneTable, coming: readonly Member[]): void {
  const { table, members } = leaving
  removeElements(batch, members)
  for (const group of unusedGroups(nft, table, members)) {
    const isWanted = coming.some(one => isSameTable(one.table, table) && one.group.chain === group.chain)
    if (isWanted) continue
    group.removeMore(batch)
    batch.removeChain(table.family, table.table, group.chain)
  }
}

function removeElements(batch: NftBatch, members: readonly FoundMember[]): void {
  for (const member of members) {
    const { family, table, map } = member.table
    batch.removeElements(family, table, map, [member.element])
    member.removeMore(batch)
  }
}

interface OfOneTable {
  readonly table: GroupTable
  readonly members: FoundMember[]
}

function byTable(members: readonly FoundMember[]): readonly OfOneTable[] {
  const parts: OfOneTable[] = []
  for (const member of members) {
    const part = parts.find(one => isSameTable(one.table, member.table))
    if (part === undefined) parts.push({ table: member.table, members: [member] })
    else part.members.push(member)
  }
  return parts
}

function isSameTable(a: GroupTable, b: GroupTable): boolean {
  return a.family === b.family && a.table === b.table
}

function removeFrom(nft: Nft, batch: NftBatch, { table, members }: OfOneTable, isGuarded: boolean): void {
  const unused = isGuarded ? unusedGroups(nft, table, members) : []
  const use = nft.findTable(table.family, table.table)?.use ?? 0
  if (isGuarded && use === table.baseUse + unused.length) {
    batch.removeTable(table.family, table.table)
    return
  }
  removeElements(batch, members)
  for (const group of unused) {
    group.removeMore(batch)
    batch.removeChain(table.family, table.table, group.chain)
  }
}

/** The groups that nobody but these members is in. The kernel counts a chain's rules and what leads to it together. */
function unusedGroups(nft: Nft, table: GroupTable, members: readonly FoundMember[]): readonly Group[] {
  const unused: Group[] = []
  const seen: string[] = []
  for (const { group } of members) {
    if (seen.some(name => name === group.chain)) continue
    seen.push(group.chain)
    const leaving = members.filter(one => one.group.chain === group.chain).length
    const chain = nft.findChain(table.family, table.table, group.chain)
    if (chain !== undefined && chain.use - group.rules.length === leaving) unused.push(group)
  }
  return unused
}
