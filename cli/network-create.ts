/** `patchbay network create`: writes a network's configuration list. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isName } from '../lib/cni/env.ts'
import { formatPrefix, networkOf } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import type { Net } from '../lib/net/net.ts'
import { loadNetworks, type Network } from '../lib/runtime/network.ts'
import { subnetsOf } from '../lib/runtime/network-ranges.ts'
import { ensureDirectory, fileError, ownFileModes } from '../lib/sys/files.ts'
import { pluginNames } from '../plugins/start.ts'
import type { Call } from './call.ts'
import { whileAlone } from './lock.ts'
import { type NetworkWish, networkConfig, type Surroundings } from './network-config.ts'
import { adviceFor, CommandError, jsonLine, UsageError } from './output.ts'

/** What is left of a file name's 255 bytes beside `patchbay-` and `.conflist`. */
const LONGEST_NAME = 237

/** `network create NAME` */
export async function create(call: Call): Promise<number> {
  const { place, output } = call
  const wish = wishOf(call)
  const path = join(place.confDir, `patchbay-${wish.name}.conflist`)
  // Before anything is made: a wish that cannot be fulfilled leaves no directory either.
  const plan = configOf(wish, loadNetworks(place.confDir).networks)
  if (call.has('dry-run')) {
    output.out(jsonLine(plan))
    return 0
  }
  makeDirectory(place.confDir)
  // Two commands at once would choose the same free subnet.
  await whileAlone(place.confDir, 'create', () => {
    writeNew(path, jsonLine(configOf(wish, loadNetworks(place.confDir).networks)))
  })
  output.out(call.asJson ? jsonLine({ name: wish.name, path }) : `${wish.name}\n`)
  return 0
}

function wishOf(call: Call): NetworkWish {
  if (call.text('scope') === 'cluster') {
    throw new UsageError(
      'read --scope cluster: networks of several hosts are not made by this command yet',
      'see docs/overlay.md'
    )
  }
  return {
    name: checkedName(call.word(0)),
    driver: call.text('driver') ?? 'bridge',
    ipamDriver: call.text('ipam-driver') ?? 'host-local',
    subnets: call.texts('subnet'),
    gateways: call.texts('gateway'),
    ipRanges: call.texts('ip-range'),
    auxAddresses: call.texts('aux-address'),
    internal: call.has('internal'),
    names: !call.has('no-dns'),
    ipv6: call.has('ipv6'),
    options: pairs('-o', call.texts('opt')),
    labels: labelsOf(call.texts('label'))
  }
}

function checkedName(name: string): string {
  if (!isName(name))
    throw new UsageError(`create network ${JSON.stringify(name)}: only letters, digits and "_.-" make a name`)
  if (name.length > LONGEST_NAME)
    throw new UsageError(
      `create network: a name has at most ${String(LONGEST_NAME)} letters, this one ${String(name.length)}`
    )
  return name
}

function configOf(wish: NetworkWish, networks: readonly Network[]): object {
  const there = networks.find(one => one.name === wish.name)
  if (there !== undefined) {
    throw new CommandError(
      `create network ${JSON.stringify(wish.name)}: it exists already, in ${JSON.stringify(there.path)}`,
      `remove it: patchbay network rm ${wish.name}`
    )
  }
  return networkConfig(wish, surroundings(networks))
}

function pairs(option: string, texts: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at <= 0) throw new UsageError(`read ${option} ${JSON.stringify(text)}: must be KEY=VALUE`)
    map.set(text.slice(0, at), text.slice(at + 1))
  }
  return map
}

/** As with Docker, a label may be a key alone. */
function labelsOf(texts: readonly string[]): ReadonlyMap<string, string> {
  return pairs(
    '--label',
    texts.map(text => (text.includes('=') ? text : `${text}=`))
  )
}

function surroundings(networks: readonly Network[]): Surroundings {
  return {
    plugins: pluginNames(),
    networks: networks.flatMap(one =>
      subnetsOf(one).map(prefix => ({ prefix, owner: `network ${JSON.stringify(one.name)}` }))
    ),
    ...onHost(host => ({ connected: connectedPrefixes(host), routed: routedPrefixes(host) }), {
      connected: [],
      routed: []
    })
  }
}

/** What cannot be seen is not known: the plugins will see it at ADD. */
function onHost<T>(look: (host: Net) => T, otherwise: T): T {
  const host = new LinuxKernel().host()
  try {
    return look(host)
  } catch {
    return otherwise
  } finally {
    host.close()
  }
}

/** Of every interface, but for link-local ones, which clash with nothing. */
function connectedPrefixes(host: Net): Surroundings['connected'] {
  const names = new Map(host.links.list().map(link => [link.index, link.name]))
  return host.addresses.list().flatMap(({ index, prefix }) => {
    const name = names.get(index) ?? ''
    const isLinkLocal = formatPrefix(networkOf(prefix)).startsWith('fe80:')
    if (isLinkLocal || name === 'lo') return []
    return [{ prefix: networkOf(prefix), address: prefix.address, interface: name, owner: `interface ${name}` }]
  })
}

/** But for the default routes. */
function routedPrefixes(host: Net): Surroundings['routed'] {
  return host.routes.list({}).flatMap(({ dst }) => (dst === undefined || dst.length <= 1 ? [] : [dst]))
}

function makeDirectory(path: string): void {
  try {
    ownFileModes()
    ensureDirectory(path, 0o755)
  } catch (error) {
    throw unwritable(path, error)
  }
}

function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o644 })
  } catch (error) {
    throw unwritable(path, error)
  }
}

function unwritable(path: string, error: unknown): CommandError {
  return new CommandError(fileError('write network', path, error).message, adviceFor(error, 'name another --conf-dir'))
}
