/** A plugin on a fake kernel: a host, one container, and a caller. */

import type { Plugin } from '../cni/plugin.ts'
import type { Kernel } from '../net/kernel.ts'
import { FakeKernel } from './fake-kernel/fake-kernel.ts'
import { PluginCaller } from './plugin-caller.ts'

/** The container's namespace. */
export const BOX = '/run/netns/box'

/** IPAM's answer for most tests: both families, default routes, and a route through a gateway that is no neighbour. */
export const DUAL_STACK = {
  ips: [
    { address: '192.0.2.7/24', gateway: '192.0.2.1' },
    { address: '2001:db8::7/64', gateway: '2001:db8::1' }
  ],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
}

/** The changes of the kernel that give `eth0` the addresses and routes of DUAL_STACK. */
export const DUAL_STACK_CHANGES: readonly string[] = [
  'write sysctl "ipv4/conf/eth0/arp_notify" = "1"',
  'write sysctl "ipv6/conf/eth0/ndisc_notify" = "1"',
  'write sysctl "ipv6/conf/eth0/accept_dad" = "0"',
  'write sysctl "ipv6/conf/eth0/keep_addr_on_down" = "1"',
  'add address to link',
  'set link',
  'add route default (IPv4) via 192.0.2.1 dev, default (IPv6) via 2001:db8::1 dev'
]

export const DUAL_STACK_IPAM = { type: 'fixed', result: DUAL_STACK }

export interface FakeAttachment {
  readonly kernel: FakeKernel
  readonly caller: PluginCaller
  /** The container's part of the kernel's text, line by line. */
  readonly box: () => readonly string[]
}

/** Calls `body` with a kernel that has the host's link `eth1` (dummy, up, MTU 1400) and an empty container. */
export function withFakeKernel(
  factory: (kernel: Kernel) => Plugin,
  config: object,
  body: (attachment: FakeAttachment) => void
): void {
  const kernel = new FakeKernel()
  kernel.addNamespace(BOX)
  kernel.host().links.add({ name: 'eth1', kind: { kind: 'dummy' }, up: true, mtu: 1400 })
  const caller = new PluginCaller(factory(kernel), BOX, config)
  const box = (): readonly string[] => {
    const lines = kernel.toText().split('\n')
    return lines.slice(lines.indexOf(`${BOX}:`) + 1)
  }
  try {
    body({ kernel, caller, box })
  } finally {
    caller.close()
  }
}
