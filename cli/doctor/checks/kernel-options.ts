/** What networks need and this kernel does not have. It is tried in a namespace of its own, which ends with the check. */

import { LinuxKernel } from '../../../lib/net/kernel-net.ts'
import type { LinkKind } from '../../../lib/net/links.ts'
import { KernelError } from '../../../lib/netlink/kernel-error.ts'
import { pluginType } from '../../../lib/runtime/network.ts'
import { closeDescriptor } from '../../../lib/sys/files.ts'
import { newNetns } from '../../../lib/sys/netns.ts'
import type { Check, Finding } from '../finding.ts'

/** What a plugin makes; of a link over a parent the parent is `lo`, which the kernel judges after the kind. */
const KINDS: Readonly<Record<string, LinkKind>> = {
  bridge: { kind: 'bridge' },
  dummy: { kind: 'dummy' },
  ipvlan: { kind: 'ipvlan', parentIndex: 1, mode: 'l2' },
  macvlan: { kind: 'macvlan', parentIndex: 1, mode: 'bridge' },
  vlan: { kind: 'vlan', parentIndex: 1, id: 1 },
  vrf: { kind: 'vrf', table: 1 },
  vxlan: { kind: 'vxlan', id: 1, port: 4789 },
  // No plugin of that name: what encryption needs.
  wireguard: { kind: 'wireguard' }
}

export const kernelOptions: Check = {
  name: 'kernel-options',
  title: 'the kernel has what networks need',
  find: ({ networks }) => {
    const wanted = networks.flatMap(network => network.plugins.map(plugin => ({ type: pluginType(plugin), network })))
    const types = [...new Set(wanted.map(one => one.type))].filter(type => Object.hasOwn(KINDS, type))
    return types.flatMap((type): readonly Finding[] => {
      const problem = tryKind(type)
      if (problem === '') return []
      const names = [...new Set(wanted.filter(one => one.type === type).map(one => one.network.name))]
      return [
        {
          severity: 'error',
          what: `the kernel has no links of kind ${type}, which ${names.length === 1 ? 'network' : 'networks'} ${names.join(', ')} need`,
          evidence: [problem],
          remedy: `modprobe ${type === 'vlan' ? '8021q' : type}; where there is no such module, another kernel`
        }
      ]
    })
  }
}

/** @returns the kernel's refusal of the kind; '' for any other, such as that lo cannot be a parent */
export function tryKind(type: string): string {
  const kind = KINDS[type]
  if (kind === undefined) return ''
  const fd = newNetns()
  const net = new LinuxKernel().open(`/proc/self/fd/${String(fd)}`)
  try {
    net.links.add({ name: 'try0', kind })
    return ''
  } catch (error) {
    return error instanceof KernelError && error.errno === 'EOPNOTSUPP' ? error.message : ''
  } finally {
    net.close()
    closeDescriptor(fd)
  }
}
