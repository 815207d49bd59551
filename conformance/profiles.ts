/**
 * What the judge must know of a plugin to call it: a configuration that works, what has to be there before, and what
 * part it plays in a chain. For plugins that are not listed the user gives a configuration file.
 */
import type { JsonObject } from './json.ts'
import type { World } from './world.ts'

/**
 * interface: makes one and asks IPAM. chained: works on what earlier plugins made. ipam: gives addresses. meta: makes an
 * interface by way of other plugins, which it configures itself. loopback: sets lo up.
 */
export const ROLES = ['interface', 'chained', 'ipam', 'meta', 'loopback'] as const

export type Role = (typeof ROLES)[number]

export interface Profile {
  readonly type: string
  readonly role: Role
  /** The plugin's own keys; IPAM and prevResult are the judge's business. */
  readonly config: JsonObject
  /** The link kind of the kernel that it cannot do without. */
  readonly kernelKind?: string
  /** Whether addresses can be left out (a layer-2 attachment). */
  readonly layer2?: boolean
  /** Which sources of a hardware address it takes. */
  readonly macFrom?: readonly ('CNI_ARGS' | 'args' | 'runtimeConfig')[]
  /** Prepares the host, inside it. */
  readonly prepare?: (world: World) => void
  /** Whether it can do its work only on a prevResult. */
  readonly needsPrev?: boolean
  /** Takes the host side apart, so that CHECK has something to notice. */
  readonly sabotage?: (world: World) => void
  /** A configuration key and a value of the wrong type. */
  readonly wrongType?: JsonObject
  /** Keys for the n-th container of a network, where two cannot have the same. */
  readonly ownKeys?: (n: number) => JsonObject
  /** Keys under which ADD could not succeed, so that STATUS has something to say. */
  readonly unready?: JsonObject
  /** Two interfaces of one container cannot have the same gateway. */
  readonly oneGateway?: boolean
  /** Lines of shell, run on the host of every case before it and after it. */
  readonly prepareCommands?: readonly string[]
  readonly cleanupCommands?: readonly string[]
  /** Keys for the second container of a network and the later ones. */
  readonly second?: JsonObject
  /** Cases that the plugin's author brought along. */
  readonly ownCases?: readonly OwnCase[]
}

/** One step of a case that is written as data. */
export interface OwnStep {
  readonly verb?: string
  /** Keys on top of the profile's configuration. */
  readonly config?: JsonObject
  readonly env?: Readonly<Record<string, string>>
  /** Whether the call has to succeed; it has to when nothing is said. */
  readonly succeeds?: boolean
  /** The code of the error. */
  readonly code?: number
  /** A line of shell instead of a call, which has to succeed: on the host, or inside the container. */
  readonly host?: string
  readonly container?: string
}

export interface OwnCase {
  readonly id: string
  readonly title: string
  readonly steps?: readonly OwnStep[]
  /** A program instead of steps: exit status 0 when it holds, 77 when it cannot be tried. */
  readonly program?: string
}

function port(n: number): JsonObject {
  return { runtimeConfig: { portMappings: [{ hostPort: 18080 + n, containerPort: 80, protocol: 'tcp' }] } }
}

function flushRuleset(world: World): void {
  world.run('nft', 'flush', 'ruleset')
}

export const PROFILES: readonly Profile[] = [
  {
    type: 'bridge',
    role: 'interface',
    config: { bridge: 'judge0', isGateway: true },
    layer2: true,
    macFrom: ['CNI_ARGS', 'args', 'runtimeConfig'],
    sabotage: world => {
      for (const link of world.links()) {
        if (link['master'] === 'judge0') world.run('ip', 'link', 'set', String(link['ifname']), 'nomaster')
      }
    },
    wrongType: { mtu: 'large' }
  },
  {
    type: 'ptp',
    role: 'interface',
    config: {},
    oneGateway: true,
    wrongType: { mtu: 'large' }
  },
  {
    type: 'macvlan',
    role: 'interface',
    config: { master: 'uplink' },
    unready: { master: 'not-there0' },
    kernelKind: 'macvlan',
    layer2: true,
    macFrom: ['CNI_ARGS', 'runtimeConfig'],
    wrongType: { mtu: 'large' }
  },
  {
    type: 'ipvlan',
    role: 'interface',
    config: { master: 'uplink' },
    unready: { master: 'not-there0' },
    kernelKind: 'ipvlan',
    wrongType: { mtu: 'large' }
  },
  {
    type: 'vlan',
    role: 'interface',
    config: { master: 'uplink', vlanId: 5 },
    unready: { master: 'not-there0' },
    kernelKind: 'vlan',
    ownKeys: n => ({ vlanId: 5 + n }),
    wrongType: { vlanId: 'five' }
  },
  {
    type: 'vxlan',
    role: 'interface',
    config: { vni: 42, peers: ['192.0.2.1'], bridge: 'judge0', isGateway: true },
    kernelKind: 'vxlan',
    wrongType: { vni: 'many' }
  },
  { type: 'dummy', role: 'interface', config: {}, kernelKind: 'dummy' },
  { type: 'tap', role: 'interface', config: {}, layer2: true, wrongType: { mtu: 'large' } },
  {
    type: 'host-device',
    role: 'interface',
    config: { device: 'spare0' },
    unready: { device: 'not-there0' },
    layer2: true,
    prepare: world => world.ipBatch(['link add spare0 type veth peer name spare1', 'link set spare1 up']),
    wrongType: { device: 7 }
  },
  { type: 'loopback', role: 'loopback', config: {} },
  { type: 'host-local', role: 'ipam', config: {}, wrongType: {} },
  { type: 'static', role: 'ipam', config: {} },
  {
    type: 'portmap',
    role: 'chained',
    config: port(0),
    ownKeys: port,
    sabotage: flushRuleset,
    wrongType: { snat: 'yes' }
  },
  {
    type: 'firewall',
    role: 'chained',
    config: {},
    needsPrev: true,
    sabotage: flushRuleset,
    wrongType: { ingressPolicy: 5 }
  },
  {
    type: 'tuning',
    role: 'chained',
    config: { mtu: 1400 },
    needsPrev: true,
    wrongType: { mtu: 'large' }
  },
  {
    type: 'bandwidth',
    role: 'chained',
    config: { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 },
    needsPrev: true,
    sabotage: world => world.run('tc', 'qdisc', 'del', 'dev', 'judgehost', 'root'),
    wrongType: { ingressRate: 'fast' }
  },
  { type: 'sbr', role: 'chained', config: {}, needsPrev: true },
  {
    type: 'vrf',
    role: 'chained',
    config: { vrfname: 'blue' },
    kernelKind: 'vrf',
    needsPrev: true,
    wrongType: { table: 'main' }
  }
]

/** Plugins that the suite knows but has no configuration for, and why. */
export const NOT_JUDGED: ReadonlyMap<string, string> = new Map([
  ['cluster', 'its addresses come from an agent that must run on the host'],
  ['dhcp', 'it needs its daemon and a DHCP server on the network']
])
