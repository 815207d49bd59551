/**
 * vlan: an interface of the host's VLAN trunk as the container's own.
 *
 *     host                                   container
 *       eth1 (master, trunk) ==== VLAN 5 ==== eth0 (192.0.2.7/24)
 *
 * A VLAN of a master is one interface, so it is one container's.
 */

import type { AttachmentOptions } from '../../lib/attach/interface.ts'
import { requireIpam } from '../../lib/attach/ipam.ts'
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
import type { Result } from '../../lib/cni/result.ts'
import { asError, KernelError } from '../../lib/net/errors.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link, Net } from '../../lib/net/net.ts'

/** @source IEEE 802.1Q, table 9-2: 4095 is reserved; 0 (priority tag only) is what the reference plugin allows too */
const LARGEST_VLAN_ID = 4094

interface Config {
  readonly parent: ParentConfig
  readonly options: AttachmentOptions
  readonly id: number
}

export function vlan(kernel: Kernel): Plugin {
  return {
    name: 'vlan',
    since: '0.1.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => delSingleLink(kernel, request, 'vlan', 'vlan'),
    gc: request => gcSingleLinks(kernel, request, 'vlan', 'vlan'),
    status: request => status(kernel, request)
  }
}

function readConfig(request: Request): Config {
  const section = request.config
  const parent = readParentConfig(section)
  if (parent.master === undefined && (section.text('master') ?? '') === '') {
    section.problem('master', 'must name the interface that carries the VLANs')
  }
  const id = section.integer('vlanId', 0, LARGEST_VLAN_ID) ?? 0
  const options = readAttachmentOptions(section)
  requireIpam(request)
  section.finish()
  return { parent, options, id }
}

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request)
  return addSingleLink(kernel, request, {
    plugin: 'vlan',
    kind: 'vlan',
    make: (host, container) => addVlan(host, container, request, config),
    options: config.options,
    adoptsAddresses: false
  })
}

function addVlan(host: Net, container: Net, request: Request, config: Config): Link {
  const below = config.parent.isInContainer ? container : host
  const parent = getParent(below, config.parent)
  try {
    return below.addLink({
      name: request.ifName,
      kind: { kind: 'vlan', parentIndex: parent.index, id: config.id },
      mtu: config.parent.mtu,
      netns: container
    })
  } catch (error) {
    throw explained(asError(error), container, request, parent, config.id)
  }
}

function explained(error: Error, container: Net, request: Request, parent: Link, id: number): Error {
  if (!(error instanceof KernelError) || error.errno !== 'EEXIST') return error
  if (container.findLink(request.ifName) !== undefined) return takenName(request)
  const message = `${error.message}: VLAN ${String(id)} of master ${JSON.stringify(parent.name)} is in use already`
  return new CniError(INVALID_CONFIG, message, 'use another vlanId, or plugin bridge with key vlan to share one')
}

function check(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  checkSingleLink(kernel, request, 'vlan', (link, container) => differences(kernel.host(), link, container, config))
}

function differences(host: Net, link: Link, container: Net, config: Config): readonly string[] {
  const problems: string[] = []
  if (link.info.kind === 'vlan' && link.info.id !== config.id) {
    problems.push(
      `link ${JSON.stringify(link.name)} is VLAN ${String(link.info.id ?? 'unknown')}, not ${String(config.id)}`
    )
  }
  const below = config.parent.isInContainer ? container : host
  return problems.concat(parentProblems(link, container, below, getParent(below, config.parent)))
}

function status(kernel: Kernel, request: Request): void {
  const config = readConfig(request)
  requireParent(kernel.host(), config.parent)
  request.ipam.status()
}
