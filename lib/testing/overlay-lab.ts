/**
 * Several hosts on one underlay for tests of overlay networks, each a network namespace with an address of both families:
 *
 *     host 0 (192.0.2.1, 2001:db8::1) --+
 *     host 1 (192.0.2.2, 2001:db8::2) --+-- switch (a bridge in a namespace of its own)
 *     host 2 ...                      --+
 *
 * Plugins are called on a host as a runtime would; each host has directories of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpinNetns } from '../sys/pinned-netns.ts'
import { waitForEnd } from './helper.ts'
import { Namespace, NSENTER, type Outcome } from './namespace.ts'

/** What a plugin left, with its standard output as JSON where it is. */
export interface LabReply extends Outcome {
  // biome-ignore lint/suspicious/noExplicitAny: of unknown shape by nature
  readonly json: any
}

/** A program, its environment and its standard input. */
export interface LabCall {
  readonly program: string
  readonly env: Readonly<Record<string, string>>
  readonly input: string
}

export function replyOf(outcome: Outcome): LabReply {
  return { ...outcome, json: parsed(outcome.stdout) }
}

export interface LabHost {
  readonly number: number
  readonly namespace: Namespace
  readonly address: string
  readonly address6: string
  /** Journal, leases and sockets of this host. */
  readonly directory: string
}

/** The namespace that a host's encrypted tunnels go through. */
export function carrierOf(host: LabHost): string {
  return join(host.directory, 'agent', 'carrier.netns')
}

export interface LabOptions {
  /** bytes, of every underlay interface */
  readonly mtu?: number
  readonly binDir?: string
}

export class OverlayLab {
  readonly hosts: readonly LabHost[]
  readonly directory: string
  readonly switch: Namespace
  readonly binDir: string
  readonly #containers: Namespace[] = []
  /** What the lab's agents say, to be printed when a test fails. */
  readonly journals: (() => string)[] = []
  readonly #programs: ChildProcess[] = []

  private constructor(hosts: readonly LabHost[], center: Namespace, directory: string, binDir: string) {
    this.hosts = hosts
    this.switch = center
    this.directory = directory
    this.binDir = binDir
  }

  static create(count: number, options: LabOptions = {}): OverlayLab {
    const directory = mkdtempSync(join(tmpdir(), 'patchbay-lab-'))
    const center = Namespace.create()
    const mtu = String(options.mtu ?? 1500)
    ok(center, 'ip link add name sw type bridge mcast_snooping 0')
    ok(center, `ip link set sw up mtu ${mtu}`)
    const hosts: LabHost[] = []
    for (let i = 0; i < count; i += 1) {
      hosts.push({ number: i, ...plug(center, i + 1, mtu), directory: join(directory, `host${i}`) })
    }
    return new OverlayLab(hosts, center, directory, options.binDir ?? process.env['PATCHBAY_BIN_DIR'] ?? '')
  }

  host(number: number): LabHost {
    const host = this.hosts[number]
    if (host === undefined) throw new Error(`there is no host ${number}`)
    return host
  }

  /** One more machine on the underlay, with the address 192.0.2.<number>. Its port is `port<number>` of the switch. */
  plug(number: number): { readonly namespace: Namespace; readonly address: string } {
    const plugged = plug(this.switch, number, '1500')
    this.#containers.push(plugged.namespace)
    return plugged
  }

  /** Cuts a machine off, or connects it again. */
  setPort(number: number, isUp: boolean): void {
    ok(this.switch, `ip link set port${number} ${isUp ? 'up' : 'down'}`)
  }

  container(): Namespace {
    const container = Namespace.create()
    this.#containers.push(container)
    return container
  }

  /** Calls a plugin on a host. `stateDir` is laid under the configuration. */
  call(
    host: LabHost,
    command: string,
    config: Record<string, unknown>,
    container: { readonly id: string; readonly netns: string; readonly ifName?: string; readonly args?: string }
  ): LabReply {
    const { program, env, input } = this.callOf(host, command, config, container)
    return replyOf(host.namespace.run(program, [], { env, input }))
  }

