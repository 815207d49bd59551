/** The journal of all networks: who else is on this host, as far as this plugin has made something for him. */
import type { Attachment } from '../attachment.ts'
import type { Request } from '../cni/plugin.ts'
import type { Json } from '../config/json.ts'
import { Journal, recordedNetworks } from '../state/journal.ts'

/** An attachment of any network. */
export interface RecordedAttachment {
  readonly owner: Attachment
  readonly entry: Json
}

/** What this plugin has written down below the call's `stateDir`, whatever the network. */
export function everyEntry(request: Request, plugin: string): readonly RecordedAttachment[] {
  const stateDir = request.config.text('stateDir')
  const found: RecordedAttachment[] = []
  for (const network of recordedNetworks(stateDir)) {
    for (const { containerId, ifName, entry } of new Journal({ network, plugin, stateDir }).list()) {
      found.push({ owner: { network, containerId, ifName }, entry })
    }
  }
  return found
}
