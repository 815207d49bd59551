/** The benchmark's scenarios. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Attachment, Chain, ChainFailure, type JsonObject, sum } from './chain.ts'
import { outputOf, run, runTogether, timedCall } from './measure.ts'
import type { Round, Scenario, Stage } from './scenario.ts'

const VERSION = '1.0.0'
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
const V4 = { subnet: '10.77.0.0/16' }
const V6 = { subnet: 'fd77::/64' }
const DEFAULT_ROUTE = [{ dst: '0.0.0.0/0' }]

function hostLocal(stage: Stage, ranges: readonly JsonObject[] = [V4]): JsonObject {
  const dataDir = join('/var/lib/cni/bench', stage.contestant.name)
  return { type: 'host-local', ranges: ranges.map(range => [range]), routes: DEFAULT_ROUTE, dataDir }
}

function bridge(stage: Stage, more: JsonObject = {}, ranges: readonly JsonObject[] = [V4]): JsonObject {
  return { type: 'bridge', bridge: 'cni0', isGateway: true, ipam: hostLocal(stage, ranges), ...more }
}

const PORTS = { runtimeConfig: { portMappings: [{ hostPort: 18080, containerPort: 80, protocol: 'tcp' }] } }
const BANDWIDTH = { ingressRate: 8e6, ingressBurst: 8e5, egressRate: 8e6, egressBurst: 8e5 }

interface ChainScenario {
  readonly id: string
  readonly title: string
  readonly plugins: (stage: Stage) => readonly JsonObject[]
  readonly needs: readonly string[]
  /** Which plugins of the chain are measured; all when left out. */
  readonly measured?: readonly number[]
  readonly ifName?: string
}

/** A set may refuse what it has to accept (known faults of the reference): then that one time is left out. */
function attempt(measure: string, body: () => number): Round {
  try {
    return { [measure]: body() }
  } catch (error) {
    if (error instanceof ChainFailure) return {}
    throw error
  }
}

/** ADD, CHECK, DEL of a chain, and DEL again when nothing is there. */
function chainScenario(spec: ChainScenario): Scenario {
  const prepare = (stage: Stage) => {
    const plugins = spec.plugins(stage)
    const chain = new Chain(stage.contestant.dir, { name: 'bench', cniVersion: VERSION, plugins, env: { PATH } })
    const measured = spec.measured ?? plugins.map((_plugin, index) => index)
    const attachment = (): Attachment => ({
      containerId: 'bench-1',
      ifName: spec.ifName ?? 'eth0',
      netns: stage.container('c1')
    })
    return (): Round => {
      const add = sum(chain.add(attachment()), measured)
      const check = attempt('CHECK', () => sum(chain.check(attachment()), measured))
      const del = sum(chain.del(attachment()), measured)
      const again = attempt('DEL again', () => sum(chain.del({ ...attachment(), netns: undefined }), measured))
      return { ADD: add, ...check, DEL: del, ...again }
    }
  }
  return { id: spec.id, title: spec.title, group: 'plugins', needs: spec.needs, prepare }
}

const BRIDGE = ['bridge', 'host-local']

const CHAINS: readonly ChainScenario[] = [
  { id: 'loopback', title: 'loopback', plugins: () => [{ type: 'loopback' }], needs: ['loopback'], ifName: 'lo' },
  {
    id: 'host-local',
    title: 'host-local alone',
    plugins: stage => [{ type: 'host-local', ipam: hostLocal(stage) }],
    needs: ['host-local']
  },
  {
    id: 'static',
    title: 'static alone',
    plugins: () => [{ type: 'static', ipam: { type: 'static', addresses: [{ address: '10.77.0.9/16' }] } }],
    needs: ['static']
  },
  { id: 'bridge', title: 'bridge + host-local', plugins: stage => [bridge(stage)], needs: BRIDGE },
  {
    id: 'bridge-masq',
    title: 'bridge with ipMasq',
    plugins: stage => [bridge(stage, { ipMasq: true })],
    needs: BRIDGE
  },
  {
    id: 'bridge-dual',
    title: 'bridge with ipMasq, IPv4 and IPv6',
    plugins: stage => [bridge(stage, { ipMasq: true }, [V4, V6])],
    needs: BRIDGE
  },
  {
    id: 'ptp',
    title: 'ptp with ipMasq',
    plugins: stage => [{ type: 'ptp', ipMasq: true, ipam: hostLocal(stage) }],
    needs: ['ptp', 'host-local']
  },
  {
    id: 'macvlan',
    title: 'macvlan',
    plugins: stage => [{ type: 'macvlan', master: 'uplink', ipam: hostLocal(stage) }],
    needs: ['macvlan', 'host-local']
  },
  {
    id: 'ipvlan',
    title: 'ipvlan',
    plugins: stage => [{ type: 'ipvlan', master: 'uplink', ipam: hostLocal(stage) }],
    needs: ['ipvlan', 'host-local']
  },
  {
    id: 'vlan',
    title: 'vlan',
    plugins: stage => [{ type: 'vlan', master: 'uplink', vlanId: 5, ipam: hostLocal(stage) }],
    needs: ['vlan', 'host-local']
  },
  ...[
    ['portmap', { type: 'portmap', ...PORTS }, 'portmap, one port'] as const,
    ['portmap-none', { type: 'portmap' }, 'portmap, no port'] as const,
    ['firewall', { type: 'firewall' }, 'firewall'] as const,
    ['tuning', { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } }, 'tuning, one sysctl'] as const,
    ['bandwidth', { type: 'bandwidth', ...BANDWIDTH }, 'bandwidth, both ways'] as const,
    ['sbr', { type: 'sbr' }, 'sbr'] as const
  ].map(([id, plugin, title]) => ({
    id,
    title: `${title} (after bridge)`,
    plugins: (stage: Stage) => [bridge(stage), plugin],
    needs: [...BRIDGE, plugin.type],
    measured: [1]
  }))
]

