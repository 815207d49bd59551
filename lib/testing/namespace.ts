/**
 * Throw-away network namespaces for tests. Each is held by a sleeping process, so it has a path (`/proc/PID/ns/net`)
 * without iproute2 and without a mount, and it ends with the process whatever becomes of the test.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'

/** By its path, because a test may run a plugin with a PATH that leads nowhere. */
export const NSENTER = '/usr/bin/nsenter'

/** What a program run inside a namespace left. */
export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export class Namespace {
  readonly path: string
  readonly pid: number
  readonly #holder: ChildProcess

  private constructor(holder: ChildProcess, pid: number) {
    this.#holder = holder
    this.pid = pid
    this.path = `/proc/${String(pid)}/ns/net`
  }

  /** Makes a fresh one: only `lo` in it, down. */
  static create(): Namespace {
    const holder = spawn('unshare', ['--net', 'sleep', '600'], { stdio: 'ignore' })
    if (holder.pid === undefined) throw new Error('make a network namespace: unshare cannot be started')
    const own = readlinkSync('/proc/self/ns/net')
    const deadline = Date.now() + 30_000
    // Until unshare has done its work, the path leads to our own namespace.
    while (namespaceOf(holder.pid) === own || namespaceOf(holder.pid) === undefined) {
      if (Date.now() > deadline || holder.exitCode !== null) {
        holder.kill('SIGKILL')
        throw new Error('make a network namespace: unshare failed; it needs root')
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
    return new Namespace(holder, holder.pid)
  }

  /** Runs a program inside. A file system it mounts would be seen outside: only the network is its own. */
  run(
    program: string,
    args: readonly string[],
    options: { readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {}
  ): Outcome {
    const child = spawnSync(NSENTER, [`--net=${this.path}`, program, ...args], {
      encoding: 'utf8',
      input: options.input ?? '',
      env: options.env ?? process.env,
      maxBuffer: 1 << 26
    })
    // EPIPE: the program ended before it read all its input, which it may.
    const failed = child.error !== undefined && !('code' in child.error && child.error.code === 'EPIPE')
    if (failed) throw new Error(`run ${program}: ${child.error?.message}`)
    return { status: child.status ?? 255, stdout: child.stdout, stderr: child.stderr }
  }

  /** Ends it, with everything in it. The kernel takes a moment to remove the interfaces. */
  close(): void {
    this.#holder.kill('SIGKILL')
  }
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${String(pid)}/ns/net`)
  } catch {
    return undefined
  }
}

/** Makes `count` namespaces for `body`, and ends them after it. */
export function withNamespaces(count: number, body: (...namespaces: Namespace[]) => void): void {
  const namespaces: Namespace[] = []
  try {
    for (let i = 0; i < count; i += 1) namespaces.push(Namespace.create())
    body(...namespaces)
  } finally {
    for (const namespace of namespaces) namespace.close()
  }
}
