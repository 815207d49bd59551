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

import type { AttachmentOptions } from '../../lib/attach/interface.ts'
import {
  getParent,
  type ParentConfig,
  parentProblems,
  readParentConfig,
  requireParent
} from '../../lib/attach/parent.ts'
import {
  addSingleLink,
  checkSingleLink,
  delSingleLink,
  gcSingleLinks,
  readAttachmentOptions,
  takenName
} from '../../lib/attach/single-link.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Interface, Result } from '../../lib/cni/result.ts'
import { asError, KernelError } from '../../lib/net/errors.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { IpvlanFlag, IpvlanMode, Link, Net } from '../../lib/net/net.ts'

const MODES: readonly string[] = ['', 'l2', 'l3', 'l3s']
const FLAGS: readonly string[] = ['', 'bridge', 'private', 'vepa']

interface Config {
  readonly parent: ParentConfig
  readonly options: AttachmentOptions
  readonly mode: IpvlanMode
  readonly flag: IpvlanFlag | undefined
  readonly adoptsAddresses: boolean
}

export function ipvlan(kernel: Kernel): Plugin {
  return {
    name: 'ipvlan',
    since: '0.1.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => delSingleLink(kernel, request, 'ipvlan', 'ipvlan'),
    gc: request => gcSingleLinks(kernel, request, 'ipvlan', 'ipvlan'),
    status: request => status(kernel, request)
  }
}

function readConfig(request: Request): Config {
  const section = request.config
  const configured = readParentConfig(section)
  const options = readAttachmentOptions(section)
  const mode = section.oneOf('mode', MODES) ?? ''
  const flag = section.oneOf('flag', FLAGS) ?? ''
  const parent = { ...configured, master: configured.master ?? chainedMaster(request) }
  const hasIpam = request.ipam.type() !== ''
  const adoptsAddresses = !hasIpam && (request.prevResult?.ips ?? []).length > 0
  if (!hasIpam && !adoptsAddresses && request.command !== 'STATUS') {
    section.problem('ipam', 'must name an IPAM plugin in its type, unless a plugin earlier in the chain gave addresses')
  }
  section.finish()
  return {
    parent,
    options,
    mode: (mode === '' ? 'l2' : mode) as IpvlanMode,
    flag: flag === '' ? undefined : (flag as IpvlanFlag),
    adoptsAddresses
  }
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

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request)
  return addSingleLink(kernel, request, {
    plugin: 'ipvlan',
    kind: 'ipvlan',
    make: (host, container) => addIpvlan(host, container, request, config),
    adoptsAddresses: config.adoptsAddresses,
    options: config.options
  })
}

function addIpvlan(host: Net, container: Net, request: Request, config: Config): Link {
  const below = config.parent.isInContainer ? container : host
  const parent = getParent(below, config.parent)
  try {
    return below.addLink({
      name: request.ifName,
      kind: { kind: 'ipvlan', parentIndex: parent.index, mode: config.mode, flag: config.flag },
      mtu: config.parent.mtu,
      netns: container
    })
  } catch (error) {
    throw explained(asError(error), container, request, parent)
  }
}

function explained(error: Error, container: Net, request: Request, parent: Link): Error {
  if (!(error instanceof KernelError)) return error
  if (error.errno === 'EEXIST' && container.findLink(request.ifName) !== undefined) return takenName(request)
  if (error.errno !== 'EINVAL' && error.errno !== 'EBUSY') return error
  const hint = 'a master cannot carry macvlan and ipvlan at once, nor be a port of a bridge or bond'
  return new CniError(INVALID_CONFIG, `${error.message}: master ${JSON.stringify(parent.name)} is used otherwise`, hint)
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  checkSingleLink(kernel, request, 'ipvlan', (link, container) => differences(kernel.host(), link, container, config))
}

function differences(host: Net, link: Link, container: Net, config: Config): readonly string[] {
  const problems: string[] = []
  if (link.info.kind === 'ipvlan' && link.info.mode !== config.mode) {
    problems.push(`link ${JSON.stringify(link.name)} is in mode ${link.info.mode ?? 'unknown'}, not ${config.mode}`)
  }
  const below = config.parent.isInContainer ? container : host
  return problems.concat(parentProblems(link, container, below, getParent(below, config.parent)))
}

function status(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  // Without a master in the configuration it may be the one that a plugin earlier in the chain makes.
  if (config.parent.master !== undefined || request.ipam.type() !== '') requireParent(kernel.host(), config.parent)
  request.ipam.status()
}
