/** One command at a time, for what several may do at once. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { lock } from 'proper-lockfile'
import { errnoOf } from '../lib/sys/errors.ts'
import { ensureDirectory } from '../lib/sys/files.ts'
import { CommandError } from './output.ts'

/** How long a command waits for the others: 30 s in steps of 50 ms. One that was killed is not waited for longer than 10 s. */
const RETRIES = { retries: 600, factor: 1, minTimeout: 50, maxTimeout: 50 }

/**
 * Runs `work` while no other command does anything under this name in this directory, which is made if missing. Nothing of
 * the lock stays.
 */
export async function whileAlone<T>(directory: string, name: string, work: () => T | Promise<T>): Promise<T> {
  ensureDirectory(directory, 0o755)
  const lockfilePath = join(directory, `.patchbay-${name}.lock`)
  // What may not be written is asked for again like what somebody else has.
  refuseClosed(directory, lockfilePath)
  const release = await lock(directory, { lockfilePath, realpath: false, retries: RETRIES }).catch((error: unknown) => {
    const why = errnoOf(error) === 'ELOCKED' ? 'another command goes on having it' : errnoOf(error)
    throw new CommandError(`lock ${JSON.stringify(lockfilePath)}: ${why}`)
  })
  try {
    return await work()
  } finally {
    await release()
  }
}

function refuseClosed(directory: string, path: string): void {
  try {
    accessSync(directory, constants.W_OK)
  } catch (error) {
    throw new CommandError(`lock ${JSON.stringify(path)}: ${errnoOf(error)}`)
  }
}
