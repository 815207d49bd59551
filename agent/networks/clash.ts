/** Whether a network's subnets are this host's already. */
import { formatPrefix, networkOf, prefixesOverlap } from '../../lib/ip/prefix.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { NetworkRecord } from './record.ts'

/**
 * A bridge with the subnet of the host's own interface would cut the host off from its neighbours: whoever can write to the
 * registry could do that to every host.
 *
 * @returns the interface that has one of the network's subnets; '' for none
 */
export function clashOnHost(kernel: Kernel, record: NetworkRecord): string {
  const host = kernel.host()
  try {
    const names = new Map(host.links.list().map(link => [link.index, link.name]))
    const bridge = `br-vx${record.vni}`
    for (const { index, prefix } of host.addresses.list()) {
      const name = names.get(index) ?? ''
      const range = record.ranges.find(one => prefixesOverlap(one.subnet, networkOf(prefix)))
      if (range === undefined || name === bridge || name === 'lo') continue
      return `subnet ${formatPrefix(range.subnet)} overlaps ${formatPrefix(networkOf(prefix))} of interface ${name}`
    }
    return ''
  } finally {
    host.close()
  }
}
