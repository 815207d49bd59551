import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { BOX, type FakeAttachment, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { bandwidth } from './bandwidth.ts'
import { ownIfbName, referenceIfbName } from './names.ts'

const test = suite('plugins/bandwidth')

const C1 = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
const IFB = referenceIfbName(C1)

function prevResultFor(ifName: string): object {
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name: `v-${ifName}` }, { name: ifName, sandbox: BOX }],
    ips: [{ address: '192.0.2.7/24', interface: 1 }]
  }
}

/** A container with the veths `eth0` and `eth1`, whose ends on the host are `v-eth0` and `v-eth1`. */
function withVeths(config: object, body: (fake: FakeAttachment & { host: () => readonly string[] }) => void): void {
  withFakeKernel(bandwidth, { prevResult: prevResultFor('eth0'), ...config }, fake => {
    const { kernel } = fake
    for (const name of ['eth0', 'eth1']) {
      const peer = { name, netns: kernel.open(BOX), up: true }
      kernel.host().links.add({ name: `v-${name}`, kind: { kind: 'veth', peer }, mtu: 1400, up: true })
    }
    const host = (): readonly string[] => {
      const lines = kernel.toText().split('\n')
      return lines.slice(
        lines.findIndex(line => line.startsWith('  v-eth0')),
        lines.indexOf(`${BOX}:`)
      )
    }
    body({ ...fake, host })
  })
}

const BOTH = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 1_600_000 }

