// needs: nft iptables ip6tables reference-plugins
// time-out: 600 s
import {
  type BridgedContainers,
  type BridgedStage,
  rulesetOf,
  withBridgedContainers
} from '../../lib/testing/bridged-containers.ts'
import { askAll, EchoServer, expectAnswers } from '../../lib/testing/echo.ts'
import { FakeFirewalld } from '../../lib/testing/fake-firewalld.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { PluginProgram } from '../../lib/testing/plugin-program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('plugins/firewall on the kernel')

const SIDE_BY_SIDE = {
  ours: ['firewall', PluginProgram.fromSource(new URL('firewall.ts', import.meta.url), 'firewall')],
  reference: ['firewall', ['/usr/lib/cni/firewall']]
} as const

/** The rules and chains of the filter tables, sorted: their order among containers says nothing. */
function filterRules(namespace: Namespace): readonly string[] {
  const saved = ['iptables-save', 'ip6tables-save'].map(one => namespace.run(one, ['-t', 'filter']).stdout)
  return saved
    .join('')
    .split('\n')
    .filter(line => /^(-A|:CNI)/.test(line))
    .map(line => line.replace(/ \[\d+:\d+\]/, ''))
    .sort()
}

/** All three containers attached, the first two to one network. */
function attachAll({ lab, ours }: BridgedStage<'ours' | 'reference'>, config: object): void {
  ours.ok('ADD', 'c1', { ...config, prevResult: lab.prevResult(lab.first) }, lab.first.path)
  ours.ok('ADD', 'c2', { ...config, prevResult: lab.prevResult(lab.second) }, lab.second.path)
  ours.ok('ADD', 'c3', { ...config, name: 'net2', prevResult: lab.prevResult(lab.third) }, lab.third.path)
}

function detachAll({ ours }: BridgedStage<'ours' | 'reference'>): void {
  ours.ok('DEL', 'c1', {})
  ours.ok('DEL', 'c2', {})
  ours.ok('DEL', 'c3', { name: 'net2' })
}

/**
 * Who reaches whom, by TCP and by UDP: from first to second and third, from outside and host to first, out from first.
 * Each by IPv4 and IPv6, and a dash for nobody: `22 -- oo 11 11`.
 */
function expectReach(lab: BridgedContainers, expected: string, what = ''): void {
  const servers = [
    EchoServer.start(lab.second, '2', ['tcp 80', 'udp 80']),
    EchoServer.start(lab.third, '3', ['tcp 80', 'udp 80']),
    EchoServer.start(lab.first, '1', ['tcp 80', 'udp 80']),
    EchoServer.start(lab.outside, 'o', ['tcp 80', 'udp 80'])
  ]
  const asked: readonly (readonly [Namespace, string, string, string])[] = [
    [lab.first, '10.4.0.3', 'fd00:4::3', '10.4.0.2 fd00:4::2'],
    [lab.first, '10.5.0.2', 'fd00:5::2', '10.4.0.2 fd00:4::2'],
    [lab.first, '192.0.2.9', 'fd00:9::9', '10.4.0.2 fd00:4::2'],
    [lab.outside, '10.4.0.2', 'fd00:4::2', '192.0.2.9 fd00:9::9'],
    [lab.host, '10.4.0.2', 'fd00:4::2', '10.4.0.1 fd00:4::1']
  ]
  try {
    for (const [i, [from, four, six, as]] of asked.entries()) {
      const marks = expected.split(' ')[i] ?? ''
      const wanted = as.split(' ').map((address, n) => (marks[n] === '-' ? '' : `${marks[n] ?? ''} ${address}`))
      const places = ['tcp', 'udp'].flatMap(protocol => [`${protocol} ${four} 80`, `${protocol} ${six} 80`])
      expectAnswers(from, places, [...wanted, ...wanted], what)
    }
  } finally {
    for (const server of servers) server.close()
  }
}

test('nftables: open, same-bridge, isolated; every rule goes with the last DEL', () =>
  withBridgedContainers(SIDE_BY_SIDE, stage => {
    const { lab, ours } = stage
    expectReach(lab, '22 33 oo 11 11')
    attachAll(stage, { ingressPolicy: 'open' })
    assert.is(rulesetOf(lab.host), '')
    expectReach(lab, '22 33 oo 11 11')
    detachAll(stage)
    attachAll(stage, { ingressPolicy: 'same-bridge' })
    expectReach(lab, '22 -- oo 11 11')
    const config = { ingressPolicy: 'same-bridge', prevResult: lab.prevResult(lab.first) }
    ours.ok('CHECK', 'c1', config, lab.first.path)
    detachAll(stage)
    assert.is(rulesetOf(lab.host), '')
    attachAll(stage, { ingressPolicy: 'isolated' })
    expectReach(lab, '-- -- oo 11 11')
    lab.host.run('nft', ['flush', 'ruleset'])
    const isolated = { ...config, ingressPolicy: 'isolated' }
    assert.is(ours.call('CHECK', 'c1', isolated, lab.first.path).json.code, 100)
    detachAll(stage)
    expectReach(lab, '22 33 oo 11 11')
    detachAll(stage)
  }))

