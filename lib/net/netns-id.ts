/**
 * The numbers by which one namespace knows others (`ip netns list-id`).
 *
 * @source linux/net_namespace.h; net/core/net_namespace.c rtnl_net_getid
 */

import type { Conn } from '../netlink/conn.ts'
import { AF_UNSPEC } from '../netlink/rt/link.ts'
import { decodeNetnsId, encodeNetnsId, RTM_GETNSID } from '../netlink/rt/netns-id.ts'

/** @returns undefined when this namespace has given the other one no number, because no link leads there */
export function findNetnsId(conn: Conn, otherFd: number): number | undefined {
  const payloads = conn.execute({
    operation: 'get',
    object: 'namespace id',
    type: RTM_GETNSID,
    flags: 0,
    payload: encodeNetnsId({ family: AF_UNSPEC, fd: otherFd }),
    answer: 'message'
  })
  const payload = payloads[0]
  const id = payload === undefined ? undefined : decodeNetnsId(payload).id
  return id === undefined || id < 0 ? undefined : id
}