test('both directions: queue, redirection and ifb with its queue; CHECK agrees; DEL takes all away', () => {
  withVeths(BOTH, ({ kernel, caller, host }) => {
    const before = kernel.toText()
    const result = caller.ok('ADD')
    const lines = host().map(line => line.replace(/mac [0-9a-f:]+/, 'mac M'))
    assert.equal(lines, [
      `  v-eth0 veth up mtu 1400 mac M peer eth0@${BOX}`,
      '    qdisc tbf rate 1000000 burst 100000 limit 125000',
      '    qdisc ingress',
      `    filter ingress priority 1 redirect ${IFB}`,
      `  v-eth1 veth up mtu 1400 mac M peer eth1@${BOX}`,
      `  ${IFB} ifb up mtu 1400 mac M txqueuelen 0 alias "cni net1 c1 eth0"`,
      '    qdisc tbf rate 2000000 burst 200000 limit 250000'
    ])
    assert.equal(
      result.interfaces.map(one => one.name),
      ['v-eth0', 'eth0', IFB]
    )
    assert.is(result.interfaces[2]?.sandbox, undefined)
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
    assert.equal(caller.journal(), [])
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('one direction needs no ifb, the other no queue on the veth', () => {
  withVeths({ ingressRate: 8000, ingressBurst: 8000 }, ({ kernel, caller }) => {
    const before = kernel.toText()
    assert.is(caller.ok('ADD').interfaces.length, 2)
    assert.not.ok(kernel.toText().includes('ifb'))
    assert.not.ok(kernel.toText().includes('qdisc ingress'))
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
  withVeths({ egressRate: 8000, egressBurst: 8000 }, ({ kernel, caller }) => {
    const before = kernel.toText()
    assert.is(caller.ok('ADD').interfaces.length, 3)
    assert.is(kernel.toText().split('qdisc tbf').length, 2)
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test('no limits: the result goes through, nothing is touched, the namespace need not exist', () => {
  const nothing: readonly object[] = [
    {},
    { ingressRate: 0, ingressBurst: 0 },
    { runtimeConfig: { bandwidth: {} } },
    // A static key, whatever its value, keeps the caller's limits out.
    { egressRate: 0, runtimeConfig: { bandwidth: { ingressRate: 8000, ingressBurst: 8000 } } }
  ]
  for (const config of nothing) {
    withVeths(config, ({ kernel, caller }) => {
      const before = kernel.toText()
      for (const command of ['ADD', 'CHECK', 'DEL']) caller.ok(command, { netns: '/run/netns/nowhere' })
      assert.is(kernel.toText(), before)
      assert.equal(caller.journal(), [])
    })
  }
})

test("the caller's limits, in whatever letter case, with the bursts that containerd sends", () => {
  const spelled = [
    { IngressRate: 1_000_000, IngressBurst: 4_294_967_295, EgressRate: 2_000_000, EgressBurst: 4_294_967_295 },
    { ingressrate: 1_000_000, INGRESSBURST: 4_294_967_295, egressRate: 2_000_000, egressBurst: 4_294_967_295 }
  ]
  for (const limits of spelled) {
    withVeths({ RuntimeConfig: { Bandwidth: limits } }, ({ kernel, caller }) => {
      const result = caller.ok('ADD')
      assert.match(kernel.toText(), /qdisc tbf rate 125000 burst 536870911 limit 536874036/)
      assert.match(kernel.toText(), /qdisc tbf rate 250000 burst 536870911 limit 536877161/)
      caller.ok('CHECK', { config: { prevResult: result } })
    })
  }
})

test('the largest rates and bursts', () => {
  const limits = { egressRate: 400_000_000_000, egressBurst: 34_359_738_359 }
  withVeths(limits, ({ kernel, caller }) => {
    caller.ok('ADD')
    assert.match(kernel.toText(), /qdisc tbf rate 50000000000 burst 4294967294 limit 4294967295/)
  })
})

test('mistakes are named with key and value, all at once, and nothing is changed', () => {
  const cases: readonly [object, RegExp][] = [
    [{ ingressRate: 8000 }, /ingressRate must come with ingressBurst, got 8000/],
    [{ ingressBurst: 8000 }, /ingressBurst must come with ingressRate, got 8000/],
    [{ egressRate: 8000, egressBurst: 0 }, /egressRate must come with egressBurst, got 8000/],
    [{ ingressRate: -1, ingressBurst: 1 }, /ingressRate must be an integer from 0 to [0-9]+, got -1/],
    [{ ingressRate: '1M', ingressBurst: 1 }, /ingressRate must be an integer.*got "1M"/],
    [{ ingressRate: 7, ingressBurst: 8000 }, /ingressRate must be 0 or at least 8 \(bits per second\), got 7/],
    [{ ingressRate: 8000, ingressBurst: 7 }, /ingressBurst must be 0 or at least 8 \(bits\), got 7/],
    [{ egressRate: 8000, egressBurst: 34_359_738_360 }, /egressBurst must be an integer from 0 to 34359738359/],
    [
      { runtimeConfig: { bandwidth: { IngressRate: 8000, EgressBurst: 8000 } } },
      /runtimeConfig\.bandwidth\.ingressRate must come with ingressBurst.*bandwidth\.egressBurst must come with/
    ],
    [{ runtimeConfig: { bandwidth: 5 } }, /runtimeConfig\.bandwidth must be an object/],
    [{ ...BOTH, prevResult: undefined }, /read prevResult: missing/]
  ]
  for (const [config, message] of cases) {
    withVeths(config, ({ kernel, caller }) => {
      const before = kernel.toText()
      const error = caller.fails('ADD')
      assert.is(error.code, 7, JSON.stringify(config))
      assert.match(error.msg, message)
      assert.is(kernel.toText(), before)
      assert.equal(caller.journal(), [])
    })
  }
})

test('an interface without an end on the host is refused', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    kernel.open(BOX).links.add({ name: 'mac0', kind: { kind: 'dummy' } })
    const other = kernel.addNamespace('/run/netns/other')
    kernel.open(BOX).links.add({ name: 'far0', kind: { kind: 'veth', peer: { name: 'x', netns: other } } })
    const before = kernel.toText()
    const refused = caller.fails('ADD', { ifName: 'mac0' })
    assert.is(refused.code, 7)
    assert.match(refused.msg, /limit bandwidth of "mac0": it is of kind "dummy"/)
    assert.match(caller.fails('ADD', { ifName: 'far0' }).msg, /limit bandwidth of "far0": its other end is in another/)
    assert.match(caller.fails('ADD', { ifName: 'eth9' }).msg, /"eth9": ENODEV/)
    assert.is(kernel.toText(), before)
  })
})

test('an ADD that fails at any step leaves nothing', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    const changes = sweepFailures(kernel, caller, () => caller.call('ADD'))
    assert.equal(changes, [
      'add qdisc "tbf" to link',
      `add link "${IFB}"`,
      'set link',
      'add qdisc "tbf" to link',
      'add qdisc "ingress" to link',
      'add filter to link'
    ])
  })
})

test('two interfaces of one container on one network have an ifb each, and lose only their own', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    const alone = kernel.toText()
    const second = { ifName: 'eth1', config: { prevResult: prevResultFor('eth1') } }
    // The DEL that nerdctl calls before every ADD must not take the first one's.
    caller.ok('DEL', second)
    assert.is(kernel.toText(), alone)
    const own = ownIfbName({ ...C1, ifName: 'eth1' })
    const result = caller.ok('ADD', second)
    assert.is(result.interfaces[2]?.name, own)
    caller.ok('CHECK', { ifName: 'eth1', config: { prevResult: result } })
    caller.ok('DEL')
    assert.ok(kernel.host().links.find(own) !== undefined)
    assert.is(kernel.host().links.find(IFB), undefined)
    caller.ok('DEL', second)
    assert.is(kernel.toText(), before)
  })
})

test('what a killed ADD left does not keep the next one from working, and DEL knows it too', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    const once = kernel.toText().replace(/mac [0-9a-f:]+/g, '')
    caller.ok('ADD')
    assert.is(kernel.toText().replace(/mac [0-9a-f:]+/g, ''), once)
    caller.ok('DEL', { netns: '', config: { prevResult: undefined, ingressRate: 'changed' } })
    assert.is(kernel.toText(), before)
  })
})

