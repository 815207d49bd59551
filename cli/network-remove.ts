/** `patchbay network rm`: networks go, with what is left of their containers. */
import { rmSync, statSync } from 'node:fs'
import type { NetworkContainer } from '../agent/networks/containers.ts'
import { NETNS_ID } from '../lib/attach/recorded-netns.ts'
import { isOwnMaster } from '../lib/attach/vlan-master.ts'
import { type Json, memberOf } from '../lib/config/json.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import type { Net } from '../lib/net/net.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { loadNetworks, type Network, NetworkError } from '../lib/runtime/network.ts'
import { journalEntries } from '../lib/state/journal.ts'
import { AgentClient } from './agent-client.ts'
import type { Call } from './call.ts'
import { bridgeName } from './network-config.ts'
import { clusterNetworkOf, findNetwork } from './network-find.ts'
import { builtInNetwork } from './network-show.ts'
import { CommandError, jsonLine, reportError } from './output.ts'
import { runtimeAt } from './place.ts'
import { type Summary, servicesOn } from './service/ask.ts'

/** `network rm NAME…`: goes on after a failure, and fails in the end. */
export async function remove(call: Call): Promise<number> {
  return removeAll(call, call.words)
}

/** @param words names, or beginnings of ids */
export async function removeAll(call: Call, words: readonly string[]): Promise<number> {
  const { output } = call
  const removed: string[] = []
  for (const word of words) {
    try {
      const name = await removeOne(call, word)
      removed.push(name)
      if (!call.asJson) output.out(`${call.has('dry-run') ? 'would remove ' : ''}${name}\n`)
    } catch (error) {
      reportError(output, error, call.asJson)
    }
  }
  if (call.asJson) output.out(jsonLine({ removed }))
  return removed.length === words.length ? 0 : 1
}

/** @returns its name; with `--dry-run` it would be removed */
async function removeOne(call: Call, word: string): Promise<string> {
  const agent = new AgentClient(call.text('agent-socket'))
  const network = findHere(call, word, agent)
  const name = network?.name ?? word
  const isCluster = network === undefined || clusterNetworkOf(network) !== undefined
  const attached = isCluster ? elsewhere(call, name, agent) : []
  refuseUsed(name, attached, '')
  // Those of a network of the cluster the agent asks the registry for.
  if (!isCluster) refuseServed(name, servicesOn(call, name))
  const ids = livingIds(call, name, network)
  if (!call.has('force')) refuseUsed(name, ids, ', or add --force')
  if (call.has('dry-run')) return name
  if (network !== undefined) await release(call, network)
  // The file of a network of the cluster is the agent's: it goes with the network, here and on every host.
  if (isCluster) agent.remove(name)
  else rmSync(network.path, { force: true })
  return name
}

/** @returns undefined for a network of the cluster that has no file here */
function findHere(call: Call, word: string, agent: AgentClient): Network | undefined {
  if (builtInNetwork(word) !== undefined)
    throw new CommandError(`remove network ${JSON.stringify(word)}: it is built in`)
  try {
    return findNetwork(call.place.confDir, word)
  } catch (error) {
    if (error instanceof NetworkError && agent.networksIfThere().some(one => one.name === word)) return undefined
    throw error
  }
}

function refuseUsed(name: string, attached: readonly string[], orForce: string): void {
  if (attached.length === 0) return
  throw new CommandError(
    `remove network ${JSON.stringify(name)}: ${attached.join(', ')} attached`,
    `disconnect them${orForce}`
  )
}

function refuseServed(name: string, services: readonly Summary[]): void {
  if (services.length === 0) return
  const names = services.map(one => one.name)
  throw new CommandError(
    `remove network ${JSON.stringify(name)}: services on it: ${names.join(', ')}`,
    `remove them first: patchbay service rm ${names.join(' ')}`
  )
}

/** Containers of a network of the cluster that nobody has recorded here: those of other hosts, and of other runtimes. */
export function elsewhere(call: Call, name: string, agent: AgentClient): readonly string[] {
  const own = runtimeAt(call.place, call.output).cache.list(name)
  const isOwn = (one: NetworkContainer): boolean =>
    own.some(cached => cached.containerId === one.containerId && cached.ifName === one.ifName)
  const others = agent.containers(name).filter(one => !isOwn(one))
  return others.map(one => `${JSON.stringify(one.names[0] ?? one.containerId)} on host ${JSON.stringify(one.host)}`)
}

/**
 * Containers that are still there: what is recorded of others is removed with the network. Those that a runtime with a cache of
 * its own has attached are known by what the plugins wrote down.
 */
export function livingIds({ place, output }: Call, name: string, network?: Network): readonly string[] {
  const namespaces = new Namespaces()
  const cached = runtimeAt(place, output).cache.list(name)
  const own = cached.filter(one => !namespaces.isGone(one)).map(one => one.containerId)
  return [...new Set([...own, ...(network === undefined ? [] : journaledIds(network))])]
}

function journaledIds({ name, plugins }: Network): readonly string[] {
  const directories = new Set(plugins.map(plugin => memberOf(plugin, 'stateDir')?.text ?? ''))
  const entries = [...directories].flatMap(directory => journalEntries(directory, name))
  return entries.filter(({ entry }) => isThere(entry)).map(one => one.attachment.containerId)
}

/** Whether the path that ADD was given leads to the namespace that it led to then. */
function isThere(entry: Json): boolean {
  const [path = '', id] = ['netns', NETNS_ID].map(key => memberOf(entry, key)?.text)
  try {
    const { dev, ino } = statSync(path)
    return `${String(dev)}:${String(ino)}` === id
  } catch {
    return false
  }
}

/** Leases and rules have the network's name: while the file is there the plugins can still be asked to remove them. */
async function release(call: Call, network: Network): Promise<void> {
  const { place, output } = call
  const runtime = runtimeAt(place, output)
  try {
    await runtime.gc(network, [])
    removeIdleLinks(call, network)
  } catch (error) {
    if (!call.has('force')) throw error
    output.err(`patchbay: ${error instanceof Error ? error.message : String(error)}; removed all the same (--force)\n`)
    for (const one of runtime.cache.list(network.name)) runtime.cache.remove(network.name, one.containerId, one.ifName)
  }
}

function removeIdleLinks(call: Call, network: Network): void {
  const host = new LinuxKernel().host()
  try {
    removeIdleBridge(host, network)
    removeIdleMaster(host, network, loadNetworks(call.place.confDir).networks)
  } finally {
    host.close()
  }
}

/** The bridge that was named for this network goes with it when nothing is connected; any other may be somebody's. */
function removeIdleBridge(host: Net, network: Network): void {
  const name = bridgeName(network.name)
  if (!network.plugins.some(plugin => memberOf(plugin, 'bridge')?.text === name)) return
  const links = host.links.list()
  const bridge = links.find(link => link.name === name && link.kind === 'bridge')
  if (bridge !== undefined && !links.some(link => link.masterIndex === bridge.index)) host.links.remove(name)
}

/** So does the VLAN that was made for it, unless another network is on it. */
function removeIdleMaster(host: Net, network: Network, all: readonly Network[]): void {
  const masterOf = (one: Network): string => (one.plugins[0] && memberOf(one.plugins[0], 'master')?.text) ?? ''
  const link = host.links.find(masterOf(network))
  const isShared = all.some(one => one.name !== network.name && masterOf(one) === link?.name)
  if (link !== undefined && isOwnMaster(link) && !isShared) host.links.remove(link.name)
}
