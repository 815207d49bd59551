import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { DUAL_STACK_CHANGES, DUAL_STACK_IPAM, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ptp } from './ptp.ts'

const test = suite('plugins/ptp')

const CONFIG = { mtu: 1400, runtimeConfig: { mac: '02:00:00:00:00:07' }, ipam: DUAL_STACK_IPAM }

const HOST_CHANGES = [
  'add link "vetha43e6295553"',
  'write sysctl "ipv6/conf/vetha43e6295553/accept_dad" = "0"',
  'write sysctl "ipv6/conf/vetha43e6295553/keep_addr_on_down" = "1"',
  'add address to link',
  'set link',
  'add route 192.0.2.7/32 dev, 2001:db8::7/128 dev'
]

/** To the gateway first, to the neighbours through it. */
const ROUTES =
  'add route 192.0.2.1/32 dev, 2001:db8::1/128 dev, 192.0.2.0/24 via 192.0.2.1 dev, 2001:db8::/64 via 2001:db8::1 dev, default (IPv4) via 192.0.2.1 dev, default (IPv6) via 2001:db8::1 dev'
const CONTAINER_CHANGES = [...DUAL_STACK_CHANGES.slice(0, -1), ROUTES]

test('host and container after ADD; everything as before after DEL', () => {
  withFakeKernel(ptp, CONFIG, ({ kernel, caller, box }) => {
    const host = kernel.host()
    host.sysctls.write('ipv4/ip_forward', '1')
    host.sysctls.write('ipv6/conf/all/forwarding', '1')
    const before = kernel.toText()
    const hostEnd = caller.ok('ADD').interfaces[0]?.name ?? ''
    assert.match(hostEnd, /^veth[0-9a-f]{11}$/)
    assert.equal(box(), [
      '  lo device down mtu 65536 mac 00:00:00:00:00:00',
      `  eth0 veth up mtu 1400 mac 02:00:00:00:00:07 peer ${hostEnd}@host alias "cni net1 c1 eth0"`,
      '    address 192.0.2.7/24 broadcast 192.0.2.255 noprefixroute',
      '    address 2001:db8::7/64 nodad noprefixroute',
      '  route 192.0.2.1/32 dev eth0',
      '  route 2001:db8::1/128 dev eth0',
      '  route 192.0.2.0/24 via 192.0.2.1 dev eth0 src 192.0.2.7',
      '  route 2001:db8::/64 via 2001:db8::1 dev eth0 src 2001:db8::7',
      '  route default IPv4 via 192.0.2.1 dev eth0',
      '  route default IPv6 via 2001:db8::1 dev eth0',
      '  sysctl ipv4/conf/eth0/arp_notify = 1',
      '  sysctl ipv6/conf/eth0/accept_dad = 0',
      '  sysctl ipv6/conf/eth0/keep_addr_on_down = 1',
      '  sysctl ipv6/conf/eth0/ndisc_notify = 1'
    ])
    const outside = kernel.toText().split('\n')
    for (const line of [
      '    address 192.0.2.1/32',
      '    address 2001:db8::1/128 nodad',
      `  route 192.0.2.7/32 dev ${hostEnd}`,
      `  route 2001:db8::7/128 dev ${hostEnd}`
    ]) {
      assert.ok(outside.includes(line), line)
    }
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('what a plugin before it made stays in the result, and its own comes behind', () => {
  withFakeKernel(ptp, CONFIG, ({ caller }) => {
    const prevResult = {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'dns0' }],
      ips: [{ address: '198.51.100.1/24', interface: 0 }],
      routes: [{ dst: '203.0.113.0/24' }],
      dns: { nameservers: ['192.0.2.53'] }
    }
    const { interfaces, ips, routes } = caller.ok('ADD', { config: { prevResult } })
    assert.is(interfaces.length, 1 + 2)
    assert.equal([interfaces[0]?.name, interfaces[2]?.name], ['dns0', 'eth0'])
    assert.equal(
      ips.map(ip => ip.interface),
      [0, 2, 2]
    )
    assert.equal([ips.length, routes.length], [3, 3])
  })
})

test('an ADD that fails at any step leaves nothing but forwarding, with ipMasq and without', () => {
  for (const ipMasq of [false, true]) {
    withFakeKernel(ptp, { ...CONFIG, ipMasq }, ({ kernel, caller }) => {
      kernel.host().sysctls.write('ipv4/ip_forward', '1')
      kernel.host().sysctls.write('ipv6/conf/all/forwarding', '1')
      const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
      const masquerade = ipMasq ? ['commit nft batch'] : []
      assert.equal(changes, [...HOST_CHANGES, ...masquerade, ...CONTAINER_CHANGES])
    })
  }
})

test('the same attachment has the same name on the host, another has another', () => {
  withFakeKernel(ptp, CONFIG, ({ caller }) => {
    const nameOf = (options: object): string => {
      const name = caller.ok('ADD', options).interfaces[0]?.name ?? ''
      caller.ok('DEL', options)
      return name
    }
    const names = [{}, { containerId: 'c2' }, { ifName: 'eth1' }, { config: { name: 'net2' } }, {}].map(nameOf)
    assert.is(new Set(names).size, 4)
    assert.is(names[0], names[4])
  })
})

test('DEL goes by the journal: an ipMasq switched off since does not keep the rules', () => {
  withFakeKernel(ptp, { ...CONFIG, ipMasq: true }, ({ kernel, caller }) => {
    caller.ok('ADD')
    assert.match(kernel.toText(), /net1 c1 eth0" *$|"net1 c1 eth0"/m)
    caller.ok('DEL', { config: { ipMasq: false } })
    assert.not.match(kernel.toText(), /net1 c1 eth0/)
    caller.ok('ADD')
    kernel.removeNamespace('/run/netns/box')
    caller.ok('DEL', { netns: '' })
    assert.not.match(kernel.toText(), /net1 c1 eth0/)
  })
})

test.run()
