/**
 * Rules of legacy iptables that took part: those whose counter rose while the probe was on its way. The kernel tells of them in
 * no other way that leaves nothing behind (docs/decisions.md); on a busy host others may have raised a counter.
 *
 * @source man 8 iptables-save; man 5 proc, /proc/net/ip_tables_names
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { errnoOf } from '../../lib/sys/errors.ts'
import { inNamespace } from '../../lib/sys/netns.ts'

/** A rule, or a policy, with what it has counted. */
interface Counted {
  readonly table: string
  readonly chain: string
  /** `-s 10.0.0.0/8 -j DROP`, `policy DROP` */
  readonly text: string
  readonly packets: number
}

export interface LegacyHit extends Counted {
  /** All chains of its table: who made it can be told by them. */
  readonly siblings: readonly string[]
}

const FILES = { 4: '/proc/thread-self/net/ip_tables_names', 6: '/proc/thread-self/net/ip6_tables_names' } as const
const PROGRAMS = { 4: 'iptables-legacy-save', 6: 'ip6tables-legacy-save' } as const

export class LegacyCounters {
  readonly #namespaceFd: number
  readonly #family: 4 | 6
  readonly #before: readonly Counted[]

  /** Counts from now on. */
  constructor(namespaceFd: number, family: 4 | 6) {
    this.#namespaceFd = namespaceFd
    this.#family = family
    this.#before = this.#read()
  }

  /** What has counted more since, in the order of the rules. Rules that have changed meanwhile are left out. */
  hits(): readonly LegacyHit[] {
    if (this.#before.length === 0) return []
    const after = this.#read()
    if (after.length !== this.#before.length) return []
    return after
      .filter((one, at) => this.#before[at]?.text === one.text && one.packets > (this.#before[at]?.packets ?? 0))
      .map(one => ({ ...one, siblings: chainsOf(after, one.table) }))
  }

  /** None where there are no such tables: asking would make them. */
  #read(): readonly Counted[] {
    const family = this.#family
    return inNamespace(this.#namespaceFd, () => {
      if (!hasTables(FILES[family])) return []
      return countedIn(spawnSync(PROGRAMS[family], ['-c'], { encoding: 'utf8' }).stdout ?? '')
    })
  }
}

function hasTables(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').trim() !== ''
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return false
  }
}

/** `*filter`, `:FORWARD DROP [3:252]`, `[1:84] -A FORWARD -j DROP` */
function countedIn(saved: string): readonly Counted[] {
  const all: Counted[] = []
  let table = ''
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1)
    const policy = /^:(\S+) (\S+) \[(\d+):/.exec(line)
    const rule = /^\[(\d+):\d+\] -A (\S+) (.*)$/.exec(line)
    if (policy !== null) {
      const [, chain = '', verdict = '', packets] = policy
      // Chains that are jumped to have none.
      all.push({ table, chain, text: verdict === '-' ? '' : `policy ${verdict}`, packets: Number(packets) })
    }
    if (rule !== null) {
      const [, packets, chain = '', text = ''] = rule
      all.push({ table, chain, text, packets: Number(packets) })
    }
  }
  return all
}

function chainsOf(all: readonly Counted[], table: string): readonly string[] {
  return [...new Set(all.filter(one => one.table === table).map(one => one.chain))]
}

/** It ends a packet's way. */
export function isLegacyDrop({ text }: LegacyHit): boolean {
  return text === 'policy DROP' || /(?:^| )-j (?:DROP|REJECT)(?: |$)/.test(text)
}
