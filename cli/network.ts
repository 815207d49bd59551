/** `patchbay network …`: Docker's verbs over configuration lists in a directory. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isName } from '../lib/cni/env.ts'
import { jsonText, memberOf } from '../lib/config/json.ts'
import { type IpPrefix, networkOf, parsePrefix } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import type { CachedAttachment } from '../lib/runtime/cache.ts'
import { loadNetwork, loadNetworks, type Network, pluginType } from '../lib/runtime/network.ts'
import { ensureDirectory, fileError } from '../lib/sys/files.ts'
import { pluginNames } from '../plugins/start.ts'
import { attachTo, checkedId, checkedIfName, detachFrom, resultTable, usage } from './attachment.ts'
import { containerOf, formerContainerOf } from './container.ts'
import { bridgeName, networkConfig } from './network-config.ts'
import { CommandError, jsonLine, type Output, tableText } from './output.ts'
import { PLACE_OPTIONS, type Place, placeOf, runtimeAt } from './place.ts'

type Verb = (argv: readonly string[], output: Output) => Promise<number>

const VERBS: Readonly<Record<string, Verb>> = { create, ls: list, list, inspect, connect, disconnect, rm: remove }

/** Each verb with its options, for `patchbay network --help`. */
export const NETWORK_HELP = `patchbay network create NAME [--driver bridge|macvlan|ipvlan] [--subnet 10.5.0.0/24]... [--gateway 10.5.0.1]...
      [--ip-range 10.5.0.128/25]... [--ipv6] [--internal] [--label KEY=VALUE]... [-o KEY=VALUE]...
    writes a network; without --subnet a free one is chosen. Options (-o) as in Docker: mtu, bridge, icc, ip-masq,
    and for macvlan and ipvlan: parent, mode
patchbay network ls [-q]
patchbay network inspect NAME...
patchbay network connect NETWORK CONTAINER [--ifname eth0] [--ip A] [--ip6 A] [--mac-address M] [--container-id ID]
    attaches a running container (a namespace or a process) to one more network
patchbay network disconnect NETWORK CONTAINER [--ifname eth0] [--container-id ID]
patchbay network rm NAME... [--force]
`

export async function network(argv: readonly string[], output: Output): Promise<number> {
  const [name, ...rest] = argv
  const verb = name === undefined || !Object.hasOwn(VERBS, name) ? undefined : VERBS[name]
  if (verb === undefined)
    throw new CommandError(
      'read the command: the form is: patchbay network create | ls | inspect | connect | disconnect | rm',
      'patchbay network --help shows the options of each'
    )
  return verb(rest, output)
}

/** `network create NAME` */
async function create(argv: readonly string[], output: Output): Promise<number> {
  const options = {
    ...PLACE_OPTIONS,
    driver: { type: 'string', short: 'd' },
    subnet: { type: 'string', multiple: true },
    gateway: { type: 'string', multiple: true },
    'ip-range': { type: 'string', multiple: true },
    opt: { type: 'string', short: 'o', multiple: true },
    label: { type: 'string', multiple: true },
    internal: { type: 'boolean' },
    ipv6: { type: 'boolean' }
  } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  const [name] = positionals
  if (name === undefined || positionals.length > 1) throw usage('network create NAME')
  if (!isName(name))
    throw new CommandError(`create network ${JSON.stringify(name)}: only letters, digits and "_.-" make a name`)
  const place = placeOf(values)
  const { networks } = loadNetworks(place.confDir)
  if (networks.some(one => one.name === name)) {
    throw new CommandError(
      `create network ${JSON.stringify(name)}: it exists already`,
      `remove it: patchbay network rm ${name}`
    )
  }
  const config = networkConfig(
    {
      name,
      driver: values.driver ?? 'bridge',
      subnets: values.subnet ?? [],
      gateways: values.gateway ?? [],
      ipRanges: values['ip-range'] ?? [],
      internal: values.internal === true,
      ipv6: values.ipv6 === true,
      options: pairs('-o', values.opt ?? []),
      labels: pairs('--label', values.label ?? [])
    },
    { plugins: pluginNames(), used: [...networks.flatMap(subnetsOf), ...hostPrefixes()] }
  )
  const path = join(place.confDir, `patchbay-${name}.conflist`)
  writeNew(path, jsonLine(config), place.confDir)
  output.out(values.json === true ? jsonLine({ name, path }) : `${name}\n`)
  return 0
}

function writeNew(path: string, text: string, directory: string): void {
  try {
    ensureDirectory(directory, 0o755)
    writeFileSync(path, text, { flag: 'wx', mode: 0o644 })
  } catch (error) {
    throw new CommandError(fileError('write network', path, error).message, 'run as root, or name another --conf-dir')
  }
}

function pairs(option: string, texts: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at <= 0) throw new CommandError(`read ${option} ${JSON.stringify(text)}: must be KEY=VALUE`)
    map.set(text.slice(0, at), text.slice(at + 1))
  }
  return map
}

