/**
 * A network with a DHCP server (busybox udhcpd), on demand one of DHCPv6 (ISC dhcpd), containers on it, and the daemon of ipam "dhcp" on a host of its own.
 *
 *     server: br0 10.9.0.1/24, fd09::1/64 --- eth0 of each container
 *     host: the daemon; it reaches containers by their namespaces only
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Namespace, NSENTER } from './namespace.ts'
import { patchbayProgram } from './program.ts'

export interface DhcpLabOptions {
  readonly leaseSeconds: number
  /** How many addresses the server has; from 10.9.0.10 on. */
  readonly addresses: number
  /** The daemon's flags beside its paths. */
  readonly flags?: readonly string[]
  readonly ipv6?: Ipv6Options
}

export interface Ipv6Options {
  /** Its addresses are preferred and valid for so long, renewed after a third of it, by anybody after two. */
  readonly seconds: number
  /** How many addresses the server has; from fd09::10 on. */
  readonly addresses: number
  /** More lines of its configuration. */
  readonly more?: readonly string[]
}

export interface TakeOptions {
  /** How long the plugin would wait. */
  readonly milliseconds?: number
  readonly ipam?: object
}

/** What the daemon answered. */
export interface DaemonAnswer {
  readonly ok: boolean
  readonly code?: number
  readonly msg?: string
  readonly result?: {
    readonly ips: readonly { readonly address: string; readonly gateway?: string }[]
    readonly routes?: readonly { readonly dst: string; readonly gw?: string }[]
    readonly dns?: { readonly nameservers?: readonly string[]; readonly search?: readonly string[] }
  }
}

export class DhcpLab {
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-dhcp-'))
  readonly server = Namespace.create()
  readonly host = Namespace.create()
  readonly socket = join(this.directory, 'dhcp.sock')
  readonly #containers: Namespace[] = []
  readonly #flags: readonly string[]
  #ports = 0
  #udhcpd: ChildProcess
  readonly #dhcpd: ChildProcess | undefined
  #daemon: ChildProcess
  /** What the server has printed, and what the daemon has. */
  served = ''
  log = ''

  constructor(options: DhcpLabOptions) {
    this.#flags = options.flags ?? []
    run(this.server, 'ip link add br0 type bridge forward_delay 0')
    run(this.server, 'ip address add 10.9.0.1/24 dev br0')
    run(this.server, 'ip link set br0 up')
    this.#udhcpd = this.#startServer(options)
    this.#dhcpd = options.ipv6 === undefined ? undefined : this.#startServer6(options.ipv6)
    this.#daemon = this.startDaemon()
  }

