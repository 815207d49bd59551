/** Keeps one container: makes its network, starts its command there, waits for its end, takes the network down. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { constants, hostname as ownHostname } from 'node:os'
import { jsonText } from '../../lib/config/json.ts'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import type { CachedAttachment } from '../../lib/runtime/cache.ts'
import { loadNetwork, type Network } from '../../lib/runtime/network.ts'
import { errnoOf } from '../../lib/sys/errors.ts'
import { ensureDirectory } from '../../lib/sys/files.ts'
import { inNamespace, newNetns, openNetns } from '../../lib/sys/netns.ts'
import { withOwnView } from '../../lib/sys/sandbox.ts'
import { attachTo, detachFrom } from '../attachment.ts'
import { Containers } from '../container.ts'
import { endpointArgs } from '../endpoint.ts'
import { nameArgs, withAliases } from '../names.ts'
import { CommandError, type Output } from '../output.ts'
import { runtimeAt } from '../place.ts'
import { hostResolverText, writeNames } from './files.ts'
import { linkArgs, type ResolvedLink, resolveLinks } from './links.ts'
import type { NetworkWish } from './network-words.ts'
import type { Port } from './ports.ts'
import { absentAddresses, nobodyPublishes, portArgs, publishes, withHostPort } from './publish.ts'
import { resolverOf, searchAndOptionsOf, type ToldDns, withResolvers } from './resolvers.ts'
import { type ContainerState, ContainerStore, startTimeOf } from './store.ts'
import { type RunWish, withNetworks } from './wish.ts'

/** The container's streams: this process's own, or its log. */
export type Streams = 'own' | 'log'

interface Made {
  /** Undefined where the container has the host's network. */
  readonly netns: number | undefined
  readonly addresses: readonly string[]
  readonly gateway: string
  /** What the plugins of each network say. */
  readonly dns: readonly ToldDns[]
  readonly ports: readonly Port[]
}

/**
 * @param started is called when the command runs
 * @returns its exit status, 128 + n after signal n
 * @throws CommandError when it could not be started; nothing is left of it then, but what there was of it before
 */
export async function keep(wish: RunWish, streams: Streams, output: Output, started: () => void): Promise<number> {
  const store = new ContainerStore(wish.runDir)
  const before = wish.again ? store.find(wish.name) : undefined
  if (before === undefined) reserve(store, wish)
  let child: ChildProcess
  try {
    // Its descriptor stays open as long as this process lives: plugins have been told the namespace by it, and whoever looks
    // later whether the container is still there, as the agent does for its names, looks there.
    const made = await makeNetwork(wish, output)
    child = await start(wish, made, store, streams)
    store.write(stateOf(wish, made, child.pid ?? 0))
  } catch (error) {
    await leaveNetworks(wish, output)
    if (before === undefined) store.remove(wish.name)
    else store.write(before)
    throw error
  }
  started()
  const status = await endOf(child)
  if (!wish.remove) store.writeWish(wish.name, withNetworks(wish, attachmentsOf(wish, output)))
  await leaveNetworks(wish, output)
  const state = store.find(wish.name)
  if (wish.remove) store.remove(wish.name)
  else if (state !== undefined) store.write({ ...state, exitStatus: status })
  return status
}

function reserve(store: ContainerStore, wish: RunWish): void {
  const { name } = wish
  try {
    ensureDirectory(store.directoryOf('.'), 0o700)
    mkdirSync(store.directoryOf(name), { mode: 0o700 })
    store.writeWish(name, wish)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw new CommandError(
      `run ${JSON.stringify(name)}: a container has this name already`,
      `remove it: patchbay rm ${name}`
    )
  }
}

async function makeNetwork(wish: RunWish, output: Output): Promise<Made> {
  const nothing = { addresses: [], gateway: '', dns: [], ports: [] }
  if (wish.mode.kind === 'host') return { ...nothing, netns: undefined }
  if (wish.mode.kind === 'container') {
    const containers = new Containers(runtimeAt(wish.place, output).cache, wish.runDir)
    const { netns } = await containers.living(wish.mode.word, undefined)
    return { ...nothing, netns: openNetns(netns) }
  }
  const netns = newNetns()
  const path = `/proc/${String(process.pid)}/fd/${String(netns)}`
  setLoopbackUp(path)
  if (wish.mode.kind === 'none') return { ...nothing, netns }
  const ports = await Promise.all(wish.ports.map(withHostPort))
  for (const line of absentAddresses(ports)) output.err(line)
  return { netns, ports, ...(await joinNetworks({ ...wish, ports }, wish.mode.wishes, path, output)) }
}

function setLoopbackUp(path: string): void {
  const sandbox = new LinuxKernel().open(path)
  sandbox.links.set(sandbox.links.get('lo').index, { up: true })
  sandbox.close()
}

/** The part of a result that the container's files are made of. */
interface ShownResult {
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[]
  readonly dns?: ToldDns
}

