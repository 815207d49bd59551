/** Offloads of a link, as `ethtool -K` sets them, by generic netlink: the older ioctl wants a pointer in its argument. */
import { encodeSetFeature } from '../netlink/generic.ts'
import { NETLINK_GENERIC } from '../sys/netlink-socket.ts'
import { familyNumber } from './generic-family.ts'
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
    const operation = 'set feature'
    const type = familyNumber(conn, 'ethtool', operation, object)
    const payload = encodeSetFeature(link, feature, isOn)
    conn.execute({ operation, object, type, flags: 0, payload, answer: 'acknowledgement' })
  } finally {
    conn.close()
  }
}
