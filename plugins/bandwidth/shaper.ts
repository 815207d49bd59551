/**
 * The two queues: one on the host's end of the veth for what the container receives, and, because a queue can only hold
 * back what leaves a link, an ifb between host's end and host for what the container sends.
 */
import { isMarked, ownerMark } from '../../lib/attach/attachment.ts'
import type { Session } from '../../lib/attach/session.ts'
import type { Attachment } from '../../lib/attachment.ts'
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import type { Tbf } from '../../lib/net/qdiscs.ts'
import { isSameTbf } from '../../lib/net/tbf.ts'
import type { Limits } from './config.ts'
import { ownIfbName, referenceIfbName } from './names.ts'

/** Of the filter that sends everything to the ifb, as the reference plugin has it. */
const PRIORITY = 1

/**
 * The host's end of the container's interface.
 *
 * @throws CniError code 7 when it has none: it is no veth, or the other end is elsewhere
 */
export function hostEnd(session: Session): Link {
  const { host } = session
  const { ifName } = session.request
  const container = session.container()
  const link = container.links.get(ifName)
  if (link.kind !== 'veth') throw noHostEnd(ifName, `it is of kind ${JSON.stringify(link.kind ?? 'device')}`)
  const isOnHost = link.linkNetnsId === container.findNetnsId(host) || container.isSameAs(host)
  const end = isOnHost && link.parentIndex !== undefined ? host.links.findByIndex(link.parentIndex) : undefined
  if (end === undefined) throw noHostEnd(ifName, 'its other end is in another namespace')
  return end
}

function noHostEnd(ifName: string, why: string): CniError {
  const details = 'bandwidth limits interfaces with an end on the host, such as those of bridge and ptp'
  return new CniError(INVALID_CONFIG, `limit bandwidth of ${JSON.stringify(ifName)}: ${why}`, details)
}

/** Sets or replaces the queue for what the container receives. */
export function limitIngress(host: Net, end: Link, tbf: Tbf): void {
  host.qdiscs.replace(end.index, { kind: 'tbf', tbf })
}

/**
 * A name for the ifb: the reference's, so that its DEL would find the link too, unless another interface of this container
 * on this network has that one.
 */
export function freeIfbName(session: Session): string {
  const { host, request } = session
  const shared = referenceIfbName(request)
  const holder = host.links.find(shared)
  if (holder === undefined) return shared
  if (holder.alias === ownerMark(request)) {
    host.links.removeByIndex(holder.index)
    return shared
  }
  const own = ownIfbName(request)
  removeIfb(session, own)
  return own
}

/**
 * Whether an ifb under one of the attachment's names is its own: it bears the mark, or none of another's (made by the
 * reference plugin, or by an ADD that was killed before it set the mark).
 */
export function isOwnIfb(link: Link, attachment: Attachment): boolean {
  return link.kind === 'ifb' && (link.alias === ownerMark(attachment) || !isMarked(link))
}

/** Removes the attachment's ifb of that name; another link is left alone. */
export function removeIfb(session: Session, name: string): void {
  const link = session.host.links.find(name)
  if (link !== undefined && isOwnIfb(link, session.request)) session.host.links.removeByIndex(link.index)
}

/** Makes the ifb with its queue, and then sends there what comes in from the container: nothing passes unlimited. */
export function limitEgress(session: Session, end: Link, name: string, tbf: Tbf): Link {
  const { host, request } = session
  const ifb = host.links.add({
    name,
    kind: { kind: 'ifb' },
    mtu: end.mtu,
    // The queue is the tbf's; without one of its own the link gets none before that either.
    txQueueLength: 0,
    up: true
  })
  host.links.set(ifb.index, { alias: ownerMark(request) })
  host.qdiscs.replace(ifb.index, { kind: 'tbf', tbf })
  clearIngress(host, end)
  host.qdiscs.replace(end.index, { kind: 'ingress' })
  host.filters.add(end.index, { hook: 'ingress', priority: PRIORITY, redirectIndex: ifb.index })
  return ifb
}

/**
 * Makes way for the ingress qdisc. One with nothing but redirections is what a killed ADD left, and would send the
 * packets to an ifb that is gone.
 *
 * @throws CniError code 7 when another program filters there
 */
function clearIngress(host: Net, end: Link): void {
  const present = host.qdiscs.list(end.index).find(one => one.kind === 'ingress' || one.kind === 'clsact')
  if (present === undefined) return
  const filters = present.kind === 'ingress' ? host.filters.list(end.index, 'ingress') : []
  if (present.kind === 'clsact' || filters.some(filter => filter.redirectIndex === undefined)) {
    const message = `limit egress by ${JSON.stringify(end.name)}: its qdisc ${JSON.stringify(present.kind)} is in use`
    throw new CniError(
      INVALID_CONFIG,
      message,
      `see \`tc filter show dev ${end.name} ingress\` for whose filters there are`
    )
  }
  host.qdiscs.remove(end.index, 'ingress')
}

/** Removes the queues from the host's end, which is left alone when another link has its index by now. */
export function clearHostEnd(
  host: Net,
  name: string,
  index: number,
  limits: { ingress: boolean; egress: boolean }
): void {
  const end = host.links.findByIndex(index)
  if (end === undefined || end.name !== name) return
  if (limits.egress) host.qdiscs.remove(index, 'ingress')
  if (limits.ingress) host.qdiscs.remove(index, 'tbf')
}

/** Whether what comes in by the link is sent to the ifb. */
export function isRedirected(host: Net, end: Link, ifb: Link): boolean {
  return host.filters.list(end.index, 'ingress').some(filter => filter.redirectIndex === ifb.index)
}

/** What of the limits is not in force, as sentences. */
export function limitProblems(host: Net, end: Link, limits: Limits, ifbNames: readonly string[]): readonly string[] {
  const problems: string[] = []
  if (limits.ingress !== undefined) problems.push(...queueProblems(host, end, limits.ingress))
  if (limits.egress === undefined) return problems
  const redirect = host.filters.list(end.index, 'ingress').find(filter => filter.redirectIndex !== undefined)
  const ifb = redirect?.redirectIndex === undefined ? undefined : host.links.findByIndex(redirect.redirectIndex)
  if (ifb === undefined || !ifbNames.some(name => name === ifb.name)) {
    problems.push(`what comes in by ${JSON.stringify(end.name)} is not sent to an ifb of this container`)
    return problems
  }
  if (!ifb.isUp) problems.push(`link ${JSON.stringify(ifb.name)} is down`)
  return problems.concat(queueProblems(host, ifb, limits.egress))
}

function queueProblems(host: Net, link: Link, wanted: Tbf): readonly string[] {
  const name = JSON.stringify(link.name)
  const tbf = host.qdiscs.list(link.index).find(qdisc => qdisc.kind === 'tbf')?.tbf
  if (tbf === undefined) return [`link ${name} has no tbf`]
  return isSameTbf(wanted, tbf) ? [] : [`the tbf of ${name} is ${tbfText(tbf)}, not ${tbfText(wanted)}`]
}

function tbfText(tbf: Tbf): string {
  return `rate ${String(tbf.rate * 8)}bit burst ${String(tbf.burst)}b limit ${String(tbf.limit)}b`
}
