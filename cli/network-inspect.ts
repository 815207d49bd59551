/** `patchbay network inspect`: everything about networks and who is on them, on all hosts. */
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import type { NetworkContainer } from '../agent/networks/containers.ts'
import { type Json, jsonText, memberOf } from '../lib/config/json.ts'
import { parseAddress } from '../lib/ip/address.ts'
import { prefixContains } from '../lib/ip/prefix.ts'
import type { CachedAttachment } from '../lib/runtime/cache.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { loadNetworks, type Network, pluginType } from '../lib/runtime/network.ts'
import { rangesOf, subnetsOf } from '../lib/runtime/network-ranges.ts'
import { AgentClient } from './agent-client.ts'
import type { Call } from './call.ts'
import { expandedOver } from './format.ts'
import { type LiveInterface, liveInterface } from './live-interface.ts'
import { createdAt, driverOf, ipamOf, isInternal, labelsOf, optionsOf, scopeOf } from './network-facts.ts'
import { clusterNetworkOf, findNetwork, idOf } from './network-find.ts'
import { builtInNetwork } from './network-show.ts'
import { CommandError, jsonLine, reportError } from './output.ts'
import { runtimeAt } from './place.ts'
import { servicesOn } from './service/ask.ts'

/** `network inspect NAME…`: JSON in Docker's words. */
export async function inspect(call: Call): Promise<number> {
  const { place, output } = call
  const shown: object[] = []
  for (const name of call.words) {
    const builtIn = builtInNetwork(name)
    if (builtIn !== undefined) {
      shown.push(builtIn)
      continue
    }
    try {
      const network = findNetwork(place.confDir, name)
      const services = call.has('verbose') ? { Services: shownServices(call, network.name) } : {}
      shown.push(networkShown(call, network, services))
    } catch (error) {
      reportError(output, error, call.asJson)
    }
  }
  const template = call.text('format')
  const format = call.text('output') ?? 'json'
  if (template !== undefined) for (const one of shown) output.out(`${expandedOver(template, one)}\n`)
  else output.out(format === 'yaml' ? (await import('yaml')).stringify(shown) : jsonLine(shown))
  for (const problem of loadNetworks(place.confDir).problems) {
    if (call.words.some(name => problem.message.includes(JSON.stringify(name))))
      reportError(output, problem, call.asJson)
  }
  return shown.length === call.words.length ? 0 : 1
}

/** @param more what else is shown of it */
export function networkShown(call: Call, network: Network, more: object = {}): object {
  return { ...inspected(network), Containers: containersOf(call, network), ...more, ...filed(network) }
}

function inspected(one: Network): object {
  const internal = isInternal(one)
  const ranges = rangesOf(one)
  return {
    Name: one.name,
    Id: idOf(one),
    Created: createdAt(one),
    Scope: scopeOf(one),
    Driver: driverOf(one),
    EnableIPv6: ranges.some(range => range.subnet.includes(':')),
    Internal: internal,
    Attachable: true,
    IPAM: {
      Driver: ipamOf(one),
      Config: ranges.map(range => ({
        Subnet: range.subnet,
        // Nothing answers there on a network that leads nowhere.
        ...(range.gateway === '' || internal ? {} : { Gateway: range.gateway }),
        ...(range.start === '' ? {} : { RangeStart: range.start, RangeEnd: range.end }),
        ...(range.exclude.length === 0 ? {} : { Exclude: range.exclude })
      }))
    }
  }
}

/** By name, in Docker's words. */
function shownServices(call: Call, network: string): object {
  const shown = servicesOn(call, network).map(({ name, running, service }) => {
    const ports = (service.publish ?? []).map(one => `${one.port}:${one.target}/${one.protocol}`)
    return [
      name,
      { VIP: service.vips[0] ?? '', VIPs: service.vips, Ports: ports, Alias: service.alias, Tasks: running }
    ]
  })
  return Object.fromEntries(shown)
}

function filed(one: Network): object {
  return {
    Options: optionsOf(one),
    Labels: labelsOf(one),
    CniVersion: one.cniVersion,
    Plugins: one.plugins.map(pluginType),
    Path: one.path
  }
}

/** One interface of a container on the network. What only its own host knows is missing of those of others. */
interface ShownContainer {
  readonly Name: string
  /** All names that it is found by, its own first. */
  readonly Names: readonly string[]
  readonly Host: string
  readonly EndpointID: string
  readonly Interface: string
  readonly MacAddress: string
  /** The first of each family; '' for none. */
  readonly IPv4Address: string
  readonly IPv6Address: string
  /** All of them. */
  readonly Addresses: readonly string[]
  readonly Ports?: readonly object[]
  readonly Netns?: string
  readonly State?: 'running' | 'gone'
  /** The interface as the kernel has it now; null when it is not there. */
  readonly Live?: LiveInterface | null
}

