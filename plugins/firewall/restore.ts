/**
 * After `nft flush ruleset` or `iptables -F`, as a restart of the host's firewall has them, no container is isolated or excepted
 * any more. The next ADD that needs the same, or the agent, does both for everybody again, as the journal has them: it finds its
 * own tables missing, or nothing that leads to its chain of iptables, which never is so otherwise while another container needs them.
 */

import { everyEntry } from '../../lib/attach/every-entry.ts'
import type { Flushed } from '../../lib/attach/flushed.ts'
import { ownerText } from '../../lib/attachment.ts'
import type { Net } from '../../lib/net/net.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { type Place, placeIn } from './entry.ts'
import { allowAgain, type Excepted } from './iptables.ts'
import { isolatedIn, isolatesByNft } from './isolation.ts'
import { isolate } from './nftables.ts'

/** Makes again what others had, which are still there. */
export function restoreOthers({ host, nft, stateDir, except }: Flushed): void {
  const lost: Excepted[] = []
  for (const { attachment, entry } of everyEntry(stateDir, 'firewall')) {
    const owner = ownerText(attachment)
    const place = owner === except ? undefined : placeIn(entry)
    if (place === undefined || isGone(host, place)) continue
    if (place.backend === 'iptables' && place.adminChain !== '') lost.push(exceptedOf(owner, place))
    if (!isolatesByNft(place)) continue
    try {
      isolate(nft, isolatedIn(place, attachment))
    } catch (error) {
      // What is not to be had for another one is no failure of this ADD.
      process.stderr.write(`isolate ${owner} again: ${messageOf(error)}\n`)
    }
  }
  if (lost.length > 0) allowAgain(lost)
}

function exceptedOf(owner: string, place: Place): Excepted {
  return { owner, exceptions: place }
}

/** An address may be another container's by now. */
function isGone(host: Net, place: Place): boolean {
  const { port, interfaces } = place
  const links = port === undefined ? interfaces : interfaces.concat([port])
  return links.some(name => host.links.find(name) === undefined)
}
