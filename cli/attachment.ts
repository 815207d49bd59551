/** `patchbay attach`, `detach`, `check`, `status`, `gc`: one network's verbs, each a chain of plugins. */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ifNameFault, isName } from '../lib/cni/env.ts'
import { type Json, jsonText, parseJson } from '../lib/config/json.ts'
import { PluginMissing } from '../lib/runtime/execute.ts'
import { loadNetwork, type Network, NetworkError, parseNetwork } from '../lib/runtime/network.ts'
import { type Attaching, attachingOf, type ContainerInterface, type Runtime } from '../lib/runtime/runtime.ts'
import { containerOf, formerContainerOf } from './container.ts'
import { CommandError, jsonLine, type Output, tableText } from './output.ts'
import { PLACE_OPTIONS, type Place, placeOf, runtimeAt } from './place.ts'

const ATTACHMENT_OPTIONS = {
  ...PLACE_OPTIONS,
  ifname: { type: 'string' },
  'container-id': { type: 'string' },
  args: { type: 'string', multiple: true },
  cap: { type: 'string', multiple: true }
} as const

/** `attach NETWORK NETNS` */
export async function attach(argv: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: ATTACHMENT_OPTIONS, allowPositionals: true })
  const [name, word] = twoWords(positionals, 'attach NETWORK NETNS')
  const container = containerOf(word)
  const attaching = {
    containerId: checkedId(values['container-id'] ?? container.containerId),
    netns: container.netns,
    ifName: checkedIfName(values.ifname ?? 'eth0'),
    args: (values.args ?? []).map(parsePair),
    capabilityArgs: parseCapabilities(values.cap ?? [])
  }
  const place = placeOf(values)
  const result = await attachTo(place, loadNetwork(place.confDir, name), attaching, output)
  output.out(values.json === true ? `${jsonText(result, 2)}\n` : resultTable(result, attaching, name))
  return 0
}

/** Attaches; a failed attempt is cleaned up after, since the plugins before the failing one have done their work. */
export async function attachTo(place: Place, network: Network, attaching: Attaching, output: Output): Promise<Json> {
  const runtime = runtimeAt(place, output)
  const { containerId, ifName } = attaching
  if (runtime.cache.find(network.name, containerId, ifName) !== undefined) {
    const what = `${JSON.stringify(containerId)} to ${JSON.stringify(network.name)}`
    throw new CommandError(
      `attach ${what}: it is attached as ${ifName} already`,
      'detach it first, or choose another --ifname'
    )
  }
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

/** `detach NETWORK [NETNS]` */
export async function detach(argv: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: ATTACHMENT_OPTIONS, allowPositionals: true })
  const [name, word] = positionals
  const id = values['container-id']
  if (name === undefined || positionals.length > 2 || (word === undefined && id === undefined)) {
    throw usage('detach NETWORK NETNS, or detach NETWORK --container-id ID')
  }
  const place = placeOf(values)
  const container = word === undefined ? { netns: '', containerId: id ?? '' } : formerContainerOf(word)
  const containerId = checkedId(id ?? container.containerId)
  const ifName = checkedIfName(values.ifname ?? 'eth0')
  const attaching = {
    containerId,
    netns: container.netns,
    ifName,
    args: (values.args ?? []).map(parsePair),
    capabilityArgs: parseCapabilities(values.cap ?? [])
  }
  await detachFrom(place, name, attaching, output)
  if (values.json === true) output.out(jsonLine({ network: name, containerId, ifName, detached: true }))
  else output.out(`detached ${containerId} (${ifName}) from ${name}\n`)
  return 0
}

/** Detaches with what the cache remembers of the attachment, even when the network's file is gone. */
export async function detachFrom(place: Place, name: string, attaching: Attaching, output: Output): Promise<void> {
  const runtime = runtimeAt(place, output)
  const cached = runtime.cache.find(name, attaching.containerId, attaching.ifName)
  const remembered = cached === undefined ? undefined : attachingOf(cached)
  const network = networkOrCached(place.confDir, name, cached?.config ?? '')
  const netns = attaching.netns !== '' ? attaching.netns : existingPath(remembered?.netns ?? '')
  const args = (attaching.args ?? []).length > 0 ? attaching.args : remembered?.args
  const capabilityArgs = attaching.capabilityArgs ?? remembered?.capabilityArgs
  await runtime.del(network, { ...attaching, netns, capabilityArgs, ...(args === undefined ? {} : { args }) })
}

