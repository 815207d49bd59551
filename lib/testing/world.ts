/**
 * A host and containers for black-box tests of built plugins: fresh network namespaces, scratch directories for
 * leases and journal, and calls of the executables in PATCHBAY_BIN_DIR as a runtime makes them.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Namespace, NSENTER } from './namespace.ts'

/** The directory with the reference plugins, as Debian installs them. */
export const REFERENCE_DIR = '/usr/lib/cni'

/** What another program printed as JSON: the assertions of a test say what it must be. */
// biome-ignore lint/suspicious/noExplicitAny: of unknown shape by nature
export type Parsed = any

/** What a plugin left: exit status, both streams, and standard output as JSON where it is. */
export interface Reply {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly json: Parsed
}

export interface CallOptions {
  /** Defaults to the first container. */
  readonly container?: Namespace
  /** CNI_NETNS itself instead, such as '' or a path that leads nowhere. */
  readonly netns?: string
  readonly containerId?: string
  readonly ifName?: string
  readonly args?: string
  /** Where the plugin itself lies. */
  readonly binDir?: string
  /** CNI_PATH, where it looks for IPAM; `binDir` when absent. */
  readonly path?: string
  readonly env?: NodeJS.ProcessEnv
}

export class World {
  readonly host: Namespace
  readonly containers: readonly Namespace[]
  readonly directory: string
  readonly binDir: string

  private constructor(host: Namespace, containers: readonly Namespace[], directory: string) {
    this.host = host
    this.containers = containers
    this.directory = directory
    this.binDir = process.env['PATCHBAY_BIN_DIR'] ?? ''
  }

  static create(containers: number): World {
    const made: Namespace[] = []
    for (let i = 0; i <= containers; i += 1) made.push(Namespace.create())
    const [host, ...rest] = made
    if (host === undefined) throw new Error('make a world: no host')
    return new World(host, rest, mkdtempSync(join(tmpdir(), 'patchbay-test-')))
  }

  container(index = 0): Namespace {
    const container = this.containers[index]
    if (container === undefined) throw new Error(`there is no container ${index}`)
    return container
  }

  /** Where the configuration of a test keeps its leases and its journal. */
  get dataDir(): string {
    return join(this.directory, 'leases')
  }
  get stateDir(): string {
    return join(this.directory, 'state')
  }

  /** Calls one plugin in the host's namespace. */
  call(plugin: string, command: string, config: object | string, options: CallOptions = {}): Reply {
    const { program, env, input } = this.#command(plugin, command, config, options)
    const outcome = this.host.run(program, [], { env, input })
    return { ...outcome, json: jsonOf(outcome.stdout) }
  }