/** host-local among leases of others. */
function leases(count: number): Scenario {
  const prepare = (stage: Stage) => {
    const plugin = { type: 'host-local', ipam: hostLocal(stage) }
    const folder = join(String(plugin.ipam['dataDir']), 'bench')
    mkdirSync(folder, { recursive: true })
    // From the far end of the range, so that the next free address is found at once and only their number counts.
    for (let i = 0; i < count; i += 1) {
      writeFileSync(join(folder, `10.77.${255 - (i >> 8)}.${255 - (i & 255) || 1}`), `other-${i}\r\neth0`)
    }
    const options = { name: 'bench', cniVersion: VERSION, plugins: [plugin], env: { PATH } }
    const chain = new Chain(stage.contestant.dir, options)
    const attachment = { containerId: 'bench-1', ifName: 'eth0', netns: stage.container('c1') }
    return (): Round => ({ ADD: sum(chain.add(attachment), [0]), DEL: sum(chain.del(attachment), [0]) })
  }
  return {
    id: `leases-${count}`,
    title: `host-local, ${count} leases present`,
    group: 'leases',
    needs: ['host-local'],
    prepare
  }
}

/** portmap among mappings of another container. */
function mappings(count: number): Scenario {
  const prepare = (stage: Stage) => {
    const many = Array.from({ length: count }, (_none, i) => ({
      hostPort: 20000 + i,
      containerPort: 20000 + i,
      protocol: 'tcp'
    }))
    const options = { name: 'bench', cniVersion: VERSION, env: { PATH } }
    if (count > 0) {
      const plugins = [bridge(stage), { type: 'portmap', runtimeConfig: { portMappings: many } }]
      const others = new Chain(stage.contestant.dir, { ...options, plugins })
      others.add({ containerId: 'bench-0', ifName: 'eth0', netns: stage.container('c0') })
    }
    const chain = new Chain(stage.contestant.dir, {
      ...options,
      plugins: [bridge(stage), { type: 'portmap', ...PORTS }]
    })
    const attachment = { containerId: 'bench-1', ifName: 'eth0', netns: stage.container('c1') }
    return (): Round => ({ ADD: sum(chain.add(attachment), [1]), DEL: sum(chain.del(attachment), [1]) })
  }
  return {
    id: `mappings-${count}`,
    title: `portmap, ${count} mappings of another container present`,
    group: 'mappings',
    needs: [...BRIDGE, 'portmap'],
    prepare,
    slow: count >= 1000,
    withoutReference: count > 1000
  }
}

/** Many ADDs of one network at once, then as many DELs. */
function parallel(count: number): Scenario {
  const prepare = (stage: Stage) => {
    const options = { name: 'bench', cniVersion: VERSION, plugins: [bridge(stage)], env: { PATH } }
    const chain = new Chain(stage.contestant.dir, options)
    const attachments = Array.from({ length: count }, (_none, i) => ({
      containerId: `bench-${i}`,
      ifName: 'eth0',
      netns: stage.container(`p${i}`)
    }))
    const all = (verb: string) => {
      const calls = attachments.map(attachment => chain.call(0, verb, attachment, undefined))
      const { milliseconds, status } = runTogether(calls)
      if (status !== 0) throw new ChainFailure(`${verb}: ${calls.map(outputOf).find(text => text.includes('code'))}`)
      return milliseconds
    }
    return (): Round => ({ ADD: all('ADD'), DEL: all('DEL') })
  }
  return {
    id: `parallel-${count}`,
    title: `bridge + host-local, ${count} at once`,
    group: 'parallel',
    needs: BRIDGE,
    prepare,
    slow: count > 8
  }
}

/**
 * What nerdctl execs for its default network: before the first ADD the whole DEL chain, with neither namespace nor
 * prevResult; after the container's end the DEL chain again, without its namespace.
 */
