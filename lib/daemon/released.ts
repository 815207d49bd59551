/**
 * What plugins give back while their daemon is away. The daemon keeps a mark for each attachment that holds something of
 * it, in a directory beside its socket; a plugin that cannot reach the daemon moves the mark into a second directory,
 * which the daemon empties when it is there again.
 *
 *     <socket>.held/<attachment>  --DEL without a daemon-->  <socket>.released/<attachment>
 *
 * So there are never more notes than attachments that were made: runtimes also call DEL for those that never were.
 * On tmpfs like the socket: after a reboot nothing is held.
 */
import type { Attachment } from '../attachment.ts'
import { withFormat } from '../config/format.ts'
import { jsonText } from '../config/json.ts'
import { ensureDirectory, listDirectory, moveFile, readText, removeFile, writeAtomic } from '../sys/files.ts'
import { attachmentFromText, attachmentKey, attachmentToJson } from './attachment.ts'

function heldDirectory(socket: string): string {
  return `${socket}.held`
}

function releasedDirectory(socket: string): string {
  return `${socket}.released`
}

/** The daemon: before it hands anything to the attachment. */
export function markHeld(socket: string, one: Attachment): void {
  ensureDirectory(heldDirectory(socket), 0o700)
  ensureDirectory(releasedDirectory(socket), 0o700)
  const path = `${heldDirectory(socket)}/${attachmentKey(one)}`
  if (readText(path) === undefined) writeAtomic(path, `${jsonText(withFormat(attachmentToJson(one)))}\n`, 0o600, false)
}

/** The daemon: when the attachment holds nothing any more. */
export function unmarkHeld(socket: string, one: Attachment): void {
  removeFile(`${heldDirectory(socket)}/${attachmentKey(one)}`)
}

/** The daemon, when it starts: marks for exactly these. A kill may have come between a mark and what it is for. */
export function syncHeld(socket: string, all: readonly Attachment[]): void {
  const keys = new Set(all.map(attachmentKey))
  for (const name of listDirectory(heldDirectory(socket))) {
    if (!keys.has(name)) removeFile(`${heldDirectory(socket)}/${name}`)
  }
  for (const one of all) markHeld(socket, one)
}

/** A plugin that cannot reach the daemon: leaves the note, if the daemon has anything of the attachment. */
export function noteReleased(socket: string, one: Attachment): void {
  const name = attachmentKey(one)
  moveFile(`${heldDirectory(socket)}/${name}`, `${releasedDirectory(socket)}/${name}`)
}

/** The daemon: what plugins have noted; forgets it. */
export function takeReleased(socket: string): readonly Attachment[] {
  const released: Attachment[] = []
  const directory = releasedDirectory(socket)
  for (const name of listDirectory(directory)) {
    const one = attachmentFromText(readText(`${directory}/${name}`) ?? '')
    if (one !== undefined) released.push(one)
    removeFile(`${directory}/${name}`)
  }
  return released
}
