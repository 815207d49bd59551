import { parsePrefix } from '../../lib/ip/prefix.ts'
import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { BOX, type FakeAttachment, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { vrf } from './vrf.ts'

const test = suite('plugins/vrf')

const PREV_RESULT = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: BOX }], ips: [] }

function withLinks(config: object, body: (fake: FakeAttachment) => void): void {
  withFakeKernel(vrf, { prevResult: PREV_RESULT, vrfname: 'blue', ...config }, fake => {
    const net = fake.kernel.open(BOX)
    for (const [name, text] of [
      ['eth0', '10.0.0.5/24'],
      ['eth1', 'fd00::5/64']
    ] as const) {
      const link = net.links.add({ name, kind: { kind: 'dummy' }, up: true })
      const prefix = parsePrefix(text)
      if (prefix !== undefined) net.addresses.add(link.index, { prefix })
    }
    body(fake)
  })
}

function masterOf({ kernel }: FakeAttachment, ifName: string): string {
  const net = kernel.open(BOX)
  return net.links.findByIndex(net.links.get(ifName).masterIndex ?? 0)?.name ?? ''
}

function tableOf({ kernel }: FakeAttachment, name: string): number | undefined {
  const { info } = kernel.open(BOX).links.get(name)
  return info.kind === 'vrf' ? info.table : undefined
}

test('the first interface makes the VRF, the last one takes it along; CHECK agrees', () => {
  withLinks({}, fake => {
    const { kernel, caller } = fake
    const before = kernel.toText()
    assert.equal(caller.ok('ADD').interfaces, PREV_RESULT.interfaces)
    assert.is(masterOf(fake, 'eth0'), 'blue')
    assert.is(tableOf(fake, 'blue'), 1)
    assert.ok(kernel.open(BOX).links.get('blue').isUp)
    caller.ok('CHECK')
    caller.ok('ADD', { ifName: 'eth1' })
    caller.ok('DEL')
    assert.is(masterOf(fake, 'eth0'), '')
    assert.is(masterOf(fake, 'eth1'), 'blue')
    caller.ok('DEL')
    caller.ok('DEL', { ifName: 'eth1' })
    assert.is(kernel.toText(), before)
    assert.equal(caller.journal(), [])
  })
})

test('the table: the configured one, or the lowest that no VRF, rule or route uses', () => {
  withLinks({ table: 42 }, fake => {
    fake.caller.ok('ADD')
    assert.is(tableOf(fake, 'blue'), 42)
    fake.caller.ok('CHECK')
  })
  withLinks({}, fake => {
    const net = fake.kernel.open(BOX)
    net.links.add({ name: 'red', kind: { kind: 'vrf', table: 1 } })
    net.rules.add({ family: 4, from: parsePrefix('10.9.0.0/16'), table: 2 })
    net.routes.add({ dst: parsePrefix('10.8.0.0/16'), index: net.links.get('eth0').index, table: 3 })
    net.rules.add({ family: 6, from: parsePrefix('fd09::/64'), table: 4 })
    fake.caller.ok('ADD')
    assert.is(tableOf(fake, 'blue'), 5)
  })
})

test('a VRF with another table, a link of another kind, an interface with a master: refused, nothing changed', () => {
  withLinks({ table: 42 }, ({ kernel, caller }) => {
    const net = kernel.open(BOX)
    net.links.add({ name: 'blue', kind: { kind: 'vrf', table: 7 } })
    const before = kernel.toText()
    const error = caller.fails('ADD')
    assert.is(error.code, 7)
    assert.match(error.msg, /use VRF "blue": it has another table than 42/)
    assert.match(
      caller.fails('ADD', { config: { vrfname: 'eth1' } }).msg,
      /use VRF "eth1": the link is of kind "dummy"/
    )
    assert.is(kernel.toText(), before)
    caller.ok('ADD', { config: { table: 7 } })
    assert.match(caller.fails('ADD').msg, /add "eth0" to a VRF: it belongs to "blue"/)
    assert.match(caller.fails('ADD', { ifName: 'eth9' }).msg, /"eth9": ENODEV/)
  })
})

