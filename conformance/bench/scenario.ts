/** What a scenario of the benchmark is, and the throw-away host that each contestant gets for it. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { Netns } from '../netns.ts'

/** A directory of plugins that takes part. */
export interface Contestant {
  readonly name: string
  readonly dir: string
}

/** A host of its own for one contestant in one scenario, entered before every step. */
export class Stage {
  readonly contestant: Contestant
  readonly host: Netns
  readonly #containers = new Map<string, Netns>()

  constructor(contestant: Contestant, serial: number) {
    this.contestant = contestant
    this.host = Netns.make(`host-${contestant.name}-${serial}`)
    this.host.inside(() => {
      command('ip', 'link', 'set', 'lo', 'up')
      command('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'wire')
      command('ip', 'link', 'set', 'uplink', 'up')
      command('ip', 'link', 'set', 'wire', 'up')
      command('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'uplink')
      command('ip', 'route', 'add', 'default', 'via', '192.0.2.1')
    })
  }

  /** A container's namespace, made on first use. */
  container(name: string): Netns {
    const path = `${this.contestant.name}-${name}`
    const known = this.#containers.get(path)
    if (known !== undefined) return known
    const made = Netns.make(path)
    this.#containers.set(path, made)
    return made
  }

  /** A container that is gone: the next use of the name makes a fresh one. */
  forget(name: string): void {
    const path = `${this.contestant.name}-${name}`
    this.#containers.get(path)?.remove()
    this.#containers.delete(path)
  }

  close(): void {
    for (const netns of this.#containers.values()) netns.remove()
    this.#containers.clear()
    this.host.remove()
    for (const path of ['/var/lib/cni', '/run/cni', '/run/patchbay']) rmSync(path, { recursive: true, force: true })
  }
}

/** Runs a command of the machine, which must succeed. */
export function command(name: string, ...args: readonly string[]): string {
  const child = spawnSync(name, args, { encoding: 'utf8' })
  if (child.error !== undefined) throw new Error(`run ${name}: ${child.error.message}`)
  if (child.status !== 0) throw new Error(`run ${name} ${args.join(' ')}: exit ${child.status}: ${child.stderr.trim()}`)
  return child.stdout
}

/** One round's measurements, by the name of what was measured (`ADD`, `DEL`, ...), in milliseconds. */
export type Round = Readonly<Record<string, number>>

export interface Scenario {
  readonly id: string
  readonly title: string
  /** What the times belong to in the tables: `bridge`, `host-local`, `sequences`, ... */
  readonly group: string
  /** Plugins that must be there for a contestant to take part. */
  readonly needs: readonly string[]
  /** Called once per contestant, inside its host; gives the function that makes and measures one round. */
  readonly prepare: (stage: Stage) => () => Round
  /** A tenth of the runs is enough where one takes seconds. */
  readonly slow?: boolean
  /** The reference would take minutes to prepare it; what it shows is how the others grow. */
  readonly withoutReference?: boolean
}
