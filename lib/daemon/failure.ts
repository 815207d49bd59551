/** Why a daemon, or a command about one, came to nothing. */
import { CniError } from '../cni/error.ts'
import { messageOf } from '../sys/errors.ts'
import { adviceOfRights } from '../sys/rights.ts'

/**
 * Writes it to standard error, and what to do in a line of its own. Who is not root is told that first: whatever else was refused
 * follows from it.
 *
 * @param line the command line that failed: `patchbay agent`
 */
export function tellFailure(line: string, error: unknown): void {
  const ofRights = adviceOfRights(messageOf(error), line)
  const advice = ofRights === '' && error instanceof CniError ? error.details : ofRights
  process.stderr.write(`${line}: ${messageOf(error)}\n${advice === '' ? '' : `  what to do: ${advice}\n`}`)
}
