// needs: ip tc nft
/** Every change of a DEL refused in turn on its way to the real kernel. The plugins of kinds that a kernel may lack are swept on the fake one. */
import type { Plugin } from '../lib/cni/plugin.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { failingConnect } from '../lib/testing/failing-conn.ts'
import { type SweptDel, sweepDel } from '../lib/testing/failure-sweep.ts'
import { DUAL_STACK_IPAM } from '../lib/testing/fake-attachment.ts'
import { ip, linkNames } from '../lib/testing/ip-json.ts'
import { Namespace } from '../lib/testing/namespace.ts'
import { namespaceText } from '../lib/testing/namespace-text.ts'
import { type CallOptions, HostedKernel, PluginCaller } from '../lib/testing/plugin-caller.ts'
import { RefusedChanges } from '../lib/testing/refused-changes.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { bandwidth } from './bandwidth/bandwidth.ts'
import { bridge } from './bridge/bridge.ts'
import { firewall } from './firewall/firewall.ts'
import { hostDevice } from './host-device/host-device.ts'
import { loopback } from './loopback/loopback.ts'
import { macvlan } from './macvlan/macvlan.ts'
import { portmap } from './portmap/portmap.ts'
import { ptp } from './ptp/ptp.ts'
import { sbr } from './sbr/sbr.ts'
import { tap } from './tap/tap.ts'
import { tuning } from './tuning/tuning.ts'
import { vxlan } from './vxlan/vxlan.ts'

const test = suite('plugins: removal on the kernel')

const IPAM = { ipam: DUAL_STACK_IPAM }

interface Subject {
  readonly plugin: (kernel: Kernel) => Plugin
  readonly config: object
  readonly isChained?: boolean
  /** What it takes from the main table goes with the namespace, and is not put back. */
  readonly leavesRoutes?: boolean
  readonly changes: readonly string[]
}

const NFT = 'commit nft batch'
const LINK = 'remove link'
const SET = 'set link'
const QDISCS = 'list qdiscs of link'

const MAPPING = { hostPort: 8080, containerPort: 80, protocol: 'tcp' }
const LIMITS = { ingressRate: 8_000_000, ingressBurst: 80_000, egressRate: 8_000_000, egressBurst: 80_000 }

const SUBJECTS: readonly Subject[] = [
  {
    plugin: bridge,
    config: { bridge: 'br7', isGateway: true, ipMasq: true, macspoofchk: true, ...IPAM },
    changes: [NFT, NFT, LINK]
  },
  { plugin: ptp, config: { ipMasq: true, ...IPAM }, changes: [NFT, LINK] },
  {
    plugin: vxlan,
    config: { vni: 42, dev: 'eth1', peers: ['198.51.100.2'], isGateway: true, ipMasq: true, ...IPAM },
    changes: [NFT, LINK, LINK, LINK]
  },
  { plugin: macvlan, config: { master: 'eth1', ...IPAM }, changes: [LINK] },
  { plugin: tap, config: IPAM, changes: [LINK] },
  { plugin: hostDevice, config: { device: 'eth2', ...IPAM }, changes: [SET, SET, SET, SET] },
  { plugin: loopback, config: {}, changes: [SET] },
  { plugin: tuning, isChained: true, config: { mtu: 1300, promisc: true, txQLen: 5 }, changes: [SET, SET, SET] },
  {
    plugin: bandwidth,
    isChained: true,
    config: LIMITS,
    changes: [QDISCS, 'remove qdisc "ingress" from link', QDISCS, 'remove qdisc "tbf" from link', LINK]
  },
  {
    plugin: sbr,
    isChained: true,
    leavesRoutes: true,
    config: {},
    changes: [
      'remove rule IPv4 from 192.0.2.7/32 table 100',
      'remove rule IPv6 from 2001:db8::7/128 table 101',
      'remove route default (IPv4) via 192.0.2.1 dev table 100',
      'remove route 192.0.2.0/24 dev table 100',
      'remove route 2001:db8::/64 dev metric 256 table 101',
      'remove route default (IPv6) via 2001:db8::1 dev metric 1024 table 101'
    ]
  },
  { plugin: portmap, isChained: true, config: { runtimeConfig: { portMappings: [MAPPING] } }, changes: [NFT] },
  {
    plugin: firewall,
    isChained: true,
    config: { backend: 'nftables', ingressPolicy: 'isolated' },
    changes: [NFT]
  }
]

function newHost(): Namespace {
  const host = Namespace.create()
  ip(host, 'link set lo up')
  ip(host, 'link add eth1 address 02:00:00:00:00:01 type veth peer name eth1p')
  ip(host, 'link set eth1p up')
  ip(host, 'link set eth1 up')
  ip(host, 'address add 198.51.100.1/24 dev eth1')
  ip(host, 'link add eth2 address 02:00:00:00:00:02 type veth peer name eth2p')
  ip(host, 'link set eth2 up')
  return host
}

function newWorld(subject: Subject): SweptDel {
  const host = newHost()
  const [first, box] = [Namespace.create(), Namespace.create()]
  const kernel = new RefusedChanges()
  const plugin = subject.plugin(new HostedKernel(host.path, failingConnect(kernel)))
  const caller = new PluginCaller(plugin, box.path, subject.config)
  const upper = new PluginCaller(bridge(new HostedKernel(host.path)), box.path, {
    bridge: 'br7',
    isGateway: true,
    ...IPAM
  })
  const dataDir = `${caller.directory}/state/tuning`
  const optionsFor = (containerId: string, netns: string): CallOptions => {
    const prevResult = subject.isChained === true ? upper.ok('ADD', { containerId, netns }) : undefined
    return { containerId, netns, config: { dataDir, ...(prevResult === undefined ? {} : { prevResult }) } }
  }
  const before = optionsFor('first', first.path)
  caller.ok('ADD', before)
  caller.ok('DEL', before)
  if (subject.isChained === true) upper.ok('DEL', { containerId: 'first', netns: first.path })
  return {
    kernel,
    caller,
    kernelText: () => [namespaceText(host), namespaceText(box)].join('\n'),
    hasInterface: () => linkNames(box).includes('eth0'),
    options: optionsFor('c1', box.path),
    close: () => {
      caller.close()
      upper.close()
      for (const namespace of [host, first, box]) namespace.close()
    }
  }
}

for (const subject of SUBJECTS) {
  const { name } = subject.plugin(new HostedKernel(''))
  test(`${name}: what a DEL was refused the next one makes up for`, () => {
    const { changes, isAsBefore } = sweepDel(() => newWorld(subject), undefined)
    // The kernel's own route to the link-local prefix may or may not be there yet when sbr copies the routes.
    assert.equal(
      changes.filter(change => !change.includes('fe80::')),
      subject.changes
    )
    assert.is(isAsBefore, subject.leavesRoutes !== true)
  })
}

test.run()
