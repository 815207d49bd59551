/** Whether this process may do what it is for, and what to say where it may not. */
import { SysError } from './errors.ts'
import { readText } from './files.ts'

const CAP_NET_ADMIN = 12
const CAP_SYS_ADMIN = 21

/** Whether this process may change networks and enter namespaces. @source man 7 capabilities, man 5 proc CapEff */
function hasRights(): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')?.[1]
  if (mask === undefined) return true
  const bits = BigInt(`0x${mask}`)
  return [CAP_NET_ADMIN, CAP_SYS_ADMIN].every(bit => ((bits >> BigInt(bit)) & 1n) === 1n)
}

/**
 * What to do about a failure that somebody with all rights would not have met.
 *
 * @param message of the failure, with its errno
 * @param line the command line to be repeated: `patchbay agent`
 * @returns '' where rights were not the matter
 */
export function adviceOfRights(message: string, line: string): string {
  return /\b(EPERM|EACCES)\b/.test(message) && !hasRights() ? `run it as root: sudo ${line}` : ''
}

/**
 * For a daemon: without its rights it would start, listen, and refuse every container.
 *
 * @param line the command line: `patchbay agent`
 * @throws {SysError} EPERM
 */
export function requireRights(line: string): void {
  if (!hasRights()) throw new SysError('run', line, 'EPERM', 'it needs CAP_NET_ADMIN and CAP_SYS_ADMIN')
}
