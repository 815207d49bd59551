/**
 * Attachments that are one link, made in the container and gone with it: macvlan, ipvlan, vlan, dummy, tap. What their
 * plugins have in common is here; how the link is made is theirs.
 */
import { CniError, INVALID_CONFIG } from '../cni/error.ts'
import type { Plugin, Request } from '../cni/plugin.ts'
import { EMPTY_RESULT, type Interface, isEmptyDns, type Result } from '../cni/result.ts'
import { type Json, jsonObject, jsonString, memberOf } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import type { Kernel } from '../net/kernel.ts'
import type { Link } from '../net/links.ts'
import type { Net } from '../net/net.ts'
import type { Journal } from '../state/journal.ts'
import type { Undo } from '../undo.ts'
import { attachContainer, checkContainer, visitContainer } from './container.ts'
import {
  type AttachmentOptions,
  attachmentProblems,
  configureAttachment,
  expectedAttachment,
  interfaceOf,
  ipsOnInterface
} from './interface.ts'
import { collectOverInterface, effectiveDns, leaseAddresses, releaseOverInterface } from './ipam.ts'
import { journalOf } from './journal.ts'
import { isLinkOf, ownerMark, removeMarkedLink } from './owner.ts'
import { removeStale } from './stale.ts'
import { Steps } from './steps.ts'

/** One attachment's link, as the configuration wants it. */
export interface SingleLink {
  /** Makes the link in the container under `request.ifName`, still down. It need not undo anything. */
  readonly make: (host: Net, container: Net) => Link
  /** Whether the addresses of prevResult become the link's, instead of ones from IPAM. */
  readonly adoptsAddresses: boolean
  readonly options: AttachmentOptions
  /** CHECK: how the link, which is there and of its kind, differs from the configuration; each as a sentence. */
  readonly differences: (link: Link, host: Net, container: Net) => readonly string[]
  /** STATUS: throws CniError code 50 when the host lacks what the link needs. */
  readonly requireUsable: (host: Net) => void
}

/**
 * A plugin whose attachments are single links.
 *
 * @param kind as `ip -d link` shows it
 * @param read reads the whole configuration, and refuses a wrong one
 */
export function singleLinkPlugin(
  kernel: Kernel,
  name: string,
  kind: string,
  read: (request: Request) => SingleLink
): Plugin {
  return {
    name,
    since: '0.1.0',
    add: request => add(kernel, request, name, read(request)),
    check: request => check(kernel, request, kind, read(request)),
    del: request => del(kernel, request, name, kind),
    gc: request => gc(kernel, request, name, kind),
    status: request => status(kernel, request, read(request))
  }
}

/** Reads `acceptRa`, for interfaces that hear the routers of a network outside. */
export function readAttachmentOptions(config: Section): AttachmentOptions {
  return { acceptRa: config.has('acceptRa') ? config.boolean('acceptRa', true) : undefined }
}

function add(kernel: Kernel, request: Request, plugin: string, way: SingleLink): Result {
  return attachContainer(kernel, request, (container, undo) => {
    refuseTakenName(container, request)
    recordAttachment(journalOf(request, plugin), request, jsonObject([['netns', jsonString(request.netns)]]), undo)
    const link = way.make(kernel.host(), container)
    undo.push(`link ${JSON.stringify(link.name)}`, () => container.links.removeByIndex(link.index))
    const previous = request.prevResult ?? EMPTY_RESULT
    const leased = way.adoptsAddresses ? previous : leaseAddresses(request, undo)
    configureAttachment(container, link, request, leased, way.options)
    return mergeResults(request, previous, leased, interfaceOf(link, request.netns))
  })
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
  if (container.links.find(request.ifName) !== undefined) throw takenName(request)
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
 * The link, then its addresses. The other way round an address would be given to the next container while this one
 * still answers to it. Neither configuration, namespace, prevResult nor the interface below is needed.
 */
function del(kernel: Kernel, request: Request, plugin: string, kind: string): void {
  const steps = new Steps('DEL')
  const journal = journalOf(request, plugin)
  steps.attempt(() => releaseOverInterface(request))
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
  visitContainer(kernel, request.netns, container => {
    const link = container.links.find(request.ifName)
    if (link !== undefined && isLinkOf(link, mark, kind)) container.links.removeByIndex(link.index)
  })
}

function removeMarked(kernel: Kernel, netns: string, name: string, mark: string, kind: string): void {
  visitContainer(kernel, netns, container => removeMarkedLink(container, name, mark, kind))
}

/** IPAM's, then the interface with all that prevResult says of it, then what only the plugin knows of the link. */
function check(kernel: Kernel, request: Request, kind: string, way: SingleLink): void {
  const expected = expectedAttachment(request, kind)
  request.ipam.check()
  checkContainer(kernel, request, container => {
    const problems = attachmentProblems(container, expected)
    const link = container.links.find(request.ifName)
    if (link === undefined || link.kind !== kind) return problems
    return problems.concat(way.differences(link, kernel.host(), container))
  })
}

function gc(kernel: Kernel, request: Request, plugin: string, kind: string): void {
  const steps = new Steps('GC')
  const journal = journalOf(request, plugin)
  steps.attempt(() => collectOverInterface(request))
  removeStale(journal, request, steps, (gone, entry, removed) => {
    const mark = ownerMark(gone.network, gone.containerId, gone.ifName)
    removed.attempt(() => removeMarked(kernel, netnsOf(entry), gone.ifName, mark, kind))
  })
  steps.attempt(() => request.ipam.gc())
  steps.finish()
}

function status(kernel: Kernel, request: Request, way: SingleLink): void {
  way.requireUsable(kernel.host())
  request.ipam.status()
}
