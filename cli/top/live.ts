/**
 * The table on a terminal's other screen, drawn anew at each interval. Whatever ends it (q, a signal, an error) gives the terminal
 * back as it was: the first screen, its cursor, and its way of reading lines.
 */
import type { Rated } from '../../lib/view/traffic.ts'
import type { By } from './reading.ts'
import { SORT_KEYS, type SortKey } from './sort-keys.ts'
import { topTable } from './table.ts'

/** @source xterm control sequences, DECSET 1049 and 25 */
const OTHER_SCREEN = '\x1b[?1049h\x1b[?25l'
const FIRST_SCREEN = '\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const REST_OF_LINE = '\x1b[K'
const REST_OF_SCREEN = '\x1b[J'

/** What the person has chosen. */
interface Choice {
  readonly by: By
  readonly sort: SortKey
}

const HELP = 'q quit   c containers   n networks   p ports   s sort by the next column'

/** @param read the rates since it was read last */
export async function showLive(begin: Choice, seconds: number, read: (by: By) => readonly Rated[]): Promise<void> {
  const { stdin, stdout } = process
  let choice = begin
  let rows = read(choice.by)
  const draw = (): void => {
    // A terminal that was never told its size says 0.
    const [columns, lines] = [stdout.columns || 80, stdout.rows || 24]
    const table = topTable(rows, { ...choice, width: columns, height: Math.max(1, lines - 3) })
    const text = [HELP.slice(0, columns), '', ...table].map(line => `${line}${REST_OF_LINE}`).join('\r\n')
    stdout.write(`${HOME}${text}${REST_OF_SCREEN}`)
  }
  const ended = Promise.withResolvers<void>()
  const onKey = (keys: Buffer): void => {
    for (const key of keys.toString('latin1')) {
      if (key === 'q' || key === '\x03') {
        ended.resolve()
        return
      }
      const chosen = after(key, choice)
      if (chosen.by !== choice.by) rows = read(chosen.by)
      choice = chosen
    }
    draw()
  }
  const end = (): void => ended.resolve()
  const timer = setInterval(() => {
    try {
      rows = read(choice.by)
      draw()
    } catch (error) {
      ended.reject(error)
    }
  }, seconds * 1000)
  stdin.setRawMode(true).resume().on('data', onKey)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  stdout.on('resize', draw)
  stdout.write(OTHER_SCREEN)
  try {
    draw()
    await ended.promise
  } finally {
    clearInterval(timer)
    stdout.off('resize', draw)
    stdin.off('data', onKey).setRawMode(false).pause()
    stdout.write(FIRST_SCREEN)
  }
}

/** The choice after a key; any other key leaves it. */
export function after(key: string, choice: Choice): Choice {
  if (key === 'c') return { ...choice, by: 'container' }
  if (key === 'n') return { ...choice, by: 'network' }
  if (key === 'p') return { by: 'port', sort: 'connections' }
  if (key !== 's') return choice
  const next = (SORT_KEYS.indexOf(choice.sort) + 1) % SORT_KEYS.length
  return { ...choice, sort: SORT_KEYS[next] ?? 'name' }
}