async function joinNetworks(
  wish: RunWish,
  wishes: readonly NetworkWish[],
  netns: string,
  output: Output
): Promise<Pick<Made, 'addresses' | 'gateway' | 'dns'>> {
  const networks = wishes.map(one => loadNetwork(wish.place.confDir, one.name))
  const publisher = networks.find(publishes)
  if (wish.ports.length > 0 && publisher === undefined) throw nobodyPublishes(networks)
  const { cache } = runtimeAt(wish.place, output)
  const links = await resolveLinks(wish.links, new Containers(cache, wish.runDir), networks, cache)
  const results: ShownResult[] = []
  for (const [i, network] of networks.entries()) {
    const own = wishes[i]
    if (own === undefined) continue
    const ports = network === publisher ? wish.ports : []
    results.push(await join({ wish, netns, output, links }, network, own, ports))
  }
  const ips = results.flatMap(result => result.ips ?? [])
  return {
    addresses: ips.map(ip => ip.address),
    gateway: ips.find(ip => ip.gateway !== undefined)?.gateway ?? '',
    dns: results.flatMap(result => result.dns ?? [])
  }
}

interface Joining {
  readonly wish: RunWish
  readonly netns: string
  readonly output: Output
  readonly links: readonly ResolvedLink[]
}

async function join(
  { wish, netns, output, links }: Joining,
  network: Network,
  own: NetworkWish,
  ports: readonly Port[]
): Promise<ShownResult> {
  const attaching = {
    containerId: wish.name,
    netns,
    ifName: own.ifName,
    args: [...endpointArgs(own), ...nameArgs(wish.name), ...linkArgs(links, network)],
    capabilityArgs: withResolvers(wish.dns, network, withAliases(own.aliases, network, portArgs(ports)))
  }
  const { result } = await attachTo(wish.place, network, attaching, output)
  return JSON.parse(jsonText(result))
}

async function start(wish: RunWish, made: Made, store: ContainerStore, streams: Streams): Promise<ChildProcess> {
  const [program = '', ...args] = wish.command
  const hostname = wish.mode.kind === 'host' ? wish.hostname : wish.hostname || wish.name
  const asked = { nameServers: wish.dns, search: wish.dnsSearch, options: wish.dnsOptions }
  const resolver = resolverOf(asked, made.dns, searchAndOptionsOf(hostResolverText()))
  const names = { ...made, hostname: hostname || ownHostname(), domain: wish.domain, addHosts: wish.addHosts, resolver }
  const isAsked = [wish.addHosts, wish.dns, wish.dnsSearch, wish.dnsOptions].some(list => list.length > 0)
  const hasOwnFiles = wish.mode.kind !== 'host' || isAsked
  const view = { hostname, files: hasOwnFiles ? writeNames(store.directoryOf(wish.name), names) : [] }
  const env = { ...process.env, ...Object.fromEntries(wish.env) }
  const log = streams === 'log' ? openSync(store.logOf(wish.name), 'a', 0o600) : undefined
  const stdio: StdioOptions = log === undefined ? 'inherit' : [wish.interactive ? 'pipe' : 'ignore', log, log]
  const begin = (): ChildProcess => withOwnView(view, () => spawn(program, args, { stdio, env, cwd: wish.workdir }))
  const child = made.netns === undefined ? begin() : inNamespace(made.netns, begin)
  if (log !== undefined) closeSync(log)
  if (child.pid === undefined) {
    throw notStarted(program, await new Promise(resolve => child.once('error', resolve)))
  }
  return child
}

/** Who has typed the name of an image is told whose matter images are. */
export function notStarted(program: string, error: unknown): CommandError {
  return new CommandError(
    `start ${JSON.stringify(program)}: ${errnoOf(error)}`,
    'it must be a program of this host, and executable; images are for nerdctl and podman to run'
  )
}

function stateOf(wish: RunWish, made: Made, pid: number): ContainerState {
  return {
    name: wish.name,
    command: wish.command,
    created: new Date().toISOString(),
    networks: wish.networks,
    addresses: made.addresses,
    ports: made.ports,
    pid,
    startTime: startTimeOf(pid),
    keeper: process.pid,
    keeperStartTime: startTimeOf(process.pid),
    exitStatus: undefined
  }
}

/** Signals to this process are the container's. */
async function endOf(child: ChildProcess): Promise<number> {
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, forward)
  return new Promise(resolve =>
    child.on('exit', (status, signal) => resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  )
}

type Kept = Pick<RunWish, 'name' | 'place'>

/** Every network that it is on by now: it may have been connected to more. */
function attachmentsOf(wish: Kept, output: Output): readonly CachedAttachment[] {
  return runtimeAt(wish.place, output)
    .cache.list()
    .filter(one => one.containerId === wish.name)
}

export async function leaveNetworks(wish: Kept, output: Output): Promise<void> {
  for (const { network, ifName } of attachmentsOf(wish, output).toReversed()) {
    try {
      await detachFrom(wish.place, network, { containerId: wish.name, netns: '', ifName }, output)
    } catch (error) {
      output.err(
        `patchbay: detach ${wish.name} from ${network}: ${error instanceof Error ? error.message : String(error)}\n`
      )
    }
  }
}
