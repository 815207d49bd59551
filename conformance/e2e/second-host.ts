/**
 * One more host beside the suite's own, behind the other machine, which routes between the two and runs etcd for both.
 *
 *      this host                     another machine                    second host
 *      uplink 198.51.100.1  ------   198.51.100.2, 203.0.113.1  ------  uplink 203.0.113.2
 *
 * It has its own network, host name, and directories of runtimes and plugins; programs and files are the same.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { outcomeOf, run, runIn, until } from './command.ts'
import { OUTSIDE, OUTSIDE_IPV4, SCRATCH, UPLINK } from './host.ts'
import { PATCHBAY, Patchbay } from './patchbay.ts'

const ROUTER = '203.0.113.1'
export const SECOND_IPV4 = '203.0.113.2'
const ETCD = `http://${OUTSIDE_IPV4}:2379`
const READY_MS = 20_000
const AGENT_CONFIG = '/etc/patchbay/agent.json'
const AGENT_SOCKET = '/run/patchbay/agent.sock'

/** Its own of what the first host has, too. */
const OWN_DIRECTORIES = [
  '/etc/cni/net.d',
  '/etc/patchbay',
  '/run/patchbay',
  '/run/cni',
  '/var/lib/cni',
  '/var/lib/patchbay'
]

export class SecondHost {
  readonly name: string
  readonly #holder: ChildProcess

  private constructor(name: string, holder: ChildProcess) {
    this.name = name
    this.#holder = holder
  }

  static async start(name: string): Promise<SecondHost> {
    for (const path of OWN_DIRECTORIES) mkdirSync(path, { recursive: true })
    const ready = join(SCRATCH, `${name}.ready`)
    const mounts = OWN_DIRECTORIES.map(path => `mount -t tmpfs -o mode=755 tmpfs ${path}`)
    const script = ['set -e', `hostname ${name}`, ...mounts, `touch ${ready}`, 'exec sleep 100000'].join('\n')
    const flags = ['--mount', '--net', '--uts', '--propagation', 'private']
    const holder = spawn('unshare', [...flags, 'sh', '-c', script], { stdio: 'ignore' })
    await until(`host ${name}`, READY_MS, () => existsSync(ready) || undefined)
    const host = new SecondHost(name, holder)
    host.#plug()
    return host
  }

  /** What leads into its namespaces, before a program and its arguments. */
  get enter(): readonly string[] {
    return ['nsenter', '-t', String(this.#holder.pid), '-m', '-n', '-u']
  }

  get netns(): string {
    return `/proc/${String(this.#holder.pid)}/ns/net`
  }

  patchbay(): Patchbay {
    return new Patchbay({}, this.enter)
  }

  async stop(): Promise<void> {
    const ended = new Promise(resolve => this.#holder.once('exit', resolve))
    this.#holder.kill('SIGKILL')
    await ended
  }

  #plug(): void {
    const outside = basename(OUTSIDE)
    const own = (...args: readonly string[]): string => run('nsenter', [`--net=${this.netns}`, 'ip', ...args])
    own('link', 'set', 'lo', 'up')
    own('link', 'add', UPLINK, 'type', 'veth', 'peer', 'name', this.name, 'netns', outside)
    own('address', 'add', `${SECOND_IPV4}/24`, 'dev', UPLINK)
    own('link', 'set', UPLINK, 'up')
    own('route', 'add', 'default', 'via', ROUTER)
    run('ip', ['-n', outside, 'address', 'add', `${ROUTER}/24`, 'dev', this.name])
    run('ip', ['-n', outside, 'link', 'set', this.name, 'up'])
    const forwarding = runIn(OUTSIDE, 'sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
    if (forwarding.status !== 0) throw new Error(forwarding.stderr)
    run('ip', ['route', 'add', 'default', 'via', OUTSIDE_IPV4])
  }
}

/** Programs of the cluster, and what they said. */
export class ClusterPrograms {
  readonly #children: ChildProcess[] = []
  readonly #log = join(SCRATCH, 'cluster.log')

  async startEtcd(): Promise<void> {
    const peer = 'http://127.0.0.1:2380'
    const args = ['--data-dir', join(SCRATCH, 'etcd'), '--log-level', 'error']
    args.push('--listen-client-urls', ETCD, '--advertise-client-urls', ETCD, '--listen-peer-urls', peer)
    args.push('--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`)
    this.#start('nsenter', [`--net=${OUTSIDE}`, 'etcd', ...args])
    await until('etcd', READY_MS, () => runIn(OUTSIDE, 'ss', ['-Hltn']).stdout.includes(':2379 ') || undefined)
  }

  /** @param enter what leads to its host */
  async startAgent(name: string, enter: readonly string[]): Promise<void> {
    const config = JSON.stringify({ host: name, etcd: { endpoints: [ETCD] } })
    const [program = '', ...args] = [...enter, 'sh', '-c']
    if (enter.length === 0) {
      mkdirSync(dirname(AGENT_CONFIG), { recursive: true })
      writeFileSync(AGENT_CONFIG, config)
    } else run(program, [...args, `cat > ${AGENT_CONFIG}`], { input: config })
    const [first = '', ...rest] = [...enter, PATCHBAY, 'agent']
    this.#start(first, rest)
    await until(`the agent of ${name}`, READY_MS, () =>
      outcomeOf(program, [...args, `test -S ${AGENT_SOCKET}`]).status === 0 ? true : undefined
    )
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      const ended = new Promise(resolve => child.once('exit', resolve))
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      await ended
    }
    rmSync(dirname(AGENT_CONFIG), { recursive: true, force: true })
  }

  log(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : ''
  }

  #start(program: string, args: readonly string[]): void {
    const log = openSync(this.#log, 'a')
    this.#children.push(spawn(program, args, { stdio: ['ignore', log, log] }))
  }
}
