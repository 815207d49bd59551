/** `patchbay inspect`: a container's state and networks, in the words of docker inspect. */
import { jsonText } from '../lib/config/json.ts'
import type { CachedAttachment } from '../lib/runtime/cache.ts'
import { NetworkError } from '../lib/runtime/network.ts'
import type { Call } from './call.ts'
import { Containers } from './container.ts'
import { expandedOver } from './format.ts'
import { findNetwork, idOf } from './network-find.ts'
import { endpointId, namesOf, networkShown } from './network-inspect.ts'
import { CommandError, jsonLine, reportError, UsageError } from './output.ts'
import { runtimeAt } from './place.ts'
import { portsOf } from './run/publish.ts'
import { type ContainerState, ContainerStore, isRunning } from './run/store.ts'

/** `inspect CONTAINER…`: goes on after a failure, and fails in the end. */
export async function inspect(call: Call): Promise<number> {
  const { output } = call
  const shown: object[] = []
  for (const word of call.words) {
    try {
      shown.push(await shownOf(call, word))
    } catch (error) {
      reportError(output, error, call.asJson)
    }
  }
  const template = call.text('format')
  if (template !== undefined) for (const one of shown) output.out(`${expandedOver(template, one)}\n`)
  else output.out(call.text('output') === 'yaml' ? (await import('yaml')).stringify(shown) : jsonLine(shown))
  return shown.length === call.words.length ? 0 : 1
}

/** A container comes before a network of the same name, as with Docker. */
async function shownOf(call: Call, word: string): Promise<object> {
  const type = call.text('type')
  if (type === 'network') return networkShown(call, findNetwork(call.place.confDir, word))
  try {
    return await containerShown(call, word)
  } catch (error) {
    if (type === 'container' || !(error instanceof CommandError) || error instanceof UsageError) throw error
    try {
      return networkShown(call, findNetwork(call.place.confDir, word))
    } catch (other) {
      throw other instanceof NetworkError ? error : other
    }
  }
}

async function containerShown(call: Call, word: string): Promise<object> {
  const store = new ContainerStore(call.runDir)
  const ended = store.find(word)
  if (ended !== undefined && !isRunning(ended))
    return shown({ id: word, name: word, netns: '', state: ended, attached: [] })
  const { cache } = runtimeAt(call.place, call.output)
  const { containerId, name, netns } = await new Containers(cache, call.runDir).living(word, undefined)
  // containerd has its loopback be a network, too.
  const attached = cache.list().filter(one => one.containerId === containerId && one.ifName !== 'lo')
  const networkIds = new Map(attached.map(one => [one.network, networkId(call, one.network)]))
  return shown({ id: containerId, name, netns, state: store.find(containerId), attached }, networkIds)
}

interface Known {
  readonly id: string
  readonly name: string
  /** '' when it has ended. */
  readonly netns: string
  /** Of a container that `run` started. */
  readonly state: ContainerState | undefined
  readonly attached: readonly CachedAttachment[]
}

function shown(known: Known, networkIds: ReadonlyMap<string, string> = new Map()): object {
  const { id, name, netns, state, attached } = known
  const endpoints = attached.map(one => ({ one, shown: endpointOf(one, networkIds.get(one.network) ?? '') }))
  const networks: Record<string, object> = {}
  for (const { one, shown: endpoint } of endpoints) {
    networks[Object.hasOwn(networks, one.network) ? `${one.network}:${one.ifName}` : one.network] = endpoint
  }
  const ports = portsByTarget(attached)
  return {
    Id: id,
    Name: name === '' ? id : name,
    ...(state === undefined
      ? {}
      : { Created: state.created, Path: state.command[0] ?? '', Args: state.command.slice(1) }),
    State: stateOf(netns, state),
    HostConfig: { NetworkMode: state?.networks[0] ?? attached[0]?.network ?? 'none', PortBindings: ports },
    NetworkSettings: {
      SandboxKey: netns,
      Ports: ports,
      // As it was before a container could be on several networks; of the first one.
      ...(endpoints[0] === undefined ? NOWHERE : placeOf(endpoints[0].one)),
      Networks: networks
    }
  }
}

function stateOf(netns: string, state: ContainerState | undefined): object {
  const pid = state?.pid ?? Number(/^\/proc\/([0-9]+)\//.exec(netns)?.[1] ?? 0)
  return {
    Status: netns === '' ? 'exited' : 'running',
    Running: netns !== '',
    Pid: netns === '' ? 0 : pid,
    ...(state === undefined ? {} : { ExitCode: state.exitStatus ?? 0 })
  }
}

/** The part of a result that is shown. */
interface Result {
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[]
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[]
}

interface Place {
  readonly IPAddress: string
  readonly IPPrefixLen: number
  readonly Gateway: string
  readonly GlobalIPv6Address: string
  readonly GlobalIPv6PrefixLen: number
  readonly IPv6Gateway: string
  readonly MacAddress: string
}

const NOWHERE: Place = {
  IPAddress: '',
  IPPrefixLen: 0,
  Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  IPv6Gateway: '',
  MacAddress: ''
}

function placeOf({ result, ifName }: CachedAttachment): Place {
  const { interfaces = [], ips = [] }: Result = result === undefined ? {} : JSON.parse(jsonText(result))
  const own = interfaces.find(one => one.name === ifName && (one.sandbox ?? '') !== '')
  const first = (isIPv6: boolean): { readonly address: string; readonly length: number; readonly gateway: string } => {
    const ip = ips.find(one => one.address.includes(':') === isIPv6)
    const [address = '', length = '0'] = ip?.address.split('/') ?? []
    return { address, length: Number(length), gateway: ip?.gateway ?? '' }
  }
  const [four, six] = [first(false), first(true)]
  return {
    IPAddress: four.address,
    IPPrefixLen: four.length,
    Gateway: four.gateway,
    GlobalIPv6Address: six.address,
    GlobalIPv6PrefixLen: six.length,
    IPv6Gateway: six.gateway,
    MacAddress: own?.mac ?? ''
  }
}

function endpointOf(one: CachedAttachment, id: string): object {
  const names = namesOf(one)
  return {
    NetworkID: id,
    EndpointID: endpointId(one.network, one.containerId, one.ifName),
    Interface: one.ifName,
    ...placeOf(one),
    Aliases: names.slice(1),
    DNSNames: names
  }
}

/** '' for a network that is gone, and has left attachments. */
function networkId(call: Call, name: string): string {
  try {
    return idOf(findNetwork(call.place.confDir, name))
  } catch (error) {
    if (error instanceof NetworkError) return ''
    throw error
  }
}

/** `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}` */
function portsByTarget(attached: readonly CachedAttachment[]): Readonly<Record<string, readonly object[]>> {
  const ports: Record<string, object[]> = {}
  for (const { containerPort, protocol, hostIP, hostPort } of attached.flatMap(portsOf)) {
    const target = `${String(containerPort)}/${protocol}`
    ports[target] ??= []
    ports[target].push({ HostIp: hostIP === '' ? '0.0.0.0' : hostIP, HostPort: String(hostPort) })
  }
  return ports
}
