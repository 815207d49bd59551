/**
 * Attachments that are one link, made in the container and gone with it: macvlan, ipvlan, vlan, dummy, tap. What their
 * plugins have in common is here; how the link is made is theirs.
 */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import { isValidAttachment, type Request } from '../cni/plugin.ts'
import { EMPTY_RESULT, type Interface, isEmptyDns, type Result } from '../cni/result.ts'
import { type Json, jsonObject, jsonString, memberOf } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import { asError } from '../net/errors.ts'
import type { Kernel } from '../net/kernel.ts'
import type { Link, Net } from '../net/net.ts'
import type { Journal } from '../state/journal.ts'
import { Undo } from '../undo.ts'
import {
  type AttachmentOptions,
  attachmentProblems,
  configureAttachment,
  expectedAttachment,
  interfaceOf,
  ipsOnInterface,
  refuseChanges
} from './interface.ts'
import { effectiveDns, leaseAddresses } from './ipam.ts'
import { journalOf } from './journal.ts'
import { isLinkOf, ownerMark, removeMarkedLink } from './owner.ts'
import { Steps } from './steps.ts'

/** One plugin's way. */
export interface SingleLink {
  readonly plugin: string
  /** As `ip -d link` shows it. */
  readonly kind: string
  /** Makes the link in the container under `request.ifName`, still down. It need not undo anything. */
  readonly make: (host: Net, container: Net) => Link
  /** Whether the addresses of prevResult become the link's, instead of ones from IPAM. */
  readonly adoptsAddresses: boolean
  readonly options: AttachmentOptions
}

/** Reads `acceptRa`, for interfaces that hear the routers of a network outside. */
export function readAttachmentOptions(config: Section): AttachmentOptions {
  return { acceptRa: config.has('acceptRa') ? config.boolean('acceptRa', true) : undefined }
}

/** ADD. Everything made is undone when it fails. */
export function addSingleLink(kernel: Kernel, request: Request, way: SingleLink): Result {
  const container = kernel.open(request.netns)
  const undo = new Undo()
  try {
    refuseTakenName(container, request)
    recordAttachment(journalOf(request, way.plugin), request, jsonObject([['netns', jsonString(request.netns)]]), undo)
    const link = way.make(kernel.host(), container)
    undo.push(`link ${JSON.stringify(link.name)}`, () => container.removeLinkByIndex(link.index))
    const previous = request.prevResult ?? EMPTY_RESULT
    const leased = way.adoptsAddresses ? previous : leaseAddresses(request, undo)
    configureAttachment(container, link, request, leased, way.options)
    return mergeResults(request, previous, leased, interfaceOf(link, request.netns))
  } catch (error) {
    throw undo.rollback(asError(error))
  } finally {
    container.close()
  }
}

/** What the chain has so far, with the new interface last and its addresses pointing to it. */
function mergeResults(request: Request, previous: Result, leased: Result, made: Interface): Result {
  const ips = ipsOnInterface(leased.ips, previous.interfaces.length)
  const dns = effectiveDns(request, leased)
  const adopted = leased === previous
  return {
    interfaces: previous.interfaces.concat([made]),
    ips: adopted ? ips : previous.ips.concat(ips),
    routes: adopted ? leased.routes : previous.routes.concat(leased.routes),
    dns: isEmptyDns(dns) ? previous.dns : dns
  }
}

/**
 * Refuses an interface name that the container has already. Asked before anything is written or made: the name belongs
 * to another attachment, or to this very one after an earlier ADD, whose journal entry must stay as it is.
 *
 * @throws CniError code 7
 */
export function refuseTakenName(container: Net, request: Request): void {
  if (container.findLink(request.ifName) !== undefined) throw takenName(request)
}

/** The error for a CNI_IFNAME that the container has already. */
export function takenName(request: Request): CniError {
  const message = `add link ${JSON.stringify(request.ifName)}: the container ${JSON.stringify(request.netns)} has an interface of this name`
  return new CniError(INVALID_CONFIG, message, 'DEL the attachment that has it first, or pass another CNI_IFNAME')
}

