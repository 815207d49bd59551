/**
 * After `nft flush ruleset`, as a restart of the host's firewall has it, no container is isolated any more. The next ADD
 * isolates everybody again, as the journal has them: it finds its own tables missing, which they never are otherwise
 * while another container needs them.
 */

import { everyEntry } from '../../lib/attach/every-entry.ts'
import type { Session } from '../../lib/attach/session.ts'
import { ownerText } from '../../lib/attachment.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { type Place, placeIn } from './entry.ts'
import { isolatedIn, isolatesByNft } from './isolation.ts'
import { isMissing, isolate } from './nftables.ts'

/** To be asked before the first element is added. */
export function findMissing(session: Session): boolean {
  return isMissing(session.nft())
}

/** Isolates others again, which are still there. */
export function restoreOthers(session: Session, wasMissing: boolean): void {
  if (!wasMissing) return
  const own = ownerText(session.request)
  for (const { attachment: owner, entry } of everyEntry(session.request, 'firewall')) {
    const place = ownerText(owner) === own ? undefined : placeIn(entry)
    if (place === undefined || !isolatesByNft(place) || isGone(session, place)) continue
    try {
      isolate(session.nft(), isolatedIn(place, owner))
    } catch (error) {
      // What is not to be had for another one is no failure of this ADD.
      process.stderr.write(`isolate ${ownerText(owner)} again: ${messageOf(error)}\n`)
    }
  }
}

/** An address may be another container's by now. */
function isGone(session: Session, place: Place): boolean {
  const { port, interfaces } = place
  const links = port === undefined ? interfaces : interfaces.concat([port])
  return links.some(name => session.host.links.find(name) === undefined)
}
