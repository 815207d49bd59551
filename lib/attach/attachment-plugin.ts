/**
 * The frame of every plugin that attaches something: it opens and closes, undoes what fails, and owns the order in which
 * things go. What is made and removed is each plugin's own.
 *
 *     ADD   add ------ fails ----> links and rules, newest first -> addresses -> what was written down
 *     DEL   rules -> links -> only if those are gone: addresses -> only if nothing is left: what was written down
 *     GC    the same for every attachment that the runtime does not know (other-runtimes.ts), then what nobody has written down
 *
 * Rules before links, since they speak of the links' names. Links before addresses: an address that is given back while
 * its container still answers to it goes to the next one at once, and two have it. What is written down last: it is all
 * that the next DEL or GC has to go by.
 */
import { type Attachment, isAttachmentIn } from '../attachment.ts'
import type { Plugin, Request } from '../cni/plugin.ts'
import type { Result } from '../cni/result.ts'
import { refuseNewer } from '../config/format.ts'
import type { Json } from '../config/json.ts'
import type { Kernel } from '../net/kernel.ts'
import type { Recorded, Records } from '../state/records.ts'
import { asError, messageOf } from '../sys/errors.ts'
import { UndoError } from '../undo.ts'
import { mayUseAddresses } from './attachment.ts'
import { refuseChanges } from './interface.ts'
import { leasesOverInterface } from './ipam.ts'
import { journalOf } from './journal.ts'
import { othersLiving } from './other-runtimes.ts'
import { openSession, type Session } from './session.ts'

/** What is particular to a plugin. `nothing` where it has nothing of the kind. */
export interface AttachmentPlugin {
  /** The file name that it is installed and configured under. */
  readonly name: string
  /** The oldest cniVersion it supports. */
  readonly since: string
  /** Whether it takes addresses from the network's IPAM plugin. */
  readonly hasAddresses: boolean
  /**
   * Whether an ADD of one attachment also makes what others have lost, as they are written down. What is removed and what is
   * written down of it then go under the host's lock, as ADD must be.
   *
   * Sequence prevented: a DEL has removed its rules and not yet what it wrote down; an ADD finds the table flushed, reads
   * that and makes the rules again; the DEL ends, and they stay.
   */
  readonly isExclusive: boolean
  /** Where it writes attachments down: `inJournal`, unless another implementation has to find it. */
  readonly records: (request: Request, plugin: string) => Records
  /** Makes the attachment. What it made it tells `session.undo`; what fails, throws. */
  readonly add: (session: Session) => Result
  /** Every difference from what ADD made, as a sentence. */
  readonly check: (session: Session) => readonly string[]
  /** Removes what is in the host's tables. What is gone is no error; `entry` is what ADD wrote down, if it did. */
  readonly removeRules: (session: Session, entry: Json | undefined) => void
  /** Removes links, or gives them back what they had. Likewise. */
  readonly removeLinks: (session: Session, entry: Json | undefined) => void
  /** GC: removes what it can of many attachments' links at once; each is asked about by `removeLinks` all the same. */
  readonly removeLinksTogether: (session: Session, gone: readonly Attachment[]) => void
  /** Removes what is written down, once nothing of it is left: `forget`, unless more goes with it. */
  readonly forget: (session: Session, entry: Json) => void
  /** GC: removes what belongs to no valid attachment of the network and is written down nowhere. */
  readonly collectStrays: (session: Session) => void
  /** Throws CniError code 50 or 51 when an ADD could not succeed now. IPAM's is asked afterwards. */
  readonly status: (session: Session) => void
}

/** For links that are removed one by one. */
export function oneByOne(_session: Session, _gone: readonly Attachment[]): void {}

/** What the entries of GC's other attachments are removed without. */
export function nothing(_session: Session): void {}

export function inJournal(request: Request, plugin: string): Records {
  return journalOf(request, plugin)
}

export function forget(session: Session, _entry: Json): void {
  session.journal.remove(session.request)
}

export function attachmentPlugin(kernel: Kernel, own: AttachmentPlugin): Plugin {
  return {
    name: own.name,
    since: own.since,
    add: request => add(kernel, request, own),
    check: request => check(kernel, request, own),
    del: request => del(kernel, request, own),
    gc: request => gc(kernel, request, own),
    status: request => status(kernel, request, own)
  }
}

function sessionOf(kernel: Kernel, request: Request, own: AttachmentPlugin): Session {
  const { records, name } = own
  return openSession(kernel, request, records(request, name))
}

function add(kernel: Kernel, request: Request, own: AttachmentPlugin): Result {
  const session = sessionOf(kernel, request, own)
  const make = own.add
  try {
    return make(session)
  } catch (error) {
    throw rollback(session, own, asError(error))
  } finally {
    session.close()
  }
}

/** @returns the error to throw */
function rollback(session: Session, own: AttachmentPlugin, cause: Error): Error {
  const forgetEntry = own.forget
  let error = cause
  try {
    withLock(session, own, () => {
      error = session.rollback(cause, entry => forgetEntry(session, entry))
    })
    return error
  } catch (refused) {
    return new UndoError(cause, [messageOf(refused)])
  }
}

