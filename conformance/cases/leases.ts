/** What several cases need of addresses that can leak. */
import { type Context, NotTestable } from '../case.ts'
import type { JsonObject } from '../json.ts'
import { difference } from '../world.ts'
import { isOfProgram, isShared } from './add.ts'

const HOST_LOCAL = { ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/16' }]] } }

/** Plugins whose addresses come from host-local here, so that leases can leak. */
export function withLeases(context: Context): JsonObject {
  const { role } = context.profile
  if (role === 'ipam') return context.profile.type === 'host-local' ? HOST_LOCAL : {}
  if (role !== 'interface') return {}
  if (!context.has('host-local')) throw new NotTestable('there is no host-local beside it')
  return HOST_LOCAL
}

/** What is on the host that was not there before and is of single containers. */
export function leftovers(context: Context, before: readonly string[]): readonly string[] {
  const until = Date.now() + 1500
  for (;;) {
    const { added, removed } = difference(before, context.world.snapshot())
    const left = [...added, ...removed.map(line => `gone: ${line}`)]
      .filter(line => !isShared(line) && !isShared(line.replace('gone: ', '')))
      .filter(line => !isOfProgram(line) && !/judgehost|judgebr/.test(line))
    if (left.length === 0 || Date.now() > until) return left
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
}
