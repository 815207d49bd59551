/**
 * Whose a link or a namespace is. The kernel keeps a text with every link (`ip link` shows it as alias); the attachment's
 * name in it tells DEL and GC what is theirs where names say nothing: `eth0` may be any network's, and the path of a
 * namespace may lead to another container by now.
 */
import { createHash } from 'node:crypto'
import type { Attachment } from '../attachment.ts'
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import { type Json, jsonString, withMember } from '../config/json.ts'
import { addressesEqual, type IpAddress } from '../ip/address.ts'
import { formatMac, hex } from '../ip/mac.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import { leasedTo } from './ipam.ts'
import { isRecordedNetns, NETNS_ID } from './recorded-netns.ts'
import type { Session } from './session.ts'

const PREFIX = 'cni '

/** linux/if.h IFALIASZ, without the NUL */
const LONGEST_ALIAS = 255

/** linux/if.h IFNAMSIZ, without the NUL */
const LONGEST_NAME = 15

/** The alias of an attachment's link: `cni <network> <containerID> <ifname>`. */
export function ownerMark(attachment: Attachment): string {
  const mark = PREFIX + wordsOf(attachment)
  return mark.length <= LONGEST_ALIAS ? mark : `${PREFIX}${digest(mark)}`
}

/**
 * A name for the host's side of an attachment: the prefix and as many hexadecimal digits as fit. The same attachment
 * gets the same name again, so that it can be found without having been told.
 */
export function stableName(prefix: string, attachment: Attachment): string {
  return hashedName(prefix, wordsOf(attachment))
}

/** The same for whatever the text stands for. */
export function hashedName(prefix: string, text: string): string {
  return `${prefix}${digest(text)}`.slice(0, LONGEST_NAME)
}

function wordsOf({ network, containerId, ifName }: Attachment): string {
  return `${network} ${containerId} ${ifName}`
}

function digest(text: string): string {
  const bytes: Uint8Array = createHash('sha256').update(text).digest()
  return hex(bytes)
}

/**
 * Refuses an interface name that the container has already. Asked before anything is written or made: the name belongs
 * to another attachment, or to this very one after an earlier ADD, whose lease and entry must stay as they are.
 *
 * @throws CniError code 7
 */
export function refuseTakenName(session: Session): void {
  if (hasInterface(session)) throw takenName(session.request)
}

/** Whether the container has an interface of the attachment's name. */
export function hasInterface(session: Session): boolean {
  return session.container().links.find(session.request.ifName) !== undefined
}

/** The error for a CNI_IFNAME that the container has already. */
export function takenName(request: Request): CniError {
  const message = `add link ${JSON.stringify(request.ifName)}: the container has an interface of this name`
  return new CniError(INVALID_CONFIG, message, 'DEL the attachment that has it first, or pass another CNI_IFNAME')
}

/** An entry that also tells which namespace ADD was given: by its path, and by what the kernel knows it by. */
export function withNetns(session: Session, entry: Json): Json {
  const named = withMember(entry, 'netns', jsonString(session.request.netns))
  return withMember(named, NETNS_ID, jsonString(session.container().id()))
}

/**
 * Whether what the attachment has in this namespace is still its own: its interface is the attachment's, or it is the
 * namespace that ADD was given, and the interface no other attachment's.
 *
 * Sequence prevented: container c1 dies without DEL; c2 gets its process id, and so its path; the runtime calls c1's DEL
 * with that path, and c2 loses its routes, its VRF, its MAC.
 */
export function isOwnNamespace(session: Session, container: Net, entry: Json | undefined): boolean {
  const { request } = session
  const link = container.links.find(request.ifName)
  if (link !== undefined && isKnownLink(link, request)) return true
  const isAnothers = link !== undefined && isMarked(link) && link.alias !== ownerMark(request)
  return !isAnothers && isRecordedNetns(container, entry)
}

/** Whether the link is an attachment's, whichever. */
export function isMarked(link: Link): boolean {
  return (link.alias ?? '').startsWith(PREFIX)
}

/** Whether the link bears the attachment's mark, or is, by its MAC, the interface that prevResult tells of. */
function isKnownLink(link: Link, request: Request): boolean {
  if (link.alias === ownerMark(request)) return true
  if (isMarked(link) || link.mac === undefined) return false
  const mac = formatMac(link.mac)
  const interfaces = request.prevResult?.interfaces ?? []
  return interfaces.some(one => one.name === request.ifName && (one.sandbox ?? '') !== '' && one.mac === mac)
}

/**
 * Whether a link of the attachment's name, in the namespace that DEL was given or that ADD was, may be removed as the
 * attachment's. A name and a kind are not enough: the container may have an `eth0` of another network, another runtime or
 * its own.
 *
 * - It bears the mark.
 * - It is of the plugin's kind, and another implementation made it: prevResult has its MAC, or it has an address that is
 *   leased to the attachment. (Runtimes hand no prevResult to DEL below cniVersion 0.4.0.) As long as the lease is there
 *   nobody else has that address, so that the container of a recycled path has another one.
 * - It is what a killed ADD left in the namespace that it wrote down: of the plugin's kind, still down and without any
 *   mark, for mark and up come with one request.
 */
export function isOwnLink(
  session: Session,
  container: Net,
  link: Link,
  left: { kind: string; entry: Json | undefined }
): boolean {
  if (link.alias === ownerMark(session.request)) return true
  if (link.kind !== left.kind) return false
  if (isKnownLink(link, session.request)) return true
  if (!link.isUp && (link.alias ?? '') === '' && isRecordedNetns(container, left.entry)) return true
  return !isMarked(link) && hasAddress(container, link, leasedTo(session.request) ?? [])
}

function hasAddress(container: Net, link: Link, addresses: readonly IpAddress[]): boolean {
  if (addresses.length === 0) return false
  const own = container.addresses.list(link.index)
  return own.some(one => addresses.some(address => addressesEqual(one.prefix.address, address)))
}

/**
 * Whether the container may still use the attachment's addresses, after all that is known as the attachment's has been
 * removed: it has an interface of that name, up, of which nothing tells whose it is.
 *
 * Sequence prevented: another implementation's ADD; DEL without prevResult; the interface stays, its address is given back,
 * and the next container has it too.
 */
export function mayUseAddresses(session: Session, entry: Json | undefined): boolean {
  const { request } = session
  const container = session.findContainer(entry)
  const { left } = session.seen
  const link = left === undefined ? container?.links.find(request.ifName) : left.link
  if (container === undefined || link === undefined || !link.isUp) return false
  if (isMarked(link) || isKnownLink(link, request)) return false
  if (entry !== undefined && !isRecordedNetns(container, entry)) return false
  const leased = leasedTo(request)
  return leased === undefined || hasAddress(container, link, leased)
}

/**
 * Removes the attachment's interface from the container, where it still has one.
 *
 * @param kind of the plugin's links, as `ip -d link` shows it
 */
export function removeFromContainer(session: Session, kind: string, entry: Json | undefined): void {
  const container = session.findContainer(entry)
  const link = container?.links.find(session.request.ifName)
  const isOwn = container !== undefined && link !== undefined && isOwnLink(session, container, link, { kind, entry })
  if (container !== undefined && link !== undefined && isOwn) container.links.removeByIndex(link.index)
  session.seen.left = { link: isOwn ? undefined : link }
}
