/**
 * `npm run test:upgrade`: up and down between the release before and this one while containers come and go. Runtimes start plugins
 * out of the directory that is being installed into; agent and DHCP daemon are restarted by their sockets, each time with the
 * command that was installed last. No call may fail, containers of before are right with either, and nothing is left.
 *
 *     npm run test:upgrade -- [--from COMMIT] [--seconds 20] [--rate 200]
 *
 * --from: the other version; or a directory with a `dist` that is built.
 * --rate: calls of ADD and DEL in a second, as far as the machine can.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { NSENTER } from '../lib/testing/namespace.ts'
import { inLab, type LabReply, type OverlayLab, ok, replyOf } from '../lib/testing/overlay-lab.ts'
import { withPrivateMounts } from '../lib/testing/private-mounts.ts'
import { agentUnit, SocketUnit } from '../lib/testing/socket-unit.ts'
import { buildCommit, PREVIOUS_RELEASE, type Release, releaseIn } from './previous.ts'
import { ROOT } from './project.ts'
import type { CallerReply, CallerRequest } from './upgrade-caller.ts'

/** How long one version stays. */
const PAUSE_MS = 1000

/** The DHCP daemon of 0.1.0 does not wait for a lease that is on its way when it is stopped: a runtime calls ADD again. */
const ABORTED = { code: 11, message: /This operation was aborted$/ }

interface Network {
  readonly config: Record<string, unknown>
  /** How many containers of it come and go side by side. */
  readonly workers: number
}

interface Container {
  readonly id: string
  readonly netns: string
  /** Who calls plugins for it. */
  readonly caller: Caller
}

/** Whoever has been there from the beginning. */
interface Resident extends Container {
  readonly network: Network
  readonly result: unknown
}

/** Turns at a rate, for whoever asks next; a turn that is late is taken at once. */
class Turns {
  readonly #start = performance.now()
  readonly #milliseconds: number
  taken = 0

  constructor(rate: number) {
    this.#milliseconds = 1000 / rate
  }

  async next(): Promise<void> {
    const due = this.#start + this.taken * this.#milliseconds
    this.taken += 1
    const left = due - performance.now()
    if (left > 0) await new Promise(resolve => setTimeout(resolve, left))
  }

