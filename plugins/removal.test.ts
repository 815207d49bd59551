/** Every change of every plugin's DEL refused in turn, on the fake kernel; removal.kernel.test.ts does it on the real one. */
import type { Plugin } from '../lib/cni/plugin.ts'
import { parsePrefix } from '../lib/ip/prefix.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { type SweptDel, sweepDel } from '../lib/testing/failure-sweep.ts'
import { BOX, DUAL_STACK_IPAM } from '../lib/testing/fake-attachment.ts'
import { FakeKernel } from '../lib/testing/fake-kernel/fake-kernel.ts'
import { type CallOptions, PluginCaller } from '../lib/testing/plugin-caller.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { bandwidth } from './bandwidth/bandwidth.ts'
import { bridge } from './bridge/bridge.ts'
import { dummy } from './dummy/dummy.ts'
import { firewall } from './firewall/firewall.ts'
import { hostDevice } from './host-device/host-device.ts'
import { ipvlan } from './ipvlan/ipvlan.ts'
import { loopback } from './loopback/loopback.ts'
import { macvlan } from './macvlan/macvlan.ts'
import { portmap } from './portmap/portmap.ts'
import { ptp } from './ptp/ptp.ts'
import { allPlugins } from './registry.ts'
import { sbr } from './sbr/sbr.ts'
import { tap } from './tap/tap.ts'
import { tuning } from './tuning/tuning.ts'
import { vlan } from './vlan/vlan.ts'
import { vrf } from './vrf/vrf.ts'
import { vxlan } from './vxlan/vxlan.ts'

const test = suite('plugins: removal')

const IPAM = { ipam: DUAL_STACK_IPAM }
/** Where the attachment is that came before. */
const FIRST = '/run/netns/first'

interface Subject {
  readonly plugin: (kernel: Kernel) => Plugin
  readonly config: object
  /** Behind bridge, whose result it is given. */
  readonly isChained: boolean
  /** It finds what it made only where it is told to look. */
  readonly needsNetns: boolean
  /** What it takes from the main table goes with the namespace, and is not put back. */
  readonly leavesRoutes: boolean
  /** Every change of its DEL. */
  readonly changes: readonly string[]
}

const USUAL = { isChained: false, needsNetns: false, leavesRoutes: false }

const NFT = 'commit nft batch'
const LINK = 'remove link'
const SET = 'set link'

const MAPPING = { hostPort: 8080, containerPort: 80, protocol: 'tcp' }
const LIMITS = { ingressRate: 8000, ingressBurst: 8000, egressRate: 8000, egressBurst: 8000 }

/** A plugin with as much to remove as it can have. */
const SUBJECTS: readonly Subject[] = [
  {
    ...USUAL,
    plugin: bridge,
    config: { bridge: 'br7', isGateway: true, ipMasq: true, macspoofchk: true, ...IPAM },
    changes: [NFT, NFT, LINK]
  },
  { ...USUAL, plugin: ptp, config: { ipMasq: true, ...IPAM }, changes: [NFT, LINK] },
  {
    ...USUAL,
    plugin: vxlan,
    config: { vni: 42, dev: 'eth1', peers: ['198.51.100.2'], isGateway: true, ipMasq: true, ...IPAM },
    changes: [NFT, LINK, LINK, LINK]
  },
  { ...USUAL, plugin: macvlan, config: { master: 'eth1', ...IPAM }, changes: [LINK] },
  { ...USUAL, plugin: ipvlan, config: { master: 'eth1', ...IPAM }, changes: [LINK] },
  { ...USUAL, plugin: vlan, config: { master: 'eth1', vlanId: 5, ...IPAM }, changes: [LINK] },
  { ...USUAL, plugin: dummy, config: IPAM, changes: [LINK] },
  { ...USUAL, plugin: tap, config: IPAM, changes: [LINK] },
  // Down, home, up, its own alias.
  { ...USUAL, plugin: hostDevice, config: { device: 'eth2', ...IPAM }, changes: [SET, SET, SET, SET] },
  { ...USUAL, plugin: loopback, config: {}, needsNetns: true, changes: [SET] },
  {
    ...USUAL,
    plugin: tuning,
    isChained: true,
    config: { mac: '02:00:00:00:00:09', mtu: 1300, promisc: true, txQLen: 5 },
    changes: [SET, SET, SET, SET]
  },
  {
    ...USUAL,
    plugin: bandwidth,
    isChained: true,
    config: LIMITS,
    changes: ['remove qdisc "ingress" from link', 'remove qdisc "tbf" from link', LINK]
  },
  {
    ...USUAL,
    plugin: sbr,
    isChained: true,
    leavesRoutes: true,
    config: {},
    changes: [
      'remove rule IPv4',
      'remove rule IPv6',
      'remove route 192.0.2.0/24 dev table 100',
      'remove route default (IPv4) via 192.0.2.1 dev table 100',
      'remove route 2001:db8::/64 dev metric 256 table 101',
      'remove route default (IPv6) via 2001:db8::1 dev table 101'
    ]
  },
  { ...USUAL, plugin: vrf, isChained: true, leavesRoutes: true, config: { vrfname: 'blue' }, changes: [SET, LINK] },
  {
    ...USUAL,
    plugin: portmap,
    isChained: true,
    config: { runtimeConfig: { portMappings: [MAPPING] } },
    changes: ['write sysctl "ipv4/conf/br7/route_localnet" = "0"', NFT]
  },
  {
    ...USUAL,
    plugin: firewall,
    isChained: true,
    config: { backend: 'nftables', ingressPolicy: 'isolated' },
    changes: [NFT]
  }
]

