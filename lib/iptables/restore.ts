/** Rules that several containers have lost, as after `iptables -F`: made again in one go, however many there are. */
import { messageOf } from '../sys/errors.ts'
import { changeIptables, type Engine, saveIptables } from './iptables.ts'

/** A table of one family's packets. */
export interface TablePlace {
  readonly family: 4 | 6
  readonly table: string
  readonly engine: Engine
}

/** What one container is to have in a table. */
export interface Lost {
  /** What fails, in messages: `publish the ports of net c1 eth0`. */
  readonly what: string
  /** What is missing of it in the table as `saveIptables` prints it, as `changeIptables` takes it. */
  readonly linesFor: (saved: readonly string[]) => readonly string[]
}

/** Makes it again. What is not to be had for one of them is told on standard error: it is no failure of who restores it. */
export function restoreIptables(place: TablePlace, lost: readonly Lost[]): void {
  if (lost.length === 0) return
  const { family, table, engine } = place
  const lines: string[] = []
  try {
    let saved = saveIptables(family, table, engine)
    for (const one of lost) {
      const own = one.linesFor(saved)
      saved = afterwards(saved, own)
      for (const line of own) lines.push(line)
    }
    changeIptables(family, table, lines, engine)
  } catch (error) {
    if (lost.length > 1) restoreEach(place, lost)
    else process.stderr.write(`${lost[0]?.what ?? ''} again: ${messageOf(error)}\n`)
  }
}

/** One rule that is refused takes all with it, and nothing tells whose it is. */
function restoreEach(place: TablePlace, lost: readonly Lost[]): void {
  for (const one of lost) restoreIptables(place, [one])
}

/**
 * A saved table as it is once the commands are carried out.
 *
 * @param commands `-N CHAIN`, `-A CHAIN …`, `-I CHAIN [PLACE] …`
 */
export function afterwards(saved: readonly string[], commands: readonly string[]): readonly string[] {
  const lines = saved.slice(0)
  for (const command of commands) {
    const words = command.split(' ')
    const chain = words[1] ?? ''
    if (command.startsWith('-N ')) lines.push(`:${chain} - [0:0]`)
    else if (command.startsWith('-I ')) {
      const place = Number(words[2] ?? '')
      const hasPlace = place > 0
      const rule = ['-A', chain].concat(words.slice(hasPlace ? 3 : 2)).join(' ')
      lines.splice(placeOf(lines, chain, hasPlace ? place : 1), 0, rule)
    } else lines.push(command)
  }
  return lines
}

/** Where the chain's rule of this number is, from 1 on, or the end. */
function placeOf(lines: readonly string[], chain: string, number: number): number {
  let left = number
  for (let i = 0; i < lines.length; i += 1) {
    if (lines[i]?.startsWith(`-A ${chain} `) !== true) continue
    left -= 1
    if (left === 0) return i
  }
  return lines.length
}
