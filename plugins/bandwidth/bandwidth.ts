/**
 * Limits how fast a container receives (ingress) and sends (egress), by token buckets on the host's side.
 *
 *     container             host
 *     +-------------+      +----------------------------------------------+
 *     | eth0        |<-----| veth  root: tbf         <-- for the container |
 *     |             |----->|       ingress: redirect --> ifb bwp…  tbf     |
 *     +-------------+      |                                  `--> bridge  |
 *                          +----------------------------------------------+
 */
import { inJournal, nothing } from '../../lib/attach/attachment-plugin.ts'
import { chainedPlugin, removeEarlier } from '../../lib/attach/chained-plugin.ts'
import { interfaceOf } from '../../lib/attach/interface.ts'
import type { Session } from '../../lib/attach/session.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Interface, Result } from '../../lib/cni/result.ts'
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import { type Limits, readLimits } from './config.ts'
import { ownIfbName, referenceIfbName } from './names.ts'
import {
  clearHostEnd,
  freeIfbName,
  hostEnd,
  isOwnIfb,
  isRedirected,
  limitEgress,
  limitIngress,
  limitProblems,
  removeIfb
} from './shaper.ts'

export function bandwidth(kernel: Kernel): Plugin {
  return chainedPlugin(kernel, {
    name: 'bandwidth',
    since: '0.3.0',
    isExclusive: false,
    records: inJournal,
    add,
    check,
    remove,
    collectStrays: nothing,
    status
  })
}

function add(session: Session): Result {
  const { request } = session
  const limits = readLimits(request.config)
  request.config.finish()
  const result = requiredPrevResult(request)
  if (limits.ingress === undefined && limits.egress === undefined) return result
  const end = hostEnd(session)
  removeEarlier(session, remove)
  const ifbName = limits.egress === undefined ? undefined : freeIfbName(session)
  session.record(entryOf(end, limits, ifbName))
  session.undo.push(`limits of ${JSON.stringify(end.name)}`, () => undoLimits(session, end, limits, ifbName))
  if (limits.ingress !== undefined) limitIngress(session.host, end, limits.ingress)
  if (limits.egress === undefined || ifbName === undefined) return result
  const ifb = limitEgress(session, end, ifbName, limits.egress)
  return { ...result, interfaces: result.interfaces.concat([interfaceOf(ifb)]) }
}

function undoLimits(session: Session, end: Link, limits: Limits, ifbName: string | undefined): void {
  const set = { ingress: limits.ingress !== undefined, egress: limits.egress !== undefined }
  session.attempt(() => clearHostEnd(session.host, end.name, end.index, set))
  if (ifbName !== undefined) session.attempt(() => removeIfb(session, ifbName))
  session.steps.finish()
}

function entryOf(end: Link, limits: Limits, ifbName: string | undefined): Json {
  return jsonObject([
    ['link', jsonString(end.name)],
    ['index', jsonNumber(end.index)],
    ['ingress', jsonBoolean(limits.ingress !== undefined)],
    ['ifb', ifbName === undefined ? undefined : jsonString(ifbName)]
  ])
}

function check(session: Session): readonly string[] {
  const { request } = session
  const limits = readLimits(request.config)
  request.config.finish()
  requiredPrevResult(request)
  if (limits.ingress === undefined && limits.egress === undefined) return []
  return limitProblems(session.host, hostEnd(session), limits, [referenceIfbName(request), ownIfbName(request)])
}

/** Neither configuration nor namespace is needed. With nothing to remove it costs one look for a file, one for a link. */
function remove(session: Session, entry: Json | undefined): void {
  // The reference's ADD leaves no entry: its ifb is known by its name, the host's end by the result.
  if (entry === undefined) session.attempt(() => clearForeignEnds(session))
  const section = new Section(entry ?? jsonObject([]))
  const ifb = section.text('ifb')
  const link = section.text('link') ?? ''
  const index = section.integer('index', 1, 2_147_483_647)
  const set = { ingress: section.boolean('ingress', false), egress: ifb !== undefined }
  if (index !== undefined) session.attempt(() => clearHostEnd(session.host, link, index, set))
  if (ifb !== undefined) session.attempt(() => removeIfb(session, ifb))
  // The reference's ADD leaves no entry, and neither does ours when its file was lost or torn.
  else if (link === '') session.attempt(() => removeIfb(session, referenceIfbName(session.request)))
}

/** The host's ends that send to the ifb about to be removed: without it they would drop all that the container sends. */
function clearForeignEnds(session: Session): void {
  const { host, request } = session
  const ends = (request.prevResult?.interfaces ?? []).filter(isOnHost)
  if (ends.length === 0) return
  const ifb = host.links.find(referenceIfbName(request))
  if (ifb === undefined || !isOwnIfb(ifb, request)) return
  for (const { name } of ends) {
    const end = host.links.find(name)
    if (end !== undefined && isRedirected(host, end, ifb)) {
      clearHostEnd(host, name, end.index, { ingress: true, egress: true })
    }
  }
}

function isOnHost(one: Interface): boolean {
  return (one.sandbox ?? '') === ''
}

/** Nothing but its own configuration can keep an ADD from working. */
function status(session: Session): void {
  readLimits(session.request.config)
  session.request.config.finish()
}