  /** The same without waiting. */
  start(
    host: LabHost,
    command: string,
    config: Record<string, unknown>,
    container: { readonly id: string; readonly netns: string; readonly ifName?: string; readonly args?: string }
  ): Promise<LabReply> {
    const { program, env, input } = this.callOf(host, command, config, container)
    const { promise, resolve, reject } = Promise.withResolvers<LabReply>()
    const child = spawn(NSENTER, [`--net=${host.namespace.path}`, program], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', chunk => {
      stdout += String(chunk)
    })
    child.stderr.on('data', chunk => {
      stderr += String(chunk)
    })
    child.on('error', reject)
    child.on('close', status => resolve(replyOf({ status: status ?? 255, stdout, stderr })))
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    return promise
  }

  /** What a runtime on the host would start for a call. */
  callOf(
    host: LabHost,
    command: string,
    config: Record<string, unknown>,
    container: { readonly id: string; readonly netns: string; readonly ifName?: string; readonly args?: string }
  ): LabCall {
    const program = join(this.binDir, String(config['type']))
    const input = JSON.stringify(this.#complete(host, config))
    return { program, env: this.#environment(command, container), input }
  }

  /** ADD that must succeed, in a new container. */
  add(
    host: LabHost,
    config: Record<string, unknown>,
    id: string
  ): { readonly netns: Namespace; readonly reply: LabReply } {
    const netns = this.container()
    const reply = this.call(host, 'ADD', config, { id, netns: netns.path })
    if (reply.status !== 0) throw new Error(`ADD ${id} on host ${host.number}: ${reply.stdout}${reply.stderr}`)
    return { netns, reply }
  }

  /** A program that runs on until the lab closes. */
  run(
    namespace: Namespace,
    program: string,
    args: readonly string[],
    stdin: 'ignore' | 'pipe' = 'ignore'
  ): ChildProcess {
    const child = spawn(NSENTER, [`--net=${namespace.path}`, program, ...args], { stdio: [stdin, 'pipe', 'pipe'] })
    this.#programs.push(child)
    return child
  }

  /** Names of links in a namespace, sorted. */
  links(namespace: Namespace): readonly string[] {
    const listed: readonly { readonly ifname: string }[] = JSON.parse(ok(namespace, 'ip -j link'))
    return listed.map(link => link.ifname).sort()
  }

  /** Files that calls on this host have left. */
  files(host: LabHost): readonly string[] {
    try {
      const all = readdirSync(host.directory, { recursive: true, withFileTypes: true })
      return all
        .filter(one => one.isFile())
        .map(one => `${one.parentPath}/${one.name}`.slice(host.directory.length + 1))
    } catch {
      return []
    }
  }

  close(): void {
    for (const program of this.#programs) program.kill('SIGKILL')
    for (const program of this.#programs) waitForEnd(program.pid ?? 0)
    for (const one of [...this.#containers, ...this.hosts.map(host => host.namespace), this.switch]) one.close()
    for (const host of this.hosts) unpinNetns(carrierOf(host))
    // A plugin that was started and not waited for may write a last file while its directory is being removed.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }

  #complete(host: LabHost, config: Record<string, unknown>): Record<string, unknown> {
    return { cniVersion: '1.1.0', name: 'net1', stateDir: join(host.directory, 'state'), ...config }
  }

  #environment(
    command: string,
    container: { readonly id: string; readonly netns: string; readonly ifName?: string; readonly args?: string }
  ): Record<string, string> {
    if (this.binDir === '') throw new Error('PATCHBAY_BIN_DIR is not set: run black-box tests through npm test')
    return {
      PATH: process.env['PATH'] ?? '',
      CNI_COMMAND: command,
      CNI_CONTAINERID: container.id,
      CNI_NETNS: container.netns,
      CNI_IFNAME: container.ifName ?? 'eth0',
      CNI_ARGS: container.args ?? '',
      CNI_PATH: this.binDir
    }
  }
}

function plug(center: Namespace, number: number, mtu: string) {
  const namespace = Namespace.create()
  const address = `192.0.2.${number}`
  const address6 = `2001:db8::${number.toString(16)}`
  const peer = `name eth0 netns ${namespace.pid} mtu ${mtu}`
  ok(center, `ip link add name port${number} mtu ${mtu} master sw up type veth peer ${peer}`)
  ok(namespace, 'ip link set lo up')
  ok(namespace, 'ip link set eth0 up')
  ok(namespace, `ip address add ${address}/24 dev eth0`)
  ok(namespace, `ip address add ${address6}/64 dev eth0 nodad`)
  ok(namespace, 'ip route add default via 192.0.2.254')
  return { namespace, address, address6 }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Runs a command line that must succeed, split at blanks. @returns its standard output */
export function ok(namespace: Namespace, line: string): string {
  const [program = '', ...args] = line.split(' ')
  const { status, stdout, stderr } = namespace.run(program, args)
  if (status !== 0) throw new Error(`${line}: ${stderr}${stdout}`)
  return stdout
}

/**
 * Whether echo requests are answered, `bytes` of payload, never fragmented: they go out until one is. A link whose carrier
 * the kernel has yet to notice drops the first. For what must not get through there is `isUnreachable`, which is sooner done.
 */
export function pings(from: Namespace, address: string, bytes = 56): boolean {
  return isAnswered(from, address, bytes, 10)
}

/** Whether echo requests of two seconds are not answered. */
export function isUnreachable(from: Namespace, address: string): boolean {
  return !isAnswered(from, address, 56, 2)
}

/** Sends one request each 0.2 s; ends with the first answer. */
function isAnswered(from: Namespace, address: string, bytes: number, seconds: number): boolean {
  const args = ['-c', '1', '-i', '0.2', '-w', String(seconds), '-M', 'do', '-s', String(bytes), address]
  return from.run('ping', args).status === 0
}

/** Makes a lab for `body` and takes it away after it, whatever happens. What agents said is printed when it fails. */
export async function inLab(
  hosts: number,
  options: LabOptions,
  body: (lab: OverlayLab) => void | Promise<void>
): Promise<void> {
  const lab = OverlayLab.create(hosts, options)
  try {
    await body(lab)
  } catch (error) {
    for (const journal of lab.journals) process.stderr.write(journal())
    throw error
  } finally {
    lab.close()
  }
}
