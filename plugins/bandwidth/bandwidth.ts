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
import { interfaceOf, refuseChanges } from '../../lib/attach/interface.ts'
import { journalOf } from '../../lib/attach/journal.ts'
import { isLinkOf, ownerMark } from '../../lib/attach/owner.ts'
import { recordAttachment } from '../../lib/attach/single-link.ts'
import { Steps } from '../../lib/attach/steps.ts'
import { requiredPrevResult } from '../../lib/cni/inputs.ts'
import { isValidAttachment, type Plugin, type Request } from '../../lib/cni/plugin.ts'
import type { Interface, Result } from '../../lib/cni/result.ts'
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import type { Kernel } from '../../lib/net/kernel.ts'
import type { Link } from '../../lib/net/links.ts'
import type { Net } from '../../lib/net/net.ts'
import { asError } from '../../lib/sys/errors.ts'
import { Undo } from '../../lib/undo.ts'
import { type Limits, readLimits } from './config.ts'
import { ownIfbName, referenceIfbName } from './names.ts'
import {
  clearHostEnd,
  freeIfbName,
  hostEnd,
  isRedirected,
  limitEgress,
  limitIngress,
  limitProblems,
  removeSharedIfb
} from './shaper.ts'

const NAME = 'bandwidth'

export function bandwidth(kernel: Kernel): Plugin {
  return {
    name: NAME,
    since: '0.3.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => del(kernel, request),
    gc: request => gc(kernel, request),
    status
  }
}

function add(kernel: Kernel, request: Request): Result {
  const limits = readLimits(request.config)
  request.config.finish()
  const result = requiredPrevResult(request)
  if (limits.ingress === undefined && limits.egress === undefined) return result
  const host = kernel.host()
  const end = findHostEnd(kernel, request)
  removeEarlier(host, request)
  const undo = new Undo()
  try {
    const ifbName = limits.egress === undefined ? undefined : freeIfbName(host, request)
    recordAttachment(journalOf(request, NAME), request, entryOf(end, limits, ifbName), undo)
    undo.push(`limits of ${JSON.stringify(end.name)}`, () => undoLimits(host, end, limits, ifbName))
    if (limits.ingress !== undefined) limitIngress(host, end, limits.ingress)
    if (limits.egress === undefined || ifbName === undefined) return result
    const ifb = limitEgress(host, end, ifbName, request, limits.egress)
    return { ...result, interfaces: result.interfaces.concat([interfaceOf(ifb)]) }
  } catch (error) {
    throw undo.rollback(asError(error))
  }
}

/** What an ADD of the same attachment made before it was killed. */
function removeEarlier(host: Net, request: Request): void {
  const entry = journalOf(request, NAME).read(request.containerId, request.ifName)
  if (entry === undefined) return
  const steps = new Steps('ADD')
  removeLimits(host, request.network, request.containerId, request.ifName, entry, steps)
  steps.finish()
}

function findHostEnd(kernel: Kernel, request: Request): Link {
  const container = kernel.open(request.netns)
  try {
    return hostEnd(kernel.host(), container, request.ifName)
  } finally {
    container.close()
  }
}

function undoLimits(host: Net, end: Link, limits: Limits, ifbName: string | undefined): void {
  const steps = new Steps('ADD')
  const set = { ingress: limits.ingress !== undefined, egress: limits.egress !== undefined }
  steps.attempt(() => clearHostEnd(host, end.name, end.index, set))
  if (ifbName !== undefined) steps.attempt(() => removeLink(host, ifbName))
  steps.finish()
}

function removeLink(host: Net, name: string): void {
  host.links.remove(name)
}

function entryOf(end: Link, limits: Limits, ifbName: string | undefined): Json {
  return jsonObject([
    ['link', jsonString(end.name)],
    ['index', jsonNumber(end.index)],
    ['ingress', jsonBoolean(limits.ingress !== undefined)],
    ['ifb', ifbName === undefined ? undefined : jsonString(ifbName)]
  ])
}

function check(kernel: Kernel, request: Request): void {
  const limits = readLimits(request.config)
  request.config.finish()
  requiredPrevResult(request)
  if (limits.ingress === undefined && limits.egress === undefined) return
  const { network, containerId, ifName } = request
  const names = [referenceIfbName(network, containerId), ownIfbName(network, containerId, ifName)]
  refuseChanges(request, limitProblems(kernel.host(), findHostEnd(kernel, request), limits, names))
}

/** Neither configuration nor namespace is needed. With nothing to remove it costs one look for a file, one for a link. */
function del(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const entry = journal.readForRemoval(request.containerId, request.ifName)
  const steps = new Steps('DEL')
  const host = kernel.host()
  // The reference's ADD leaves no entry: its ifb is known by its name, the host's end by the result.
  if (entry === undefined) steps.attempt(() => clearForeignEnds(host, request))
  removeLimits(host, request.network, request.containerId, request.ifName, entry, steps)
  if (entry !== undefined) steps.attempt(() => journal.remove(request.containerId, request.ifName))
  steps.finish()
}

/** The host's ends that send to the ifb about to be removed: without it they would drop all that the container sends. */
function clearForeignEnds(host: Net, request: Request): void {
  const ends = (request.prevResult?.interfaces ?? []).filter(isOnHost)
  if (ends.length === 0) return
  const ifb = host.links.find(referenceIfbName(request.network, request.containerId))
  if (ifb === undefined || !isLinkOf(ifb, ownerMark(request.network, request.containerId, request.ifName), 'ifb'))
    return
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

function removeLimits(
  host: Net,
  network: string,
  containerId: string,
  ifName: string,
  entry: Json | undefined,
  steps: Steps
): void {
  const section = new Section(entry ?? jsonObject([]))
  const ifb = section.text('ifb')
  const link = section.text('link') ?? ''
  const index = section.integer('index', 1, 2_147_483_647)
  const set = { ingress: section.boolean('ingress', false), egress: ifb !== undefined }
  if (index !== undefined) steps.attempt(() => clearHostEnd(host, link, index, set))
  if (ifb !== undefined) steps.attempt(() => removeLink(host, ifb))
  // The reference's ADD leaves no entry, and neither does ours when its file was lost or torn.
  else if (link === '') steps.attempt(() => removeSharedIfb(host, network, containerId, ifName))
}

function gc(kernel: Kernel, request: Request): void {
  const journal = journalOf(request, NAME)
  const steps = new Steps('GC')
  for (const { containerId, ifName, entry } of journal.list()) {
    if (isValidAttachment(request.validAttachments, containerId, ifName)) continue
    removeLimits(kernel.host(), request.network, containerId, ifName, entry, steps)
    steps.attempt(() => journal.remove(containerId, ifName))
  }
  steps.finish()
}

/** Nothing but its own configuration can keep an ADD from working. */
function status(request: Request): void {
  readLimits(request.config)
  request.config.finish()
}
