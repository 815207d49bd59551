/** A root directory with another base system than this machine's, and plugins in it that are called as a runtime there would. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, linkSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { callEnv } from './memory-io.ts'
import { type Namespace, type Outcome, withNamespaces } from './namespace.ts'

const PLUGINS = '/opt/cni/bin'

export class OtherRoot {
  readonly directory: string
  /** What starts a plugin inside, such as a shell and its arguments; nothing when the kernel does. */
  readonly #starter: readonly string[]

  /** @param directory with whatever the system consists of; empty for none */
  constructor(directory: string, starter: readonly string[] = []) {
    this.directory = directory
    this.#starter = starter
    mkdirSync(join(directory, 'proc'), { recursive: true })
  }

  /** @param file the program that all plugins are names of */
  put(file: string, names: readonly string[]): this {
    this.takeAway()
    const plugins = join(this.directory, PLUGINS)
    mkdirSync(plugins, { recursive: true, mode: 0o755 })
    const [first = '', ...others] = names
    copyFileSync(file, join(plugins, first))
    for (const name of others) linkSync(join(plugins, first), join(plugins, name))
    return this
  }

  takeAway(): void {
    rmSync(join(this.directory, PLUGINS), { recursive: true, force: true })
  }

  /** A container gets its address by the plugins of this root, is checked, and loses it. @throws Error saying what was not so */
  wires(): void {
    this.#withProc(() => withNamespaces(2, (host, container) => this.#wire(host, container)))
  }

  /** Runs a command inside. @returns its standard output @throws Error when it fails */
  run(...command: readonly string[]): string {
    let output = ''
    this.#withProc(() => {
      output = run('chroot', [this.directory, ...command])
    })
    return output
  }

  #withProc(body: () => void): void {
    run('mount', ['-t', 'proc', 'proc', join(this.directory, 'proc')])
    try {
      body()
    } finally {
      run('umount', [join(this.directory, 'proc')])
    }
  }

  #wire(host: Namespace, container: Namespace): void {
    const added = this.#call('ADD', host, container)
    const { address }: { address: string } = JSON.parse(added.stdout).ips[0]
    const shown = (): Outcome => container.run('ip', ['-4', 'address', 'show', 'dev', 'eth0'])
    if (!shown().stdout.includes(`inet ${address} `)) throw new Error(`${address} is not there: ${shown().stdout}`)
    if (container.run('ping', ['-c', '1', '-W', '5', '10.9.0.1']).status !== 0)
      throw new Error('its gateway does not answer')
    this.#call('CHECK', host, container, { prevResult: JSON.parse(added.stdout) })
    this.#call('DEL', host, container)
    if (shown().status !== 1) throw new Error(`it is there still: ${shown().stdout}`)
  }

  /** Calls `bridge` of a network with masquerade, addresses by host-local. @throws Error when it fails */
  #call(command: string, host: Namespace, container: Namespace, more: object = {}): Outcome {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd09::/64' }]] }
    const bridge = { type: 'bridge', bridge: 'br7', isGateway: true, ipMasq: true }
    const input = JSON.stringify({ cniVersion: '1.1.0', name: 'net', ...bridge, ipam, ...more })
    const env = { ...callEnv(command, { CNI_NETNS: container.path, CNI_PATH: PLUGINS }), PATH: '/usr/bin:/bin' }
    const program = [...this.#starter, join(PLUGINS, 'bridge')]
    const answer = host.run('/usr/sbin/chroot', [this.directory, ...program], { env, input })
    if (answer.status !== 0) throw new Error(`${command}: ${answer.stdout}${answer.stderr}`)
    return answer
  }
}

function run(command: string, args: readonly string[]): string {
  const child = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  if (child.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${child.error?.message ?? child.stdout + child.stderr}`)
  return child.stdout
}
