/** The attachment journal of a call. */
import type { Request } from '../cni/plugin.ts'
import { ConfigError } from '../config/section.ts'
import { readDirectory, readDirectoryForRemoval } from '../state/directory.ts'
import { DEFAULT_STATE_DIR, Journal } from '../state/journal.ts'
import { NoRecords, type Records } from '../state/records.ts'

/** The entries of one plugin on the call's network, below the configuration's `stateDir` (default /run/patchbay). */
export function journalOf(request: Request, plugin: string): Records {
  const stateDir = directoryOf(request, 'stateDir', DEFAULT_STATE_DIR)
  return stateDir === undefined ? new NoRecords() : new Journal({ network: request.network, plugin, stateDir })
}

/**
 * A directory that the configuration names.
 *
 * @returns undefined on DEL, when nothing in it can be believed
 * @throws {ConfigError} on other verbs then
 */
export function directoryOf(request: Request, key: string, usual: string): string | undefined {
  const { config, command } = request
  if (command === 'DEL') return readDirectoryForRemoval(config, key, usual)
  const before = config.problems().length
  const directory = readDirectory(config, key, usual)
  if (config.problems().length > before) throw new ConfigError(config.problems())
  return directory
}