function withLock(session: Session, own: AttachmentPlugin, work: () => void): void {
  if (own.isExclusive) session.host.withLock(work)
  else work()
}

function check(kernel: Kernel, request: Request, own: AttachmentPlugin): void {
  const session = sessionOf(kernel, request, own)
  const findProblems = own.check
  try {
    refuseChanges(request, findProblems(session))
  } finally {
    session.close()
  }
}

function del(kernel: Kernel, request: Request, own: AttachmentPlugin): void {
  const session = sessionOf(kernel, request, own)
  try {
    remove(session, own)
  } finally {
    session.close()
  }
  session.steps.finish()
}

/** Neither configuration, namespace, prevResult nor the entry is needed for what has a name that follows from the attachment's. */
function remove(session: Session, own: AttachmentPlugin): void {
  const entry = readEntry(session)
  const isEarly = own.hasAddresses && leasesOverInterface(session.request)
  if (isEarly) session.attempt(() => giveBackAddresses(session, entry, own))
  const removeAll = (): void => {
    removeMade(session, entry, own)
    if (own.hasAddresses && !isEarly && session.steps.isClean()) {
      session.attempt(() => giveBackAddresses(session, entry, own))
    }
    forgetIfClean(session, entry, own)
  }
  // Without an entry there is nothing that others could make again.
  if (entry === undefined) removeAll()
  else session.attempt(() => withLock(session, own, removeAll))
}

/** Not what a living container may use. That is no failure: DEL would fail for as long as the container of a recycled path lives. */
function giveBackAddresses(session: Session, entry: Json | undefined, own: AttachmentPlugin): void {
  const { request } = session
  if (!mayUseAddresses(session, entry)) {
    request.ipam.del()
    return
  }
  const link = JSON.stringify(request.ifName)
  process.stderr.write(
    `${own.name}: ${link} of the container may have the attachment's address, and nothing tells whose it is: ` +
      'the address is not given back\n'
  )
}

function readEntry(session: Session): Json | undefined {
  try {
    return session.journal.readForRemoval(session.request)
  } catch (error) {
    session.steps.failed(error)
    return undefined
  }
}

function removeMade(session: Session, entry: Json | undefined, own: AttachmentPlugin): void {
  const { removeRules, removeLinks } = own
  session.attempt(() => removeRules(session, entry))
  session.attempt(() => removeLinks(session, entry))
}

function forgetIfClean(session: Session, entry: Json | undefined, own: AttachmentPlugin): void {
  const forgetEntry = own.forget
  if (entry === undefined || !session.steps.isClean()) return
  session.attempt(() => forgetEntry(session, entry))
}

/** To everything that GC does, living containers of other runtimes are as good as listed. */
function gc(kernel: Kernel, asked: Request, own: AttachmentPlugin): void {
  const { collectStrays, records, name } = own
  const journal = records(asked, name)
  const entries = journal.list()
  const living = othersLiving(kernel, asked, entries)
  const request: Request = { ...asked, validAttachments: asked.validAttachments.concat(living) }
  const session = openSession(kernel, request, journal)
  try {
    const isEarly = own.hasAddresses && leasesOverInterface(request)
    if (isEarly) session.attempt(() => request.ipam.gc(living))
    const left = removeStale(session, own, entries)
    session.attempt(() => withLock(session, own, () => collectStrays(session)))
    if (own.hasAddresses && !isEarly) session.attempt(() => request.ipam.gc(living.concat(left)))
  } finally {
    session.close()
  }
  session.steps.finish()
}

/** @returns those of which something is left, which must keep their addresses */
function removeStale(session: Session, own: AttachmentPlugin, entries: readonly Recorded[]): readonly Attachment[] {
  const left: Attachment[] = []
  const stale = entries.filter(({ attachment }) => !isAttachmentIn(attachment, session.request.validAttachments))
  const { removeLinksTogether } = own
  const all = stale.map(({ attachment }) => attachment)
  session.attempt(() => withLock(session, own, () => removeLinksTogether(session, all)))
  for (const { attachment, entry } of stale) {
    const gone = session.about(attachment)
    let isLeft = true
    gone.attempt(() =>
      withLock(gone, own, () => {
        refuseNewer(
          entry,
          `what is written down of ${attachment.ifName} of container ${JSON.stringify(attachment.containerId)}`
        )
        removeMade(gone, entry, own)
        // What is written down about nothing any more keeps no address.
        isLeft = !gone.steps.isClean()
        forgetIfClean(gone, entry, own)
      })
    )
    if (isLeft) left.push(attachment)
    gone.leave()
    session.attempt(() => gone.steps.finish())
  }
  return left
}

function status(kernel: Kernel, request: Request, own: AttachmentPlugin): void {
  const session = sessionOf(kernel, request, own)
  const { status: requireUsable } = own
  try {
    requireUsable(session)
    if (own.hasAddresses) request.ipam.status()
  } finally {
    session.close()
  }
}
