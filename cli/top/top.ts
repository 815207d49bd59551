/** `patchbay top`: who receives and sends how much, now. */
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { ConntrackEntry } from '../../lib/netlink/nf/conntrack.ts'
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { readView } from '../../lib/view/read.ts'
import { byContainer, byNetwork, byPort, type Rated, rated, type Traffic } from '../../lib/view/traffic.ts'
import type { Call } from '../call.ts'
import { jsonLine, UsageError } from '../output.ts'
import { showLive } from './live.ts'
import type { SortKey } from './sort-keys.ts'
import { type By, sorted, topTable } from './table.ts'

/** All that is counted at a moment, in seconds of any clock that only goes forward. */
interface Reading {
  readonly at: number
  readonly by: Readonly<Record<By, readonly Traffic[]>>
}

export async function top(call: Call): Promise<number> {
  const { output } = call
  const seconds = intervalOf(call.text('interval'))
  const by = (call.text('by') ?? 'container') as By
  const sort = (call.text('sort') ?? (by === 'port' ? 'connections' : 'rx')) as SortKey
  const asJson = call.asJson || call.text('output') === 'json'
  const take = (): Reading => reading(call)
  if (!asJson && !call.has('once') && process.stdout.isTTY && process.stdin.isTTY) {
    let before = take()
    await showLive({ by, sort }, seconds, choice => {
      const after = take()
      const rows = ratedBetween(before, after, choice)
      before = after
      return rows
    })
    return 0
  }
  const before = take()
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const rows = sorted(ratedBetween(before, take(), by), sort)
  if (asJson) output.out(jsonLine(rows.map(({ key: _key, ...row }) => row)))
  else output.out(`${topTable(rows, { by, sort, width: 100, height: undefined }).join('\n')}\n`)
  return 0
}

function intervalOf(text: string | undefined): number {
  const seconds = Number(text ?? '1')
  if (seconds >= 0.1 && seconds <= 3600) return seconds
  throw new UsageError(`read --interval ${JSON.stringify(text)}: must be seconds, from 0.1 to 3600`)
}

function reading(call: Call): Reading {
  const { confDir, cacheDir } = call.place
  const stateDir = call.text('state-dir') ?? DEFAULT_STATE_DIR
  const view = readView({ confDir, cacheDir, stateDir, withRoutes: false })
  const connections = followed()
  const containers = byContainer(view, connections)
  return {
    at: performance.now() / 1000,
    by: { container: containers, network: byNetwork(containers), port: byPort(view, connections) }
  }
}

function ratedBetween(before: Reading, after: Reading, by: By): readonly Rated[] {
  return rated(before.by[by], after.by[by], after.at - before.at)
}

/** None without root, or where the kernel follows none. */
function followed(): readonly ConntrackEntry[] {
  const kernel = new LinuxKernel()
  const host = kernel.host()
  const nft = kernel.nft(host)
  try {
    return ([4, 6] as const).flatMap(family => nft.listConntrack(family))
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return []
  } finally {
    nft.close()
    host.close()
  }
}