/** The documentation of nftables.ts, as a program for nft. */
const DOCUMENTED = `
  table ip patchbay-firewall {
    map containers { type ipv4_addr : verdict; elements = { 10.4.0.2 comment "net1 c1 eth0" : goto same-bridge-br1 } }
    set bridges { type ifname; elements = { "br1" } }
    chain forward {
      type filter hook forward priority 0;
      ct state established,related accept
      ct status dnat accept
      ip daddr vmap @containers
    }
    chain published {
      type filter hook prerouting priority -90;
      iifname @bridges ct status dnat meta mark set meta mark | 0x800
    }
    chain same-bridge-br1 { iifname "br1" return; iifname @bridges drop; }
  }`

test('nftables: the ruleset is the documented one, by the word of nft', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const config = { ingressPolicy: 'same-bridge', prevResult: lab.prevResult(lab.first, [4]) }
    ours.ok('ADD', 'c1', config, lab.first.path)
    const made = rulesetOf(lab.host)
    lab.host.run('nft', ['flush', 'ruleset'])
    const loaded = lab.host.run('nft', ['-f', '-'], { input: DOCUMENTED })
    assert.is(loaded.status, 0, loaded.stderr)
    assert.is(rulesetOf(lab.host), made)
  }))

test('nftables: a published port is open to other bridges and to neighbours, whatever the policy', () =>
  withBridgedContainers(SIDE_BY_SIDE, stage => {
    const { lab } = stage
    attachAll(stage, { ingressPolicy: 'isolated' })
    assert.equal(askAll(lab.first, ['tcp 10.4.0.3 80']), [''])
    const portmap = new PluginProgram(
      lab.host,
      'portmap',
      PluginProgram.fromSource(new URL('../portmap/portmap.ts', import.meta.url), 'portmap')
    )
    const runtimeConfig = { portMappings: [{ hostPort: 8080, containerPort: 80 }] }
    portmap.ok('ADD', 'c1', { runtimeConfig, prevResult: lab.prevResult(lab.first) }, lab.first.path)
    const server = EchoServer.start(lab.first, '1', ['tcp 80'])
    try {
      const places = ['tcp 192.0.2.1 8080', 'tcp fd00:9::1 8080']
      expectAnswers(lab.third, places, ['1 10.5.0.2', '1 fd00:5::2'])
      // With br_netfilter the packet is bridged after its translation, without it is routed.
      for (const call of ['1', '0']) {
        const knobs = ['iptables', 'ip6tables'].map(one => `/proc/sys/net/bridge/bridge-nf-call-${one}`)
        lab.host.run('sh', ['-c', `for f in ${knobs.join(' ')}; do echo ${call} > $f; done`])
        expectAnswers(lab.second, places, ['1 10.4.0.1', '1 fd00:4::1'], `bridge-nf-call ${call}`)
        assert.equal(askAll(lab.second, ['tcp 10.4.0.2 80', 'tcp fd00:4::2 80']), ['', ''])
      }
      assert.equal(askAll(lab.third, ['tcp 10.4.0.2 80']), [''])
    } finally {
      server.close()
      portmap.close()
    }
  }))

test('two policies on one bridge: the bridge stays known until the last one leaves', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const first = { ingressPolicy: 'same-bridge', prevResult: lab.prevResult(lab.first, [4]) }
    const second = { name: 'net2', ingressPolicy: 'isolated', prevResult: lab.prevResult(lab.second, [4]) }
    ours.ok('ADD', 'c1', first, lab.first.path)
    ours.ok('ADD', 'c2', second, lab.second.path)
    ours.ok('DEL', 'c1', {})
    ours.ok('CHECK', 'c2', second, lab.second.path)
    assert.match(rulesetOf(lab.host), /elements = \{ "br1" \}/)
    ours.ok('DEL', 'c2', { name: 'net2' })
    assert.is(rulesetOf(lab.host), '')
  }))

test('GC: with and without the journal', () =>
  withBridgedContainers(SIDE_BY_SIDE, stage => {
    const { lab, ours } = stage
    attachAll(stage, { ingressPolicy: 'isolated' })
    const valid = [{ containerID: 'c2', ifname: 'eth0' }]
    ours.ok('GC', '', { 'cni.dev/valid-attachments': valid })
    assert.not.match(rulesetOf(lab.host), /net1 c1/)
    assert.match(rulesetOf(lab.host), /net1 c2[\s\S]*net2 c3|net2 c3[\s\S]*net1 c2/)
    assert.not.match(rulesetOf(lab.host), /veth1/)
    assert.match(rulesetOf(lab.host), /set members[^}]*"veth2"/)
    lab.host.run('rm', ['-r', `${ours.directory}/state`])
    ours.ok('GC', '', { 'cni.dev/valid-attachments': [] })
    assert.not.match(rulesetOf(lab.host), /net1/)
    ours.ok('STATUS', '', {})
  }))

