/** A daemon that must be the only one of its kind on the host. */

import { errnoOf } from '../sys/errors.ts'
import { holdLock } from '../sys/file-lock.ts'
import { closeDescriptor, readText, removeFile, writeAtomic } from '../sys/files.ts'

/** What the one before may take to end, ms. */
const PATIENCE_MS = 1000

/**
 * Takes the lock of a state directory. A second daemon would take away what the first one writes. The lock is the kernel's, and
 * goes with the process: after a `kill -9` the next one need not wait until it is old.
 *
 * @param what the daemon is, in messages: `agent`
 * @returns gives it back
 * @throws Error naming the process that has it; {SysError} where it cannot be made
 */
export function lockHost(stateDir: string, what: string): () => void {
  const lock = lockOf(stateDir, what)
  writeAtomic(`${stateDir}/pid`, `${process.pid}\n`, 0o600, false)
  return () => {
    removeFile(`${stateDir}/pid`)
    closeDescriptor(lock)
  }
}

function lockOf(stateDir: string, what: string): number {
  try {
    return holdLock(`${stateDir}/.lock`, 0o600, PATIENCE_MS)
  } catch (error) {
    if (errnoOf(error) !== 'EAGAIN') throw error
    const holder = readText(`${stateDir}/pid`)?.trim()
    const who = holder === undefined ? `another ${what}` : `process ${holder}`
    throw new Error(`lock ${JSON.stringify(stateDir)}: ${who} is this host's ${what}`)
  }
}
