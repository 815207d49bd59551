/** The attachment journal of a call. */
import type { Request } from '../cni/plugin.ts'
import { Journal } from '../state/journal.ts'

/** The entries of one plugin on the call's network, below the configuration's `stateDir` (default /run/patchbay). */
export function journalOf(request: Request, plugin: string): Journal {
  return new Journal({ network: request.network, plugin, stateDir: request.config.text('stateDir') })
}
