/**
 * A veth pair: one end on the host, perhaps a port of a bridge, the other the container's interface; and how the host's end
 * is found again when only the attachment's names are known.
 */
import type { Attachment } from '../attachment.ts'
import { consistsOf, isHexDigit } from '../bytes/characters.ts'
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import type { Interface } from '../cni/result.ts'
import { formatMac } from '../ip/mac.ts'
import type { Link, LinkKind, LinkPair, NewLink, VethPeer } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { errnoOf } from '../sys/errors.ts'
import { hasInterface, stableName, takenName } from './attachment.ts'
import type { Session } from './session.ts'

/** A veth pair to be made. */
export interface VethPair {
  /** The bridge whose port the host's end becomes, up at once; undefined leaves it alone and down. */
  readonly bridgeIndex: number | undefined
  /** bytes, for both ends; the kernel's default when absent */
  readonly mtu: number | undefined
  /** Of the container's end; made up when absent. */
  readonly mac: Uint8Array | undefined
}

/** A pair that was made. */
export interface VethEnds {
  readonly hostEnd: Link
  readonly containerEnd: Link
}

/**
 * Makes the veth pair in one request: both ends, their names, sizes and namespaces, or nothing.
 *
 * The container's end stays down until its sysctls are set: IPv6 starts duplicate address detection on its
 * link-local address at the moment the interface comes up.
 *
 * @throws {CniError} code 7 when the container has an interface of that name, or another link of the host the pair's
 */
export function addVeth(session: Session, pair: VethPair): VethEnds {
  const { host, request } = session
  const { first, peer } = makeVeth(session, pair)
  session.undo.push(`link ${JSON.stringify(first.name)}`, () => host.links.removeByIndex(first.index))
  return { hostEnd: first, containerEnd: peer ?? session.container().links.get(request.ifName) }
}

function makeVeth(session: Session, pair: VethPair): LinkPair {
  const { host, request } = session
  const name = hostEndName(request)
  const peer: VethPeer = { name: request.ifName, netns: session.container(), mtu: pair.mtu, mac: pair.mac }
  const kind: LinkKind = { kind: 'veth', peer }
  const up = pair.bridgeIndex === undefined ? undefined : true
  const link: NewLink = { name, kind, mtu: pair.mtu, masterIndex: pair.bridgeIndex, up }
  try {
    return host.links.addPair(link)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    if (hasInterface(session)) throw takenName(request)
    removeLeftOver(host, name)
    return host.links.addPair(link)
  }
}

/** An ADD that was killed left the pair, and its container is another one by now or has lost its end. */
function removeLeftOver(host: Net, name: string): void {
  const link = host.links.find(name)
  if (link === undefined) return
  if (link.kind === 'veth') {
    host.links.removeByIndex(link.index)
    return
  }
  const message = `add link ${JSON.stringify(name)}: EEXIST (a link of kind ${JSON.stringify(link.kind ?? 'device')} has this name)`
  throw new CniError(
    INVALID_CONFIG,
    message,
    'rename or remove that link: names of "veth" and a hash are for containers'
  )
}

/**
 * The name of the host's end follows from the attachment, so that DEL finds it by containerID and ifname alone,
 * with the namespace gone, the configuration changed and no prevResult.
 */
export function hostEndName(attachment: Attachment): string {
  return stableName('veth', attachment)
}

/** The host's end: our own by its name, another implementation's as the peer of the container's end. */
export function findHostEnd(session: Session): Link | undefined {
  const { host, request } = session
  const ours = host.links.find(hostEndName(request))
  if (ours !== undefined) return ours
  const end = session.container().links.find(request.ifName)
  return end?.parentIndex === undefined ? undefined : host.links.findByIndex(end.parentIndex)
}

/** Removes the host's end, ours and what prevResult lists as one, and with it the pair. What is no veth is left alone. */
export function removeHostEnds(session: Session): void {
  const { host, request } = session
  session.attempt(() => removeVeth(host, ownHostEnd(session)))
  for (const theirs of referenceHostEnds(request)) {
    session.attempt(() => {
      const link = host.links.find(theirs.name)
      // The name was chosen at random, and may be another container's by now.
      if (link?.mac !== undefined && theirs.mac === formatMac(link.mac)) removeVeth(host, link)
    })
  }
}

/**
 * GC: the host's ends of many attachments with one request, since each would wait for the kernel on its own. What is left
 * is removed one by one afterwards, which says what is wrong.
 */
export function removeHostEndsTogether(session: Session, gone: readonly Attachment[]): void {
  if (gone.length < 2) return
  const { host } = session
  const names = new Set<string>()
  for (const attachment of gone) names.add(hostEndName(attachment))
  const ends = host.links.list().filter(link => link.kind === 'veth' && names.has(link.name))
  try {
    if (ends.length > 1) host.links.removeTogether(ends.map(end => end.index))
  } catch (error) {
    if (errnoOf(error) === '') throw error
  }
}

function removeVeth(host: Net, link: Link | undefined): void {
  if (link !== undefined && link.kind === 'veth') host.links.removeByIndex(link.index)
}

/** By the names that the reference gives to the host's ends of its pairs, the only ones of such a name in its results. */
function referenceHostEnds(request: Request): readonly Interface[] {
  const interfaces = request.prevResult?.interfaces ?? []
  const own = hostEndName(request)
  return interfaces.filter(one => (one.sandbox ?? '') === '' && isReferenceName(one.name) && one.name !== own)
}

function isReferenceName(name: string): boolean {
  const digits = name.slice(4)
  return name.startsWith('veth') && digits.length >= 8 && digits.length <= 11 && consistsOf(digits, isHexDigit)
}

/**
 * Whether an attachment that has no journal entry may have left rules.
 *
 * - Our own ADD writes the entry before the first rule, DEL removes it after the last one: no entry, no rules. prevResult
 *   is known for ours by the name of the host's end. Should the journal have been lost, the end itself tells; and should
 *   that be gone too, GC or the next ADD with the same address finds the rules.
 * - The reference's ADD writes none and gives the host's end a random name: what it made has to be looked for.
 */
export function mayHaveRules(session: Session): boolean {
  const name = hostEndName(session.request)
  const result = session.request.prevResult
  if (result !== undefined && !result.interfaces.some(one => one.name === name)) return true
  return ownHostEnd(session) !== undefined
}

/** Whatever has the name of our own end, as it was when first asked for. */
function ownHostEnd(session: Session): Link | undefined {
  const { seen, host, request } = session
  const sight = seen.hostEnd ?? { link: host.links.find(hostEndName(request)) }
  seen.hostEnd = sight
  return sight.link
}
