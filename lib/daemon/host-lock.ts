/** A daemon that must be the only one of its kind on the host. */
import { lock } from 'proper-lockfile'
import { errnoOf, messageOf } from '../sys/errors.ts'
import { fileError, readText, removeFile, writeAtomic } from '../sys/files.ts'

/** How old a lock must be that nobody renews; renewed five times as often. */
const STALE_MS = 10_000

/**
 * Takes the lock of a state directory. A second daemon would take away what the first one writes. A lock whose holder
 * was killed is nobody's.
 *
 * @param what the daemon is, in messages: `agent`
 * @returns gives it back
 * @throws Error naming the process that has it; {SysError} where it cannot be made
 */
export async function lockHost(
  stateDir: string,
  what: string,
  log: (message: string) => void
): Promise<() => Promise<void>> {
  const holder = Number(readText(`${stateDir}/pid`) ?? '0')
  const isAlive = holder > 0 && readText(`/proc/${holder}/stat`) !== undefined
  const options = {
    realpath: false,
    lockfilePath: `${stateDir}/lock`,
    stale: isAlive ? STALE_MS : 2000,
    update: STALE_MS / 5
  }
  try {
    const retries = isAlive ? 0 : { retries: 60, factor: 1, minTimeout: 50 }
    const release = await lock(stateDir, {
      ...options,
      retries,
      onCompromised: error => {
        log(`the lock of this host was taken: ${error.message}`)
        process.exit(1)
      }
    })
    writeAtomic(`${stateDir}/pid`, `${process.pid}\n`, 0o600, false)
    return async () => {
      removeFile(`${stateDir}/pid`)
      await release()
    }
  } catch (error) {
    if (errnoOf(error) !== 'ELOCKED') throw fileError('lock', stateDir, error)
    const who = isAlive ? `process ${holder}` : `another ${what}`
    throw new Error(`lock ${JSON.stringify(stateDir)}: ${who} is this host's ${what} (${messageOf(error)})`)
  }
}
