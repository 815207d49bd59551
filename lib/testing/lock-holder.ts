/** Somebody who holds a lock and does not let go: flock(1) around a sleep. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Namespace } from './namespace.ts'

/** Which process holds what. */
const LOCKS = '/proc/locks'

export class LockHolder {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Holds a file, alone. */
  static of(path: string): LockHolder {
    return LockHolder.#start('flock', ['--no-fork', path, 'sleep', '60'])
  }

  /** Holds a network namespace's own file in it as nobody, without any capability: whoever is in there can. */
  static ofNamespace(namespace: Namespace): LockHolder {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all']
    const hold = ['flock', '--no-fork', '--shared', '/proc/self/ns/net', 'sleep', '60']
    return LockHolder.#start('nsenter', [`--net=${namespace.path}`, ...nobody, ...hold])
  }

  static #start(program: string, args: readonly string[]): LockHolder {
    const child = spawn(program, [...args], { stdio: 'ignore' })
    const deadline = Date.now() + 30_000
    // Each of these programs becomes the next one, under one process id.
    while (!new RegExp(`FLOCK .* ${String(child.pid)} `).test(readFileSync(LOCKS, 'utf8'))) {
      if (Date.now() > deadline) throw new Error('hold a lock: flock does not get it')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
    return new LockHolder(child)
  }

  release(): void {
    this.#child.kill('SIGKILL')
  }
}
