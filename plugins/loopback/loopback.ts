/**
 * Sets up `lo`, the interface that every namespace is born with.
 *
 *     container
 *     +----------------------+
 *     | lo  127.0.0.1/8 up   |
 *     |     ::1/128          |
 *     +----------------------+
 *
 * The interface is always `lo`, whatever CNI_IFNAME says: a namespace has no other of its kind.
 */
import { ownerMark } from '../../lib/attach/attachment.ts'
import { attachmentPlugin, forget, nothing, oneByOne } from '../../lib/attach/attachment-plugin.ts'
import type { Session } from '../../lib/attach/session.ts'
import { CniError, INTERNAL } from '../../lib/cni/error.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import { NO_DNS, type Result } from '../../lib/cni/result.ts'
import { isLoopback } from '../../lib/ip/address.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import { formatPrefix, type IpPrefix, prefixesEqual } from '../../lib/ip/prefix.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { NoRecords, type Records } from '../../lib/state/records.ts'

const NAME = 'lo'

export function loopback(kernel: Kernel): Plugin {
  return attachmentPlugin(kernel, {
    name: 'loopback',
    since: '0.1.0',
    hasAddresses: false,
    isExclusive: false,
    records: (): Records => new NoRecords(),
    add,
    check,
    removeRules: nothing,
    removeLinks: setDown,
    removeLinksTogether: oneByOne,
    forget,
    // lo ends with its namespace: nothing of it can be left over, and nothing can keep an ADD from working.
    collectStrays: nothing,
    status: nothing
  })
}

/** The mark comes with the same request as up: it costs nothing, and tells DEL that this lo is the one. */
function add(session: Session): Result {
  const { request } = session
  request.config.finish()
  const sandbox = session.container()
  const before = sandbox.links.get(NAME)
  if (!before.isUp) {
    sandbox.links.set(before.index, { up: true, alias: ownerMark(request) })
    session.undo.push('lo up', () => sandbox.links.set(before.index, { up: false, alias: before.alias ?? '' }))
  }
  // A chained loopback changes nothing of the result: it is about the other interfaces.
  return request.prevResult ?? describe(sandbox, sandbox.links.get(NAME), request.netns)
}

function describe(sandbox: Net, lo: Link, netns: string): Result {
  const mac = lo.mac === undefined ? undefined : formatMac(lo.mac)
  return {
    interfaces: [{ name: NAME, mac, mtu: lo.mtu, sandbox: netns }],
    ips: loopbackAddresses(sandbox, lo).map(address => ({ interface: 0, address })),
    routes: [],
    dns: NO_DNS
  }
}

/** Without those that somebody else has put on lo: they are not ours to report. */
function loopbackAddresses(sandbox: Net, lo: Link): readonly IpPrefix[] {
  const prefixes = sandbox.addresses.list(lo.index).map(address => address.prefix)
  return prefixes.filter(prefix => isLoopback(prefix.address))
}

/** lo is up and still has every loopback address that the result names. */
function check(session: Session): readonly string[] {
  const { request } = session
  request.config.finish()
  const sandbox = session.container()
  const lo = sandbox.links.get(NAME)
  if (!lo.isUp) throw changed(`check link "lo": it is down in ${JSON.stringify(request.netns)}`)
  const present = loopbackAddresses(sandbox, lo)
  for (const expected of expectedAddresses(request)) {
    if (present.some(one => prefixesEqual(one, expected))) continue
    throw changed(`check link "lo": address ${formatPrefix(expected)} is gone from ${JSON.stringify(request.netns)}`)
  }
  return []
}

function changed(message: string): CniError {
  return new CniError(INTERNAL, message, 'attach the container anew: DEL, then ADD')
}

function expectedAddresses(request: Request): readonly IpPrefix[] {
  const prev = request.prevResult
  if (prev === undefined) return []
  const ours = prev.ips.filter(ip => {
    const owner = prev.interfaces[ip.interface ?? -1]
    return owner !== undefined && owner.name === NAME && isLoopback(ip.address.address)
  })
  return ours.map(ip => ip.address)
}

/** A namespace that is gone has taken lo along. One that another container has got is none of ours: its lo stays up. */
function setDown(session: Session): void {
  const sandbox = session.findContainer(undefined)
  const lo = sandbox?.links.find(NAME)
  if (sandbox === undefined || lo === undefined || !lo.isUp || lo.alias !== ownerMark(session.request)) return
  sandbox.links.set(lo.index, { up: false, alias: '' })
}
