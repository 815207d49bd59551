/**
 * Which member stands at which place. A connection gets a place, by turns or by its source; the map says who stands there.
 * Few places change when a member comes or goes: each one that does is written to every client.
 */
import { createHash } from 'node:crypto'

/**
 * Who takes turns: one place for each.
 *
 * @param before who stood where until now
 * @param turn where the first one begins: clients that make one connection each shall not all make it to the same member
 */
export function turnsOf(before: readonly string[], members: readonly string[], turn: number): readonly string[] {
  const wanted = new Set(members)
  if (before.length === 0) {
    const first = members.length === 0 ? 0 : turn % members.length
    return [...members.slice(first), ...members.slice(0, first)]
  }
  const present = new Set(before)
  const coming = members.filter(one => !present.has(one))
  const places = before.map(one => (wanted.has(one) ? one : coming.shift())).concat(coming)
  // What is still free is taken by those at the end.
  for (let i = 0; i < places.length; i += 1) {
    while (places.length > i && places.at(-1) === undefined) places.pop()
    if (i < places.length && places[i] === undefined) places[i] = places.pop()
  }
  return places.flatMap(one => one ?? [])
}

/** Primes, of which the first is taken that has ten places for each member. */
const SIZES: readonly number[] = [251, 2039, 16_381, 65_521]
const PLACES_PER_MEMBER = 10

/**
 * Where sources stick to members: the same on every host, as many places for each member, and a member that goes leaves
 * nearly all others' sources where they are.
 *
 * @source Eisenbud et al., Maglev (NSDI 2016), section 3.4: each member takes the next free place of its own permutation
 *   in turn
 */
export function slotsOf(members: readonly string[]): readonly string[] {
  if (members.length === 0) return []
  const size = SIZES.find(one => one >= PLACES_PER_MEMBER * members.length) ?? SIZES.at(-1) ?? 1
  const slots = new Array<string | undefined>(size).fill(undefined)
  const rows = [...members].sort().map(member => ({ member, ...permutationOf(member, size) }))
  let filled = 0
  for (;;) {
    for (const row of rows) {
      while (slots[row.at] !== undefined) row.at = (row.at + row.skip) % size
      slots[row.at] = row.member
      filled += 1
      if (filled === size) return slots.flatMap(one => one ?? [])
    }
  }
}

function permutationOf(member: string, size: number): { at: number; readonly skip: number } {
  const digest = createHash('sha256').update(member).digest()
  return { at: digest.readUInt32BE(0) % size, skip: (digest.readUInt32BE(4) % (size - 1)) + 1 }
}
