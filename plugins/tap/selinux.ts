/**
 * The SELinux context that a tap belongs to: the kernel takes that of the process that makes it.
 *
 * @source man 5 proc, /proc/pid/attr; linux security/selinux/hooks.c selinux_tun_dev_alloc_security
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { CniError, UNSUPPORTED_FIELD } from '../../lib/cni/error.ts'
import { asError } from '../../lib/sys/errors.ts'

const CURRENT = '/proc/thread-self/attr/current'

/**
 * Runs `work` in the context and comes back to the own one.
 *
 * @param context undefined = where it is
 * @throws CniError code 2 where the kernel does not let us change to it, or has no SELinux
 */
export function withSelinuxContext<T>(context: string | undefined, work: () => T): T {
  if (context === undefined) return work()
  const own = readOwn(context)
  change(context, context)
  try {
    return work()
  } finally {
    change(own, context)
  }
}

function readOwn(wanted: string): string {
  try {
    return readFileSync(CURRENT, 'utf8').split('\0').join('').trim()
  } catch (error) {
    throw unsupported(wanted, asError(error).message)
  }
}

function change(context: string, wanted: string): void {
  try {
    const fd = openSync(CURRENT, constants.O_WRONLY)
    try {
      writeSync(fd, new TextEncoder().encode(context))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw unsupported(wanted, asError(error).message)
  }
}

function unsupported(wanted: string, why: string): CniError {
  const message = `selinuxContext ${JSON.stringify(wanted)} cannot be entered: ${why}`
  return new CniError(
    UNSUPPORTED_FIELD,
    message,
    'leave out selinuxContext where SELinux is off, or let its policy allow the change'
  )
}
