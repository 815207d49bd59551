import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { DUAL_STACK, DUAL_STACK_CHANGES, DUAL_STACK_IPAM, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { macvlan } from './macvlan.ts'

const test = suite('plugins/macvlan')

const CONFIG = { master: 'eth1', mac: '02:00:00:00:00:07', ipam: DUAL_STACK_IPAM }

test('the container after ADD; everything as before after DEL', () => {
  withFakeKernel(macvlan, CONFIG, ({ kernel, caller, box }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    assert.equal(box(), [
      '  lo device down mtu 65536 mac 00:00:00:00:00:00',
      '  eth0 macvlan up mtu 1400 mac 02:00:00:00:00:07 on eth1@host alias "cni net1 c1 eth0" mode bridge',
      '    address 192.0.2.7/24 broadcast 192.0.2.255',
      '    address 2001:db8::7/64 nodad',
      '  route 192.0.2.0/24 dev eth0 src 192.0.2.7',
      '  route 2001:db8::/64 dev eth0 metric 256',
      '  route default IPv4 via 192.0.2.1 dev eth0',
      '  route default IPv6 via 2001:db8::1 dev eth0',
      '  sysctl ipv4/conf/eth0/arp_notify = 1',
      '  sysctl ipv6/conf/eth0/accept_dad = 0',
      '  sysctl ipv6/conf/eth0/keep_addr_on_down = 1',
      '  sysctl ipv6/conf/eth0/ndisc_notify = 1'
    ])
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('an ADD that fails at any step leaves nothing', () => {
  withFakeKernel(macvlan, CONFIG, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, ['add link "eth0"', ...DUAL_STACK_CHANGES])
  })
})

test('what a rollback cannot undo is named behind the cause, and DEL undoes it', () => {
  withFakeKernel(macvlan, CONFIG, ({ kernel, caller, box }) => {
    caller.failIpam = true
    // The second change is the removal of the link.
    kernel.failAt(2, 'EBUSY')
    const error = caller.fails('ADD')
    assert.match(error.msg, /the pool is empty; could not undo link "eth0" \(.*EBUSY/)
    assert.is(box().length, 2)
    caller.ok('DEL')
    assert.is(box().length, 1)
  })
})

test('a link that cannot be removed keeps its address and its journal entry', () => {
  withFakeKernel(macvlan, CONFIG, ({ kernel, caller }) => {
    caller.ok('ADD')
    kernel.failAt(1, 'EPERM')
    assert.match(caller.fails('DEL').msg, /EPERM/)
    assert.equal([caller.leases.size, caller.journal().length], [1, 1])
    caller.ok('DEL')
    assert.equal([caller.leases.size, caller.journal().length], [0, 0])
  })
})

test('a namespace that died takes the link along; DEL releases the rest', () => {
  withFakeKernel(macvlan, CONFIG, ({ kernel, caller }) => {
    caller.ok('ADD')
    kernel.removeNamespace('/run/netns/box')
    caller.ok('DEL')
    assert.equal([...caller.leases, ...caller.journal()], [])
  })
})

test('name servers: those of the configuration when it says anything, else those of IPAM', () => {
  const ipam = { type: 'fixed', result: { ...DUAL_STACK, dns: { nameservers: ['192.0.2.53'] } } }
  withFakeKernel(macvlan, { ...CONFIG, ipam }, ({ caller }) => {
    assert.equal(caller.ok('ADD').dns, { nameservers: ['192.0.2.53'] })
    caller.ok('DEL')
    const dns = { nameservers: ['192.0.2.54'] }
    assert.equal(caller.ok('ADD', { config: { dns } }).dns, dns)
    caller.ok('DEL')
    // Empty lists are an answer, an empty object and null are none: the reference replaces IPAM's by what is not nil.
    const empty = { nameservers: [], search: [], options: [] }
    assert.equal(caller.ok('ADD', { config: { dns: empty } }).dns, {})
    caller.ok('DEL')
    for (const silent of [{}, null, { domain: '' }]) {
      assert.equal(caller.ok('ADD', { config: { dns: silent } }).dns, { nameservers: ['192.0.2.53'] })
      caller.ok('DEL')
    }
  })
})

test('a gateway that no prefix covers is a neighbour all the same; a route of the own network takes its place', () => {
  const result = {
    ips: [{ address: '192.0.2.7/32' }, { address: '198.51.100.7/24', gateway: '198.51.100.1' }],
    routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }, { dst: '198.51.100.0/24' }]
  }
  withFakeKernel(macvlan, { ...CONFIG, ipam: { type: 'fixed', result } }, ({ caller, box }) => {
    const prevResult = caller.ok('ADD')
    assert.equal(
      box().filter(line => line.startsWith('  route')),
      [
        '  route default IPv4 via 169.254.1.1 dev eth0 onlink',
        '  route 198.51.100.0/24 via 198.51.100.1 dev eth0 onlink'
      ]
    )
    caller.ok('CHECK', { config: { prevResult } })
  })
})

test('several gateways of one destination become one route; the same twice is once', () => {
  const routes = [
    { dst: '10.0.0.0/8', gw: '192.0.2.1' },
    { dst: '10.0.0.0/8', gw: '192.0.2.2' },
    { dst: '10.0.0.0/8', gw: '192.0.2.1' },
    { dst: '10.0.0.0/8', gw: '192.0.2.3', priority: 9 }
  ]
  withFakeKernel(
    macvlan,
    { ...CONFIG, ipam: { type: 'fixed', result: { ...DUAL_STACK, routes } } },
    ({ caller, box }) => {
      const prevResult = caller.ok('ADD')
      const lines = box().filter(line => line.startsWith('  route 10.'))
      assert.is(lines.length, 2)
      assert.match(lines[0] ?? '', /192\.0\.2\.1.*192\.0\.2\.2/)
      assert.match(lines[1] ?? '', /via 192\.0\.2\.3 dev eth0 metric 9/)
      caller.ok('CHECK', { config: { prevResult } })
    }
  )
})

test('layer 2 only: no ipam, or one without type; IPAM is not called', () => {
  for (const ipam of [undefined, {}, { type: '' }]) {
    withFakeKernel(macvlan, { ...CONFIG, ipam }, ({ caller, box }) => {
      const prevResult = caller.ok('ADD')
      assert.match(box()[1] ?? '', /eth0 macvlan up/)
      caller.ok('CHECK', { config: { prevResult } })
      caller.ok('STATUS')
      caller.ok('DEL')
      assert.equal(caller.ipamCalls, [])
    })
  }
})

test('every version of the protocol gets the result in its form', () => {
  for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    withFakeKernel(macvlan, { ...CONFIG, cniVersion }, ({ caller }) => {
      const result = caller.ok('ADD')
      assert.is(result.cniVersion, cniVersion)
      assert.is(result.interfaces?.[0]?.mtu, cniVersion === '1.1.0' ? 1400 : undefined)
      caller.ok('DEL')
    })
  }
})

test('createMaster: VLAN 10 of eth1 is made once, stays with the containers gone, and is refused where it cannot be', () => {
  const config = { ...CONFIG, master: 'eth1.10', createMaster: true }
  withFakeKernel(macvlan, config, ({ kernel, caller, box }) => {
    caller.ok('STATUS')
    caller.ok('ADD')
    assert.match(kernel.toText(), /^ {2}eth1\.10 vlan up .* on eth1 .*id 10/m)
    assert.match(box().join('\n'), /eth0 macvlan up .* on eth1\.10@host/)
    caller.ok('DEL')
    const left = kernel.toText()
    assert.match(left, /eth1\.10 vlan/)
    caller.ok('ADD')
    caller.ok('DEL')
    assert.is(kernel.toText(), left)
  })
  withFakeKernel(macvlan, { ...config, master: 'eth7.10' }, ({ caller }) => {
    assert.match(caller.fails('ADD').msg, /make master "eth7\.10": there is no link "eth7" on the host/)
    assert.is(caller.fails('STATUS').code, 50)
  })
  for (const master of ['eth1', 'eth1.0', 'eth1.4095', 'eth1.010', '.10', '']) {
    withFakeKernel(macvlan, { ...config, master }, ({ caller }) => {
      assert.match(
        caller.fails('ADD').msg,
        /createMaster needs a master of the host that is a VLAN by its name/,
        master
      )
    })
  }
})

test.run()
