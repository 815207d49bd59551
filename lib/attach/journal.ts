/** The attachment journal of a call. */
import type { Request } from '../cni/plugin.ts'
import { ConfigError } from '../config/section.ts'
import { Journal } from '../state/journal.ts'

/** The entries of one plugin on the call's network, below the configuration's `stateDir` (default /run/patchbay). */
export function journalOf(request: Request, plugin: string): Journal {
  const stateDir = request.config.text('stateDir') ?? ''
  // Below whatever directory a runtime happens to be in, GC would not find the entries again.
  if (stateDir !== '' && !stateDir.startsWith('/')) {
    throw new ConfigError([`stateDir must be an absolute path, got ${JSON.stringify(stateDir)}`])
  }
  return new Journal({ network: request.network, plugin, stateDir })
}
