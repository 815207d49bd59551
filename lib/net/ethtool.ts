/** Offloads of a link, as `ethtool -K` sets them, by generic netlink: the older ioctl wants a pointer in its argument. */
import { type Conn, refusal } from '../netlink/conn.ts'
import { decodeFamily, encodeGetFamily, encodeSetFeature, GENERIC_CONTROL } from '../netlink/generic.ts'
import { KernelError } from '../netlink/kernel-error.ts'
import { NETLINK_GENERIC } from '../sys/netlink-socket.ts'
import { connectToKernel } from './kernel-net.ts'
import type { Net } from './net.ts'

/** Checksums of what is sent are left to the link. */
export const TX_CHECKSUM = 'tx-checksum-ip-generic'

/**
 * Switches a feature of a link on or off, named as `ethtool -k` names it.
 *
 * @throws {KernelError} ENODEV, EOPNOTSUPP for a kernel without ethtool's netlink family (older than 5.6)
 */
export function ensureLinkFeature(net: Net, link: string, feature: string, isOn: boolean): void {
  const object = `${feature} of ${JSON.stringify(link)}`
  const conn = connectToKernel(NETLINK_GENERIC, net.namespaceFd())
  try {
    const type = familyNumber(conn, object)
    const payload = encodeSetFeature(link, feature, isOn)
    conn.execute({ operation: 'set feature', object, type, flags: 0, payload, answer: 'acknowledgement' })
  } finally {
    conn.close()
  }
}

function familyNumber(conn: Conn, object: string): number {
  const payload = encodeGetFamily('ethtool')
  const operation = 'set feature'
  const answer = conn.attempt({ operation, object, type: GENERIC_CONTROL, flags: 0, payload, answer: 'message' })
  if (answer.errno !== '' && answer.errno !== 'ENOENT') throw refusal(answer)
  const found = answer.payloads[0]
  const family = found === undefined ? undefined : decodeFamily(found)
  if (family !== undefined) return family
  throw new KernelError(operation, object, 'EOPNOTSUPP', 'the kernel has no netlink family "ethtool"')
}
