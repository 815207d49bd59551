/**
 * Whether the owner of a mapping is still there. A runtime that lost its state, or a host whose namespaces were deleted by
 * hand, never calls DEL: the port would be refused to every successor until somebody guesses the dead container's id.
 */

import { everyEntry } from '../../lib/attach/every-entry.ts'
import type { Session } from '../../lib/attach/session.ts'
import { ownerText } from '../../lib/attachment.ts'
import type { IpAddress } from '../../lib/ip/address.ts'
import type { Net } from '../../lib/net/net.ts'
import { type Made, madeIn } from './entry.ts'
import { leadsTo } from './localhost.ts'
import { targetsOf } from './nftables.ts'

/**
 * Whether nothing on this host leads to the owner any more. One of whom nothing can be told counts as alive.
 *
 * @param comment `ownerText`
 */
export function isGone(session: Session, comment: string, plugin: string): boolean {
  const recorded = everyEntry(session.request.config.text('stateDir'), plugin).find(
    one => ownerText(one.attachment) === comment
  )
  const made = recorded === undefined ? undefined : madeIn(recorded.entry, recorded.attachment)
  if (made !== undefined) return isUnreachable(session.host, made)
  const targets = targetsOf(session.nft(), comment)
  return targets.length > 0 && targets.every(one => !isConnected(session.host, one))
}

/** The host's end of a cable goes with the container's: without one it is gone, whatever the routes say. */
export function isUnreachable(host: Net, made: Made): boolean {
  if (made.links.length > 0) return made.links.some(name => host.links.find(name) === undefined)
  return made.published.addresses.every(one => !isConnected(host, one.address))
}

/** Whether a route of the host's own interfaces, not over a gateway, leads there. */
export function isConnected(host: Net, address: IpAddress): boolean {
  const routes = host.routes.list({ family: address.family })
  return routes.some(route => route.gateway === undefined && route.nextHops === undefined && leadsTo(route, address))
}
