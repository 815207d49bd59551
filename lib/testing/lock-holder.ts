/** Somebody who holds a lock and does not let go: flock(1) around a sleep. */
import { readFileSync } from 'node:fs'
import { Helper } from './helper.ts'
import type { Namespace } from './namespace.ts'

/** Which process holds what. */
const LOCKS = '/proc/locks'

export class LockHolder {
  readonly #helper: Helper

  private constructor(helper: Helper) {
    this.#helper = helper
  }

  /** Holds a file, alone. */
  static of(path: string): LockHolder {
    return LockHolder.#start(['flock', '--no-fork', path, 'sleep', '60'])
  }

  /** Holds a network namespace's own file in it as nobody, without any capability: whoever is in there can. */
  static ofNamespace(namespace: Namespace): LockHolder {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all']
    const hold = ['flock', '--no-fork', '--shared', '/proc/self/ns/net', 'sleep', '60']
    return LockHolder.#start(['nsenter', `--net=${namespace.path}`, ...nobody, ...hold])
  }

  static #start(command: readonly string[]): LockHolder {
    // Each of these programs becomes the next one, under one process id.
    const holds = (pid: number): boolean => new RegExp(`FLOCK .* ${pid} `).test(readFileSync(LOCKS, 'utf8'))
    return new LockHolder(Helper.start('holder of a lock', command, holds))
  }

  release(): void {
    this.#helper.end()
  }
}
