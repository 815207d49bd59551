/**
 * ipvlan: the container's own addresses on the network that an interface of the host is connected to, under that
 * interface's MAC: for networks that allow one MAC per port.
 *
 *     host                    container
 *       eth1 (master) ======== eth0 (the same MAC, 192.0.2.7/24)
 *         |
 *         +--- the physical network
 *
 * Mode l2 answers ARP like a host of that network; l3 and l3s are routed, without ARP, broadcast and multicast (l3s
 * passes the host's netfilter). Chained behind another plugin it takes that one's interface as master and its addresses
 * as its own.
 */

import { childLink } from '../../lib/attach/child-link.ts'
import { interfacePlugin, type OwnLink, readAttachmentOptions } from '../../lib/attach/interface-plugin.ts'
import { readParentConfig } from '../../lib/attach/parent.ts'
import { withCreatedMaster } from '../../lib/attach/vlan-master.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Interface } from '../../lib/cni/result.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { IpvlanFlag, IpvlanMode, Link, LinkKind } from '../../lib/net/links.ts'
import type { KernelError } from '../../lib/netlink/kernel-error.ts'

const MODES: readonly string[] = ['', 'l2', 'l3', 'l3s']
const FLAGS: readonly string[] = ['', 'bridge', 'private', 'vepa']

export function ipvlan(kernel: Kernel): Plugin {
  return interfacePlugin(kernel, { name: 'ipvlan', kind: 'ipvlan' }, readConfig)
}

function readConfig(request: Request): OwnLink {
  const section = request.config
  const configured = withCreatedMaster(section, readParentConfig(section))
  const options = readAttachmentOptions(section)
  const configuredMode = section.oneOf('mode', MODES) ?? ''
  const flag = section.oneOf('flag', FLAGS) ?? ''
  const parent = { ...configured, master: configured.master ?? chainedMaster(request) }
  const hasIpam = request.ipam.type() !== ''
  const adoptsAddresses = !hasIpam && (request.prevResult?.ips ?? []).length > 0
  if (!hasIpam && !adoptsAddresses && request.command !== 'STATUS') {
    section.problem('ipam', 'must name an IPAM plugin in its type, unless a plugin earlier in the chain gave addresses')
  }
  section.finish()
  const mode = (configuredMode === '' ? 'l2' : configuredMode) as IpvlanMode
  return childLink({
    parent,
    mayGetParent: parent.master === undefined && !hasIpam,
    mac: undefined,
    adoptsAddresses,
    options,
    kindOn: master => kindOn(master, mode, flag),
    explained,
    differences: link => differences(link, mode)
  })
}

function kindOn(master: Link, mode: IpvlanMode, flag: string): LinkKind {
  return { kind: 'ipvlan', parentIndex: master.index, mode, flag: flag === '' ? undefined : (flag as IpvlanFlag) }
}

/** The interface that the plugins before this one made: those before our own in the result. */
function chainedMaster(request: Request): string | undefined {
  const interfaces: readonly Interface[] = request.prevResult?.interfaces ?? []
  const own = interfaces.findIndex(one => one.name === request.ifName && (one.sandbox ?? '') !== '')
  const earlier = own < 0 ? interfaces : interfaces.slice(0, own)
  if (earlier.length === 0) return undefined
  const name = earlier.length === 1 ? (earlier[0]?.name ?? '') : ''
  if (name !== '') return name
  const message = `find master: prevResult has ${String(earlier.length)} interfaces, not one with a name`
  throw new CniError(INVALID_CONFIG, message, 'name the interface in the key "master"')
}

function explained(error: KernelError, parent: Link): Error {
  if (error.errno !== 'EINVAL' && error.errno !== 'EBUSY') return error
  const hint = 'a master cannot carry macvlan and ipvlan at once, nor be a port of a bridge or bond'
  return new CniError(INVALID_CONFIG, `${error.message}: master ${JSON.stringify(parent.name)} is used otherwise`, hint)
}

function differences(link: Link, mode: IpvlanMode): readonly string[] {
  if (link.info.kind !== 'ipvlan' || link.info.mode === mode) return []
  return [`link ${JSON.stringify(link.name)} is in mode ${link.info.mode ?? 'unknown'}, not ${mode}`]
}
