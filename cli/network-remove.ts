/** `patchbay network rm` and `prune`: networks go, with what is left of their containers. */
import { rmSync } from 'node:fs'
import { basename } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { memberOf } from '../lib/config/json.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { loadNetwork, loadNetworks, type Network } from '../lib/runtime/network.ts'
import type { Call } from './call.ts'
import { bridgeName } from './network-config.ts'
import { labelsOf, matchesLabel } from './network-facts.ts'
import { CommandError, jsonLine, type Output, reportError, UsageError } from './output.ts'
import { type Place, runtimeAt } from './place.ts'

/** `network rm NAME…`: goes on after a failure, and fails in the end. */
export async function remove(call: Call): Promise<number> {
  const names = call.words
  return removeAll(call, names, name => loadNetwork(call.place.confDir, name))
}

async function removeAll(call: Call, names: readonly string[], find: (name: string) => Network): Promise<number> {
  const { place, output } = call
  const removed: string[] = []
  for (const name of names) {
    try {
      const network = find(name)
      if (!call.has('dry-run')) await removeOne(place, network, call.has('force'), output)
      removed.push(name)
      if (!call.asJson) output.out(`${call.has('dry-run') ? 'would remove ' : ''}${name}\n`)
    } catch (error) {
      reportError(output, error, call.asJson)
    }
  }
  if (call.asJson) output.out(jsonLine({ removed }))
  return removed.length === names.length ? 0 : 1
}

async function removeOne(place: Place, network: Network, force: boolean, output: Output): Promise<void> {
  const runtime = runtimeAt(place, output)
  const ids = livingIds(place, network, output)
  if (ids.length > 0 && !force) {
    throw new CommandError(
      `remove network ${JSON.stringify(network.name)}: ${ids.join(', ')} attached`,
      'disconnect them, or add --force'
    )
  }
  try {
    // Leases and rules have the network's name: while the file is there the plugins can still be asked to remove them.
    await runtime.gc(network, [])
    removeIdleBridge(network)
  } catch (error) {
    if (!force) throw error
    output.err(`patchbay: ${error instanceof Error ? error.message : String(error)}; removed all the same (--force)\n`)
    for (const one of runtime.cache.list(network.name)) runtime.cache.remove(network.name, one.containerId, one.ifName)
  }
  rmSync(network.path, { force: true })
}

/** Containers that are still there: what is recorded of others is removed with the network. */
function livingIds(place: Place, network: Network, output: Output): readonly string[] {
  const namespaces = new Namespaces()
  const cached = runtimeAt(place, output).cache.list(network.name)
  return [...new Set(cached.filter(one => !namespaces.isGone(one)).map(one => one.containerId))]
}

/** The bridge that was named for this network goes with it when nothing is connected; any other may be somebody's. */
function removeIdleBridge(network: Network): void {
  const name = bridgeName(network.name)
  const isOurs = network.plugins.some(plugin => memberOf(plugin, 'bridge')?.text === name)
  if (!isOurs) return
  const host = new LinuxKernel().host()
  try {
    const links = host.links.list()
    const bridge = links.find(link => link.name === name && link.kind === 'bridge')
    if (bridge !== undefined && !links.some(link => link.masterIndex === bridge.index)) host.links.remove(name)
  } finally {
    host.close()
  }
}

/** `network prune`: what `network create` made and no container is on. */
export async function prune(call: Call): Promise<number> {
  const { place, output } = call
  const wanted = call.texts('filter').map(labelFilter)
  const unused = loadNetworks(place.confDir).networks.filter(
    one =>
      basename(one.path) === `patchbay-${one.name}.conflist` &&
      livingIds(place, one, output).length === 0 &&
      wanted.every(label => matchesLabel(labelsOf(one), label))
  )
  const names = unused.map(one => one.name)
  if (names.length > 0 && !call.has('force') && !call.has('dry-run') && !(await isAgreed(names, output))) return 1
  return removeAll(call, names, name => loadNetwork(place.confDir, name))
}

function labelFilter(text: string): string {
  if (text.startsWith('label=')) return text.slice('label='.length)
  throw new UsageError(`read --filter ${JSON.stringify(text)}: must be label=KEY or label=KEY=VALUE`)
}

async function isAgreed(names: readonly string[], output: Output): Promise<boolean> {
  output.err(`These networks have no container and will be removed: ${names.join(', ')}\n`)
  if (!process.stdin.isTTY) {
    throw new UsageError(
      'remove unused networks: nobody is there to be asked',
      'add --force, or see them with --dry-run'
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question('Remove them? [y/N] ')).trim())
  } finally {
    terminal.close()
  }
}
