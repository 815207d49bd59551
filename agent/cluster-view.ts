/** What etcd knows of all hosts, read once by somebody who only looks. */
import type { ClusterHostView, EndpointView } from '../lib/view/model.ts'
import type { AgentConfig } from './config.ts'
import { Etcd, type KeyValue } from './etcd/etcd.ts'
import { endpointFromValue, hostFromValue, nameFromValue } from './registry-value.ts'

const CALL_MS = 5000

/** @throws {EtcdError} when no endpoint of etcd answers */
export async function readCluster(config: NonNullable<AgentConfig['etcd']>): Promise<readonly ClusterHostView[]> {
  const etcd = new Etcd({ endpoints: config.endpoints, access: config, count: () => undefined })
  try {
    const entries = async (kind: string): Promise<readonly KeyValue[]> =>
      (await etcd.range(`${config.prefix}/${kind}/`, CALL_MS)).entries
    const [hosts, endpoints, names] = [await entries('hosts'), await entries('endpoints'), await entries('names')]
    return clusterOf(config.prefix, { hosts, endpoints, names })
  } finally {
    etcd.close()
  }
}

interface ClusterEntries {
  readonly hosts: readonly Entry[]
  readonly endpoints: readonly Entry[]
  readonly names: readonly Entry[]
}

type Entry = Pick<KeyValue, 'key' | 'value'>

/** Hosts by name, endpoints by network and container. What is malformed is left out: any host may have written it. */
export function clusterOf(prefix: string, { hosts, endpoints, names }: ClusterEntries): readonly ClusterHostView[] {
  const byHost = new Map<string, EndpointView[]>()
  const present = new Set<string>()
  for (const { key, value } of hosts) {
    const [host = '', what] = wordsOf(key, `${prefix}/hosts/`)
    if (what === 'present') present.add(host)
    else if (hostFromValue(value) !== undefined) endpointsOf(byHost, host)
  }
  const namesByKey = new Map(names.map(({ key, value }) => [wordsOf(key, `${prefix}/names/`).join('/'), value]))
  for (const { key, value } of endpoints) {
    const [vni = '', host = '', network = '', containerId = '', ifName = ''] = wordsOf(key, `${prefix}/endpoints/`)
    const endpoint = endpointFromValue(value, 4) ?? endpointFromValue(value, 6)
    if (endpoint === undefined || ifName === '' || !/^[0-9]{1,8}$/.test(vni)) continue
    const named = namesByKey.get([network, host, containerId, ifName].join('/'))
    const { mac, ips, vtep } = endpoint
    const own = { network, vni: Number(vni), containerId, ifName, mac, addresses: ips, underlay: vtep }
    endpointsOf(byHost, host).push({ ...own, names: named === undefined ? [] : nameFromValue(named).names })
  }
  return [...byHost.keys()].sort().map(name => ({
    name,
    isPresent: present.has(name),
    endpoints: endpointsOf(byHost, name).sort(byNetwork)
  }))
}

function endpointsOf(byHost: Map<string, EndpointView[]>, host: string): EndpointView[] {
  const known = byHost.get(host)
  if (known !== undefined) return known
  const none: EndpointView[] = []
  byHost.set(host, none)
  return none
}

function wordsOf(key: string, prefix: string): readonly string[] {
  return key.startsWith(prefix) ? key.slice(prefix.length).split('/') : []
}

function byNetwork(a: EndpointView, b: EndpointView): number {
  const keys = [a, b].map(one => `${one.network} ${one.names[0] ?? one.containerId} ${one.ifName}`)
  return (keys[0] ?? '') < (keys[1] ?? '') ? -1 : 1
}
