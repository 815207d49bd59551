/**
 * Which program calls: `containerd`, `nerdctl`, `podman`, `crio`. Runtimes that use one network tell a plugin nothing that they
 * could be told apart by, but each runs its plugins itself.
 *
 * @source man 5 proc_pid_stat (fields 2 and 4), proc_pid_comm
 */
import { readText } from '../sys/files.ts'

/** The name of the parent process; '' when it is in another process namespace or gone. */
export function callerName(): string {
  const stat = readText('/proc/self/stat') ?? ''
  // A name may hold anything, parentheses too; behind it come the state and the parent's number.
  const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? ''
  if (parent === '' || parent === '0') return ''
  return (readText(`/proc/${parent}/comm`) ?? '').trim()
}
