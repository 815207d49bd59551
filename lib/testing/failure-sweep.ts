/** Failing at every step: what an ADD that the kernel stops anywhere must leave is nothing. */
import type { FakeKernel } from './fake-kernel/fake-kernel.ts'
import type { MemoryAnswer } from './memory-io.ts'
import type { PluginCaller } from './plugin-caller.ts'
import { assert } from './suite.ts'

/**
 * Lets ADD fail at its first change of the kernel, then at its second, and so on until it succeeds. After each failure
 * kernel, leases and journal must be as before.
 *
 * @returns how many steps there were to fail at
 */
export function sweepFailures(kernel: FakeKernel, caller: PluginCaller, add: () => MemoryAnswer): number {
  const before = [kernel.toText(), ...caller.leases, ...caller.journal()].join('\n')
  for (let step = 1; ; step += 1) {
    kernel.failAt(step)
    const answer = add()
    kernel.failAt(0)
    if (answer.status === 0) return step - 1
    const where = `ADD failed at change ${String(step)}: ${answer.stdout}`
    assert.match(answer.stdout, /EIO/, where)
    assert.is([kernel.toText(), ...caller.leases, ...caller.journal()].join('\n'), before, where)
    if (step === 100) throw new Error('ADD does not succeed')
  }
}
