import type { Kernel } from '../../lib/net/kernel.ts'
import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { BOX, DUAL_STACK_CHANGES, DUAL_STACK_IPAM, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { hostDevice } from './host-device.ts'

const test = suite('plugins/host-device')

const CONFIG = { device: 'eth1', ipam: DUAL_STACK_IPAM }

function plugin(kernel: Kernel) {
  return hostDevice(kernel, '/nonexistent')
}

test('the device in the container after ADD, at home as before after DEL', () => {
  withFakeKernel(plugin, CONFIG, ({ kernel, caller, box }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    assert.match(box()[1] ?? '', /^ {2}eth0 dummy up mtu 1400 .*alias "eth1"/)
    caller.ok('DEL', { netns: '' })
    assert.is(kernel.toText(), before)
  })
})

test('an ADD that fails at any step leaves the device at home, as it was', () => {
  withFakeKernel(plugin, CONFIG, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, ['set link', 'set link', ...DUAL_STACK_CHANGES])
  })
})

test('a DEL that fails keeps the entry, and the next one brings the device home', () => {
  withFakeKernel(plugin, CONFIG, ({ kernel, caller }) => {
    const before = kernel.toText()
    for (const step of [1, 2, 3]) {
      caller.ok('ADD')
      kernel.failAt(step, 'EPERM')
      assert.match(caller.fails('DEL').msg, /EPERM/)
      assert.is(caller.leases.size, 1)
      assert.is(caller.journal().length, 1)
      caller.ok('DEL')
      assert.is(kernel.toText(), before)
      assert.is(caller.journal().length, 0)
    }
  })
})

test('an ADD that was killed before the move: DEL gives the device its alias and state back', () => {
  withFakeKernel(plugin, CONFIG, ({ kernel, caller }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    const eth0 = kernel.open(BOX).links.get('eth0')
    // Where a kill between the two requests of ADD leaves it: on the host, down, with its name as alias.
    kernel.open(BOX).links.set(eth0.index, { netns: kernel.host(), name: 'eth1' })
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test.run()
