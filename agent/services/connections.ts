/**
 * Connections to a member that a service has no longer. The rules no longer send anybody there; what was sent there before
 * still goes there, as the connection table says, and would wait for an answer until its time is out.
 */
import type { IpAddress } from '../../lib/ip/address.ts'
import type { Namespace } from '../../lib/net/namespace.ts'
import { endConnections, type SocketEnds } from '../../lib/net/sockets.ts'
import { IPS_SEEN_REPLY } from '../../lib/netlink/nf/conntrack.ts'
import type { ConntrackEntry, Nft } from '../../lib/nft/nft.ts'

const IPPROTO_TCP = 6

/** A destination that was translated to a member. */
export interface Cut {
  /** As the client has it; undefined = any. */
  readonly destination: IpAddress | undefined
  readonly port: number | undefined
  readonly protocol: number | undefined
  readonly member: IpAddress
}

/**
 * Cuts them. TCP of this namespace's own programs ends at once; a TCP connection that has no answer yet begins anew with its
 * next attempt, with another member, and so does UDP with its next datagram. Who is forwarded is told with his next packet.
 */
export function cutConnections(namespace: Namespace, nft: Nft, cuts: readonly Cut[]): void {
  for (const { destination, port, protocol, member } of cuts) {
    const filter = {
      family: member.family,
      protocol,
      port,
      lastPort: undefined,
      address: destination,
      replySource: member
    }
    const entries = nft.listConntrack(member.family, filter)
    if (entries.length === 0) continue
    // First, so that a member that lives on hears of it too.
    endConnections(namespace, entries.flatMap(socketOf))
    nft.flushConntrack(filter)
  }
}

function socketOf({ original, status }: ConntrackEntry): readonly SocketEnds[] {
  const { source, destination, protocol, sourcePort, destinationPort } = original
  if (protocol !== IPPROTO_TCP || source === undefined || destination === undefined) return []
  if ((status & IPS_SEEN_REPLY) === 0) return []
  return [{ protocol, source, sourcePort, destination, destinationPort }]
}
