/**
 * The fake against the real thing: the same changes to both, and both must answer alike.
 */
import { type IpAddress, parseAddress } from '../../ip/address.ts'
import { formatMac, parseMac } from '../../ip/mac.ts'
import { formatPrefix, type IpPrefix, parsePrefix } from '../../ip/prefix.ts'
import { LinuxKernel } from '../../net/kernel-net.ts'
import type { Net } from '../../net/net.ts'
import { errnoOf } from '../../sys/errors.ts'
import { withNamespaces } from '../namespace.ts'
import { assert, suite } from '../suite.ts'
import { FakeKernel } from './fake-kernel.ts'

const test = suite('lib/net: fake and kernel')

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value of the test does not parse')
  return value
}
const address = (text: string): IpAddress => given(parseAddress(text))
const prefix = (text: string): IpPrefix => given(parsePrefix(text))
const mac = (text: string): Uint8Array => given(parseMac(text))

/** What an answer comes down to: the value, or the errno. */
function outcome(step: () => unknown): string {
  try {
    const value = step()
    return value === undefined ? 'done' : String(value)
  } catch (error) {
    return errnoOf(error)
  }
}

/** Links and IPv4 as both must show them. */
function state(net: Net): readonly string[] {
  const links = net.links.list()
  const name = (index: number | undefined): string => links.find(link => link.index === index)?.name ?? '-'
  return [
    ...links.map(link =>
      [
        link.name,
        link.kind ?? '-',
        link.isUp,
        link.mtu,
        link.name.startsWith('x') || link.mac === undefined ? '-' : formatMac(link.mac),
        name(link.masterIndex),
        link.alias ?? '-',
        link.isPromiscuous,
        link.port?.hairpin ?? false,
        link.info.kind
      ].join(' ')
    ),
    ...net.addresses
      .list()
      .filter(one => one.prefix.address.family === 4)
      .map(one => `${name(one.index)} ${formatPrefix(one.prefix)}`)
      .sort(),
    ...net.routes
      .list({ family: 4 })
      .map(route =>
        [
          route.dst === undefined ? 'default' : formatPrefix(route.dst),
          route.gateway?.bytes.join('.') ?? '-',
          name(route.index),
          route.scope,
          route.protocol,
          route.metric ?? '-'
        ].join(' ')
      )
      .sort()
  ]
}

type Step = (host: Net, container: Net) => unknown

