/** Failing at every step: what an ADD or a DEL that the kernel stops anywhere may leave. */
import type { MemoryAnswer } from './memory-io.ts'
import type { CallOptions, PluginCaller } from './plugin-caller.ts'
import { assert } from './suite.ts'

/** A kernel that refuses one change: FakeKernel, or RefusedChanges before the real one. */
export interface Refusing {
  failAt(step: number, errno?: string): void
  changes(): readonly string[]
}

const MOST_STEPS = 100

function stateOf(kernelText: string, caller: PluginCaller): string {
  return [kernelText, ...caller.leases, ...caller.journal()].join('\n')
}

/**
 * Lets ADD fail at its first change of the kernel, then at its second, and so on until it succeeds. After each failure
 * kernel, leases and journal must be as before.
 *
 * @returns every change, in order: what there was to fail at
 */
export function sweepFailures(
  kernel: Refusing & { toText(): string },
  caller: PluginCaller,
  add: () => MemoryAnswer
): readonly string[] {
  const before = stateOf(kernel.toText(), caller)
  for (let step = 1; step <= MOST_STEPS; step += 1) {
    kernel.failAt(step)
    const answer = add()
    const changes = kernel.changes()
    kernel.failAt(0)
    if (answer.status === 0) return changes
    const where = `ADD failed at change ${String(step)}, ${changes[step - 1] ?? ''}: ${answer.stdout}`
    assert.match(answer.stdout, /EIO/, where)
    assert.is(stateOf(kernel.toText(), caller), before, where)
  }
  throw new Error('ADD does not succeed')
}

/** An attachment to be made and removed, in a world of its own. */
export interface SweptDel {
  readonly kernel: Refusing
  readonly caller: PluginCaller
  /** Everything in host and container that DEL has to do with. */
  readonly kernelText: () => string
  /** Whether the container still has the interface. */
  readonly hasInterface: () => boolean
  readonly options: CallOptions
  readonly close: () => void
}

export interface DelSweep {
  /** Every change of a DEL, in order. */
  readonly changes: readonly string[]
  /** Whether a DEL leaves everything as before ADD. */
  readonly isAsBefore: boolean
}

/**
 * The same for DEL, each time after an ADD in a new world. A DEL that failed must have kept what the next one needs: the
 * addresses as long as the interface is there (else the next container gets them while this one still answers to them),
 * and what is written down. After the next DEL everything must be as after one that was refused nothing.
 *
 * @param netns what the next DEL is given, '' for none; undefined = the same as the first
 */
export function sweepDel(make: () => SweptDel, netns: string | undefined): DelSweep {
  const expected = inWorldOf(make, delOnce)
  for (let step = 1; step <= expected.changes.length; step += 1) {
    inWorldOf(make, swept => delTwice(swept, step, netns, expected.state))
  }
  return { changes: expected.changes, isAsBefore: expected.before === expected.state }
}

function inWorldOf<T>(make: () => SweptDel, body: (swept: SweptDel) => T): T {
  const swept = make()
  try {
    return body(swept)
  } finally {
    swept.close()
  }
}

function delOnce(swept: SweptDel): { before: string; state: string; changes: readonly string[] } {
  const { kernel, caller, kernelText } = swept
  const before = stateOf(kernelText(), caller)
  const options = added(swept)
  kernel.failAt(0)
  caller.ok('DEL', options)
  return { before, state: stateOf(kernelText(), caller), changes: kernel.changes() }
}

function delTwice(swept: SweptDel, step: number, netns: string | undefined, expected: string): void {
  const { kernel, caller, kernelText, hasInterface } = swept
  const options = added(swept)
  const leases = caller.leases.size
  const entries = caller.journal()
  kernel.failAt(step)
  const answer = caller.call('DEL', options)
  const where = `DEL failed at change ${String(step)}, ${kernel.changes()[step - 1] ?? ''}: ${answer.stdout}`
  kernel.failAt(0)
  assert.match(answer.stdout, /EIO/, where)
  if (hasInterface()) assert.is(caller.leases.size, leases, `${where}: the address is free`)
  assert.equal(caller.journal(), entries, `${where}: what was written down is gone`)
  caller.ok('DEL', netns === undefined ? options : { ...options, netns })
  assert.is(stateOf(kernelText(), caller), expected, where)
}

/** Makes the attachment. @returns options for its DEL, with the result as prevResult */
function added({ caller, options }: SweptDel): CallOptions {
  return { ...options, config: { prevResult: caller.ok('ADD', options), ...options.config } }
}
