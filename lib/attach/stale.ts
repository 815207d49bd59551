/** GC of attachments that the journal tells of and the runtime does not know. */
import { isValidAttachment, type Request } from '../cni/plugin.ts'
import type { Json } from '../config/json.ts'
import type { Journal, JournalEntry } from '../state/journal.ts'
import { Steps } from './steps.ts'

/** The entries of attachments that the runtime does not know. */
export function staleEntries(journal: Journal, request: Request): readonly JournalEntry[] {
  return journal.list().filter(one => !isValidAttachment(request.validAttachments, one.containerId, one.ifName))
}

/**
 * Removes them one by one, and their entries. An entry stays while anything it tells of does: the next GC tries again.
 *
 * @param remove what ADD made; `gone` is the request with that attachment's names
 */
export function removeStale(
  journal: Journal,
  request: Request,
  steps: Steps,
  remove: (gone: Request, entry: Json, removed: Steps) => void
): void {
  removeStaleAnd(journal, request, steps, remove, gone => journal.remove(gone.containerId, gone.ifName))
}

/** The same where more goes with an entry: `forget` removes the entry too. */
export function removeStaleAnd(
  journal: Journal,
  request: Request,
  steps: Steps,
  remove: (gone: Request, entry: Json, removed: Steps) => void,
  forget: (gone: Request, entry: Json) => void
): void {
  for (const { containerId, ifName, entry } of staleEntries(journal, request)) {
    const gone: Request = { ...request, containerId, ifName }
    const removed = new Steps('GC')
    remove(gone, entry, removed)
    if (removed.isClean()) removed.attempt(() => forget(gone, entry))
    steps.attempt(() => removed.finish())
  }
}