/** By container id, as with Docker; a further interface of the same container has its name behind that. */
function containersOf(call: Call, network: Network): Readonly<Record<string, ShownContainer>> {
  const { place, output } = call
  const namespaces = new Namespaces()
  const local = runtimeAt(place, output).cache.list(network.name)
  const everywhere = clusterNetworkOf(network) === undefined ? [] : elsewhere(call, network.name)
  const byId: Record<string, ShownContainer> = {}
  const show = (id: string, one: ShownContainer): void => {
    byId[Object.hasOwn(byId, id) ? `${id}:${one.Interface}` : id] = one
  }
  for (const cached of local) {
    const published = everywhere.find(one => one.containerId === cached.containerId && one.ifName === cached.ifName)
    show(cached.containerId, localContainer(cached, published, namespaces))
  }
  for (const one of everywhere) {
    if (local.some(cached => cached.containerId === one.containerId && cached.ifName === one.ifName)) continue
    show(one.containerId, remoteContainer(network, one))
  }
  return byId
}

/** Containers of all hosts. Those of this one are known without the agent. */
function elsewhere(call: Call, name: string): readonly NetworkContainer[] {
  try {
    return new AgentClient(call.text('agent-socket')).containers(name)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    call.output.err(`patchbay: containers of other hosts are not shown: ${error.message}\n`)
    return []
  }
}

function remoteContainer(network: Network, one: NetworkContainer): ShownContainer {
  return {
    Name: one.names[0] ?? one.containerId,
    Names: one.names,
    Host: one.host,
    EndpointID: endpointId(network.name, one.containerId, one.ifName),
    Interface: one.ifName,
    MacAddress: one.mac,
    ...addressesOf(one.ips.map(ip => withLength(ip, network)))
  }
}

/** The registry has addresses alone; a container's own record has the length of its subnet, too. */
function withLength(ip: string, network: Network): string {
  const address = parseAddress(ip)
  const subnet = subnetsOf(network).find(one => address !== undefined && prefixContains(one, address))
  return subnet === undefined ? ip : `${ip}/${String(subnet.length)}`
}

function localContainer(
  cached: CachedAttachment,
  published: NetworkContainer | undefined,
  namespaces: Namespaces
): ShownContainer {
  interface Shown {
    readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
    readonly ips?: readonly { readonly address: string }[]
  }
  const result: Shown = cached.result === undefined ? {} : JSON.parse(jsonText(cached.result))
  const own = (result.interfaces ?? []).find(one => one.name === cached.ifName && one.sandbox !== undefined)
  const path = namespaces.pathOf(cached)
  const names = published?.names ?? namesOf(cached)
  return {
    Name: names[0] ?? cached.containerId,
    Names: names,
    Host: published?.host ?? hostname(),
    EndpointID: endpointId(cached.network, cached.containerId, cached.ifName),
    Interface: cached.ifName,
    MacAddress: own?.mac ?? '',
    ...addressesOf((result.ips ?? []).map(ip => ip.address)),
    Ports: portsOf(cached),
    Netns: path === '' ? cached.netns : path,
    State: path === '' ? 'gone' : 'running',
    Live: path === '' ? null : (liveInterface(path, cached.ifName) ?? null)
  }
}

function addressesOf(all: readonly string[]): Pick<ShownContainer, 'IPv4Address' | 'IPv6Address' | 'Addresses'> {
  const first = (isIPv6: boolean): string => all.find(one => one.includes(':') === isIPv6) ?? ''
  return { IPv4Address: first(false), IPv6Address: first(true), Addresses: all }
}

/** As the endpoint of Docker's network model: of one container's interface on one network. */
export function endpointId(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('/')).digest('hex')
}

/** What it was called when it was attached. */
export function namesOf({ args, capabilityArgs }: CachedAttachment): readonly string[] {
  const name = args.find(([key]) => key === 'K8S_POD_NAME')?.[1]
  const aliases = (capabilityArgs === undefined ? undefined : memberOf(capabilityArgs, 'aliases'))?.items ?? []
  return [...(name === undefined ? [] : [name]), ...aliases.map(alias => alias.text)]
}

/** What of it is published on this host, as the runtime has asked for it. */
function portsOf({ capabilityArgs }: CachedAttachment): readonly object[] {
  const mappings = (capabilityArgs === undefined ? undefined : memberOf(capabilityArgs, 'portMappings'))?.items ?? []
  return mappings.map(mapping => ({
    HostIp: textOf(mapping, 'hostIP'),
    HostPort: Number(textOf(mapping, 'hostPort')),
    ContainerPort: Number(textOf(mapping, 'containerPort')),
    Protocol: textOf(mapping, 'protocol') || 'tcp'
  }))
}

function textOf(json: Json, key: string): string {
  return memberOf(json, key)?.text ?? ''
}