const NERDCTL: Scenario = {
  id: 'nerdctl',
  title: 'nerdctl: bridge ipMasq + portmap + firewall + tuning',
  group: 'sequences',
  needs: [...BRIDGE, 'portmap', 'firewall', 'tuning'],
  prepare: stage => {
    const plugins = [
      bridge(stage, { ipMasq: true, hairpinMode: true }),
      { type: 'portmap', capabilities: { portMappings: true }, ...PORTS },
      { type: 'firewall', ingressPolicy: 'same-bridge' },
      { type: 'tuning' }
    ]
    const cniArgs = 'IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=bench'
    const options = { name: 'bridge', cniVersion: VERSION, plugins, env: { PATH }, cniArgs }
    const chain = new Chain(stage.contestant.dir, options)
    const indices = [0, 1, 2, 3]
    return () => {
      const netns = stage.container('c1')
      const attachment = { containerId: 'default-bench1', ifName: 'eth0', netns }
      chain.result = undefined
      const before = sum(chain.del({ ...attachment, netns: undefined }), indices)
      const add = sum(chain.add(attachment), indices)
      // The container's namespace is gone before nerdctl hears of its end.
      stage.forget('c1')
      const stop = sum(chain.del({ ...attachment, netns: undefined }), indices)
      return { start: before + add, 'start: DEL part': before, 'start: ADD part': add, stop }
    }
  }
}

/** What containerd's CRI execs for a pod: loopback, then its list; at the end the whole twice. */
const CRI: Scenario = {
  id: 'cri',
  title: 'CRI: loopback, bridge ipMasq + portmap, dual stack',
  group: 'sequences',
  needs: [...BRIDGE, 'loopback', 'portmap'],
  prepare: stage => {
    const env = { PATH }
    const cniArgs = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench;K8S_POD_UID=1'
    const lo = new Chain(stage.contestant.dir, {
      name: 'cni-loopback',
      cniVersion: '0.3.1',
      plugins: [{ type: 'loopback' }],
      env,
      cniArgs
    })
    const plugins = [
      bridge(stage, { ipMasq: true, promiscMode: true }, [V4, V6]),
      { type: 'portmap', capabilities: { portMappings: true }, ...PORTS }
    ]
    const pod = new Chain(stage.contestant.dir, { name: 'containerd-net', cniVersion: VERSION, plugins, env, cniArgs })
    return () => {
      const netns = stage.container('c1')
      const loopback = { containerId: 'bench1', ifName: 'lo', netns }
      const eth0 = { containerId: 'bench1', ifName: 'eth0', netns }
      const start = sum(lo.add(loopback), [0]) + sum(pod.add(eth0), [0, 1])
      const stop = sum(lo.del(loopback), [0]) + sum(pod.del(eth0), [0, 1])
      const gone = { netns: undefined }
      const again = sum(lo.del({ ...loopback, ...gone }), [0]) + sum(pod.del({ ...eth0, ...gone }), [0, 1])
      stage.forget('c1')
      return { 'pod start': start, 'pod stop': stop, 'pod remove': again }
    }
  }
}

/** STATUS, which kubelet has asked every few seconds; older sets don't know it. */
const STATUS: Scenario = {
  id: 'status',
  title: 'bridge + host-local',
  group: 'plugins',
  needs: BRIDGE,
  prepare: stage => {
    const options = { name: 'bench', cniVersion: '1.1.0', plugins: [bridge(stage)], env: { PATH } }
    const chain = new Chain(stage.contestant.dir, options)
    const attachment = { containerId: '', ifName: '', netns: undefined }
    return () => ({ STATUS: sum(chain.status(attachment), [0]) })
  }
}

/** A plugin started with nothing to do: what every one of a runtime's execs costs at least. */
const BARE: Scenario = {
  id: 'bare',
  title: 'start with an empty environment (banner only)',
  group: 'start',
  needs: ['host-local'],
  prepare: stage => {
    const call = timedCall('host-local', join(stage.contestant.dir, 'host-local'), { PATH }, '')
    return () => {
      const { milliseconds, status } = run(call)
      if (status !== 0) throw new ChainFailure(`host-local: exit ${status}: ${outputOf(call)}`)
      return { start: milliseconds }
    }
  }
}

export const SCENARIOS: readonly Scenario[] = [
  BARE,
  ...CHAINS.map(chainScenario),
  STATUS,
  NERDCTL,
  CRI,
  ...[0, 100, 1000, 10000].map(leases),
  ...[0, 100, 1000, 5000].map(mappings),
  ...[1, 8, 64].map(parallel)
]

/** Calls whose peak memory is shown. */
export function memoryChain(stage: Stage, type: string): { readonly chain: Chain; readonly attachment: Attachment } {
  rmSync('/var/lib/cni/bench', { recursive: true, force: true })
  const spec = CHAINS.find(({ id }) => id === (type === 'bridge' ? 'bridge-masq' : type))
  if (spec === undefined) throw new Error(`measure memory: no chain for ${type}`)
  const plugins = spec.plugins(stage)
  const chain = new Chain(stage.contestant.dir, { name: 'memory', cniVersion: VERSION, plugins, env: { PATH } })
  const attachment = { containerId: 'bench-m', ifName: spec.ifName ?? 'eth0', netns: stage.container('m') }
  return { chain, attachment }
}

export const MEMORY_TYPES: readonly string[] = CHAINS.map(({ id }) => id).filter(
  id => !id.includes('-') || id === 'host-local'
)
