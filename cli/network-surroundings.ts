/** What a new network may clash with: the networks that are configured, and interfaces and routes of the host. */
import { formatAddress } from '../lib/ip/address.ts'
import { formatPrefix, networkOf } from '../lib/ip/prefix.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import type { Net } from '../lib/net/net.ts'
import type { Network } from '../lib/runtime/network.ts'
import { subnetsOf } from '../lib/runtime/network-ranges.ts'
import { pluginNames } from '../plugins/names.ts'
import type { AgentNetwork } from './agent-client.ts'
import type { Surroundings } from './network-config.ts'
import { CommandError } from './output.ts'

/** Words that are networks in other places of the command. */
const RESERVED: ReadonlyMap<string, string> = new Map([
  ['host', "the host's own network"],
  ['none', 'no network'],
  ['container', "another container's network"],
  ['default', 'the network of containers that name none']
])

/** @throws {CommandError} when a network has the name */
export function refuseTakenName(name: string, networks: readonly Network[]): void {
  const there = networks.find(one => one.name === name)
  const what = `create network ${JSON.stringify(name)}`
  const meaning = RESERVED.get(name)
  if (meaning !== undefined)
    throw new CommandError(`${what}: the name means something else: ${meaning}`, 'choose another name')
  if (there === undefined) return
  throw new CommandError(
    `${what}: it exists already, in ${JSON.stringify(there.path)}`,
    `remove it: patchbay network rm ${name}`
  )
}

/** @throws {CommandError} when the cluster has the name: its file comes here, or is in this one's way */
export function refuseClusterName(name: string, cluster: readonly AgentNetwork[]): void {
  const known = cluster.find(one => one.name === name)
  if (known === undefined) return
  throw new CommandError(
    `create network ${JSON.stringify(name)}: the cluster has a network of this name since ${known.network.created}`,
    `choose another name, or remove it: patchbay network rm ${name}`
  )
}

export function surroundings(networks: readonly Network[]): Surroundings {
  return {
    plugins: pluginNames(),
    networks: networks.flatMap(one =>
      subnetsOf(one).map(prefix => ({ prefix, owner: `network ${JSON.stringify(one.name)}` }))
    ),
    ...onHost(
      host => ({ connected: connectedPrefixes(host), routed: routedPrefixes(host), links: linkNames(host) }),
      UNSEEN
    )
  }
}

const UNSEEN: Omit<Surroundings, 'plugins' | 'networks'> = { connected: [], routed: [], links: undefined }

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

function linkNames(host: Net): readonly string[] {
  return host.links.list().flatMap(link => [link.name, ...link.altNames])
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
  const names = new Map(host.links.list().map(link => [link.index, link.name]))
  return host.routes.list({}).flatMap(({ dst, gateway, index }) => {
    if (dst === undefined || dst.length <= 1) return []
    const device = (index === undefined ? undefined : names.get(index)) ?? ''
    const via = gateway === undefined ? '' : ` via ${formatAddress(gateway)}`
    return [{ prefix: dst, interface: device, owner: `the route${via}${device === '' ? '' : ` by ${device}`}` }]
  })
}
