/** A container's interface as the kernel has it at this moment. */
import { formatMac } from '../lib/ip/mac.ts'
import { formatPrefix } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { messageOf } from '../lib/sys/errors.ts'

export interface LiveInterface {
  readonly Up?: boolean
  readonly Mtu?: number
  readonly MacAddress?: string
  readonly Addresses?: readonly string[]
  /** Why it cannot be seen. */
  readonly Problem?: string
}

/** @returns undefined when it is not there */
export function liveInterface(netns: string, ifName: string): LiveInterface | undefined {
  try {
    const net = new LinuxKernel().find(netns)
    if (net === undefined) return undefined
    try {
      const link = net.links.find(ifName)
      if (link === undefined) return undefined
      const addresses = net.addresses.list().filter(one => one.index === link.index)
      return {
        Up: link.isUp,
        Mtu: link.mtu,
        MacAddress: link.mac === undefined ? '' : formatMac(link.mac),
        Addresses: addresses.map(one => formatPrefix(one.prefix))
      }
    } finally {
      net.close()
    }
  } catch (error) {
    return { Problem: messageOf(error) }
  }
}