function existingPath(path: string): string {
  return path !== '' && existsSync(path) ? path : ''
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

/** `check NETWORK NETNS` */
export async function check(argv: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: ATTACHMENT_OPTIONS, allowPositionals: true })
  const [name, word] = twoWords(positionals, 'check NETWORK NETNS')
  const container = containerOf(word)
  const place = placeOf(values)
  const containerId = checkedId(values['container-id'] ?? container.containerId)
  const ifName = checkedIfName(values.ifname ?? 'eth0')
  const runtime = runtimeAt(place, output)
  const network = loadNetwork(place.confDir, name)
  const cached = runtime.cache.find(name, containerId, ifName)
  if (cached === undefined) {
    const what = `check ${JSON.stringify(containerId)} on ${JSON.stringify(name)}: it is not attached as ${ifName}`
    throw new CommandError(what, `attach it: patchbay attach ${name} ${word}`)
  }
  const checked = await runtime.check(network, { ...attachingOf(cached), containerId, ifName, netns: container.netns })
  if (values.json === true) output.out(jsonLine({ network: name, containerId, ifName, checked, ok: true }))
  else
    output.out(
      checked
        ? `${containerId} (${ifName}) on ${name}: as it should be\n`
        : `${name} is not to be checked (disableCheck)\n`
    )
  return 0
}

/** `status NETWORK` */
export async function status(argv: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: PLACE_OPTIONS, allowPositionals: true })
  const name = oneWord(positionals, 'status NETWORK')
  const place = placeOf(values)
  const network = loadNetwork(place.confDir, name)
  const asked = await runtimeAt(place, output).status(network)
  if (values.json === true) output.out(jsonLine({ network: name, asked, ready: true }))
  else if (asked) output.out(`${name} is ready\n`)
  else output.out(`${name}: cniVersion ${network.cniVersion} has no STATUS, so nobody was asked\n`)
  return 0
}

/** `gc NETWORK`: by default what is kept is whatever still has its namespace. */
export async function gc(argv: readonly string[], output: Output): Promise<number> {
  const options = { ...PLACE_OPTIONS, keep: { type: 'string', multiple: true }, all: { type: 'boolean' } } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  const name = oneWord(positionals, 'gc NETWORK')
  const place = placeOf(values)
  const network = loadNetwork(place.confDir, name)
  const runtime = runtimeAt(place, output)
  const kept = values.all === true ? [] : [...living(runtime, name), ...(values.keep ?? []).map(parseAttachment)]
  const removed = await runtime.gc(network, kept)
  if (values.json === true) output.out(jsonLine({ network: name, kept, removed, disabled: network.disableGC }))
  else if (network.disableGC) output.out(`${name} is not to be collected (disableGC)\n`)
  else output.out(`${name}: removed ${countOf(removed.length)}, kept ${countOf(kept.length)}\n`)
  return 0
}

function countOf(count: number): string {
  return count === 1 ? '1 attachment' : `${String(count)} attachments`
}

function living(runtime: Runtime, name: string): readonly ContainerInterface[] {
  const cached = runtime.cache.list(name).filter(one => existingPath(one.netns) !== '')
  return cached.map(one => ({ containerId: one.containerId, ifName: one.ifName }))
}

function parseAttachment(text: string): ContainerInterface {
  const [containerId = '', ifName = 'eth0', ...rest] = text.split(':')
  if (rest.length > 0) throw new CommandError(`read --keep ${JSON.stringify(text)}: must be ID or ID:IFNAME`)
  return { containerId: checkedId(containerId), ifName: checkedIfName(ifName) }
}

function parsePair(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at <= 0 || text.includes(';')) {
    throw new CommandError(
      `read --args ${JSON.stringify(text)}: must be KEY=VALUE without ";"`,
      'repeat --args for several'
    )
  }
  return [text.slice(0, at), text.slice(at + 1)]
}

function parseCapabilities(texts: readonly string[]): Json | undefined {
  if (texts.length === 0) return undefined
  const keys: string[] = []
  const items: Json[] = []
  for (const text of texts) {
    const at = text.indexOf('=')
    const advice = `for example --cap 'portMappings=[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]'`
    if (at <= 0) throw new CommandError(`read --cap ${JSON.stringify(text)}: must be NAME=JSON`, advice)
    keys.push(text.slice(0, at))
    try {
      items.push(parseJson(text.slice(at + 1)))
    } catch (error) {
      throw new CommandError(`read --cap ${text.slice(0, at)}: ${error instanceof Error ? error.message : ''}`, advice)
    }
  }
  return { type: 'object', text: '', keys, items }
}

export function checkedId(id: string): string {
  if (isName(id)) return id
  throw new CommandError(
    `read container id ${JSON.stringify(id)}: only letters, digits and "_.-" make one`,
    'give --container-id ID'
  )
}

export function checkedIfName(name: string): string {
  const fault = ifNameFault(name)
  if (fault === '') return name
  throw new CommandError(`read --ifname ${JSON.stringify(name)}: ${fault}`)
}

export function usage(form: string): CommandError {
  return new CommandError(`read the command: the form is: patchbay ${form}`, 'patchbay help shows every command')
}

export function oneWord(positionals: readonly string[], form: string): string {
  const [word] = positionals
  if (word === undefined || positionals.length > 1) throw usage(form)
  return word
}

function twoWords(positionals: readonly string[], form: string): readonly [string, string] {
  const [first, second] = positionals
  if (first === undefined || second === undefined || positionals.length > 2) throw usage(form)
  return [first, second]
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
