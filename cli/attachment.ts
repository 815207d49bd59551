/** `patchbay attach`, `detach`, `check`, `status`, `gc`: one network's verbs, each a chain of plugins. */
import { statSync } from 'node:fs'
import { ifNameFault } from '../lib/cni/env.ts'
import { type Json, jsonText, parseJson } from '../lib/config/json.ts'
import { PluginMissing } from '../lib/runtime/execute.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { capabilitiesOf, loadNetwork, type Network, NetworkError, parseNetwork } from '../lib/runtime/network.ts'
import { type Attaching, attachingOf, type ContainerInterface, type Runtime } from '../lib/runtime/runtime.ts'
import type { Call } from './call.ts'
import { Containers, checkedId } from './container.ts'
import { whileAlone } from './lock.ts'
import { aliasOptions, nameArgs, nameOption, withAliases } from './names.ts'
import { didYouMean } from './nearest.ts'
import { CommandError, jsonLine, type Output, tableText, UsageError } from './output.ts'
import { type Place, runtimeAt } from './place.ts'
import { freeIfName, prepareSandbox, refuseHostNamespace } from './sandbox.ts'

/** `attach NETWORK CONTAINER` */
export async function attach(call: Call): Promise<number> {
  const { place, output } = call
  const name = call.word(0)
  const network = loadNetwork(place.confDir, name)
  const container = await new Containers(runtimeAt(place, output).cache, call.runDir).living(
    call.word(1),
    call.text('container-id')
  )
  const wanted = {
    ...container,
    ifName: checkedIfName(call.text('ifname') ?? 'eth0'),
    args: [...nameArgs(nameOption(call)), ...call.texts('args').map(parsePair)],
    capabilityArgs: withAliases(aliasOptions(call), network, parseCapabilities(call.texts('cap'), network))
  }
  if (call.has('dry-run')) {
    const { containerId, ifName } = wanted
    if (call.asJson) output.out(jsonLine({ network: name, containerId, ifName }))
    else output.out(`would attach ${containerId} (${ifName}) to ${name}\n`)
    return 0
  }
  const { attaching, result } = await attachTo(place, network, wanted, output)
  output.out(call.asJson ? `${jsonText(result, 2)}\n` : resultTable(result, attaching, name))
  return 0
}

/** An attachment that is asked for; without a name its interface gets the first that is free in the container. */
export type Wanted = Omit<Attaching, 'ifName'> & { readonly ifName: string | undefined }

/**
 * Attaches; a failed attempt is cleaned up after, since the plugins before the failing one have done their work.
 *
 * One command at a time for each container. Sequence prevented: two of them see that eth1 is free; the second one's ADD finds
 * the first one's interface, and its clean-up takes it away.
 *
 * @throws CommandError before any plugin is called when the container has the interface or the attachment already
 */
export async function attachTo(
  place: Place,
  network: Network,
  wanted: Wanted,
  output: Output
): Promise<{ readonly attaching: Attaching; readonly result: Json }> {
  refuseHostNamespace(wanted.netns)
  const inode = String(statSync(wanted.netns).ino)
  return whileAlone(place.cacheDir, `netns-${inode}`, async () => {
    const runtime = runtimeAt(place, output)
    const attaching = { ...wanted, ifName: wanted.ifName ?? freeIfName(wanted.netns) }
    await makeRoom(runtime, network, attaching, output)
    prepareSandbox(attaching.netns, attaching.ifName)
    return { attaching, result: await addOrUndo(runtime, network, attaching, output) }
  })
}

/** A record of the same name is in the way: of a living attachment for good, of one whose namespace is gone until its DEL. */
async function makeRoom(runtime: Runtime, network: Network, attaching: Attaching, output: Output): Promise<void> {
  const { containerId, ifName } = attaching
  const others = runtime.cache.list().filter(one => one.containerId === containerId)
  const namespaces = new Namespaces()
  const elsewhere = others.find(one => {
    const path = namespaces.pathOf(one)
    return path !== '' && !isSameFile(path, attaching.netns)
  })
  if (elsewhere !== undefined) {
    const what = `attach ${JSON.stringify(containerId)}: another container, of ${JSON.stringify(elsewhere.netns)}, has this id`
    throw new CommandError(what, 'choose another --container-id')
  }
  const cached = others.find(one => one.network === network.name && one.ifName === ifName)
  if (cached === undefined) return
  if (!namespaces.isGone(cached)) {
    const what = `${JSON.stringify(containerId)} to ${JSON.stringify(network.name)}`
    throw new CommandError(
      `attach ${what}: it is attached as ${ifName} already`,
      'detach it first, or choose another --ifname'
    )
  }
  output.err(`patchbay: a former ${containerId} (${ifName}) was still recorded on ${network.name}: removed\n`)
  await runtime.del(network, attachingOf(cached, namespaces))
}

function isSameFile(a: string, b: string): boolean {
  const [left, right] = [statSync(a), statSync(b)]
  return left.ino === right.ino && left.dev === right.dev
}

