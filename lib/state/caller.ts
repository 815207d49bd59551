/**
 * Which program calls: `containerd`, `nerdctl`, `podman`, `crio`. Runtimes that use one network tell a plugin nothing that they
 * could be told apart by, but each runs its plugins itself.
 *
 * @source man 2 getppid, man 5 proc_pid_comm
 */
import { readText } from '../sys/files.ts'
import { parentProcess } from '../sys/process.ts'

/** The name of the parent process; '' when it is in another process namespace or gone. */
export function callerName(): string {
  const parent = parentProcess()
  if (parent <= 0) return ''
  return (readText(`/proc/${String(parent)}/comm`) ?? '').trim()
}
