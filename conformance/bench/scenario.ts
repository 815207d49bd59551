/** What a scenario of the benchmark is, and the throw-away host that each contestant gets for it. */
import { spawnSync } from 'node:child_process'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { basename } from 'node:path'
import { Netns } from '../netns.ts'

/** A directory of plugins that takes part. */
export interface Contestant {
  readonly name: string
  readonly dir: string
  /** Which scenarios it can do, by their ids; all when left out. */
  readonly takesPart?: (id: string) => boolean
}

/** Where plugins keep what they must know later, unless a configuration says otherwise. */
const STATE = ['/run/patchbay', '/run/cni']

/** Programs that report on each of many thousand events say as much, bytes. */
const LONGEST_OUTPUT = 1 << 28

let serial = 0

/** A host of its own for one contestant in one scenario, entered before every step. */
export class Stage {
  readonly contestant: Contestant
  /** Tells this stage from all others of the run. */
  readonly id: string
  readonly host: Netns
  readonly #containers = new Map<string, Netns>()
  readonly #ends: (() => void)[] = []

  constructor(contestant: Contestant) {
    serial += 1
    this.contestant = contestant
    this.id = `${contestant.name.replaceAll(/[^A-Za-z0-9]+/g, '-')}-${serial}`
    this.host = Netns.make(`host-${this.id}`)
    this.host.inside(() => {
      command('ip', 'link', 'set', 'lo', 'up')
      command('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'wire')
      command('ip', 'link', 'set', 'uplink', 'up')
      command('ip', 'link', 'set', 'wire', 'up')
      command('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'uplink')
      command('ip', 'route', 'add', 'default', 'via', '192.0.2.1')
    })
  }

  /** Where IPAM keeps its leases. */
  get dataDir(): string {
    return `/var/lib/cni/bench-${this.id}`
  }

  /** Runs `body` on this host, with the state that plugins have left on it and no other host's. */
  inside<T>(body: () => T): T {
    for (const path of STATE) if (existsSync(`${path}.${this.id}`)) renameSync(`${path}.${this.id}`, path)
    try {
      return this.host.inside(body)
    } finally {
      for (const path of STATE) if (existsSync(path)) renameSync(path, `${path}.${this.id}`)
    }
  }

  /** A container's namespace, made on first use. */
  container(name: string): Netns {
    const known = this.#containers.get(name)
    if (known !== undefined) return known
    const made = Netns.make(`${this.id}-${name}`)
    this.#containers.set(name, made)
    return made
  }

  /** A container that is gone: the next use of the name makes a fresh one. */
  forget(name: string): void {
    this.#containers.get(name)?.remove()
    this.#containers.delete(name)
  }

  /** Something to do before the host goes: to end a daemon of it. */
  atEnd(end: () => void): void {
    this.#ends.push(end)
  }

  close(): void {
    for (const end of this.#ends) end()
    for (const netns of this.#containers.values()) netns.remove()
    this.#containers.clear()
    this.host.remove()
    for (const path of [...STATE.map(state => `${state}.${this.id}`), this.dataDir]) {
      rmSync(path, { recursive: true, force: true })
    }
  }
}

/** A namespace as `ip link set ... netns NAME` wants it. */
export function nameOf(netns: Netns): string {
  return basename(netns.path)
}

/** Runs a command of the machine, which must succeed. */
export function command(name: string, ...args: readonly string[]): string {
  const child = spawnSync(name, args, { encoding: 'utf8', maxBuffer: LONGEST_OUTPUT })
  if (child.error !== undefined) throw new Error(`run ${name}: ${child.error.message}`)
  if (child.status !== 0) throw new Error(`run ${name} ${args.join(' ')}: exit ${child.status}: ${child.stderr.trim()}`)
  return child.stdout
}

/** Runs a command line without quotes in it, which must succeed. */
export function line(text: string): string {
  const [name = '', ...args] = text.split(' ')
  return command(name, ...args)
}

/**
 * One round's measurements, by the name of what was measured (`ADD`, `DEL`, ...): milliseconds (or what else the meter
 * counts), or why there is no number.
 */
export type Round = Readonly<Record<string, number | string>>

export interface Scenario {
  readonly id: string
  readonly title: string
  /** What the times belong to in the tables: `plugins`, `sequences`, ... */
  readonly group: string
  /** Plugins that must be there for a contestant to take part. */
  readonly needs: readonly string[]
  /** The kind of link that the kernel must have. */
  readonly kind?: string
  /** Called once per contestant, inside its host; gives the function that makes and measures one round. */
  readonly prepare: (stage: Stage) => () => Round
  /** Its system calls and programs are counted too. */
  readonly counted: boolean
  /** A fifth of the runs is enough where one takes seconds. */
  readonly slow?: boolean
  /** So many runs are enough where one takes a quarter of a minute; nobody warms up for them more than once. */
  readonly fewRuns?: number
  /** The reference would take minutes to prepare it; what it shows is how the others grow. */
  readonly withoutReference?: boolean
  /** The one that it is for, and why the others are not asked; they go without a word where that says nothing of them. */
  readonly onlyFor?: 'native' | 'node'
  readonly whyOnly?: string
}
