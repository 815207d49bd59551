/**
 * GC between runtimes that use one network. Each lists its own attachments only, and to a plugin the others' look like garbage:
 *
 *     nerdctl    ADD c1                 (on the network that containerd's CRI has as its own)
 *     containerd starts, GC: "c2, c3"   c1, which runs, would lose its interface and its address
 *
 * So what another program made stays for as long as its container's namespace is there.
 */
import type { Attachment } from '../attachment.ts'
import { isAttachmentIn } from '../attachment.ts'
import type { Request } from '../cni/plugin.ts'
import { type Json, jsonString, memberOf, withMember } from '../config/json.ts'
import type { Kernel } from '../net/kernel.ts'
import { callerName } from '../state/caller.ts'
import type { Recorded } from '../state/records.ts'
import { isRecordedNetns, NETNS_ID } from './recorded-netns.ts'

const RUNTIME = 'runtime'
const NETNS = 'netns'

/** An entry that also tells who asked for the attachment, and where its container is. */
export function withRuntime(entry: Json, request: Request): Json {
  const caller = callerName()
  if (caller === '') return entry
  const named = withMember(entry, RUNTIME, jsonString(caller))
  return memberOf(entry, NETNS) === undefined ? withMember(named, NETNS, jsonString(request.netns)) : named
}

/** Those of the entries that GC does not list and that are other runtimes' living containers'. */
export function othersLiving(kernel: Kernel, request: Request, entries: readonly Recorded[]): readonly Attachment[] {
  const caller = callerName()
  const living: Attachment[] = []
  if (caller === '') return living
  for (const { attachment, entry } of entries) {
    const runtime = textOf(entry, RUNTIME)
    if (runtime === '' || runtime === caller || isAttachmentIn(attachment, request.validAttachments)) continue
    if (isAlive(kernel, entry)) living.push(attachment)
  }
  return living
}

/** A path that may not be looked at counts as alive. */
function isAlive(kernel: Kernel, entry: Json): boolean {
  try {
    const container = kernel.find(textOf(entry, NETNS))
    if (container === undefined) return false
    try {
      return textOf(entry, NETNS_ID) === '' || isRecordedNetns(container, entry)
    } finally {
      container.close()
    }
  } catch {
    return true
  }
}

function textOf(entry: Json, key: string): string {
  return memberOf(entry, key)?.text ?? ''
}