test('DEL when the veth went first, and when another link has its index', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    caller.ok('ADD')
    kernel.removeNamespace(BOX)
    assert.ok(kernel.host().links.find(IFB) !== undefined)
    caller.ok('DEL')
    assert.not.ok(kernel.toText().includes('bwp'))
    assert.equal(caller.journal(), [])
  })
})

test('an ifb of the reference plugin: DEL finds it by its name, and clears the veth that the result names', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    const host = kernel.host()
    const before = kernel.toText()
    const end = host.links.get('v-eth0')
    const tbf = { rate: 1, burst: 1, limit: 1 }
    const ifb = host.links.add({ name: IFB, kind: { kind: 'ifb' }, up: true })
    host.qdiscs.replace(end.index, { kind: 'tbf', tbf })
    host.qdiscs.replace(end.index, { kind: 'ingress' })
    host.filters.add(end.index, { hook: 'ingress', priority: 1, redirectIndex: ifb.index })
    caller.ok('DEL')
    assert.is(kernel.toText(), before)
  })
})

test("another program's filters stay, and ADD says whose they are", () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    kernel.host().qdiscs.replace(kernel.host().links.get('v-eth0').index, { kind: 'clsact' })
    const before = kernel.toText()
    const error = caller.fails('ADD')
    assert.is(error.code, 7)
    assert.match(error.msg, /limit egress by "v-eth0": its qdisc "clsact" is in use/)
    assert.is(kernel.toText(), before)
  })
})

test('CHECK names what is gone or different', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    const prevResult = caller.ok('ADD')
    const host = kernel.host()
    const { index } = host.links.get('v-eth0')
    host.qdiscs.replace(index, { kind: 'tbf', tbf: { rate: 5, burst: 5, limit: 5 } })
    host.links.set(host.links.get(IFB).index, { up: false })
    host.qdiscs.remove(host.links.get(IFB).index, 'tbf')
    const error = caller.fails('CHECK', { config: { prevResult } })
    assert.is(error.code, 100)
    assert.match(error.msg, /the tbf of "v-eth0" is rate 40bit burst 5b limit 5b, not rate 8000000bit burst 100000b/)
    assert.match(error.msg, new RegExp(`link "${IFB}" is down; link "${IFB}" has no tbf`))
    host.qdiscs.remove(index, 'ingress')
    assert.match(
      caller.fails('CHECK', { config: { prevResult } }).msg,
      /what comes in by "v-eth0" is not sent to an ifb/
    )
  })
})

test('GC removes limits of unknown attachments, and no others', () => {
  withVeths(BOTH, ({ kernel, caller }) => {
    const before = kernel.toText()
    caller.ok('ADD')
    const limited = kernel.toText()
    caller.gc([{ containerID: 'c1', ifname: 'eth0' }])
    assert.is(kernel.toText(), limited)
    caller.gc([{ containerID: 'c1', ifname: 'eth1' }])
    assert.is(kernel.toText(), before)
    assert.equal(caller.journal(), [])
  })
})

test('STATUS judges the configuration', () => {
  withVeths(BOTH, ({ caller }) => {
    caller.ok('STATUS')
    assert.is(caller.fails('STATUS', { config: { ingressRate: 'fast' } }).code, 7)
  })
})

test.run()