/** A host with the devices that the plugins want, and an empty container. */
function newKernel(): FakeKernel {
  const kernel = new FakeKernel()
  kernel.addNamespace(BOX)
  const host = kernel.host()
  const underlay = host.links.add({ name: 'eth1', kind: { kind: 'dummy' }, up: true })
  const prefix = parsePrefix('198.51.100.1/24')
  if (prefix !== undefined) host.addresses.ensure(underlay.index, [{ prefix }])
  host.links.add({ name: 'eth2', kind: { kind: 'dummy' }, up: true })
  return kernel
}

/** What a first attachment leaves on purpose is there: the bridge, forwarding, the base chains of nf_tables. */
function newWorld(subject: Subject): SweptDel {
  const kernel = newKernel()
  kernel.addNamespace(FIRST)
  const caller = new PluginCaller(subject.plugin(kernel), BOX, subject.config)
  const upper = new PluginCaller(bridge(kernel), BOX, { bridge: 'br7', isGateway: true, ...IPAM })
  const dataDir = `${caller.directory}/state/tuning`
  const optionsFor = (containerId: string, netns: string): CallOptions => {
    const prevResult = subject.isChained ? upper.ok('ADD', { containerId, netns }) : undefined
    return { containerId, netns, config: { dataDir, ...(prevResult === undefined ? {} : { prevResult }) } }
  }
  const first = optionsFor('first', FIRST)
  caller.ok('ADD', first)
  caller.ok('DEL', first)
  if (subject.isChained) upper.ok('DEL', { containerId: 'first', netns: FIRST })
  const options = optionsFor('c1', BOX)
  const hasInterface = (): boolean => kernel.open(BOX).links.find('eth0') !== undefined
  const close = (): void => {
    caller.close()
    upper.close()
  }
  return { kernel, caller, kernelText: () => kernel.toText(), hasInterface, options, close }
}

for (const subject of SUBJECTS) {
  const { name } = subject.plugin(new FakeKernel())
  for (const netns of subject.needsNetns ? [undefined] : [undefined, '']) {
    const how = netns === undefined ? 'with its namespace' : 'without a namespace'
    test(`${name}: what a DEL was refused the next one makes up for, ${how}`, () => {
      const { changes, isAsBefore } = sweepDel(() => newWorld(subject), netns)
      assert.equal(changes, subject.changes)
      assert.is(isAsBefore, !subject.leavesRoutes)
    })
  }
}

test('every plugin that changes the kernel is swept', () => {
  const swept = SUBJECTS.map(subject => subject.plugin(new FakeKernel()).name)
  // They give addresses and names: files, and what a daemon makes of them.
  const without = ['cluster', 'dhcp', 'dns', 'dnsname', 'host-local', 'static']
  const names: string[] = []
  for (const { name, make } of allPlugins(new FakeKernel())) {
    assert.is(make().name, name)
    names.push(name)
  }
  assert.equal(
    names.filter(one => !without.includes(one)),
    swept.toSorted()
  )
})

test.run()
