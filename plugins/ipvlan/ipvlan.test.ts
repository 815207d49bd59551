import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { DUAL_STACK_CHANGES, DUAL_STACK_IPAM, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ipvlan } from './ipvlan.ts'

const test = suite('plugins/ipvlan')

const CONFIG = { master: 'eth1', mode: 'l3s', ipam: DUAL_STACK_IPAM }

test('the container after ADD; everything as before after DEL', () => {
  withFakeKernel(ipvlan, CONFIG, ({ kernel, caller, box }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    assert.match(box()[1] ?? '', /^ {2}eth0 ipvlan up mtu 1400 .*on eth1@host alias "cni net1 c1 eth0" mode l3s/)
    assert.ok(box().includes('  route default IPv6 via 2001:db8::1 dev eth0'))
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('an ADD that fails at any step leaves nothing', () => {
  withFakeKernel(ipvlan, CONFIG, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, ['add link "eth0"', ...DUAL_STACK_CHANGES])
  })
})

test('addresses of a chain are not given back: they were not taken here', () => {
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth1' }],
    ips: [{ interface: 0, address: '192.0.2.9/24' }],
    dns: {}
  }
  withFakeKernel(ipvlan, { prevResult }, ({ caller }) => {
    caller.ok('ADD')
    caller.ok('DEL')
    assert.equal(caller.ipamCalls, [])
  })
})

test.run()
