/**
 * `macspoofchk` of an attachment: made after it is written down, so that it can be made again when somebody has flushed it, and
 * removed with what is written down.
 */
import { everyEntry } from '../../lib/attach/every-entry.ts'
import { type Flushed, flushedFor } from '../../lib/attach/flushed.ts'
import type { Session } from '../../lib/attach/session.ts'
import { hostEndName, mayHaveRules } from '../../lib/attach/veth.ts'
import { ownerText } from '../../lib/attachment.ts'
import { type Json, jsonString, memberOf, withMember } from '../../lib/config/json.ts'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import type { Link } from '../../lib/net/links.ts'
import { ensureSpoofCheck, isSpoofCheckMissing, removeSpoofCheck } from '../../lib/nft/spoof-check.ts'
import { messageOf } from '../../lib/sys/errors.ts'

/** The member of an entry that has the MAC which the port lets in; '' once that is lifted. */
const MAC = 'spoofCheckMac'

/** Drops what the port lets in with another MAC than the container's end has. */
export function addSpoofCheck(session: Session, port: Link, end: Link): void {
  const { request, host } = session
  const { mac } = end
  if (mac === undefined) return
  session.recordAlso([[MAC, jsonString(formatMac(mac))]])
  session.undo.push('spoof check', () => lift(session))
  const isFirst = isSpoofCheckMissing(session.nft())
  ensureSpoofCheck(session.nft(), request, { name: port.name, mac })
  if (isFirst) host.withLock(() => restoreSpoofChecks(flushedFor(session)))
}

/** By the journal, or by the configuration where there is no entry: nothing is looked for without either. */
export function delSpoofCheck(session: Session, entry: Json | undefined): void {
  const { request } = session
  const isOn =
    entry === undefined
      ? request.config.boolean('macspoofchk', false) && mayHaveRules(session)
      : memberOf(entry, 'macspoofchk')?.text === 'true'
  if (isOn) lift(session)
}

/** Under one lock with its note, as `restoreSpoofChecks` reads that. */
function lift(session: Session): void {
  const { request, journal, host } = session
  host.withLock(() => {
    removeSpoofCheck(session.nft(), request, hostEndName(request))
    // As it is by now: the note of what is masqueraded may have gone from it.
    const entry = journal.read(request)
    if (entry === undefined || (memberOf(entry, MAC)?.text ?? '') === '') return
    try {
      journal.write(request, withMember(entry, MAC, jsonString('')))
    } catch (error) {
      // Without room to write the entry's removal is still to come.
      process.stderr.write(`note that the port of ${ownerText(request)} is checked no more: ${messageOf(error)}\n`)
    }
  })
}

/** After a flush of the ruleset: every port's again that is still there. To be called under the lock of the host's namespace. */
export function restoreSpoofChecks({ host, nft, stateDir, except }: Flushed): void {
  for (const { attachment, entry } of everyEntry(stateDir, 'bridge')) {
    const mac = parseMac(memberOf(entry, MAC)?.text ?? '')
    const name = hostEndName(attachment)
    const owner = ownerText(attachment)
    if (mac === undefined || owner === except || host.links.find(name) === undefined) continue
    try {
      ensureSpoofCheck(nft, attachment, { name, mac })
    } catch (error) {
      // What is not to be had for another one is no failure of this ADD.
      process.stderr.write(`check the port of ${owner} again: ${messageOf(error)}\n`)
    }
  }
}
