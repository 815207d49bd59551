/** A containerd of its own: started, killed and restarted by the suites. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { outcomeOf, run, until } from './command.ts'
import { BIN_DIR, CONF_DIR, SCRATCH, STORE } from './host.ts'
import { IMAGE_ARCHIVE, PAUSE_ARCHIVE, PAUSE_IMAGE } from './image.ts'

/** Which containerd: the distribution's own, or the newer one that second-containerd.ts keeps. */
export type Generation = 'containerd-1' | 'containerd-2'

const READY_MS = 20_000

/** Where the newer containerd's programs are. */
export const SECOND_BIN = join(STORE, 'containerd-2', 'usr', 'bin')

export class Containerd {
  readonly socket: string
  readonly #directory: string
  readonly #bin: string
  readonly #config: string
  #child: ChildProcess | undefined

  constructor(generation: Generation) {
    this.#directory = join(SCRATCH, generation)
    this.#bin = generation === 'containerd-1' ? '/usr/bin' : SECOND_BIN
    this.socket = join(this.#directory, 'c.sock')
    this.#config = join(this.#directory, 'config.toml')
    mkdirSync(this.#directory, { recursive: true })
    writeFileSync(
      this.#config,
      generation === 'containerd-1' ? configOfFirst(this.#directory) : configOfSecond(this.#directory)
    )
  }

  /** Starts it and waits until it answers. */
  async start(): Promise<void> {
    const log = openSync(this.logPath(), 'a')
    // Its shim is looked for in PATH.
    const env = { ...process.env, PATH: `${this.#bin}${delimiter}${process.env['PATH'] ?? ''}` }
    const child = spawn(join(this.#bin, 'containerd'), ['-c', this.#config], { stdio: ['ignore', log, log], env })
    this.#child = child
    await until('containerd', READY_MS, () => {
      if (child.exitCode !== null) throw new Error(`start containerd: exit ${child.exitCode}: ${this.log()}`)
      return existsSync(this.socket) && this.ctr(['version']).status === 0 ? true : undefined
    })
  }

  /** @param signal SIGKILL leaves containers running without it */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  ctr(args: readonly string[], namespace = 'default') {
    return outcomeOf(join(this.#bin, 'ctr'), ['-a', this.socket, '-n', namespace, ...args])
  }

  loadImages(namespace: string, ...more: readonly string[]): void {
    for (const archive of [IMAGE_ARCHIVE, PAUSE_ARCHIVE, ...more]) {
      run(join(this.#bin, 'ctr'), ['-a', this.socket, '-n', namespace, 'images', 'import', archive])
    }
  }

  version(): string {
    return run(join(this.#bin, 'containerd'), ['--version']).trim().split(' ')[2] ?? ''
  }

  logPath(): string {
    return join(this.#directory, 'log')
  }

  log(): string {
    return existsSync(this.logPath()) ? readFileSync(this.logPath(), 'utf8') : ''
  }
}

/** A root without CAP_SYS_RESOURCE, as in many CI machines, may not make a process more precious. */
const RESTRICTIONS = `disable_apparmor = true
  disable_hugetlb_controller = true
  restrict_oom_score_adj = true`

function configOfFirst(directory: string): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
  address = "${directory}/c.sock"
[ttrpc]
  address = "${directory}/c.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  ${RESTRICTIONS}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${BIN_DIR}"
    conf_dir = "${CONF_DIR}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`
}

function configOfSecond(directory: string): string {
  return `version = 3
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
  address = "${directory}/c.sock"
[ttrpc]
  address = "${directory}/c.sock.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  ${RESTRICTIONS}
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["${BIN_DIR}"]
    conf_dir = "${CONF_DIR}"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`
}
