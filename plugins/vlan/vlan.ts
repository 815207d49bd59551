/**
 * vlan: an interface of the host's VLAN trunk as the container's own.
 *
 *     host                                   container
 *       eth1 (master, trunk) ==== VLAN 5 ==== eth0 (192.0.2.7/24)
 *
 * A VLAN of a master is one interface, so it is one container's.
 */

import { childLink } from '../../lib/attach/child-link.ts'
import { interfacePlugin, type OwnLink, readAttachmentOptions } from '../../lib/attach/interface-plugin.ts'
import { requireIpam } from '../../lib/attach/ipam.ts'
import { readParentConfig } from '../../lib/attach/parent.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link, LinkKind } from '../../lib/net/links.ts'
import type { KernelError } from '../../lib/netlink/kernel-error.ts'

/** @source IEEE 802.1Q, table 9-2: 4095 is reserved; 0 (priority tag only) is what the reference plugin allows too */
const LARGEST_VLAN_ID = 4094

export function vlan(kernel: Kernel): Plugin {
  return interfacePlugin(kernel, { name: 'vlan', kind: 'vlan' }, readConfig)
}

function readConfig(request: Request): OwnLink {
  const section = request.config
  const parent = readParentConfig(section)
  if (parent.master === undefined && (section.text('master') ?? '') === '') {
    section.problem('master', 'must name the interface that carries the VLANs')
  }
  const id = section.integer('vlanId', 0, LARGEST_VLAN_ID) ?? 0
  const options = readAttachmentOptions(section)
  requireIpam(request)
  section.finish()
  return childLink({
    parent,
    mayGetParent: false,
    mac: undefined,
    adoptsAddresses: false,
    options,
    kindOn: master => kindOn(master, id),
    explained: (error, master) => explained(error, master, id),
    differences: link => differences(link, id)
  })
}

function kindOn(master: Link, id: number): LinkKind {
  return { kind: 'vlan', parentIndex: master.index, id }
}

function explained(error: KernelError, parent: Link, id: number): Error {
  if (error.errno !== 'EEXIST') return error
  const message = `${error.message}: VLAN ${String(id)} of master ${JSON.stringify(parent.name)} is in use already`
  return new CniError(INVALID_CONFIG, message, 'use another vlanId, or plugin bridge with key vlan to share one')
}

function differences(link: Link, id: number): readonly string[] {
  if (link.info.kind !== 'vlan' || link.info.id === id) return []
  return [`link ${JSON.stringify(link.name)} is VLAN ${String(link.info.id ?? 'unknown')}, not ${String(id)}`]
}