test('mistakes are named with key and value', () => {
  const cases: readonly [object, RegExp][] = [
    [{ vrfname: undefined }, /vrfname must be the name of an interface/],
    [{ vrfname: 'much-too-long-name' }, /vrfname must be.*got "much-too-long-name"/],
    [{ vrfname: 'a/b' }, /vrfname must be/],
    [{ table: -1 }, /table must be an integer from 0 to 4294967295, got -1/],
    [{ prevResult: undefined }, /prevResult: missing/]
  ]
  for (const [config, message] of cases) {
    withLinks(config, ({ kernel, caller }) => {
      const before = kernel.toText()
      const error = caller.fails('ADD')
      assert.is(error.code, 7)
      assert.match(error.msg, message)
      assert.is(kernel.toText(), before)
    })
  }
})

test('an ADD that fails at any step leaves nothing', () => {
  withLinks({}, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, ['add link "blue"', 'set link'])
  })
})

test('CHECK names what is missing or different', () => {
  withLinks({ table: 42 }, fake => {
    const { kernel, caller } = fake
    caller.ok('ADD')
    const net = kernel.open(BOX)
    net.links.set(net.links.get('eth0').index, { masterIndex: 0 })
    net.links.set(net.links.get('blue').index, { up: false })
    const error = caller.fails('CHECK', { config: { table: 43 } })
    assert.is(error.code, 100)
    assert.match(
      error.msg,
      /VRF "blue" is down; VRF "blue" has another table than 43; link "eth0" is not in VRF "blue"/
    )
    net.links.remove('blue')
    assert.match(caller.fails('CHECK').msg, /VRF "blue" is missing/)
  })
})

test('DEL without namespace, without interface, without VRF, with a changed configuration', () => {
  withLinks({}, fake => {
    const { kernel, caller } = fake
    for (const netns of ['', '/run/netns/nowhere']) {
      caller.ok('DEL', { netns })
      assert.equal(caller.journal(), [])
    }
    caller.ok('ADD')
    const net = kernel.open(BOX)
    net.links.remove('eth0')
    caller.ok('DEL', { config: { vrfname: 'changed', prevResult: undefined } })
    assert.is(net.links.find('blue'), undefined, 'the VRF that was made for the interface')
    caller.ok('ADD', { ifName: 'eth1' })
    net.links.set(net.links.get('eth1').index, { masterIndex: 0 })
    net.links.remove('blue')
    caller.ok('DEL', { ifName: 'eth1' })
    assert.equal(caller.journal(), [])
  })
})

test("somebody else's empty VRF stays when nothing was attached", () => {
  withLinks({}, ({ kernel, caller }) => {
    kernel.open(BOX).links.add({ name: 'blue', kind: { kind: 'vrf', table: 7 } })
    const before = kernel.toText()
    // As nerdctl does before every ADD.
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('GC: what is not valid leaves its VRF; another container in the namespace of that path keeps its own', () => {
  withLinks({}, fake => {
    const { kernel, caller } = fake
    const net = kernel.open(BOX)
    net.links.set(net.links.get('eth0').index, { alias: 'cni net1 c1 eth0' })
    const before = kernel.toText()
    caller.ok('ADD')
    caller.gc([{ containerID: 'c1', ifname: 'eth0' }])
    assert.is(masterOf(fake, 'eth0'), 'blue')
    caller.gc([])
    assert.is(kernel.toText(), before)
    caller.ok('ADD')
    net.links.set(net.links.get('eth0').index, { alias: 'cni net1 c2 eth0' })
    caller.gc([])
    assert.is(masterOf(fake, 'eth0'), 'blue')
    assert.equal(caller.journal(), [])
  })
})

test.run()
