/**
 * Which hosts are there. Names stay with their host's long lease, so that a host whose agent is stopped for a while is still
 * reached; new connections go to hosts whose agents have been heard of within the short one.
 */
import type { Following, Registry } from '../registry.ts'

const HOSTS = 'hosts/'
const PRESENT = '/present'

export class Presence {
  readonly #present = new Set<string>()
  readonly #following: Following
  #isKnown = false

  /** @param changed called when a host has come or gone */
  constructor(registry: Registry, changed: () => void) {
    this.#following = registry.follow(HOSTS, {
      reset: (entries, keepRest) => {
        this.#isKnown = true
        if (!keepRest) this.#present.clear()
        for (const { name } of entries) if (name.endsWith(PRESENT)) this.#present.add(hostOf(name))
        changed()
      },
      change: (name, value) => {
        if (!name.endsWith(PRESENT)) return
        if (value === undefined) this.#present.delete(hostOf(name))
        else this.#present.add(hostOf(name))
        changed()
      },
      settled: () => undefined
    })
  }

  /** @param host '' for this one */
  isPresent(host: string): boolean {
    return host === '' || !this.#isKnown || this.#present.has(host)
  }

  stop(): void {
    this.#following.stop()
  }
}

function hostOf(name: string): string {
  return name.slice(0, -PRESENT.length)
}