  /** In a second, so far. */
  rate(): number {
    return this.taken / ((performance.now() - this.#start) / 1000)
  }
}

/** Somebody who calls plugins on the host, one after the other. */
class Caller {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Starts one, which takes a while that is no call's. */
  static async start(lab: OverlayLab): Promise<Caller> {
    const program = join(ROOT, 'build', 'upgrade-caller.ts')
    const args = [`--net=${lab.host(0).namespace.path}`, process.execPath, '--no-warnings', program]
    const child = spawn(NSENTER, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    // Whoever waits for an answer hears of it.
    child.on('exit', () => child.emit('error', new Error('a caller of plugins has ended')))
    await once(child, 'message')
    return new Caller(child)
  }

  async call(request: CallerRequest): Promise<CallerReply> {
    const answered = once(this.#child, 'message')
    this.#child.send(request)
    const [reply] = await answered
    return reply
  }

  close(): void {
    this.#child.removeAllListeners('exit')
    this.#child.disconnect()
  }
}

class Upgrades {
  readonly #lab: OverlayLab
  readonly #networks: readonly Network[]
  readonly #units: readonly SocketUnit[]
  readonly #rate: number
  readonly #failures: string[] = []
  readonly #callers: Caller[] = []
  #residents: readonly Resident[] = []
  #isOver = false
  /** Calls that were told to be made again. */
  #again = 0

  constructor(lab: OverlayLab, rate: number) {
    this.#lab = lab
    this.#rate = rate
    const program = [this.#command]
    const agent = agentUnit(lab, lab.host(0), { program })
    const socket = join(lab.directory, 'dhcp.sock')
    const dhcp = [...program, 'dhcp', `-socketpath=${socket}`, `-statedir=${join(lab.directory, 'dhcp')}`]
    this.#units = [agent, new SocketUnit(lab, lab.host(0), { socket, command: dhcp })]
    this.#networks = networksOf(lab, agent.socket, socket)
  }

  /** The path that the units start; which version that is, an installation decides. */
  get #command(): string {
    return join(this.#lab.directory, 'patchbay')
  }

  /** @returns what has failed */
  async run(releases: readonly [Release, Release], seconds: number): Promise<readonly string[]> {
    await this.#install(releases[0])
    for (const unit of this.#units) await unit.whenSaid(/Listening on /)
    // The first call to each wakes it up.
    const arriving = Promise.all(this.#networks.map((network, i) => this.#moveIn(network, i)))
    let running = await this.#startUnits()
    this.#residents = await arriving
    const all = this.#networks.flatMap(network => Array.from({ length: network.workers }, () => network))
    const containers = await Promise.all(all.map((_, worker) => this.#container(`c${worker}`)))
    const turns = new Turns(this.#rate)
    const load = Promise.all(containers.map((one, worker) => this.#comeAndGo(one, all[worker], turns)))
    const end = performance.now() + seconds * 1000
    let changes = 0
    // It ends with this release: what the one before has left is its to remove.
    for (; performance.now() < end || changes % 2 === 0; changes += 1) {
      await this.#install(releases[changes % 2 === 0 ? 1 : 0])
      for (const pid of running) process.kill(pid, 'SIGTERM')
      running = await this.#startUnits()
      await this.#checkResidents()
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    }
    const rate = turns.rate()
    this.#isOver = true
    await load
    for (const resident of this.#residents) await this.#call('DEL', resident.network, resident)
    for (const caller of this.#callers) caller.close()
    this.#findLeftovers()
    const { taken } = turns
    process.stdout.write(
      `${changes} changes between ${releases[0].name} and ${releases[1].name}, ${taken} calls, ${rate.toFixed(0)} a second: ` +
        `${this.#failures.length} failed, ${this.#again} told to try again\n`
    )
    return this.#failures
  }

  async #install({ command }: Release): Promise<void> {
    const child = spawn(command, ['install', this.#lab.binDir], { stdio: ['ignore', 'ignore', 'inherit'] })
    const [status] = await once(child, 'exit')
    if (status !== 0) this.#failures.push(`${command} install: exit ${status}`)
    const fresh = `${this.#command}.next`
    symlinkSync(command, fresh)
    renameSync(fresh, this.#command)
  }

  async #startUnits(): Promise<readonly number[]> {
    return Promise.all(this.#units.map(unit => unit.start()))
  }

  async #moveIn(network: Network, number: number): Promise<Resident> {
    const container = await this.#container(`resident${number}`)
    const { json } = await this.#call('ADD', network, container)
    return { ...container, network, result: json }
  }

  async #checkResidents(): Promise<void> {
    for (const one of this.#residents) await this.#call('CHECK', one.network, one, { prevResult: one.result })
  }

  async #comeAndGo(place: Container, network: Network | undefined, turns: Turns): Promise<void> {
    for (let round = 0; network !== undefined && !this.#isOver; round += 1) {
      const container = { ...place, id: `${place.id}-${round}` }
      for (const command of ['ADD', 'DEL']) {
        await turns.next()
        await this.#call(command, network, container)
      }
    }
  }

  /** A container in a namespace of its own. */
  async #container(id: string): Promise<Container> {
    const caller = await Caller.start(this.#lab)
    this.#callers.push(caller)
    return { id, netns: this.#lab.container().path, caller }
  }

  async #call(
    command: string,
    { config }: Network,
    container: Container,
    more: Record<string, unknown> = {}
  ): Promise<LabReply> {
    const lab = this.#lab
    const { program, env, input } = lab.callOf(lab.host(0), command, { ...config, ...more }, container)
    const start = async (): Promise<LabReply> => replyOf(await container.caller.call({ path: program, env, input }))
    let reply = await start()
    if (reply.json?.code === ABORTED.code && ABORTED.message.test(reply.json.msg)) {
      this.#again += 1
      reply = await start()
    }
    if (reply.status !== 0) {
      const said = `${reply.stdout}${reply.stderr}`.replaceAll(/\s+/g, ' ')
      this.#failures.push(`${command} ${container.id} of ${String(config['name'])}: ${said}`)
    }
    return reply
  }

  #findLeftovers(): void {
    const lab = this.#lab
    const links = lab.links(lab.host(0).namespace).filter(name => !['eth0', 'lo', 'lan0', 'server'].includes(name))
    const below = (path: string): readonly string[] =>
      existsSync(path) ? readdirSync(path, { recursive: true, encoding: 'utf8' }).map(name => join(path, name)) : []
    const journals = below(join(lab.host(0).directory, 'state')).filter(name => name.endsWith('.json'))
    const leases = below(join(lab.directory, 'leases')).filter(name => /\/(?:10\.|fd)[^/]*$/.test(name))
    const daemons = [join(lab.directory, 'dhcp', 'leases'), join(lab.host(0).directory, 'agent', 'endpoints')]
    const left = [...links, ...journals, ...leases, ...daemons.flatMap(below)]
    if (left.length > 0) this.#failures.push(`left: ${left.join(' ')}`)
  }
}

/** Without a daemon, with the agent, and with the DHCP daemon. */
function networksOf(lab: OverlayLab, agent: string, dhcp: string): readonly Network[] {
  const ipam = (net: number): object => {
    const dataDir = join(lab.directory, 'leases')
    return { type: 'host-local', dataDir, ranges: [[{ subnet: `10.${net}.0.0/16` }], [{ subnet: `fd00:${net}::/64` }]] }
  }
  const blue = { type: 'bridge', name: 'blue', bridge: 'blue0', isGateway: true, ipMasq: true, keepDevices: false }
  // A plugin waits for the next daemon for as long.
  const red = { type: 'vxlan', name: 'red', vni: 42, isGateway: true, registry: { socket: agent, timeout: 60 } }
  const lan = { type: 'bridge', name: 'lan', bridge: 'lan0' }
  return [
    { workers: 12, config: { ...blue, ipam: ipam(43) } },
    { workers: 1, config: { ...red, ipam: ipam(42) } },
    { workers: 1, config: { ...lan, ipam: { type: 'dhcp', daemonSocketPath: dhcp, probe: 0, timeout: 60 } } }
  ]
}

/** The network "lan" of the host, with a DHCP server on it. */
function serveDhcp(lab: OverlayLab): void {
  const { namespace } = lab.host(0)
  const server = lab.container()
  ok(namespace, 'ip link add lan0 type bridge forward_delay 0')
  ok(namespace, 'ip link set lan0 up')
  ok(namespace, `ip link add server master lan0 up type veth peer eth0 netns ${server.pid}`)
  ok(server, 'ip address add 10.9.0.1/24 dev eth0')
  ok(server, 'ip link set eth0 up')
  const config = join(lab.directory, 'udhcpd.conf')
  const leases = join(lab.directory, 'udhcpd.leases')
  writeFileSync(leases, '')
  const range = ['start 10.9.0.10', 'end 10.9.0.250', 'interface eth0', 'max_leases 241', `lease_file ${leases}`]
  const options = ['option subnet 255.255.255.0', 'option router 10.9.0.1', 'option lease 3600']
  writeFileSync(config, `${[...range, ...options].join('\n')}\n`)
  lab.run(server, 'busybox', ['udhcpd', '-f', '-a', '1', config])
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { from: { type: 'string' }, seconds: { type: 'string' }, rate: { type: 'string' } }
  })
  const from = values.from ?? PREVIOUS_RELEASE
  const previous = existsSync(join(from, 'dist')) ? releaseIn(resolve(from), from) : buildCommit(from)
  const current = releaseIn(ROOT, 'this one')
  // Installing and wiring leave files below /run and /var/lib.
  withPrivateMounts(import.meta.filename, process.argv.slice(2))
  const binDir = join(ROOT, '.cache', `upgrade-${process.pid}`)
  mkdirSync(binDir)
  let failures: readonly string[] = []
  try {
    await inLab(1, { binDir }, async lab => {
      serveDhcp(lab)
      const upgrades = new Upgrades(lab, Number(values.rate ?? 200))
      failures = await upgrades.run([previous, current], Number(values.seconds ?? 20))
    })
  } finally {
    rmSync(binDir, { recursive: true, force: true })
  }
  for (const failure of failures.slice(0, 20)) process.stderr.write(`${failure}\n`)
  return failures.length === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`upgrade: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