  #startServer({ leaseSeconds, addresses }: DhcpLabOptions): ChildProcess {
    const leases = join(this.directory, 'udhcpd.leases')
    writeFileSync(leases, '')
    const lines = [
      'start 10.9.0.10',
      `end 10.9.0.${9 + addresses}`,
      'interface br0',
      `max_leases ${addresses}`,
      'min_lease 1',
      'offer_time 20',
      `lease_file ${leases}`,
      `pidfile ${join(this.directory, 'udhcpd.pid')}`,
      'option subnet 255.255.255.0',
      'option router 10.9.0.1',
      'option dns 10.9.0.1',
      `option lease ${leaseSeconds}`
    ]
    const config = join(this.directory, 'udhcpd.conf')
    writeFileSync(config, `${lines.join('\n')}\n`)
    // -a: it asks by ARP whether an address is free, two seconds long and one client after the other, unless told otherwise.
    const child = start(this.server, 'busybox', ['udhcpd', '-f', '-a', '1', config])
    child.stderr?.on('data', chunk => {
      this.served += String(chunk)
    })
    child.stdout?.resume()
    return child
  }

  #startServer6({ seconds, addresses, more = [] }: Ipv6Options): ChildProcess {
    run(this.server, 'ip address add fd09::1/64 dev br0 nodad')
    const paths = { config: join(this.directory, 'dhcpd.conf'), leases: join(this.directory, 'dhcpd.leases') }
    const lines = [
      `default-lease-time ${seconds};`,
      `preferred-lifetime ${seconds};`,
      `option dhcp-renewal-time ${Math.floor(seconds / 3)};`,
      `option dhcp-rebinding-time ${Math.floor((seconds * 2) / 3)};`,
      'option dhcp6.name-servers fd09::1;',
      'option dhcp6.domain-search "example.org";',
      'authoritative;',
      ...more,
      `subnet6 fd09::/64 { range6 fd09::10 fd09::${(15 + addresses).toString(16)}; }`
    ]
    writeFileSync(paths.config, `${lines.join('\n')}\n`)
    writeFileSync(paths.leases, '')
    const files = ['-cf', paths.config, '-lf', paths.leases, '-pf', join(this.directory, 'dhcpd.pid')]
    const child = start(this.server, 'dhcpd', ['-6', '-d', '-f', ...files, 'br0'])
    child.stderr?.on('data', chunk => {
      this.served += String(chunk)
    })
    child.stdout?.resume()
    return child
  }

  startDaemon(): ChildProcess {
    const paths = ['-socketpath', this.socket, '-statedir', this.stateDir]
    const [node, ...args] = patchbayProgram()
    const child = start(this.host, node, [...args, 'dhcp', ...paths, ...this.#flags])
    child.stderr?.on('data', chunk => {
      this.log += String(chunk)
    })
    child.stdout?.resume()
    this.#daemon = child
    return child
  }

  get stateDir(): string {
    return join(this.directory, 'state')
  }

  /** As a crash does. */
  async killDaemon(): Promise<void> {
    const gone = new Promise(resolve => this.#daemon.once('exit', resolve))
    // nsenter has become the daemon: it executes, it does not fork.
    this.#daemon.kill('SIGKILL')
    await gone
  }

  /** SIGSTOP makes it silent, SIGCONT heard again. */
  signalServer(signal: NodeJS.Signals): void {
    this.#udhcpd.kill(signal)
    this.#dhcpd?.kill(signal)
  }

  async whenReady(): Promise<void> {
    await until('the daemon answers', async () => (await this.ask({ do: 'status', ipam: {} })).ok)
    if (this.#dhcpd !== undefined) await until('dhcpd runs', () => this.served.includes('Server starting service.'))
  }

  /** A container with these interfaces as ports of the server's network, down. */
  container(...names: readonly string[]): Namespace {
    const container = Namespace.create()
    this.#containers.push(container)
    for (const name of names) {
      this.#ports += 1
      const port = `p${this.#ports}`
      run(this.server, `ip link add ${port} type veth peer name ${name} netns ${container.pid}`)
      run(this.server, `ip link set ${port} master br0 up`)
    }
    return container
  }

  take(container: Namespace, id: string, ifName = 'eth0', more: TakeOptions = {}): Promise<DaemonAnswer> {
    const { milliseconds = 90_000, ipam = {} } = more
    const names = { network: 'net', containerId: id, ifName }
    return this.ask({ do: 'take', ...names, netns: container.path, ipam, args: '', milliseconds })
  }

  release(id: string, ifName = 'eth0'): Promise<DaemonAnswer> {
    return this.ask({ do: 'release', network: 'net', containerId: id, ifName })
  }

  check(id: string, ips: readonly string[], ifName = 'eth0'): Promise<DaemonAnswer> {
    return this.ask({ do: 'check', network: 'net', containerId: id, ifName, ips })
  }

  ask(question: object): Promise<DaemonAnswer> {
    const { promise, resolve } = Promise.withResolvers<DaemonAnswer>()
    const socket = this.send(question)
    let text = ''
    socket.on('data', chunk => {
      text += String(chunk)
    })
    socket.on('error', error => resolve({ ok: false, code: 0, msg: error.message }))
    socket.on('close', () => resolve(text === '' ? { ok: false, code: 0, msg: 'no answer' } : JSON.parse(text)))
    return promise
  }

  /** Only asks. */
  send(question: object): Socket {
    const socket = connect({ path: this.socket, allowHalfOpen: false })
    socket.on('connect', () => socket.write(`${JSON.stringify(question)}\n`))
    return socket
  }

  /** How often the server has granted or prolonged that address. */
  grantsOf(address: string): number {
    return this.served.split('\n').filter(line => line === `udhcpd: sending ACK to ${address}`).length
  }

  leaseFiles(): readonly string[] {
    const directory = join(this.stateDir, 'leases')
    mkdirSync(directory, { recursive: true })
    return readdirSync(directory).map(name => readFileSync(join(directory, name), 'utf8'))
  }

  close(): void {
    this.#daemon.kill('SIGKILL')
    this.#udhcpd.kill('SIGKILL')
    this.#dhcpd?.kill('SIGKILL')
    for (const one of [this.server, this.host, ...this.#containers]) one.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export async function inDhcpLab(options: DhcpLabOptions, body: (lab: DhcpLab) => Promise<void>): Promise<void> {
  const lab = new DhcpLab(options)
  try {
    await lab.whenReady()
    await body(lab)
  } catch (error) {
    // What both have printed may not have been read yet.
    await new Promise(resolve => setTimeout(resolve, 200))
    process.stderr.write(`${lab.log}${lab.served}`)
    throw error
  } finally {
    lab.close()
  }
}

/** Patiently: a busy machine is slow, not wrong. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`wait until ${what}: it did not happen in ${seconds} s`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

function start(namespace: Namespace, program: string, args: readonly string[]): ChildProcess {
  return spawn(NSENTER, [`--net=${namespace.path}`, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Runs a command line that must succeed. */
export function run(namespace: Namespace, line: string): string {
  const [program = '', ...args] = line.split(' ')
  const outcome = namespace.run(program, args)
  if (outcome.status !== 0) throw new Error(`${line}: ${outcome.stderr}`)
  return outcome.stdout
}
