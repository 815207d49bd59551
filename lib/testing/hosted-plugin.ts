/** A plugin between two namespaces of a test's own: one stands for the host, one is the container. */
import type { Plugin } from '../cni/plugin.ts'
import type { Kernel } from '../net/kernel.ts'
import { ip } from './ip-json.ts'
import { type Namespace, withNamespaces } from './namespace.ts'
import { HostedKernel, PluginCaller } from './plugin-caller.ts'

export interface HostedPlugin {
  readonly host: Namespace
  readonly box: Namespace
  readonly caller: PluginCaller
}

/** What an IPAM plugin gives: an address and a default route of each family. */
export const BOTH_FAMILIES = {
  ips: [
    { address: '192.0.2.7/24', gateway: '192.0.2.1' },
    { address: '2001:db8::7/64', gateway: '2001:db8::1' }
  ],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
}

/** @param prepare makes what the plugin finds, before it is there */
export function withPlugin(
  plugin: (kernel: Kernel) => Plugin,
  config: object,
  body: (hosted: HostedPlugin) => void,
  prepare: (host: Namespace, box: Namespace) => void = () => undefined
): void {
  withNamespaces(2, (host, box) => {
    prepare(host, box)
    const caller = new PluginCaller(plugin(new HostedKernel(host.path)), box.path, config)
    try {
      body({ host, box, caller })
    } finally {
      caller.close()
    }
  })
}

/** A host's `eth1`, up with an MTU of 1400, whose other end `eth1p` is in the same namespace. */
export function addMaster(host: Namespace): void {
  ip(host, 'link add eth1 mtu 1400 type veth peer name eth1p mtu 1400')
  ip(host, 'link set eth1 up')
  ip(host, 'link set eth1p up')
}
