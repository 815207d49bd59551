/**
 * dummy: an interface that leads nowhere and holds addresses, for services that must listen on an address of their own.
 *
 *     container
 *       eth0 (dummy, 10.9.0.2/24)
 */

import { interfacePlugin, type OwnLink } from '../../lib/attach/interface-plugin.ts'
import { requireIpam } from '../../lib/attach/ipam.ts'
import { readMtu } from '../../lib/attach/parent.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Kernel } from '../../lib/net/kernel.ts'

export function dummy(kernel: Kernel): Plugin {
  return interfacePlugin(kernel, { name: 'dummy', kind: 'dummy' }, readConfig)
}

function readConfig(request: Request): OwnLink {
  const mtu = readMtu(request.config)
  requireIpam(request)
  request.config.finish()
  return {
    make: session => session.container().links.add({ name: request.ifName, kind: { kind: 'dummy' }, mtu }),
    adoptsAddresses: false,
    options: {},
    differences: noProblems,
    requireUsable: () => undefined
  }
}

/** A dummy has nothing of its own to compare. */
function noProblems(): readonly string[] {
  return []
}
