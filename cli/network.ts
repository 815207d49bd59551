/** `patchbay network …`: Docker's verbs over configuration lists in a directory. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isName } from '../lib/cni/env.ts'
import { memberOf } from '../lib/config/json.ts'
import type { IpPrefix } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { loadNetwork, loadNetworks, type Network } from '../lib/runtime/network.ts'
import { ensureDirectory, fileError, ownFileModes } from '../lib/sys/files.ts'
import { pluginNames } from '../plugins/start.ts'
import { usage } from './attachment.ts'
import { bridgeName, networkConfig } from './network-config.ts'
import { connect, disconnect } from './network-connect.ts'
import { subnetsOf } from './network-ranges.ts'
import { inspect, list } from './network-show.ts'
import { CommandError, jsonLine, type Output } from './output.ts'
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
    ownFileModes()
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

/** Where the host has routes to, but for the default ones. */
function hostPrefixes(): readonly IpPrefix[] {
  const host = new LinuxKernel().host()
  try {
    return host.routes.list({}).flatMap(route => (route.dst === undefined || route.dst.length === 0 ? [] : [route.dst]))
  } catch {
    return [] // without rights or IPv6 nothing is known, and the bridge plugin will see
  } finally {
    host.close()
  }
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
    const links = host.links.list()
    const bridge = links.find(link => link.name === name && link.kind === 'bridge')
    if (bridge !== undefined && !links.some(link => link.masterIndex === bridge.index)) host.links.remove(name)
  } finally {
    host.close()
  }
}
