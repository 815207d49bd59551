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
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import { readMac } from '../../lib/config/addresses.ts'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import { asError, KernelError } from '../../lib/net/errors.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link, MacvlanMode, Net } from '../../lib/net/net.ts'

const MODES: readonly string[] = ['bridge', 'private', 'vepa', 'passthru', 'source']

interface Config {
  readonly parent: ParentConfig
  readonly options: AttachmentOptions
  readonly mode: MacvlanMode
  readonly mac: Uint8Array | undefined
  /** packets */
  readonly bcQueueLength: number | undefined
  /** The senders that mode `source` lets in. */
  readonly sourceMacs: readonly Uint8Array[]
}

export function macvlan(kernel: Kernel): Plugin {
  return {
    name: 'macvlan',
    since: '0.1.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => delSingleLink(kernel, request, 'macvlan', 'macvlan'),
    gc: request => gcSingleLinks(kernel, request, 'macvlan', 'macvlan'),
    status: request => status(kernel, request)
  }
}

function readConfig(request: Request): Config {
  const section = request.config
  const parent = readParentConfig(section)
  const mode = section.oneOf('mode', MODES.concat([''])) ?? ''
  const configuredMac = readMac(section, 'mac')
  const mac = requestedMac(request) ?? configuredMac
  if (mac !== undefined && isGroupMac(mac)) {
    throw new CniError(
      INVALID_CONFIG,
      `mac must be a unicast address, got ${formatMac(mac)}`,
      'pass another MAC address'
    )
  }
  const options = readAttachmentOptions(section)
  const bcQueueLength = section.integer('bcqueuelen', 0, 4_294_967_295)
  const sourceMacs = readSourceMacs(request, mode)
  // A wrong ipam.type shall be found before anything is made.
  request.ipam.type()
  section.finish()
  return {
    parent,
    options,
    mode: (mode === '' ? 'bridge' : mode) as MacvlanMode,
    mac,
    bcQueueLength: bcQueueLength === 0 ? undefined : bcQueueLength,
    sourceMacs
  }
}

/** IEEE 802: the lowest bit of the first byte is set in addresses of groups, all zero is no address. */
function isGroupMac(mac: Uint8Array): boolean {
  return ((mac[0] ?? 0) & 1) === 1 || formatMac(mac) === '00:00:00:00:00:00'
}

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

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request)
  return addSingleLink(kernel, request, {
    plugin: 'macvlan',
    kind: 'macvlan',
    make: (host, container) => addMacvlan(host, container, request, config),
    options: config.options,
    adoptsAddresses: false
  })
}

/**
 * Made in the container and under its name by one request: there is never a link with a temporary name that a kill could
 * leave on the host.
 */
function addMacvlan(host: Net, container: Net, request: Request, config: Config): Link {
  const below = config.parent.isInContainer ? container : host
  const parent = getParent(below, config.parent)
  try {
    return below.addLink({
      name: request.ifName,
      kind: {
        kind: 'macvlan',
        parentIndex: parent.index,
        mode: config.mode,
        bcQueueLength: config.bcQueueLength,
        macs: config.sourceMacs.length === 0 ? undefined : config.sourceMacs
      },
      mtu: config.parent.mtu,
      mac: config.mac,
      netns: container
    })
  } catch (error) {
    throw explained(asError(error), container, request, parent, config.mode)
  }
}

/** What a refusal means here: the kernel says no more than EINVAL and EBUSY. */
function explained(error: Error, container: Net, request: Request, parent: Link, mode: MacvlanMode): Error {
  if (!(error instanceof KernelError)) return error
  const master = JSON.stringify(parent.name)
  if (error.errno === 'EEXIST' && container.findLink(request.ifName) !== undefined) return takenName(request)
  if (error.errno === 'EINVAL' || error.errno === 'EBUSY') {
    const reason =
      mode === 'passthru'
        ? `${master} has a macvlan, and mode passthru wants it alone`
        : `${master} has a macvlan in mode passthru`
    const hint = 'use another master or mode; a master must not be a port of a bridge or bond, nor loopback'
    return new CniError(INVALID_CONFIG, `${error.message}: perhaps ${reason}`, hint)
  }
  return error
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  checkSingleLink(kernel, request, 'macvlan', (link, container) => differences(kernel.host(), link, container, config))
}

function differences(host: Net, link: Link, container: Net, config: Config): readonly string[] {
  const problems: string[] = []
  const name = JSON.stringify(link.name)
  if (link.info.kind === 'macvlan' && link.info.mode !== config.mode) {
    problems.push(`link ${name} is in mode ${link.info.mode ?? 'unknown'}, not ${config.mode}`)
  }
  const below = config.parent.isInContainer ? container : host
  return problems.concat(parentProblems(link, container, below, getParent(below, config.parent)))
}

function status(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  requireParent(kernel.host(), config.parent)
  request.ipam.status()
}
