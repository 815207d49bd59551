import { FakeKernel } from '../testing/fake-kernel/fake-kernel.ts'
import { assert, suite } from '../testing/suite.ts'
import { isLinkOf, ownerMark, removeMarkedLink, stableName } from './owner.ts'

const test = suite('lib/attach: owner')

test('the mark names the attachment, and fits into the 255 bytes of the kernel', () => {
  assert.is(ownerMark('net1', 'c1', 'eth0'), 'cni net1 c1 eth0')
  const long = ownerMark('n'.repeat(200), 'c'.repeat(64), 'eth0')
  assert.ok(long.length <= 255)
  assert.is.not(long, ownerMark('n'.repeat(200), 'c'.repeat(64), 'eth1'))
})

test('names are stable, of 15 bytes, and differ between attachments', () => {
  const name = stableName('veth', 'net1', 'c1', 'eth0')
  assert.match(name, /^veth[0-9a-f]{11}$/)
  assert.is(stableName('veth', 'net1', 'c1', 'eth0'), name)
  const others = [stableName('veth', 'net2', 'c1', 'eth0'), stableName('veth', 'net1', 'c2', 'eth0')]
  assert.is(new Set([name, ...others, stableName('veth', 'net1', 'c1', 'eth1')]).size, 4)
})

test('whose link it is: by the mark, else by the kind unless another bears its mark', () => {
  const kernel = new FakeKernel()
  const net = kernel.host()
  const { index } = net.links.add({ name: 'eth0', kind: { kind: 'dummy' } })
  const mark = ownerMark('net1', 'c1', 'eth0')
  const isOurs = (kind: string): boolean => isLinkOf(net.links.get('eth0'), mark, kind)
  assert.equal([isOurs('dummy'), isOurs('veth')], [true, false])
  net.links.set(index, { alias: 'written by hand' })
  assert.is(isOurs('dummy'), true)
  net.links.set(index, { alias: ownerMark('net2', 'c1', 'eth0') })
  assert.is(isOurs('dummy'), false)
  net.links.set(index, { alias: mark })
  assert.equal([isOurs('dummy'), isOurs('veth')], [true, true])
})

test('without the namespace that DEL names, only the mark counts, or an unfinished ADD', () => {
  const mark = ownerMark('net1', 'c1', 'eth0')
  const cases: readonly (readonly [string, boolean, boolean])[] = [
    // alias, up, removed
    [mark, true, true],
    ['', false, true],
    ['', true, false],
    [ownerMark('net2', 'c1', 'eth0'), false, false],
    ['written by hand', false, false]
  ]
  for (const [alias, up, removed] of cases) {
    const net = new FakeKernel().host()
    const { index } = net.links.add({ name: 'eth0', kind: { kind: 'dummy' } })
    net.links.set(index, { alias, up })
    removeMarkedLink(net, 'eth0', mark, 'dummy')
    assert.is(net.links.find('eth0') === undefined, removed, `${alias} ${String(up)}`)
  }
})

test.run()
