/**
 * Connections to a member that a service has no longer. The rules no longer send anybody there; what was sent there before
 * still goes there, as the connection table says, and would wait for an answer until its time is out.
 */
import type { Namespace } from '../../lib/net/namespace.ts'
import { endConnections, type SocketEnds } from '../../lib/net/sockets.ts'
import { IPS_SEEN_REPLY } from '../../lib/netlink/nf/conntrack.ts'
import type { ConntrackEntry, Nft } from '../../lib/nft/nft.ts'
import type { BalanceTable } from './balance-table.ts'
import type { Traffic, Way } from './layout.ts'

const IPPROTO_TCP = 6

/**
 * Cuts connections to those that are no members any more and will not be again. TCP of this namespace's own programs ends at
 * once; a TCP connection that has no answer yet begins anew with its next attempt, with another member, and so does UDP with its
 * next datagram. Who is forwarded is told with his next packet.
 *
 * @param isGone whether the member's container is gone; what is only taken out goes on with what it has
 * @returns what went to them, which is counted no more
 */
export function cutGone(
  namespace: Namespace,
  nft: Nft,
  table: BalanceTable,
  isGone: (way: Way) => boolean
): readonly Traffic[] {
  const gone = table.former().filter(isGone)
  for (const way of table.used(gone)) cut(namespace, nft, way)
  return table.forget(gone)
}

function cut(namespace: Namespace, nft: Nft, { of, member }: Way): void {
  const filter = {
    family: member.family,
    protocol: of.port?.protocol,
    port: of.port?.number,
    lastPort: undefined,
    address: of.vip,
    replySource: member
  }
  const entries = nft.listConntrack(member.family, filter)
  if (entries.length === 0) return
  // First, so that a member that lives on hears of it too.
  endConnections(namespace, entries.flatMap(socketOf))
  nft.flushConntrack(filter)
}

function socketOf({ original, status }: ConntrackEntry): readonly SocketEnds[] {
  const { source, destination, protocol, sourcePort, destinationPort } = original
  if (protocol !== IPPROTO_TCP || source === undefined || destination === undefined) return []
  if ((status & IPS_SEEN_REPLY) === 0) return []
  return [{ protocol, source, sourcePort, destination, destinationPort }]
}
