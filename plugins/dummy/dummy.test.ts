import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { DUAL_STACK_CHANGES, DUAL_STACK_IPAM, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { dummy } from './dummy.ts'

const test = suite('plugins/dummy')

test('the container after ADD; everything as before after DEL', () => {
  withFakeKernel(dummy, { mtu: 1300, ipam: DUAL_STACK_IPAM }, ({ kernel, caller, box }) => {
    const before = kernel.toText()
    const result = caller.ok('ADD')
    assert.match(box()[1] ?? '', /^ {2}eth0 dummy up mtu 1300 .*alias "cni net1 c1 eth0"/)
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('an ADD that fails at any step leaves nothing', () => {
  withFakeKernel(dummy, { ipam: DUAL_STACK_IPAM }, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, ['add link "eth0"', ...DUAL_STACK_CHANGES])
  })
})

test.run()
