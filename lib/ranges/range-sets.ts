/**
 * The range sets of a configuration, in host-local's syntax: `runtimeConfig.ipRanges`, the flat form, `ranges`; with what
 * only all of them together show to be wrong.
 */
import { runtimeConfig } from '../cni/inputs.ts'
import type { Request } from '../cni/plugin.ts'
import { MOST_ADDRESSES } from '../cni/result.ts'
import { isAtLeast } from '../cni/version.ts'
import type { Section } from '../config/section.ts'
import { formatAddress } from '../ip/address.ts'
import type { IpRange } from '../ip/range.ts'
import { readExcludes, readRange } from './range-config.ts'
import { type AddressRange, type RangeSet, rangeSet, setSize } from './range-set.ts'
import { findOverlaps, type Overlap, sortRanges } from './sorted-ranges.ts'

/** A range set being read: one path, ranges, and what they exclude. */
interface DraftPlace {
  readonly path: string
  readonly section: Section
  readonly key: string
}

interface Draft extends DraftPlace {
  readonly ranges: AddressRange[]
}

/**
 * The sets of one IPAM section; what is wrong is written down as its problems.
 *
 * @param ipam the section `ipam` of the request's configuration
 */
export function readRangeSets(request: Request, ipam: Section): readonly RangeSet[] {
  const never: IpRange[] = readExcludes(ipam, undefined)
  const drafts = readDrafts(request, ipam, never)
  if (drafts.length > MOST_ADDRESSES) {
    ipam.problem('ranges', `must have ${String(MOST_ADDRESSES)} sets at most, of which each gives an address`)
    return []
  }
  if (drafts.length === 0 && ipam.problems().length === 0) {
    ipam.problem('ranges', 'must hold at least one range, as in [[{"subnet": "10.1.0.0/24"}]]')
  }
  judgeDrafts(drafts, ipam, request.cniVersion)
  const cuts = sortRanges(never)
  const sets = drafts.map(draft => rangeSet(draft.path, draft.ranges, cuts))
  for (let i = 0; i < sets.length; i += 1) {
    const set = sets[i]
    const draft = drafts[i]
    if (set === undefined || draft === undefined || set.ranges.length === 0 || setSize(set) > 0) continue
    draft.section.problem(draft.key, 'must leave at least one address to give away')
  }
  return sets
}

/** The sets in the order that numbers them: runtimeConfig.ipRanges, the flat form, ranges. */
function readDrafts(request: Request, ipam: Section, never: IpRange[]): readonly Draft[] {
  const drafts: Draft[] = []
  const runtime = runtimeConfig(request.config)
  if (runtime !== undefined) for (const draft of readRuntimeRanges(runtime, never)) drafts.push(draft)
  if ((ipam.text('subnet') ?? '') !== '') {
    drafts.push(readDraft({ path: ipam.path(), section: ipam, key: 'subnet' }, [ipam], never))
  }
  const lists = ipam.sectionLists('ranges')
  for (let i = 0; i < lists.length; i += 1) {
    drafts.push(
      readDraft({ path: `${ipam.pathOf('ranges')}[${String(i)}]`, section: ipam, key: 'ranges' }, lists[i] ?? [], never)
    )
  }
  return drafts
}

/**
 * Lists of lists are the convention. go-cni (containerd) sends one flat list, with "" for what it has no value for:
 * then the entries of one family are alternatives.
 */
function readRuntimeRanges(runtime: Section, never: IpRange[]): readonly Draft[] {
  const json = runtime.json('ipRanges')
  const path = runtime.pathOf('ipRanges')
  const isFlat = json !== undefined && json.items.every(item => item.type === 'object')
  if (!isFlat) {
    const lists = runtime.sectionLists('ipRanges')
    return lists.map((list, i) =>
      readDraft({ path: `${path}[${String(i)}]`, section: runtime, key: 'ipRanges' }, list, never)
    )
  }
  const entries = runtime.sections('ipRanges').filter(entry => (entry.text('subnet') ?? '') !== '')
  const drafts: Draft[] = []
  for (const isIpv6 of [false, true]) {
    const same = entries.filter(entry => (entry.text('subnet') ?? '').indexOf(':') >= 0 === isIpv6)
    if (same.length > 0) drafts.push(readDraft({ path, section: runtime, key: 'ipRanges' }, same, never))
  }
  return drafts
}

/** Reads the ranges of one set; adds to `never` what they say must not be given away. */
function readDraft(place: DraftPlace, list: readonly Section[], never: IpRange[]): Draft {
  const { path, section, key } = place
  const ranges: AddressRange[] = []
  if (list.length === 0) section.problem(key, 'must hold no empty set')
  for (const one of list) {
    const range = readRange(one)
    if (range === undefined) continue
    ranges.push(range)
    // Nobody may get the address of any gateway, not even of another range's.
    if (range.gateway !== undefined) never.push({ first: range.gateway, last: range.gateway })
    // The flat form shares its `exclude` with all sets, and that has been read.
    if (one !== section) for (const exclude of readExcludes(one, range.subnet)) never.push(exclude)
  }
  return { path, section, key, ranges }
}

interface Placed extends IpRange {
  readonly path: string
}

/** What only all ranges together show: mixed families, overlaps, more than an old version can say. */
function judgeDrafts(drafts: readonly Draft[], ipam: Section, cniVersion: string): void {
  const all: Placed[] = []
  for (const draft of drafts) for (const { first, last } of draft.ranges) all.push({ path: draft.path, first, last })
  const overlaps = findOverlaps(all)
  let end = 0
  let next = 0
  for (const draft of drafts) {
    const family = draft.ranges[0]?.first.family
    if (draft.ranges.some(range => range.first.family !== family)) {
      draft.section.problem(draft.key, 'must not mix IPv4 and IPv6 in one set')
    }
    end += draft.ranges.length
    for (; (overlaps[next]?.place ?? end) < end; next += 1) reportOverlap(draft, all, overlaps[next])
  }
  for (const family of [4, 6]) {
    const count = drafts.filter(draft => draft.ranges[0]?.first.family === family).length
    if (count > 1 && !isAtLeast(cniVersion, '0.3.0')) {
      ipam.problem('ranges', `must hold one set per family in cniVersion ${cniVersion}, which has no more addresses`)
    }
  }
}

function reportOverlap(draft: Draft, all: readonly Placed[], overlap: Overlap | undefined): void {
  const range = overlap === undefined ? undefined : all[overlap.place]
  const other = overlap === undefined ? undefined : all[overlap.earlier]
  if (range === undefined || other === undefined) return
  const text = `${formatAddress(range.first)}-${formatAddress(range.last)} of ${draft.path}`
  draft.section.problem(draft.key, `must not overlap: ${text} has addresses of ${other.path}`)
}
