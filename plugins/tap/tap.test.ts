import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { BOX, DUAL_STACK_CHANGES, DUAL_STACK_IPAM, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { tap } from './tap.ts'

const test = suite('plugins/tap')

const CONFIG = { mtu: 1300, mac: '02:00:00:00:00:07', owner: 1000, bridge: 'br0', ipam: DUAL_STACK_IPAM }

test('the container after ADD; everything as before after DEL', () => {
  withFakeKernel(tap, CONFIG, ({ kernel, caller, box }) => {
    kernel.open(BOX).links.add({ name: 'br0', kind: { kind: 'bridge' }, up: true })
    const before = kernel.toText()
    caller.ok('ADD')
    const line = box().find(one => one.startsWith('  eth0'))
    assert.match(line ?? '', /^ {2}eth0 tun up mtu 1300 mac 02:00:00:00:00:07 master br0 .*alias "cni net1 c1 eth0"/)
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('an ADD that fails at any step leaves nothing', () => {
  withFakeKernel(tap, CONFIG, ({ kernel, caller }) => {
    kernel.open(BOX).links.add({ name: 'br0', kind: { kind: 'bridge' }, up: true })
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, ['add tap "eth0"', 'set link', ...DUAL_STACK_CHANGES])
  })
})

test.run()