async function addOrUndo(runtime: Runtime, network: Network, attaching: Attaching, output: Output): Promise<Json> {
  try {
    return await runtime.add(network, attaching)
  } catch (error) {
    if (!(error instanceof PluginMissing)) await cleanUp(runtime, network, attaching, output)
    throw error
  }
}

async function cleanUp(runtime: Runtime, network: Network, attaching: Attaching, output: Output): Promise<void> {
  try {
    await runtime.del(network, attaching)
  } catch (error) {
    output.err(`patchbay: clean up after the failure: ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

/** `detach NETWORK [CONTAINER]` */
export async function detach(call: Call): Promise<number> {
  const { place, output } = call
  const [name = '', word] = call.words
  const id = call.text('container-id')
  if (word === undefined && id === undefined) {
    throw new UsageError('read the command: which container?', 'name it, or give --container-id ID')
  }
  const ifName = checkedIfName(call.text('ifname') ?? 'eth0')
  const cache = runtimeAt(place, output).cache
  const container = await new Containers(cache, call.runDir).former(word, id)
  const { containerId } = container
  const network = networkOrCached(place.confDir, name, cache.find(name, containerId, ifName)?.config ?? '')
  const capabilityArgs = parseCapabilities(call.texts('cap'), network)
  const attaching = { ...container, ifName, args: call.texts('args').map(parsePair), capabilityArgs }
  if (call.has('dry-run')) {
    const isAttached = cache.find(name, containerId, ifName) !== undefined
    if (call.asJson) output.out(jsonLine({ network: name, containerId, ifName, attached: isAttached }))
    else output.out(`would detach ${containerId} (${ifName}) from ${name}\n`)
    return 0
  }
  const wasAttached = await detachFrom(place, name, attaching, output)
  if (call.asJson) output.out(jsonLine({ network: name, containerId, ifName, detached: wasAttached }))
  else if (wasAttached) output.out(`detached ${containerId} (${ifName}) from ${name}\n`)
  else output.out(`${containerId} (${ifName}) was not on ${name}: its plugins have been told all the same\n`)
  return 0
}

/**
 * Detaches with what the cache remembers of the attachment, even when the network's file is gone.
 *
 * @param attaching its namespace only counts where none is remembered
 * @returns false when there was no record of it; DEL was called nevertheless, for what a killed ADD may have left
 */
export async function detachFrom(place: Place, name: string, attaching: Attaching, output: Output): Promise<boolean> {
  const runtime = runtimeAt(place, output)
  const cached = runtime.cache.find(name, attaching.containerId, attaching.ifName)
  const network = networkOrCached(place.confDir, name, cached?.config ?? '')
  const remembered = cached === undefined ? undefined : attachingOf(cached, new Namespaces())
  const netns = cached === undefined || cached.netns === '' ? attaching.netns : (remembered?.netns ?? '')
  const args = (attaching.args ?? []).length > 0 ? attaching.args : remembered?.args
  const capabilityArgs = attaching.capabilityArgs ?? remembered?.capabilityArgs
  await runtime.del(network, { ...attaching, netns, capabilityArgs, ...(args === undefined ? {} : { args }) })
  return cached !== undefined
}

/** The attachment was made with the configuration in the cache: it serves when the file was removed since. */
function networkOrCached(confDir: string, name: string, cachedConfig: string): Network {
  try {
    return loadNetwork(confDir, name)
  } catch (error) {
    if (!(error instanceof NetworkError) || cachedConfig === '') throw error
    return parseNetwork(cachedConfig)
  }
}

/** `check NETWORK CONTAINER` */
export async function check(call: Call): Promise<number> {
  const { place, output } = call
  const name = call.word(0)
  const network = loadNetwork(place.confDir, name)
  const runtime = runtimeAt(place, output)
  const containers = new Containers(runtime.cache, call.runDir)
  const { containerId } = await containers.living(call.word(1), call.text('container-id'))
  const ifName = checkedIfName(call.text('ifname') ?? 'eth0')
  const cached = runtime.cache.find(name, containerId, ifName)
  if (cached === undefined) {
    const what = `check ${JSON.stringify(containerId)} on ${JSON.stringify(name)}: it is not attached as ${ifName}`
    throw new CommandError(what, `attach it: patchbay attach ${name} ${call.word(1)}`)
  }
  const checked = await runtime.check(network, attachingOf(cached, containers.namespaces))
  if (call.asJson) output.out(jsonLine({ network: name, containerId, ifName, checked, ok: true }))
  else
    output.out(
      checked
        ? `${containerId} (${ifName}) on ${name}: as it should be\n`
        : `${name} is not to be checked (disableCheck)\n`
    )
  return 0
}

/** `status NETWORK` */
export async function status(call: Call): Promise<number> {
  const { place, output } = call
  const name = call.word(0)
  const network = loadNetwork(place.confDir, name)
  const asked = await runtimeAt(place, output).status(network)
  if (call.asJson) output.out(jsonLine({ network: name, asked, ready: true }))
  else if (asked) output.out(`${name} is ready\n`)
  else output.out(`${name}: cniVersion ${network.cniVersion} has no STATUS, so nobody was asked\n`)
  return 0
}

/** `gc NETWORK`: by default what is kept is whatever still has its namespace. */
export async function gc(call: Call): Promise<number> {
  const { place, output } = call
  const name = call.word(0)
  const network = loadNetwork(place.confDir, name)
  const runtime = runtimeAt(place, output)
  const kept = call.has('all') ? [] : [...living(runtime, name), ...call.texts('keep').map(parseAttachment)]
  if (call.has('dry-run')) return showCollectable(call, runtime.cache.list(name), kept)
  const removed = await runtime.gc(network, kept)
  if (call.asJson) output.out(jsonLine({ network: name, kept, removed, disabled: network.disableGC }))
  else if (network.disableGC) output.out(`${name} is not to be collected (disableGC)\n`)
  else output.out(`${name}: removed ${countOf(removed.length)}, kept ${countOf(kept.length)}\n`)
  return 0
}

function showCollectable(call: Call, all: readonly ContainerInterface[], kept: readonly ContainerInterface[]): number {
  const isKept = (one: ContainerInterface): boolean =>
    kept.some(other => other.containerId === one.containerId && other.ifName === one.ifName)
  const removed = all.filter(one => !isKept(one)).map(({ containerId, ifName }) => ({ containerId, ifName }))
  if (call.asJson) call.output.out(jsonLine({ network: call.word(0), kept, removed }))
  else for (const one of removed) call.output.out(`would remove ${one.containerId} (${one.ifName})\n`)
  return 0
}

function countOf(count: number): string {
  return count === 1 ? '1 attachment' : `${String(count)} attachments`
}

function living(runtime: Runtime, name: string): readonly ContainerInterface[] {
  const namespaces = new Namespaces()
  const cached = runtime.cache.list(name).filter(one => !namespaces.isGone(one))
  return cached.map(one => ({ containerId: one.containerId, ifName: one.ifName }))
}

function parseAttachment(text: string): ContainerInterface {
  const [containerId = '', ifName = 'eth0', ...rest] = text.split(':')
  if (rest.length > 0) throw new UsageError(`read --keep ${JSON.stringify(text)}: must be ID or ID:IFNAME`)
  return { containerId: checkedId(containerId), ifName: checkedIfName(ifName) }
}

function parsePair(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at <= 0 || text.includes(';')) {
    throw new UsageError(
      `read --args ${JSON.stringify(text)}: must be KEY=VALUE without ";"`,
      'repeat --args for several'
    )
  }
  return [text.slice(0, at), text.slice(at + 1)]
}

/** @throws UsageError for what no plugin of the network would look at */
function parseCapabilities(texts: readonly string[], network: Network): Json | undefined {
  if (texts.length === 0) return undefined
  const keys: string[] = []
  const items: Json[] = []
  for (const text of texts) {
    const at = text.indexOf('=')
    const advice = `for example --cap 'portMappings=[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]'`
    if (at <= 0) throw new UsageError(`read --cap ${JSON.stringify(text)}: must be NAME=JSON`, advice)
    keys.push(knownCapability(text.slice(0, at), network))
    try {
      items.push(parseJson(text.slice(at + 1)))
    } catch (error) {
      throw new UsageError(`read --cap ${text.slice(0, at)}: ${error instanceof Error ? error.message : ''}`, advice)
    }
  }
  return { type: 'object', text: '', keys, items }
}

function knownCapability(name: string, network: Network): string {
  const known = capabilitiesOf(network)
  if (known.includes(name)) return name
  const message = `read --cap ${name}: no plugin of ${JSON.stringify(network.name)} has this capability`
  const have = known.length === 0 ? 'the network has none' : `the network has ${known.join(', ')}`
  throw new UsageError(`${message}${didYouMean(name, known)}`, have)
}

export function checkedIfName(name: string): string {
  const fault = ifNameFault(name)
  if (fault === '') return name
  throw new UsageError(`read --ifname ${JSON.stringify(name)}: ${fault}`)
}

/** The part of a result that the table shows. */
interface ShownResult {
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[]
}

export function resultTable(result: Json, attaching: Attaching, network: string): string {
  const shown: ShownResult = JSON.parse(jsonText(result))
  const own = (shown.interfaces ?? []).find(one => one.name === attaching.ifName && one.sandbox !== undefined)
  const ips = shown.ips ?? []
  const rows = (ips.length === 0 ? [{ address: '-' }] : ips).map(ip => [
    network,
    attaching.containerId,
    attaching.ifName,
    ip.address,
    'gateway' in ip && ip.gateway !== undefined ? ip.gateway : '-',
    own?.mac ?? '-'
  ])
  return tableText(['NETWORK', 'CONTAINER', 'INTERFACE', 'ADDRESS', 'GATEWAY', 'MAC'], rows)
}
