/**
 * Ranges in ascending order, so that finding one among thousands takes a dozen comparisons: configurations list a range
 * for every subnet of a data centre.
 */
import { compareAddresses, type IpAddress } from '../ip/address.ts'
import { type IpRange, rangesOverlap } from '../ip/range.ts'

/** Ascending, and none has an address of another. */
export interface SortedRanges {
  readonly list: readonly IpRange[]
}

/** Puts ranges in order; those that overlap become one. */
export function sortRanges(ranges: readonly IpRange[]): SortedRanges {
  const list: IpRange[] = []
  for (const range of ascending(ranges)) {
    const before = list[list.length - 1]
    if (before === undefined || compareAddresses(range.first, before.last) > 0) list.push(range)
    else if (compareAddresses(range.last, before.last) > 0) {
      list[list.length - 1] = { first: before.first, last: range.last }
    }
  }
  return { list }
}

function ascending(ranges: readonly IpRange[]): readonly IpRange[] {
  const sorted = ranges.slice(0)
  sorted.sort((a, b) => compareAddresses(a.first, b.first))
  return sorted
}

/** The place of the first range that ends at the address or behind it; the length of the list when none does. */
export function firstReaching(ranges: readonly IpRange[], address: IpAddress): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const range = ranges[middle]
    if (range !== undefined && compareAddresses(range.last, address) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Two ranges that have an address in common, by their places in the list that was looked through. */
export interface Overlap {
  readonly place: number
  /** The first before it that it overlaps. */
  readonly earlier: number
}

interface Placed extends IpRange {
  readonly place: number
}

/** Every range that overlaps one before it, in the list's order. */
export function findOverlaps(ranges: readonly IpRange[]): readonly Overlap[] {
  const suspects = overlapping(ranges)
  const found: Overlap[] = []
  for (const range of suspects) {
    const other = suspects.find(one => rangesOverlap(one, range))
    if (other !== undefined && other.place < range.place) found.push({ place: range.place, earlier: other.place })
  }
  return found
}

/**
 * Those that overlap any other, in the list's order. In ascending order a range that overlaps an earlier one overlaps
 * the one among these that ends last, too.
 */
function overlapping(ranges: readonly IpRange[]): readonly Placed[] {
  const sorted: Placed[] = []
  for (let place = 0; place < ranges.length; place += 1) {
    const range = ranges[place]
    if (range !== undefined) sorted.push({ first: range.first, last: range.last, place })
  }
  sorted.sort((a, b) => compareAddresses(a.first, b.first))
  const isSuspect: boolean[] = []
  for (let place = 0; place < ranges.length; place += 1) isSuspect.push(false)
  let farthest = sorted[0]
  for (const range of sorted.slice(1)) {
    if (farthest !== undefined && compareAddresses(range.first, farthest.last) <= 0) {
      isSuspect[farthest.place] = true
      isSuspect[range.place] = true
    }
    if (farthest === undefined || compareAddresses(range.last, farthest.last) > 0) farthest = range
  }
  const suspects: Placed[] = []
  for (let place = 0; place < ranges.length; place += 1) {
    const range = ranges[place]
    if (range !== undefined && isSuspect[place] === true) suspects.push({ first: range.first, last: range.last, place })
  }
  return suspects
}
