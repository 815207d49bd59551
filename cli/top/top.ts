/** `patchbay top`: who receives and sends how much, now. */
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import { readText } from '../../lib/sys/files.ts'
import { readView } from '../../lib/view/read.ts'
import type { Call } from '../call.ts'
import { jsonLine, UsageError } from '../output.ts'
import { showLive } from './live.ts'
import { type By, type Reading, ratedBetween, readingOf } from './reading.ts'
import type { SortKey } from './sort-keys.ts'
import { sorted, topTable } from './table.ts'

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
  if (by === 'port' && !asJson && !countsBytes()) output.err(NOT_COUNTED)
  return 0
}

const ACCOUNTING = 'net.netfilter.nf_conntrack_acct'
const NOT_COUNTED = `patchbay: note: the kernel counts no bytes of connections: sysctl -w ${ACCOUNTING}=1 has it count those to come\n`

function countsBytes(): boolean {
  return readText(`/proc/sys/${ACCOUNTING.replaceAll('.', '/')}`)?.trim() === '1'
}

/** @throws {UsageError} */
export function intervalOf(text: string | undefined): number {
  const seconds = Number(text ?? '1')
  if (seconds >= 0.1 && seconds <= 3600) return seconds
  throw new UsageError(`read --interval ${JSON.stringify(text)}: must be seconds, from 0.1 to 3600`)
}

function reading(call: Call): Reading {
  const { confDir, cacheDir } = call.place
  const stateDir = call.text('state-dir') ?? DEFAULT_STATE_DIR
  return readingOf(readView({ confDir, cacheDir, stateDir, withRoutes: false }))
}
