/** Connections of programs in a namespace, ended from outside. */
import type { Request } from '../netlink/conn.ts'
import { encodeSocketEnds, SOCK_DESTROY, type SocketEnds } from '../netlink/sock-diag.ts'
import { NETLINK_SOCK_DIAG } from '../sys/netlink-socket.ts'
import { connectToKernel } from './kernel-net.ts'
import type { Namespace } from './namespace.ts'

export type { SocketEnds } from '../netlink/sock-diag.ts'

/**
 * Ends connections as `ss -K` does: programs that read or write get ECONNABORTED at once, the other side is told. Those that
 * are gone by now are left out; so are all on a kernel without CONFIG_INET_DIAG_DESTROY.
 */
export function endConnections(namespace: Namespace, connections: readonly SocketEnds[]): void {
  if (connections.length === 0) return
  const conn = connectToKernel(NETLINK_SOCK_DIAG, namespace.namespaceFd())
  try {
    conn.batch(connections.map(endRequest))
  } finally {
    conn.close()
  }
}

function endRequest(ends: SocketEnds): Request {
  return {
    operation: 'end',
    object: 'connection',
    type: SOCK_DESTROY,
    flags: 0,
    payload: encodeSocketEnds(ends),
    answer: 'acknowledgement'
  }
}
