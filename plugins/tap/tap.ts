/**
 * tap: an interface of the container whose other end is a program's file descriptor, such as a virtual machine's.
 *
 *     container
 *       eth0 (tap) ==== /dev/net/tun, opened by the program under this name
 *         |
 *         +--- bridge of the container, when one is named
 */
import { hasInterface, takenName } from '../../lib/attach/attachment.ts'
import { interfacePlugin, type OwnLink } from '../../lib/attach/interface-plugin.ts'
import { presentText, readMtu } from '../../lib/attach/parent.ts'
import type { Session } from '../../lib/attach/session.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { requestedMac } from '../../lib/cni/inputs.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { readMac } from '../../lib/config/addresses.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { asError, errnoOf } from '../../lib/sys/errors.ts'
import { withSelinuxContext } from './selinux.ts'

/** uid_t and gid_t, without the -1 that means nobody */
const LARGEST_ID = 4_294_967_294

interface Config {
  /** bytes */
  readonly mtu: number | undefined
  readonly mac: Uint8Array | undefined
  /** The user id that may open it, besides root. */
  readonly owner: number | undefined
  /** The group id that may open it. */
  readonly group: number | undefined
  readonly multiQueue: boolean
  /** undefined = that of the plugin */
  readonly selinuxContext: string | undefined
  /** A bridge inside the container to put it on. */
  readonly bridge: string | undefined
}

export function tap(kernel: Kernel): Plugin {
  return interfacePlugin(kernel, { name: 'tap', kind: 'tun' }, ownTap)
}

function ownTap(request: Request): OwnLink {
  const config = readConfig(request)
  return {
    make: session => addTap(session, config),
    adoptsAddresses: false,
    options: {},
    differences: (link, session) => differences(link, session.container(), config),
    requireUsable: () => undefined
  }
}

function readConfig(request: Request): Config {
  const section = request.config
  const configuredMac = readMac(section, 'mac')
  const config = {
    mtu: readMtu(section),
    mac: requestedMac(request) ?? configuredMac,
    owner: section.integer('owner', 0, LARGEST_ID),
    group: section.integer('group', 0, LARGEST_ID),
    multiQueue: section.boolean('multiQueue', false),
    selinuxContext: presentText(section, 'selinuxContext'),
    bridge: presentText(section, 'bridge')
  }
  request.ipam.type()
  section.finish()
  return config
}

/** A tap is made by its own device, not by rtnetlink, so what rtnetlink can say of it is said afterwards. */
function addTap(session: Session, config: Config): Link {
  const container = session.container()
  const bridge = config.bridge === undefined ? undefined : getBridge(container, config.bridge)
  const made = makeTap(session, config)
  if (config.mtu === undefined && config.mac === undefined && bridge === undefined) return made
  try {
    container.links.set(made.index, { mtu: config.mtu, mac: config.mac, masterIndex: bridge?.index })
    return container.links.get(made.name)
  } catch (error) {
    container.links.removeByIndex(made.index)
    throw error
  }
}

function makeTap(session: Session, config: Config): Link {
  const { request } = session
  const tap = { name: request.ifName, owner: config.owner, group: config.group, multiQueue: config.multiQueue }
  try {
    return withSelinuxContext(config.selinuxContext, () => session.container().links.addTap(tap))
  } catch (error) {
    const known = asError(error)
    const isTaken = errnoOf(known) === 'EBUSY' && hasInterface(session)
    throw isTaken ? takenName(request) : known
  }
}

/** @throws CniError code 7 when the container has no such bridge */
function getBridge(container: Net, name: string): Link {
  const link = container.links.find(name)
  if (link !== undefined && link.kind === 'bridge') return link
  const what = link === undefined ? 'no such link' : `it is of kind ${JSON.stringify(link.kind ?? 'device')}`
  const message = `find bridge ${JSON.stringify(name)} in the container: ${what}`
  throw new CniError(
    INVALID_CONFIG,
    message,
    'let a plugin earlier in the chain make the bridge, or correct the key "bridge"'
  )
}

function differences(link: Link, container: Net, config: Config): readonly string[] {
  const problems: string[] = []
  const name = JSON.stringify(link.name)
  if (link.info.kind === 'tun') {
    if (link.info.type === 'tun') problems.push(`link ${name} is a tun, not a tap`)
    if (config.owner !== undefined && link.info.owner !== config.owner) {
      problems.push(`link ${name} belongs to user ${String(link.info.owner ?? 'nobody')}, not ${String(config.owner)}`)
    }
    if (config.group !== undefined && link.info.group !== config.group) {
      problems.push(`link ${name} belongs to group ${String(link.info.group ?? 'nobody')}, not ${String(config.group)}`)
    }
    if ((link.info.multiQueue ?? false) !== config.multiQueue) {
      problems.push(`link ${name} has ${config.multiQueue ? 'one queue' : 'several queues'}`)
    }
  }
  if (config.bridge !== undefined) {
    const bridge = container.links.find(config.bridge)
    if (bridge === undefined || link.masterIndex !== bridge.index) {
      problems.push(`link ${name} is not on bridge ${JSON.stringify(config.bridge)}`)
    }
  }
  return problems
}
