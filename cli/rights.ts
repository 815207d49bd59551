/** What is known of containers is root's to read: what was attached (libcni's cache), and what `run` keeps. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../lib/sys/errors.ts'
import type { Call } from './call.ts'
import { CommandError } from './output.ts'
import type { CommandSpec } from './spec.ts'

/**
 * Sequence prevented: a directory that may not be read is taken for an empty one, and `network rm --dry-run` says that it would
 * remove a network which containers are on.
 *
 * @returns whether they can be seen; where the command shows the rest, it was said that they can not
 * @throws CommandError where the command is nothing without them
 */
export function seesContainers({ name, containers }: CommandSpec, call: Call): boolean {
  if (containers === undefined) return true
  const closed = [join(call.place.cacheDir, 'results'), call.runDir].find(isClosed)
  if (closed === undefined) return true
  if (containers === 'needed') throw new CommandError(`see containers: ${JSON.stringify(closed)}: EACCES`)
  call.output.err(`patchbay: who is attached only root can see: sudo patchbay ${name}\n`)
  return false
}

export function isClosed(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK)
    return false
  } catch (error) {
    return errnoOf(error) === 'EACCES'
  }
}