const STEPS: readonly Step[] = [
  host => host.links.add({ name: 'br0', kind: { kind: 'bridge' }, mac: mac('0a:00:00:00:00:01'), up: true }).name,
  host => host.links.add({ name: 'br0', kind: { kind: 'bridge' } }),
  (host, container) => {
    const peer = { name: 'eth0', netns: container, mac: mac('0a:00:00:00:00:05'), mtu: 1400 }
    const masterIndex = host.links.get('br0').index
    const { mtu } = host.links.add({ name: 'xveth', kind: { kind: 'veth', peer }, mtu: 1400, masterIndex, up: true })
    container.links.set(container.links.get('eth0').index, { up: true })
    return mtu
  },
  (host, container) =>
    host.links.add({ name: 'other', kind: { kind: 'veth', peer: { name: 'eth0', netns: container } } }),
  host => host.links.setPort(host.links.get('xveth').index, { hairpin: true }),
  host => host.links.setPort(host.links.get('br0').index, { hairpin: true }),
  (_, net) => net.addresses.ensure(net.links.get('eth0').index, [{ prefix: prefix('10.1.0.2/24') }]),
  (_, net) => net.addresses.ensure(net.links.get('eth0').index, [{ prefix: prefix('10.1.0.2/24') }]),
  (_, net) => net.addresses.add(net.links.get('eth0').index, { prefix: prefix('10.1.0.2/24') }),
  (_, net) => net.routes.add({ dst: undefined, gateway: address('10.1.0.1') }),
  (_, net) => net.routes.add({ dst: undefined, gateway: address('10.1.0.1') }),
  (_, net) => net.routes.ensure([{ dst: undefined, gateway: address('10.1.0.1') }]),
  (_, net) => net.routes.ensure([{ dst: undefined, gateway: address('10.1.0.3') }]),
  (_, net) => net.routes.add({ dst: prefix('10.9.0.0/16'), gateway: address('192.0.2.1') }),
  (_, net) => net.routes.add({ dst: prefix('10.9.0.0/16'), gateway: address('192.0.2.1'), index: 4711 }),
  (_, net) =>
    net.routes.add({
      dst: prefix('10.9.0.0/16'),
      gateway: address('192.0.2.1'),
      index: net.links.get('eth0').index,
      onlink: true
    }),
  (_, net) => net.routes.add({ dst: prefix('10.8.0.0/16'), index: net.links.get('lo').index }),
  (_, net) => net.routes.remove({ dst: prefix('10.9.0.0/16') }),
  (_, net) => net.routes.remove({ dst: prefix('10.9.0.0/16') }),
  (_, net) => net.links.set(net.links.get('eth0').index, { alias: 'mine', promiscuous: true, mtu: 1300 }),
  (_, net) => net.links.set(4711, { up: true }),
  (_, net) => net.links.set(net.links.get('eth0').index, { name: 'lo' }),
  (_, net) => net.addresses.remove(net.links.get('eth0').index, prefix('10.1.0.9/24')),
  (_, net) => net.links.set(net.links.get('eth0').index, { up: false }),
  (_, net) => net.links.set(net.links.get('eth0').index, { up: true }),
  (_, net) => net.sysctls.read('ipv4/conf/eth0/arp_notify'),
  (_, net) => net.sysctls.write('ipv4/conf/eth0/arp_notify', '1'),
  (_, net) => net.sysctls.read('ipv4/conf/eth0/arp_notify'),
  (_, net) => net.sysctls.read('ipv4/conf/absent/arp_notify') ?? 'absent',
  (_, net) => net.sysctls.write('ipv4/conf/absent/arp_notify', '1'),
  host => host.links.add({ name: 'xvx', kind: { kind: 'vxlan', id: 5, port: 4789 }, mtu: 1450 }).info.kind,
  host => host.fdb.set(host.links.get('xvx').index, { mac: mac('0a:00:00:00:00:09'), dst: address('192.0.2.9') }),
  host => host.fdb.set(host.links.get('xvx').index, { mac: mac('0a:00:00:00:00:09'), dst: address('192.0.2.8') }),
  host => host.fdb.remove(host.links.get('xvx').index, { mac: mac('0a:00:00:00:00:09') }),
  host => host.fdb.remove(host.links.get('xvx').index, { mac: mac('0a:00:00:00:00:09') }),
  host => host.rules.add({ family: 4, from: prefix('10.1.0.2/32'), table: 1000, priority: 77 }),
  host => host.rules.add({ family: 4, from: prefix('10.1.0.2/32'), table: 1000, priority: 77 }),
  host => host.rules.remove({ family: 4, from: prefix('10.1.0.2/32'), table: 1000, priority: 77 }),
  host => host.rules.remove({ family: 4, from: prefix('10.1.0.2/32'), table: 1000, priority: 77 }),
  (host, container) => {
    const kind = { kind: 'macvlan', parentIndex: host.links.get('br0').index, mode: 'bridge' } as const
    host.links.addIn(container, { name: 'xmv', kind, up: true })
    return container.links.get('xmv').name
  },
  host => host.links.add({ name: 'xmv', kind: { kind: 'macvlan', parentIndex: 4711, mode: 'bridge' } }),
  (_, net) => net.links.addTap({ name: 'eth0' }),
  (_, net) => net.links.addTap({ name: 'xtap', owner: 5 }).kind,
  (host, net) => net.isSameAs(host),
  (host, net) => host.findNetnsId(net) !== undefined,
  host => host.links.remove('absent'),
  host => host.links.remove('xveth'),
  host => host.links.remove('br0')
]

test('answer alike, step by step', () => {
  withNamespaces(2, (a, b) => {
    const linux = new LinuxKernel()
    const real = [linux.open(given(a).path), linux.open(given(b).path)] as const
    const kernel = new FakeKernel()
    const fake = [kernel.host(), kernel.addNamespace('/blue')] as const
    try {
      for (const [at, step] of STEPS.entries()) {
        const what = `step ${at}: ${String(step)}`
        assert.is(
          outcome(() => step(...fake)),
          outcome(() => step(...real)),
          what
        )
        assert.equal(state(fake[0]), state(real[0]), what)
        assert.equal(state(fake[1]), state(real[1]), what)
      }
    } finally {
      for (const net of real) net.close()
    }
  })
})

test.run()
