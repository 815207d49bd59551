/**
 * Attachments that are one link, made in the container and gone with it: macvlan, ipvlan, vlan, dummy, tap. What their
 * plugins have in common is here; how the link is made is theirs.
 */
import type { Plugin, Request } from '../cni/plugin.ts'
import { type Dns, EMPTY_RESULT, type Interface, type Result } from '../cni/result.ts'
import { jsonObject } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import type { Kernel } from '../net/kernel.ts'
import type { Link } from '../net/links.ts'
import { refuseTakenName, removeFromContainer, withNetns } from './attachment.ts'
import { attachmentPlugin, forget, inJournal, nothing, oneByOne } from './attachment-plugin.ts'
import { afterPrevious } from './chain-result.ts'
import {
  type AttachmentOptions,
  attachmentProblems,
  configureAttachment,
  expectedAttachment,
  interfaceOf,
  ipsOnInterface,
  readAcceptRa
} from './interface.ts'
import { effectiveDns } from './ipam.ts'
import type { Session } from './session.ts'

/** One attachment's link, as the configuration wants it. */
export interface OwnLink {
  /** Makes the link in the container under `request.ifName`, still down. It need not undo anything. */
  readonly make: (session: Session) => Link
  /** Whether the addresses of prevResult become the link's, instead of ones from IPAM. */
  readonly adoptsAddresses: boolean
  readonly options: AttachmentOptions
  /** CHECK: how the link, which is there and of its kind, differs from the configuration; each as a sentence. */
  readonly differences: (link: Link, session: Session) => readonly string[]
  /** STATUS: throws CniError code 50 when the host lacks what the link needs. */
  readonly requireUsable: (session: Session) => void
}

/** What a plugin of this family is called, and what its links are. */
export interface InterfaceKind {
  readonly name: string
  /** As `ip -d link` shows it. */
  readonly kind: string
}

/**
 * A plugin whose attachments are single links.
 *
 * @param read reads the whole configuration, and refuses a wrong one
 */
export function interfacePlugin(kernel: Kernel, what: InterfaceKind, read: (request: Request) => OwnLink): Plugin {
  const { name, kind } = what
  return attachmentPlugin(kernel, {
    name,
    since: '0.1.0',
    hasAddresses: true,
    isExclusive: false,
    records: inJournal,
    add: session => add(session, read(session.request)),
    check: session => check(session, kind, read(session.request)),
    removeRules: nothing,
    removeLinks: (session, entry) => removeFromContainer(session, kind, entry),
    removeLinksTogether: oneByOne,
    forget,
    collectStrays: nothing,
    status: session => status(session, read(session.request))
  })
}

/** For interfaces that hear the routers of a network outside. */
export function readAttachmentOptions(config: Section): AttachmentOptions {
  return { acceptRa: readAcceptRa(config, false) }
}

function add(session: Session, own: OwnLink): Result {
  const { request } = session
  refuseTakenName(session)
  session.record(withNetns(session, jsonObject([])))
  const { make } = own
  const link = make(session)
  session.undo.push(`link ${JSON.stringify(link.name)}`, () => session.container().links.removeByIndex(link.index))
  const previous = request.prevResult ?? EMPTY_RESULT
  const leased = own.adoptsAddresses ? previous : session.lease()
  configureAttachment(session, link, leased, own.options)
  const made = interfaceOf(link, request.netns)
  const dns = effectiveDns(request, leased)
  if (own.adoptsAddresses) return withAdopted(previous, made, dns)
  return afterPrevious(request, {
    interfaces: [made],
    ips: ipsOnInterface(leased.ips, 0),
    routes: leased.routes,
    dns
  })
}

/** The attachment so far, with the new interface last and all addresses pointing to it. */
function withAdopted(previous: Result, made: Interface, dns: Dns): Result {
  return {
    interfaces: previous.interfaces.concat([made]),
    ips: ipsOnInterface(previous.ips, previous.interfaces.length),
    routes: previous.routes,
    dns
  }
}

/** IPAM's, then the interface with all that prevResult says of it, then what only the plugin knows of the link. */
function check(session: Session, kind: string, own: OwnLink): readonly string[] {
  const { request } = session
  const expected = expectedAttachment(request, kind)
  request.ipam.check()
  const problems = attachmentProblems(session, expected)
  const link = session.container().links.find(request.ifName)
  if (link === undefined || link.kind !== kind) return problems
  const { differences } = own
  return problems.concat(differences(link, session))
}

function status(session: Session, own: OwnLink): void {
  const { requireUsable } = own
  requireUsable(session)
}
