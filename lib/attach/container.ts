/** The container's namespace during a call: opened, worked in, and closed whatever comes of the work. */
import type { Request } from '../cni/plugin.ts'
import type { Result } from '../cni/result.ts'
import type { Kernel } from '../net/kernel.ts'
import type { Net } from '../net/net.ts'
import { asError } from '../sys/errors.ts'
import { Undo } from '../undo.ts'
import { refuseChanges } from './interface.ts'

/** ADD: everything that `work` has told `undo` of is undone when it fails. */
export function attachContainer(
  kernel: Kernel,
  request: Request,
  work: (container: Net, undo: Undo) => Result
): Result {
  const container = kernel.open(request.netns)
  const undo = new Undo()
  try {
    return work(container, undo)
  } catch (error) {
    throw undo.rollback(asError(error))
  } finally {
    container.close()
  }
}

/** CHECK. @throws CniError code 100 naming every problem that is found, when there are any */
export function checkContainer(
  kernel: Kernel,
  request: Request,
  findProblems: (container: Net) => readonly string[]
): void {
  const container = kernel.open(request.netns)
  try {
    refuseChanges(request, findProblems(container))
  } finally {
    container.close()
  }
}

/** DEL and GC: nothing is done where there is no namespace any more, nor when none is named. */
export function visitContainer(kernel: Kernel, netns: string, work: (container: Net) => void): void {
  const container = netns === '' ? undefined : kernel.find(netns)
  if (container === undefined) return
  try {
    work(container)
  } finally {
    container.close()
  }
}