/** Subnets of a network's address ranges, as written in its configuration. */
function subnetsOf(one: Network): readonly IpPrefix[] {
  return rangesOf(one).flatMap(range => {
    const prefix = parsePrefix(range.subnet)
    return prefix === undefined ? [] : [networkOf(prefix)]
  })
}

interface ShownRange {
  readonly subnet: string
  readonly gateway: string
}

function rangesOf(one: Network): readonly ShownRange[] {
  return one.plugins.flatMap(plugin => {
    const ipam = memberOf(plugin, 'ipam')
    if (ipam === undefined) return []
    const sets = memberOf(ipam, 'ranges')?.items ?? []
    const ranges = [ipam, ...sets.flatMap(set => set.items)]
    return ranges.flatMap(range => {
      const subnet = memberOf(range, 'subnet')?.text ?? ''
      return subnet === '' ? [] : [{ subnet, gateway: memberOf(range, 'gateway')?.text ?? '' }]
    })
  })
}

/** Where the host has routes to, but for the default ones. */
function hostPrefixes(): readonly IpPrefix[] {
  const host = new LinuxKernel().host()
  try {
    return host.listRoutes({}).flatMap(route => (route.dst === undefined || route.dst.length === 0 ? [] : [route.dst]))
  } catch {
    return [] // without rights or IPv6 nothing is known, and the bridge plugin will see
  } finally {
    host.close()
  }
}

/** `network ls` */
async function list(argv: readonly string[], output: Output): Promise<number> {
  const options = { ...PLACE_OPTIONS, quiet: { type: 'boolean', short: 'q' } } as const
  const { values } = parseArgs({ args: [...argv], options })
  const place = placeOf(values)
  const { networks, problems } = loadNetworks(place.confDir)
  const cache = runtimeAt(place, output).cache
  const rows = networks.map(one => ({
    name: one.name,
    plugins: one.plugins.map(pluginType),
    subnets: rangesOf(one).map(range => range.subnet),
    containers: cache.list(one.name).length,
    path: one.path
  }))
  if (values.json === true) output.out(jsonLine(rows))
  else if (values.quiet === true) output.out(rows.map(row => `${row.name}\n`).join(''))
  else {
    const cells = rows.map(row => [
      row.name,
      row.plugins.join(' '),
      row.subnets.join(' ') || '-',
      String(row.containers)
    ])
    output.out(tableText(['NETWORK', 'PLUGINS', 'SUBNETS', 'CONTAINERS'], cells))
  }
  for (const problem of problems) output.err(`patchbay: ${problem.message}\n`)
  return 0
}

/** `network inspect NAME…`: JSON in Docker's words. */
async function inspect(argv: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: PLACE_OPTIONS, allowPositionals: true })
  if (positionals.length === 0) throw usage('network inspect NAME...')
  const place = placeOf(values)
  const cache = runtimeAt(place, output).cache
  output.out(jsonLine(positionals.map(name => inspected(loadNetwork(place.confDir, name), cache.list(name)))))
  return 0
}

function inspected(one: Network, attachments: readonly CachedAttachment[]): object {
  const labels: unknown = JSON.parse(one.text).labels ?? {}
  return {
    Name: one.name,
    Driver: one.plugins[0] === undefined ? '' : pluginType(one.plugins[0]),
    Internal: !one.plugins.some(plugin => memberOf(memberOf(plugin, 'ipam') ?? plugin, 'routes') !== undefined),
    IPAM: {
      Config: rangesOf(one).map(range => ({
        Subnet: range.subnet,
        ...(range.gateway === '' ? {} : { Gateway: range.gateway })
      }))
    },
    Containers: shownContainers(attachments),
    Labels: labels,
    CniVersion: one.cniVersion,
    Plugins: one.plugins.map(pluginType),
    Path: one.path
  }
}

/** By container id, since a container may be on a network twice. */
function shownContainers(attachments: readonly CachedAttachment[]): Readonly<Record<string, readonly object[]>> {
  const byId: Record<string, object[]> = {}
  for (const cached of attachments) {
    const shown = byId[cached.containerId] ?? []
    shown.push(shownContainer(cached))
    byId[cached.containerId] = shown
  }
  return byId
}

function shownContainer(cached: CachedAttachment): object {
  interface Shown {
    readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
    readonly ips?: readonly { readonly address: string }[]
  }
  const result: Shown = cached.result === undefined ? {} : JSON.parse(jsonText(cached.result))
  const own = (result.interfaces ?? []).find(one => one.name === cached.ifName && one.sandbox !== undefined)
  return {
    Interface: cached.ifName,
    MacAddress: own?.mac ?? '',
    Addresses: (result.ips ?? []).map(ip => ip.address),
    Netns: cached.netns
  }
}

