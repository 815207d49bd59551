/**
 * Which addresses may be given away. A container gets one address of every range set; the ranges of a set are
 * alternatives. What must never be given away (gateways, excluded addresses, an IPv4 network's own address and its
 * broadcast address) is cut out of the ranges once, which leaves spans without gaps:
 *
 *     subnet 10.1.0.0/24, exclude 10.1.0.16/28   ->   10.1.0.2-10.1.0.15, 10.1.0.32-10.1.0.254
 */
import { addToAddress, compareAddresses, formatAddress, type IpAddress } from '../ip/address.ts'
import { type IpPrefix, lastAddress, prefixContains, prefixesEqual } from '../ip/prefix.ts'
import { type IpRange, rangeContains, rangeSize } from '../ip/range.ts'
import { firstReaching, type SortedRanges } from './sorted-ranges.ts'

/** One range as configured, its defaults filled in. `gateway` may lie outside of the subnet, or be absent. */
export interface AddressRange extends IpRange {
  readonly subnet: IpPrefix
  readonly gateway: IpAddress | undefined
}

/** Addresses without a gap, all of which may be given away. */
export interface Span extends IpRange {
  /** Index of its range in the set. */
  readonly range: number
}

/** `path` is where it is configured: `ipam.ranges[0]`. Spans are in the order of ranges, those of one ascending. */
export interface RangeSet {
  readonly path: string
  readonly ranges: readonly AddressRange[]
  readonly spans: readonly Span[]
  /** The spans in ascending order. */
  readonly ascending: readonly Span[]
  /** What is cut out. */
  readonly never: SortedRanges
}

/** Makes a set of ranges that do not overlap. */
export function rangeSet(path: string, ranges: readonly AddressRange[], never: SortedRanges): RangeSet {
  const spans: Span[] = []
  for (let i = 0; i < ranges.length; i += 1) {
    const range = ranges[i]
    if (range === undefined) continue
    for (const { first, last } of subtract(withoutEnds(range), never.list)) spans.push({ first, last, range: i })
  }
  const ascending = spans.slice(0)
  ascending.sort((a, b) => compareAddresses(a.first, b.first))
  return { path, ranges, spans, ascending, never }
}

/** The same set with its subnets from end to end, whatever part of them its ranges are. */
export function wholeSubnets(set: RangeSet): RangeSet {
  const ranges: AddressRange[] = []
  for (const { subnet, gateway } of set.ranges) {
    // Of two prefixes that meet, one holds the other.
    const isInside = (other: IpPrefix): boolean => prefixContains(other, subnet.address) && other.length < subnet.length
    if (set.ranges.some(range => isInside(range.subnet))) continue
    if (ranges.some(range => prefixesEqual(range.subnet, subnet))) continue
    ranges.push({ subnet, first: subnet.address, last: lastAddress(subnet), gateway })
  }
  return rangeSet(set.path, ranges, set.never)
}

/** How many addresses may be given away; Infinity above 2^53. */
export function setSize(set: RangeSet): number {
  return set.spans.reduce((sum, span) => sum + rangeSize(span), 0)
}

/** The span that holds the address; undefined when it is not to be given away. */
export function spanOf(set: RangeSet, address: IpAddress): Span | undefined {
  const span = set.ascending[firstReaching(set.ascending, address)]
  // It ends at the address or behind it.
  return span !== undefined && compareAddresses(span.first, address) <= 0 ? span : undefined
}

/** The range that holds the address, be it to be given away or not. */
export function rangeOf(set: RangeSet, address: IpAddress): AddressRange | undefined {
  return set.ranges.find(range => rangeContains(range, address))
}

/** `10.1.0.2-10.1.0.15, 10.1.0.32-10.1.0.254`; many spans are cut short. */
export function setText(set: RangeSet): string {
  const shown = set.spans.slice(0, 4).map(spanText)
  const rest = set.spans.length - shown.length
  return shown.join(', ') + (rest > 0 ? ` and ${String(rest)} more` : '')
}

function spanText(span: Span): string {
  const first = formatAddress(span.first)
  return rangeSize(span) === 1 ? first : `${first}-${formatAddress(span.last)}`
}

/**
 * Every address of a set once, round and round from behind a given one: a container that crashes and comes back at
 * once shall not meet the connections of its former self.
 */
export class Walk {
  readonly #spans: readonly Span[]
  #span = 0
  #address: IpAddress | undefined
  #start: IpAddress | undefined

  /** @param after begins behind this one; at the first when it is undefined or in no range of the set */
  constructor(set: RangeSet, after: IpAddress | undefined) {
    this.#spans = set.spans
    this.#address = set.spans[0]?.first
    if (after !== undefined) this.#startAfter(set, after)
  }

  /** undefined when all have been seen. */
  next(): IpAddress | undefined {
    const address = this.#address
    if (address === undefined) return undefined
    if (this.#start !== undefined && compareAddresses(address, this.#start) === 0) return undefined
    if (this.#start === undefined) this.#start = address
    const span = this.#spans[this.#span]
    if (span !== undefined && compareAddresses(address, span.last) < 0) this.#address = addToAddress(address, 1)
    else {
      this.#span = (this.#span + 1) % this.#spans.length
      this.#address = this.#spans[this.#span]?.first
    }
    return address
  }

  /** The next address of that range, else the first of the range behind it. */
  #startAfter(set: RangeSet, after: IpAddress): void {
    const range = set.ranges.findIndex(one => rangeContains(one, after))
    if (range < 0) return
    for (let i = 0; i < set.spans.length; i += 1) {
      const span = set.spans[i]
      if (span === undefined) continue
      if (span.range < range || (span.range === range && compareAddresses(span.last, after) <= 0)) continue
      const isInside = span.range === range && compareAddresses(span.first, after) <= 0
      this.#span = i
      this.#address = isInside ? addToAddress(after, 1) : span.first
      return
    }
  }
}

/** Without the addresses of an IPv4 subnet that no host can have; /31 (point to point) and single addresses have none. */
function withoutEnds(range: AddressRange): IpRange {
  const { address, length } = range.subnet
  if (address.family === 6 || length >= 31) return range
  const last = lastAddress(range.subnet)
  return {
    first: compareAddresses(range.first, address) === 0 ? (addToAddress(address, 1) ?? address) : range.first,
    last: compareAddresses(range.last, last) === 0 ? (addToAddress(last, -1) ?? last) : range.last
  }
}

/** What is left of a range without the cuts, ascending. */
function subtract(range: IpRange, cuts: readonly IpRange[]): readonly IpRange[] {
  const left: IpRange[] = []
  let from: IpAddress | undefined = range.first
  for (let i = firstReaching(cuts, range.first); i < cuts.length; i += 1) {
    const cut = cuts[i]
    if (from === undefined || cut === undefined || compareAddresses(cut.first, range.last) > 0) break
    const before = addToAddress(cut.first, -1)
    if (before !== undefined && compareAddresses(from, before) <= 0) left.push({ first: from, last: before })
    from = addToAddress(cut.last, 1)
  }
  if (from !== undefined && compareAddresses(from, range.last) <= 0) left.push({ first: from, last: range.last })
  return left
}
