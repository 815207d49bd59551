/** `patchbay network connect` and `disconnect`: one more network for a running container, or one less. */
import { jsonText } from '../lib/config/json.ts'
import type { AttachmentCache } from '../lib/runtime/cache.ts'
import { Namespaces } from '../lib/runtime/namespaces.ts'
import { loadNetwork, type Network } from '../lib/runtime/network.ts'
import { attachTo, checkedIfName, detachFrom, resultTable, type Wanted } from './attachment.ts'
import type { Call } from './call.ts'
import { type Container, Containers } from './container.ts'
import { type EndpointWish, endpointArgs, readEndpoint } from './endpoint.ts'
import { orderGateways, PRIORITY_ARGUMENT } from './gateways.ts'
import { nameArgs, nameOption, withAliases } from './names.ts'
import { CommandError, jsonLine } from './output.ts'
import { runtimeAt } from './place.ts'
import { linkArgs, parseLink, resolveLinks } from './run/links.ts'
import { type Port, parsePorts } from './run/ports.ts'
import { absentAddresses, nobodyPublishes, portArgs, portsOf, publishes, withHostPort } from './run/publish.ts'
import { ContainerStore } from './run/store.ts'

/** `network connect NETWORK CONTAINER` */
export async function connect(call: Call): Promise<number> {
  const { place, output } = call
  const wish = readEndpoint(
    key => call.texts(key),
    key => `--${key}`
  )
  const name = call.word(0)
  const network = loadNetwork(place.confDir, name)
  const { cache } = runtimeAt(place, output)
  const container = await new Containers(cache, call.runDir).living(call.word(1), call.text('container-id'))
  refuseSecond(cache, network, container, wish)
  const wanted = await wantedOf(call, wish, network, container)
  if (call.has('dry-run')) {
    output.out(call.asJson ? jsonLine(planOf(name, wanted)) : `would connect ${container.containerId} to ${name}\n`)
    return 0
  }
  const { attaching, result } = await attachTo(place, network, wanted, output)
  const priorities = prioritiesOf(cache, container.containerId)
  if ([...priorities.values()].some(one => one !== 0)) orderGateways(container.netns, priorities)
  output.out(call.asJson ? `${jsonText(result, 2)}\n` : resultTable(result, attaching, name))
  return 0
}

/** One more interface on the same network is nobody's habit: it is made where its name is given. */
function refuseSecond(cache: AttachmentCache, network: Network, container: Container, wish: EndpointWish): void {
  const namespaces = new Namespaces()
  const present = cache
    .list(network.name)
    .find(one => one.containerId === container.containerId && !namespaces.isGone(one))
  if (present === undefined || wish.ifName !== undefined) return
  throw new CommandError(
    `connect ${JSON.stringify(container.containerId)} to ${JSON.stringify(network.name)}: it is on it already, as ${present.ifName}`,
    'for one more interface there, name it: --ifname'
  )
}

async function wantedOf(call: Call, wish: EndpointWish, network: Network, container: Container): Promise<Wanted> {
  const { cache } = runtimeAt(call.place, call.output)
  const containers = new Containers(cache, call.runDir)
  const links = await resolveLinks(call.texts('link').map(parseLink), containers, [network], cache)
  const ports = await Promise.all(
    [...askedPorts(call, network), ...ownPorts(call, cache, container, network)].map(withHostPort)
  )
  for (const line of absentAddresses(ports)) call.output.err(line)
  return {
    containerId: container.containerId,
    netns: container.netns,
    ifName: wish.ifName === undefined ? undefined : checkedIfName(wish.ifName),
    args: [
      ...endpointArgs(wish),
      ...linkArgs(links, network),
      ...nameArgs(nameOption(call) ?? (container.name === '' ? undefined : container.name))
    ],
    capabilityArgs: withAliases(wish.aliases, network, portArgs(ports))
  }
}

function askedPorts(call: Call, network: Network): readonly Port[] {
  const ports = call.texts('publish').flatMap(text => parsePorts(text))
  if (ports.length > 0 && !publishes(network)) throw nobodyPublishes([network])
  return ports
}

/** What `run -p` has asked for, where no network of the container publishes it any more. */
function ownPorts(call: Call, cache: AttachmentCache, { containerId }: Container, network: Network): readonly Port[] {
  const state = new ContainerStore(call.runDir).find(containerId)
  const published = cache
    .list()
    .filter(one => one.containerId === containerId)
    .flatMap(portsOf)
  return state === undefined || published.length > 0 || !publishes(network) ? [] : state.ports
}

function planOf(network: string, { containerId, netns, ifName, args }: Wanted): object {
  return { network, containerId, netns, ifName: ifName ?? null, args: Object.fromEntries(args ?? []) }
}

/** By interface. */
function prioritiesOf(cache: AttachmentCache, containerId: string): ReadonlyMap<string, number> {
  const attached = cache.list().filter(one => one.containerId === containerId)
  return new Map(
    attached.map(one => [one.ifName, Number(one.args.find(([key]) => key === PRIORITY_ARGUMENT)?.[1] ?? 0)])
  )
}

/** `network disconnect NETWORK CONTAINER`: every interface of the container on the network. */
export async function disconnect(call: Call): Promise<number> {
  const { place, output } = call
  const name = call.word(0)
  const cache = runtimeAt(place, output).cache
  const container = await new Containers(cache, call.runDir).former(call.word(1), call.text('container-id'))
  const { containerId } = container
  const ifName = call.text('ifname')
  const attached = cache
    .list(name)
    .filter(one => one.containerId === containerId && (ifName === undefined || one.ifName === ifName))
  if (attached.length === 0) {
    throw new CommandError(
      `disconnect ${JSON.stringify(containerId)}: it is not on ${JSON.stringify(name)}`,
      `see: patchbay network inspect ${name}`
    )
  }
  const ifNames = attached.map(one => one.ifName)
  if (!call.has('dry-run')) {
    for (const one of attached) await detachFrom(place, name, { ...container, ifName: one.ifName }, output)
  }
  const done = call.has('dry-run') ? 'would disconnect' : 'disconnected'
  if (call.asJson) output.out(jsonLine({ network: name, containerId, ifNames }))
  else output.out(`${done} ${containerId} (${ifNames.join(', ')}) from ${name}\n`)
  return 0
}
