/** The journal of all networks: who else is on this host, as far as this plugin has made something for him. */
import { Journal, recordedNetworks } from '../state/journal.ts'
import type { Recorded } from '../state/records.ts'

/** What this plugin has written down below a configuration's `stateDir` (absent or '': the usual place), whatever the network. */
export function everyEntry(stateDir: string | undefined, plugin: string): readonly Recorded[] {
  const found: Recorded[] = []
  for (const network of recordedNetworks(stateDir)) {
    for (const one of new Journal({ network, plugin, stateDir }).list()) found.push(one)
  }
  return found
}
