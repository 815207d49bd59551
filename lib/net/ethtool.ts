/** Offloads of a link, as `ethtool -K` sets them, by generic netlink: the older ioctl wants a pointer in its argument. */
import { errnoSymbol, errnoText } from '../netlink/errno.ts'
import { decodeFamily, encodeGetFamily, encodeSetFeature, GENERIC_CONTROL } from '../netlink/generic.ts'
import {
  decodeMessages,
  decodeVerdict,
  encodeMessage,
  NLM_F_ACK,
  NLM_F_REQUEST,
  NLMSG_ERROR
} from '../netlink/message.ts'
import { closeNetlink, NETLINK_GENERIC, openNetlink, receiveNetlink, sendNetlink } from '../sys/netlink-socket.ts'
import { inNamespace } from '../sys/netns.ts'
import { KernelError } from './errors.ts'
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
  const fd = inNamespace(net.namespaceFd(), () => openNetlink(NETLINK_GENERIC))
  try {
    const family = familyNumber(fd, object)
    ask(fd, object, family, encodeSetFeature(link, feature, isOn))
  } finally {
    closeNetlink(fd)
  }
}

function familyNumber(fd: number, object: string): number {
  const answer = ask(fd, object, GENERIC_CONTROL, encodeGetFamily('ethtool'))
  const family = answer === undefined ? undefined : decodeFamily(answer)
  if (family !== undefined) return family
  throw new KernelError('set feature', object, 'EOPNOTSUPP', 'the kernel has no netlink family "ethtool"', '')
}

/** One request. @returns the payload of the message that came before the acknowledgement, if one did */
function ask(fd: number, object: string, type: number, payload: Uint8Array): Uint8Array | undefined {
  sendNetlink(fd, encodeMessage(type, NLM_F_REQUEST | NLM_F_ACK, 1, payload))
  let answer: Uint8Array | undefined
  for (;;) {
    for (const message of decodeMessages(receiveNetlink(fd))) {
      if (message.type !== NLMSG_ERROR) {
        answer = message.payload.slice(0)
        continue
      }
      const verdict = decodeVerdict(message)
      if (verdict.errno === 0) return answer
      const errno = errnoSymbol(verdict.errno)
      if (type === GENERIC_CONTROL && errno === 'ENOENT') return undefined
      throw new KernelError('set feature', object, errno, errnoText(verdict.errno), verdict.text)
    }
  }
}
