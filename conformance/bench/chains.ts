/** Scenarios of one plugin each: alone, or after the bridge that it is chained to. */
import { type Attachment, Chain, ChainFailure, type JsonObject, sum } from './chain.ts'
import {
  BANDWIDTH,
  BRIDGE_NEEDS,
  bridge,
  hostLocal,
  PATH,
  published,
  STATUS_VERSION,
  V4,
  V6,
  VERSION,
  vxlan
} from './networks.ts'
import { line, type Round, type Scenario, type Stage } from './scenario.ts'

export interface ChainScenario {
  readonly id: string
  readonly title: string
  readonly plugins: (stage: Stage) => readonly JsonObject[]
  readonly needs: readonly string[]
  /** Which plugins of the chain are measured; all when left out. */
  readonly measured?: readonly number[]
  readonly ifName?: string
  /** The kind of link that the kernel must have. */
  readonly kind?: string
  /** Makes what must be on the host beforehand. */
  readonly furnish?: () => void
}

/** A set may refuse what it has to accept (known faults of the reference): then only that one number is missing. */
function attempt(measure: string, body: () => number): Round {
  try {
    return { [measure]: body() }
  } catch (error) {
    if (error instanceof ChainFailure) return { [measure]: error.message }
    throw error
  }
}

/** ADD, CHECK, DEL of a chain, DEL again when nothing is there, and STATUS. */
export function chainScenario(spec: ChainScenario): Scenario {
  const prepare = (stage: Stage) => {
    spec.furnish?.()
    const plugins = spec.plugins(stage)
    const options = { name: 'bench', cniVersion: VERSION, plugins, env: { PATH } }
    const chain = new Chain(stage.contestant.dir, options)
    const asked = new Chain(stage.contestant.dir, { ...options, cniVersion: STATUS_VERSION })
    const measured = spec.measured ?? chain.all
    const nobody: Attachment = { containerId: '', ifName: '', netns: undefined }
    const attachment: Attachment = {
      containerId: 'bench-1',
      ifName: spec.ifName ?? 'eth0',
      netns: stage.container('c1')
    }
    return (): Round => {
      const add = sum(chain.add(attachment), measured)
      const check = attempt('CHECK', () => sum(chain.check(attachment, measured), measured))
      const del = sum(chain.del(attachment), measured)
      const gone = { ...attachment, netns: undefined }
      const again = attempt('DEL again', () => sum(chain.del(gone, measured), measured))
      const status = attempt('STATUS', () => sum(asked.status(nobody, measured), measured))
      return { ADD: add, ...check, DEL: del, ...again, ...status }
    }
  }
  const { id, title, needs, kind } = spec
  return { id, title, group: 'plugins', needs, prepare, counted: true, ...(kind === undefined ? {} : { kind }) }
}

/** Has two ends, of which the plugin takes one. */
function makeDevice(): void {
  line('ip link add device0 type veth peer name device1')
}

const ALONE: readonly ChainScenario[] = [
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
  { id: 'bridge', title: 'bridge + host-local', plugins: stage => [bridge(stage)], needs: BRIDGE_NEEDS },
  {
    id: 'bridge-masq',
    title: 'bridge with ipMasq',
    plugins: stage => [bridge(stage, { ipMasq: true })],
    needs: BRIDGE_NEEDS
  },
  {
    id: 'bridge-dual',
    title: 'bridge with ipMasq, IPv4 and IPv6',
    plugins: stage => [bridge(stage, { ipMasq: true }, [V4, V6])],
    needs: BRIDGE_NEEDS
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
    needs: ['macvlan', 'host-local'],
    kind: 'macvlan'
  },
  {
    id: 'ipvlan',
    title: 'ipvlan',
    plugins: stage => [{ type: 'ipvlan', master: 'uplink', ipam: hostLocal(stage) }],
    needs: ['ipvlan', 'host-local'],
    kind: 'ipvlan'
  },
  {
    id: 'vlan',
    title: 'vlan',
    plugins: stage => [{ type: 'vlan', master: 'uplink', vlanId: 5, ipam: hostLocal(stage) }],
    needs: ['vlan', 'host-local'],
    kind: 'vlan'
  },
  {
    id: 'dummy',
    title: 'dummy',
    plugins: stage => [{ type: 'dummy', ipam: hostLocal(stage) }],
    needs: ['dummy', 'host-local'],
    kind: 'dummy'
  },
  {
    id: 'tap',
    title: 'tap',
    plugins: stage => [{ type: 'tap', ipam: hostLocal(stage) }],
    needs: ['tap', 'host-local'],
    kind: 'tap'
  },
  {
    id: 'host-device',
    title: 'host-device',
    plugins: stage => [{ type: 'host-device', device: 'device0', ipam: hostLocal(stage) }],
    needs: ['host-device', 'host-local'],
    furnish: makeDevice
  },
  {
    id: 'vxlan',
    title: 'vxlan, bridge and tunnel there',
    plugins: stage => [vxlan(stage)],
    needs: ['vxlan', 'host-local'],
    kind: 'vxlan'
  },
  {
    id: 'vxlan-first',
    title: 'vxlan, the only container of its host',
    plugins: stage => [vxlan(stage, { keepDevices: false })],
    needs: ['vxlan', 'host-local'],
    kind: 'vxlan'
  }
]

const TUNING = { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } }

interface Chained {
  readonly plugin: JsonObject & { readonly type: string }
  readonly title: string
  readonly kind?: string
}

const CHAINED: Readonly<Record<string, Chained>> = {
  portmap: { plugin: { ...published([18080, 80]), type: 'portmap' }, title: 'portmap, one port' },
  'portmap-none': { plugin: { type: 'portmap' }, title: 'portmap, no port' },
  firewall: { plugin: { type: 'firewall' }, title: 'firewall' },
  tuning: { plugin: TUNING, title: 'tuning, one sysctl' },
  'tuning-none': { plugin: { type: 'tuning' }, title: 'tuning, nothing to tune' },
  bandwidth: { plugin: BANDWIDTH, title: 'bandwidth, both ways' },
  sbr: { plugin: { type: 'sbr' }, title: 'sbr' },
  vrf: { plugin: { type: 'vrf', vrfname: 'blue' }, title: 'vrf', kind: 'vrf' }
}

export const CHAINS: readonly ChainScenario[] = [
  ...ALONE,
  ...Object.entries(CHAINED).map(([id, { plugin, title, kind }]) => ({
    id,
    title: `${title} (after bridge)`,
    plugins: (stage: Stage) => [bridge(stage), plugin],
    needs: [...BRIDGE_NEEDS, plugin.type],
    measured: [1],
    ...(kind === undefined ? {} : { kind })
  }))
]
