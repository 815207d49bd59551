/** The journal of all networks: who else is on this host, as far as this plugin has made something for him. */
import type { Request } from '../cni/plugin.ts'
import { Journal, recordedNetworks } from '../state/journal.ts'
import type { Recorded } from '../state/records.ts'

/** What this plugin has written down below the call's `stateDir`, whatever the network. */
export function everyEntry(request: Request, plugin: string): readonly Recorded[] {
  const stateDir = request.config.text('stateDir')
  const found: Recorded[] = []
  for (const network of recordedNetworks(stateDir)) {
    for (const one of new Journal({ network, plugin, stateDir }).list()) found.push(one)
  }
  return found
}
