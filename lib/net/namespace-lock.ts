/** Taking turns in a namespace: for what has to be looked up and taken in one go, such as a free routing table. */
import { withDescriptorLock } from '../sys/descriptor-lock.ts'
import type { Net } from './net.ts'

/**
 * Runs `work` while no other process that asks for the same holds this namespace. The lock is on the namespace's own
 * file, whatever path it was opened by; the reference's sbr locks the same.
 *
 * @throws {SysError} when the namespace cannot be locked, never for waiting
 */
export function withNamespaceLock(net: Net, work: () => void): void {
  const fd = net.namespaceFd()
  // One that is only in memory has no descriptor, and no other process.
  if (fd < 0) work()
  else withDescriptorLock(fd, JSON.stringify(net.path()), work)
}
