import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { DUAL_STACK_CHANGES, DUAL_STACK_IPAM, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { vlan } from './vlan.ts'

const test = suite('plugins/vlan')

const CONFIG = { master: 'eth1', vlanId: 5, ipam: DUAL_STACK_IPAM }

test('the container after ADD; everything as before after DEL', () => {
  withFakeKernel(vlan, CONFIG, ({ kernel, caller, box }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    assert.match(box()[1] ?? '', /^ {2}eth0 vlan up mtu 1400 .*on eth1@host alias "cni net1 c1 eth0" id 5/)
    assert.ok(box().includes('    address 2001:db8::7/64 nodad'))
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('an ADD that fails at any step leaves nothing', () => {
  withFakeKernel(vlan, CONFIG, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, ['add link "eth0"', ...DUAL_STACK_CHANGES])
  })
})

test('all problems of a configuration in one error', () => {
  withFakeKernel(vlan, { vlanId: 4095, mtu: 'big', linkInContainer: 1 }, ({ caller }) => {
    const { code, msg } = caller.fails('ADD')
    assert.is(code, 7)
    for (const key of [
      'master must name',
      'vlanId must be',
      'mtu must be',
      'linkInContainer must be',
      'ipam must name'
    ]) {
      assert.ok(msg.includes(key), `${key}: ${msg}`)
    }
  })
})

test.run()
