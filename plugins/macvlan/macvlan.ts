/**
 * macvlan: the container's own MAC and addresses on the network that an interface of the host is connected to.
 *
 *     host                    container
 *       eth1 (master) ======== eth0 (own MAC, 192.0.2.7/24)
 *         |                      default via 192.0.2.1, a router of that network
 *         +--- the physical network
 *
 * Host and containers do not hear each other through the master; containers on the same master do, in mode bridge.
 */

import { childLink } from '../../lib/attach/child-link.ts'
import { interfacePlugin, type OwnLink, readAttachmentOptions } from '../../lib/attach/interface-plugin.ts'
import { readParentConfig } from '../../lib/attach/parent.ts'
import { withCreatedMaster } from '../../lib/attach/vlan-master.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { readMac } from '../../lib/config/addresses.ts'
import { parseMac } from '../../lib/ip/mac.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link, LinkKind, MacvlanMode } from '../../lib/net/links.ts'
import type { KernelError } from '../../lib/netlink/kernel-error.ts'

const MODES: readonly string[] = ['bridge', 'private', 'vepa', 'passthru', 'source']

export function macvlan(kernel: Kernel): Plugin {
  return interfacePlugin(kernel, { name: 'macvlan', kind: 'macvlan' }, readConfig)
}

function readConfig(request: Request): OwnLink {
  const section = request.config
  const parent = withCreatedMaster(section, readParentConfig(section))
  const configuredMode = section.oneOf('mode', MODES.concat([''])) ?? ''
  const configuredMac = readMac(section, 'mac')
  const mac = requestedMac(request) ?? configuredMac
  const options = readAttachmentOptions(section)
  const bcQueueLength = section.integer('bcqueuelen', 0, 4_294_967_295)
  const sourceMacs = readSourceMacs(request, configuredMode)
  // A wrong ipam.type shall be found before anything is made.
  request.ipam.type()
  section.finish()
  const mode = (configuredMode === '' ? 'bridge' : configuredMode) as MacvlanMode
  return childLink({
    parent,
    mayGetParent: false,
    mac,
    adoptsAddresses: false,
    options,
    kindOn: master => kindOn(master, mode, bcQueueLength, sourceMacs),
    explained: (error, master) => explained(error, master, mode),
    differences: link => differences(link, mode)
  })
}

/** @param bcQueueLength packets; 0 as absent leaves the kernel's choice */
function kindOn(
  master: Link,
  mode: MacvlanMode,
  bcQueueLength: number | undefined,
  sourceMacs: readonly Uint8Array[]
): LinkKind {
  return {
    kind: 'macvlan',
    parentIndex: master.index,
    mode,
    bcQueueLength: bcQueueLength === 0 ? undefined : bcQueueLength,
    macs: sourceMacs.length === 0 ? undefined : sourceMacs
  }
}

/** The senders that mode `source` lets in. */
function readSourceMacs(request: Request, mode: string): readonly Uint8Array[] {
  const macs: Uint8Array[] = []
  for (const text of request.config.textList('sourceMacs')) {
    const mac = parseMac(text)
    if (mac === undefined) request.config.problem('sourceMacs', 'must hold MAC addresses of six bytes')
    else macs.push(mac)
  }
  if (macs.length > 0 && mode !== 'source') request.config.problem('sourceMacs', 'is for mode "source" only')
  return macs
}

/** What a refusal means here: the kernel says no more than EINVAL and EBUSY. */
function explained(error: KernelError, parent: Link, mode: MacvlanMode): Error {
  if (error.errno !== 'EINVAL' && error.errno !== 'EBUSY') return error
  const master = JSON.stringify(parent.name)
  const reason =
    mode === 'passthru'
      ? `${master} has a macvlan, and mode passthru wants it alone`
      : `${master} has a macvlan in mode passthru`
  const hint = 'use another master or mode; a master must not be a port of a bridge or bond, nor loopback'
  return new CniError(INVALID_CONFIG, `${error.message}: perhaps ${reason}`, hint)
}

function differences(link: Link, mode: MacvlanMode): readonly string[] {
  if (link.info.kind !== 'macvlan' || link.info.mode === mode) return []
  return [`link ${JSON.stringify(link.name)} is in mode ${link.info.mode ?? 'unknown'}, not ${mode}`]
}
