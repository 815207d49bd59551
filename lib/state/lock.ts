/** A lock among the processes of this host, by name. */
import { withLock } from '../sys/file-lock.ts'
import { DEFAULT_STATE_DIR } from './journal.ts'

/**
 * Runs `work` while no other process holds the lock of this name; it waits as long as another one does.
 *
 * @param stateDir '' or undefined for the usual place
 * @param name as a file name can hold it
 */
export function withNamedLock<T>(stateDir: string | undefined, name: string, work: () => T): T {
  const directory = stateDir === undefined || stateDir === '' ? DEFAULT_STATE_DIR : stateDir
  return withLock(`${directory}/.locks/${name}`, 0o600, work)
}