/** Writes the journal entry; `undo` brings back what was there before. */
export function recordAttachment(journal: Journal, request: Request, entry: Json, undo: Undo): void {
  const before = journal.read(request.containerId, request.ifName)
  journal.write(request.containerId, request.ifName, entry)
  undo.push('journal entry', () => {
    if (before === undefined) journal.remove(request.containerId, request.ifName)
    else journal.write(request.containerId, request.ifName, before)
  })
}

/**
 * DEL: the link, then its addresses. The other way round an address would be given to the next container while this one
 * still answers to it. Neither configuration, namespace, prevResult nor the interface below is needed.
 */
export function delSingleLink(kernel: Kernel, request: Request, plugin: string, kind: string): void {
  const steps = new Steps('DEL')
  const journal = journalOf(request, plugin)
  steps.attempt(() => removeFromContainer(kernel, request, recordedNetns(journal, request), kind))
  steps.attempt(() => request.ipam.del())
  steps.attempt(() => journal.remove(request.containerId, request.ifName))
  steps.finish()
}

function recordedNetns(journal: Journal, request: Request): string {
  if (request.netns !== '') return ''
  return netnsOf(journal.read(request.containerId, request.ifName))
}

/** The namespace that an entry tells of, '' when it is lost. */
export function netnsOf(entry: Json | undefined): string {
  const netns = entry === undefined ? undefined : memberOf(entry, 'netns')
  return netns !== undefined && netns.type === 'string' ? netns.text : ''
}

/**
 * Removes the attachment's interface from the container: in the namespace that DEL was given, or, when it was given
 * none, in the one that ADD was given. That path may lead to another container by now, so there the mark decides.
 */
export function removeFromContainer(kernel: Kernel, request: Request, recorded: string, kind: string): void {
  const mark = ownerMark(request.network, request.containerId, request.ifName)
  if (request.netns === '') {
    removeMarked(kernel, recorded, request.ifName, mark, kind)
    return
  }
  const container = kernel.find(request.netns)
  if (container === undefined) return
  try {
    const link = container.findLink(request.ifName)
    if (link !== undefined && isLinkOf(link, mark, kind)) container.removeLinkByIndex(link.index)
  } finally {
    container.close()
  }
}

function removeMarked(kernel: Kernel, netns: string, name: string, mark: string, kind: string): void {
  const container = netns === '' ? undefined : kernel.find(netns)
  if (container === undefined) return
  try {
    removeMarkedLink(container, name, mark, kind)
  } finally {
    container.close()
  }
}

/** CHECK: IPAM's, then the interface with all that prevResult says of it, then what `more` finds wrong with the link. */
export function checkSingleLink(
  kernel: Kernel,
  request: Request,
  kind: string,
  more: (link: Link, container: Net) => readonly string[]
): void {
  const expected = expectedAttachment(request, kind)
  request.ipam.check()
  const container = kernel.open(request.netns)
  try {
    const problems: string[] = attachmentProblems(container, expected).slice(0)
    const link = container.findLink(request.ifName)
    if (link !== undefined && link.kind === kind) for (const problem of more(link, container)) problems.push(problem)
    refuseChanges(request, problems)
  } finally {
    container.close()
  }
}

/** GC: links and journal entries of attachments that the runtime does not know, then IPAM's leases. */
export function gcSingleLinks(kernel: Kernel, request: Request, plugin: string, kind: string): void {
  const steps = new Steps('GC')
  const journal = journalOf(request, plugin)
  for (const { containerId, ifName, entry } of journal.list()) {
    if (isValidAttachment(request.validAttachments, containerId, ifName)) continue
    const mark = ownerMark(request.network, containerId, ifName)
    const removed = steps.attempt(() => removeMarked(kernel, netnsOf(entry), ifName, mark, kind))
    // What could not be removed now shall be tried again by the next GC.
    if (removed) steps.attempt(() => journal.remove(containerId, ifName))
  }
  steps.attempt(() => request.ipam.gc())
  steps.finish()
}