/** `network connect NETWORK CONTAINER`: the container is a namespace or a process. */
async function connect(argv: readonly string[], output: Output): Promise<number> {
  const options = {
    ...PLACE_OPTIONS,
    ifname: { type: 'string' },
    'container-id': { type: 'string' },
    ip: { type: 'string' },
    ip6: { type: 'string' },
    'mac-address': { type: 'string' }
  } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  const [name, word] = positionals
  if (name === undefined || word === undefined || positionals.length > 2)
    throw usage('network connect NETWORK CONTAINER')
  const place = placeOf(values)
  const container = containerOf(word)
  const containerId = checkedId(values['container-id'] ?? container.containerId)
  const ifName = checkedIfName(values.ifname ?? freeIfName(place, output, containerId))
  const args: (readonly [string, string])[] = [['IgnoreUnknown', '1']]
  const addresses = [values.ip, values.ip6].filter(text => text !== undefined)
  if (addresses.length > 0) args.push(['IP', addresses.join(',')])
  if (values['mac-address'] !== undefined) args.push(['MAC', values['mac-address']])
  const attaching = { containerId, netns: container.netns, ifName, args }
  const result = await attachTo(place, loadNetwork(place.confDir, name), attaching, output)
  output.out(values.json === true ? `${jsonText(result, 2)}\n` : resultTable(result, attaching, name))
  return 0
}

/** eth0, eth1 …: the first that no remembered attachment of the container has. */
function freeIfName(place: Place, output: Output, containerId: string): string {
  const taken = runtimeAt(place, output)
    .cache.list()
    .filter(one => one.containerId === containerId)
    .map(one => one.ifName)
  for (let i = 0; ; i += 1) if (!taken.includes(`eth${String(i)}`)) return `eth${String(i)}`
}

/** `network disconnect NETWORK CONTAINER`: every interface of the container on the network. */
async function disconnect(argv: readonly string[], output: Output): Promise<number> {
  const options = { ...PLACE_OPTIONS, ifname: { type: 'string' }, 'container-id': { type: 'string' } } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  const [name, word] = positionals
  if (name === undefined || word === undefined || positionals.length > 2)
    throw usage('network disconnect NETWORK CONTAINER')
  const place = placeOf(values)
  const container = formerContainerOf(word)
  const containerId = checkedId(values['container-id'] ?? container.containerId)
  const attached = runtimeAt(place, output)
    .cache.list(name)
    .filter(one => one.containerId === containerId && (values.ifname === undefined || one.ifName === values.ifname))
  if (attached.length === 0) {
    throw new CommandError(
      `disconnect ${JSON.stringify(containerId)}: it is not on ${JSON.stringify(name)}`,
      `see: patchbay network inspect ${name}`
    )
  }
  for (const one of attached)
    await detachFrom(place, name, { containerId, netns: container.netns, ifName: one.ifName }, output)
  const ifNames = attached.map(one => one.ifName)
  if (values.json === true) output.out(jsonLine({ network: name, containerId, ifNames }))
  else output.out(`disconnected ${containerId} (${ifNames.join(', ')}) from ${name}\n`)
  return 0
}

/** `network rm NAME…` */
async function remove(argv: readonly string[], output: Output): Promise<number> {
  const options = { ...PLACE_OPTIONS, force: { type: 'boolean', short: 'f' } } as const
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  if (positionals.length === 0) throw usage('network rm NAME...')
  const place = placeOf(values)
  for (const name of positionals) {
    await removeOne(place, name, values.force === true, output)
    if (values.json !== true) output.out(`${name}\n`)
  }
  if (values.json === true) output.out(jsonLine({ removed: positionals }))
  return 0
}

async function removeOne(place: Place, name: string, force: boolean, output: Output): Promise<void> {
  const runtime = runtimeAt(place, output)
  const found = loadNetwork(place.confDir, name)
  const ids = [...new Set(runtime.cache.list(name).map(one => one.containerId))]
  if (ids.length > 0 && !force) {
    throw new CommandError(
      `remove network ${JSON.stringify(name)}: ${ids.join(', ')} attached`,
      'disconnect them, or add --force'
    )
  }
  // Leases and rules have the network's name: while the file is there the plugins can still be asked to remove them.
  await runtime.gc(found, [])
  removeIdleBridge(found)
  rmSync(found.path, { force: true })
}

/** The bridge that was named for this network goes with it when nothing is connected; any other may be somebody's. */
function removeIdleBridge(found: Network): void {
  const name = bridgeName(found.name)
  const isOurs = found.plugins.some(plugin => memberOf(plugin, 'bridge')?.text === name)
  if (!isOurs) return
  const host = new LinuxKernel().host()
  try {
    const links = host.listLinks()
    const bridge = links.find(link => link.name === name && link.kind === 'bridge')
    if (bridge !== undefined && !links.some(link => link.masterIndex === bridge.index)) host.removeLink(name)
  } finally {
    host.close()
  }
}