test('iptables: chosen where another tool drops what is forwarded; its rules go, the chains stay as with the reference', () =>
  withBridgedContainers(SIDE_BY_SIDE, stage => {
    const { lab, ours } = stage
    lab.host.run('iptables', ['-P', 'FORWARD', 'DROP'])
    lab.host.run('ip6tables', ['-P', 'FORWARD', 'DROP'])
    expectReach(lab, '-- -- -- -- 11')
    attachAll(stage, { ingressPolicy: 'same-bridge' })
    assert.not.match(rulesetOf(lab.host), /patchbay/)
    // As with the reference: out yes, in no.
    expectReach(lab, '22 -- oo -- 11')
    const config = { ingressPolicy: 'same-bridge', prevResult: lab.prevResult(lab.first) }
    ours.ok('CHECK', 'c1', config, lab.first.path)
    const complete = filterRules(lab.host)
    attachAll(stage, { ingressPolicy: 'same-bridge' })
    assert.equal(filterRules(lab.host), complete)
    ours.ok('DEL', 'c1', {})
    assert.equal(
      filterRules(lab.host).filter(rule => rule.includes('br1')).length,
      4,
      'the second container still needs the isolation of its bridge'
    )
    detachAll(stage)
    assert.equal(
      filterRules(lab.host).filter(rule => /10\.4\.|10\.5\.|fd00|br1|br2/.test(rule)),
      []
    )
  }))

test('iptables: the same rules as the reference makes, and either removes what the other made', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours, reference }) => {
    const config = { backend: 'iptables', ingressPolicy: 'same-bridge' }
    const old = { ...config, cniVersion: '1.0.0', prevResult: { ...lab.prevResult(lab.first), cniVersion: '1.0.0' } }
    const ofContainer = (): readonly string[] => filterRules(lab.host).filter(rule => /10\.4\.|fd00/.test(rule))
    ours.ok('ADD', 'c1', old, lab.first.path)
    const made = filterRules(lab.host)
    const forward = (): string => lab.host.run('iptables', ['-S', 'FORWARD']).stdout
    const order = forward()
    assert.is(ofContainer().length, 4)
    reference.ok('DEL', 'c1', old, lab.first.path)
    assert.equal(ofContainer(), [])
    lab.host.run('nft', ['flush', 'ruleset'])
    reference.ok('ADD', 'c1', old, lab.first.path)
    assert.equal(filterRules(lab.host), made)
    assert.is(forward(), order)
    lab.host.run('rm', ['-r', `${ours.directory}/state`])
    ours.ok('DEL', 'c1', old)
    assert.equal(ofContainer(), [])
  }))

test('iptables: isolated holds within one bridge too, with br_netfilter and without', () =>
  withBridgedContainers(SIDE_BY_SIDE, stage => {
    const { lab } = stage
    attachAll(stage, { backend: 'iptables', ingressPolicy: 'isolated' })
    for (const call of ['1', '0']) {
      const knobs = ['iptables', 'ip6tables'].map(one => `/proc/sys/net/bridge/bridge-nf-call-${one}`)
      lab.host.run('sh', ['-c', `for f in ${knobs.join(' ')}; do echo ${call} > $f; done`])
      expectReach(lab, '-- -- oo 11 11', `bridge-nf-call ${call}`)
    }
    detachAll(stage)
    assert.not.match(rulesetOf(lab.host), /patchbay/)
    expectReach(lab, '22 33 oo 11 11')
  }))

test('firewalld: chosen when it is on the bus; isolation is still ours', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const firewalld = new FakeFirewalld()
    try {
      ours.env = { DBUS_SYSTEM_BUS_ADDRESS: firewalld.address }
      const config = { ingressPolicy: 'same-bridge', prevResult: lab.prevResult(lab.first) }
      ours.ok('ADD', 'c1', config, lab.first.path)
      ours.ok('ADD', 'c1', config, lab.first.path)
      ours.ok('CHECK', 'c1', config, lab.first.path)
      assert.match(rulesetOf(lab.host), /net1 c1 eth0/)
      ours.ok('DEL', 'c1', {})
      ours.ok('DEL', 'c1', {})
      const verbs = ['addSource', 'removeSource', 'addSource', 'querySource', 'removeSource']
      assert.equal(
        firewalld.calls(),
        verbs.flatMap(verb => [`${verb} trusted 10.4.0.2/32`, `${verb} trusted fd00:4::2/128`])
      )
      assert.is(rulesetOf(lab.host), '')
      const wrong = ours.call('ADD', 'c1', { ...config, firewalldZone: 'nosuch' }, lab.first.path)
      assert.match(wrong.json.msg, /firewalld addSource "nosuch" 10\.4\.0\.2\/32: INVALID_ZONE/)
      assert.is(rulesetOf(lab.host), '')
      ours.ok('STATUS', '', { backend: 'firewalld' })
      ours.env = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' }
      assert.is(ours.call('STATUS', '', { backend: 'firewalld' }).json.code, 50)
    } finally {
      firewalld.close()
    }
  }))

test.run()
