/**
 * Whose link it is. The kernel keeps a text with every link (`ip link` shows it as alias); the attachment's name in it
 * tells DEL and GC what is theirs where names say nothing: `eth0` may be any network's, and a namespace's path may be
 * used again for another container.
 */
import { createHash } from 'node:crypto'
import { hex } from '../ip/mac.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'

const PREFIX = 'cni '

/** linux/if.h IFALIASZ, without the NUL */
const LONGEST_ALIAS = 255

/** linux/if.h IFNAMSIZ, without the NUL */
const LONGEST_NAME = 15

/** The alias of an attachment's link: `cni <network> <containerID> <ifname>`. */
export function ownerMark(network: string, containerId: string, ifName: string): string {
  const mark = `${PREFIX}${network} ${containerId} ${ifName}`
  return mark.length <= LONGEST_ALIAS ? mark : `${PREFIX}${digest(mark)}`
}

/**
 * A name for the host's side of an attachment: the prefix and as many hexadecimal digits as fit. The same attachment
 * gets the same name again, so that it can be found without having been told.
 */
export function stableName(prefix: string, network: string, containerId: string, ifName: string): string {
  return `${prefix}${digest(`${network} ${containerId} ${ifName}`)}`.slice(0, LONGEST_NAME)
}

function digest(text: string): string {
  const bytes: Uint8Array = createHash('sha256').update(text).digest()
  return hex(bytes)
}

/**
 * Whether a link in the container that this DEL was given may be removed as this attachment's: it bears the mark, or it
 * is of the plugin's kind and bears no other attachment's (made by another implementation, or by an ADD that was
 * killed before it set the mark).
 *
 * Sequence prevented: `eth0` belongs to network A; an ADD of network B for `eth0` fails because of that; the runtime
 * calls B's DEL, which would take A's interface away.
 */
export function isLinkOf(link: Link, mark: string, kind: string): boolean {
  if (link.alias === mark) return true
  return link.kind === kind && !(link.alias ?? '').startsWith(PREFIX)
}

/**
 * Removes the link of that name if it bears exactly this mark, or if it is what a killed ADD left: of the plugin's kind,
 * still down and without any mark, for mark and up come with one request.
 */
export function removeMarkedLink(net: Net, name: string, mark: string, kind: string): void {
  const link = net.links.find(name)
  if (link === undefined) return
  const isUnfinished = link.kind === kind && !link.isUp && (link.alias ?? '') === ''
  if (link.alias === mark || isUnfinished) net.links.removeByIndex(link.index)
}