  /** The same without waiting, for calls that run side by side. */
  start(plugin: string, command: string, config: object | string, options: CallOptions = {}): Promise<Reply> {
    const { program, env, input } = this.#command(plugin, command, config, options)
    return new Promise((resolve, reject) => {
      const child = spawn(NSENTER, [`--net=${this.host.path}`, program], { env, stdio: ['pipe', 'pipe', 'pipe'] })
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', chunk => {
        stdout += chunk
      })
      child.stderr.on('data', chunk => {
        stderr += chunk
      })
      child.on('error', reject)
      child.on('close', status => resolve({ status: status ?? 255, stdout, stderr, json: jsonOf(stdout) }))
      child.stdin.on('error', () => undefined)
      child.stdin.end(input)
    })
  }

  /** ADD that must succeed; its result. */
  add(plugin: string, config: object, options: CallOptions = {}): Parsed {
    const reply = this.call(plugin, 'ADD', config, options)
    if (reply.status !== 0) throw new Error(`ADD ${plugin}: ${reply.stdout}${reply.stderr}`)
    return reply.json
  }

  /** DEL that must succeed and say nothing. */
  del(plugin: string, config: object, options: CallOptions = {}): void {
    const reply = this.call(plugin, 'DEL', config, options)
    if (reply.status !== 0 || reply.stdout !== '') throw new Error(`DEL ${plugin}: ${reply.stdout}${reply.stderr}`)
  }

  /** The output of `ip -j -d …` (or another program that prints JSON) in a namespace. */
  ip(namespace: Namespace, ...args: readonly string[]): Parsed {
    return this.json(namespace, 'ip', '-j', '-d', ...args)
  }

  json(namespace: Namespace, program: string, ...args: readonly string[]): Parsed {
    const outcome = namespace.run(program, args)
    if (outcome.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${outcome.stderr}`)
    return outcome.stdout.trim() === '' ? [] : JSON.parse(outcome.stdout)
  }

  /** Runs a program that must succeed. */
  sh(namespace: Namespace, program: string, ...args: readonly string[]): string {
    const outcome = namespace.run(program, args)
    if (outcome.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${outcome.stderr}`)
    return outcome.stdout
  }

  /** Links, addresses, routes, rules, rulesets, sysctls, leases and journal entries: equal before ADD and after DEL. */
  snapshot(): string {
    const links: Parsed[] = this.ip(this.host, 'address')
    const lines = links.map(
      link => `${link.ifname} ${link.linkinfo?.info_kind ?? ''} ${link.master ?? ''} ${addressTexts(link)}`
    )
    const files = filesBelow(this.directory).filter(name => !/last_reserved_ip|\/lock$|\/\.patchbay\//.test(name))
    const tables = ['ip route', 'ip -6 route', 'ip rule', 'ip -6 rule', 'nft list ruleset'].map(line => {
      const [program = '', ...args] = line.split(' ')
      // The kernel notices up to a second later that a link has lost its carrier, or got one and with it an address of its own.
      return this.sh(this.host, program, ...args)
        .replaceAll(' linkdown', '')
        .replaceAll(/^fe80::\/64 dev \S+ proto kernel .*\n/gm, '')
    })
    return [...lines, ...tables, sysctlsOf(this.host), ...files].join('\n')
  }

  close(): void {
    this.host.close()
    for (const container of this.containers) container.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #command(plugin: string, command: string, config: object | string, options: CallOptions) {
    const binDir = options.binDir ?? this.binDir
    if (binDir === '') throw new Error('PATCHBAY_BIN_DIR is not set: run black-box tests through npm test')
    const env: NodeJS.ProcessEnv = {
      PATH: process.env['PATH'],
      CNI_COMMAND: command,
      CNI_CONTAINERID: options.containerId ?? 'c1',
      CNI_NETNS: options.netns ?? (options.container ?? this.containers[0])?.path ?? '',
      CNI_IFNAME: options.ifName ?? 'eth0',
      CNI_PATH: options.path ?? binDir,
      ...(options.args === undefined ? {} : { CNI_ARGS: options.args }),
      ...options.env
    }
    return { program: join(binDir, plugin), env, input: typeof config === 'string' ? config : JSON.stringify(config) }
  }
}

/**
 * All of /proc/sys/net, but for what counts (connections), what cannot be read, and forwarding with what the kernel sets
 * along with it: a host that routes for one container goes on routing, since nobody knows who else relies on it by then.
 */
function sysctlsOf(namespace: Namespace): string {
  const left = ['nf_conntrack_count', 'stable_secret', '*forward*', 'accept_redirects'].map(name => `! -name '${name}'`)
  const find = `find /proc/sys/net -type f -perm -u=r ${left.join(' ')} -exec grep -H . {} +`
  const { stdout } = namespace.run('sh', ['-c', find])
  if (stdout === '') throw new Error('read /proc/sys/net: nothing in it')
  return stdout.split('\n').sort().join('\n')
}

function addressTexts(link: Parsed): string {
  const global = link.addr_info.filter((one: Parsed) => one.scope === 'global')
  return global.map((one: Parsed) => `${one.local}/${one.prefixlen}`).join(' ')
}

function jsonOf(text: string): Parsed {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}

/** Makes a world for `body` and takes it away after it, whatever happens. */
export async function inWorld(containers: number, body: (world: World) => void | Promise<void>): Promise<void> {
  const world = World.create(containers)
  try {
    await body(world)
  } finally {
    world.close()
  }
}
