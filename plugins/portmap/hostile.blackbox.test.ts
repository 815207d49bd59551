// needs: ip nft iptables ip6tables flock setpriv
// time-out: 300 s

import { binDir } from '../../lib/testing/blackbox.ts'
import { type BridgedContainers, withBridgedContainers } from '../../lib/testing/bridged-containers.ts'
import { LockHolder } from '../../lib/testing/lock-holder.ts'
import { reachesLoopback } from '../../lib/testing/loopback-attack.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('plugins/portmap among others that mean no good, or are dead')

const BACKENDS = ['nftables', 'iptables']
const GATEWAY = '10.4.0.1'
const SETTING = '/proc/sys/net/ipv4/conf/br1/route_localnet'

const PORTMAP = { portmap: ['portmap', [`${binDir()}/portmap`]] } as const

function mapped(hostPort: number, more: object = {}): object {
  return { runtimeConfig: { portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' }] }, ...more }
}

function setting(host: Namespace): string {
  return host.run('cat', [SETTING]).stdout.trim()
}

function tables(host: Namespace): string {
  return host.run('nft', ['list', 'tables']).stdout
}

for (const backend of BACKENDS) {
  test(`${backend}: 127.0.0.1 of the host is out of reach, while ports are published and after the last DEL`, () =>
    withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
      const { host, first, second } = lab
      // What it is about: with the setting alone the datagram is delivered.
      host.run('sh', ['-c', `echo 1 > ${SETTING}`])
      assert.ok(reachesLoopback(second, host, GATEWAY))
      host.run('sh', ['-c', `echo 0 > ${SETTING}`])
      portmap.ok('ADD', 'c1', mapped(8080, { backend, prevResult: lab.prevResult(first) }), first.path)
      assert.is(setting(host), '1')
      assert.not.ok(reachesLoopback(second, host, GATEWAY))
      portmap.ok('ADD', 'c2', mapped(8081, { backend, prevResult: lab.prevResult(second) }), second.path)
      portmap.ok('DEL', 'c1', { backend })
      assert.is(setting(host), '1', 'the second one needs it still')
      assert.not.ok(reachesLoopback(first, host, GATEWAY))
      portmap.ok('DEL', 'c2', { backend })
      assert.is(setting(host), '0')
      assert.not.ok(reachesLoopback(second, host, GATEWAY))
      assert.not.match(tables(host), /patchbay/)
    }))

  test(`${backend}: what somebody else has opened stays open, and so the guard stays`, () =>
    withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
      const { host, first, second } = lab
      host.run('sh', ['-c', `echo 1 > ${SETTING}`])
      portmap.ok('ADD', 'c1', mapped(8080, { backend, prevResult: lab.prevResult(first) }), first.path)
      portmap.ok('DEL', 'c1', { backend })
      assert.is(setting(host), '1')
      assert.not.ok(reachesLoopback(second, host, GATEWAY))
    }))

  test(`${backend}: after a flush of the ruleset DEL and GC close what ADD opened`, () =>
    withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
      const { host, first } = lab
      const config = mapped(8080, { backend, prevResult: lab.prevResult(first) })
      for (const verb of ['DEL', 'GC']) {
        portmap.ok('ADD', 'c1', config, first.path)
        host.run('nft', ['flush', 'ruleset'])
        if (verb === 'DEL') portmap.ok('DEL', 'c1', { backend })
        else portmap.ok('GC', '', { backend, 'cni.dev/valid-attachments': [] })
        assert.is(setting(host), '0', verb)
      }
    }))
}

test("nobody's lock on the host's namespace keeps an ADD or DEL waiting", () =>
  withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
    const holder = LockHolder.ofNamespace(lab.host)
    try {
      portmap.ok('ADD', 'c1', mapped(8080, { prevResult: lab.prevResult(lab.first) }), lab.first.path)
      portmap.ok('DEL', 'c1', {})
    } finally {
      holder.release()
    }
  }))

/** A container at the end of a cable, as ptp lays it; its host's end bears the name. */
function cabled(lab: BridgedContainers, name: string, address: string): object {
  const script = `ip link add ${name} type veth peer name eth1 netns ${lab.first.pid}; ip link set ${name} up
    nsenter --net=${lab.first.path} ip link set eth1 name x-${name}; ip route add ${address}/32 dev ${name}`
  assert.is(lab.host.run('sh', ['-e', '-c', script]).status, 0)
  const interfaces = [{ name }, { name: 'eth0', sandbox: lab.first.path }]
  return { cniVersion: '1.1.0', interfaces, ips: [{ interface: 1, address: `${address}/32` }] }
}

for (const backend of BACKENDS) {
  test(`${backend}: a port of a container that is gone without DEL is its successor's; of one that lives, code 101`, () =>
    withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
      const { host, first } = lab
      const config = (prevResult: object) => mapped(8126, { backend, prevResult })
      portmap.ok('ADD', 'c1', config(cabled(lab, 'cable1', '10.6.0.1')), first.path)
      const successor = config(cabled(lab, 'cable2', '10.6.0.2'))
      assert.is(portmap.call('ADD', 'c2', successor, first.path).json.code, 101)
      host.run('ip', ['link', 'del', 'cable1'])
      portmap.ok('ADD', 'c2', successor, first.path)
      const ruleset = host.run('nft', ['list', 'ruleset']).stdout
      assert.not.match(ruleset, /10\.6\.0\.1/)
      assert.match(ruleset, /10\.6\.0\.2/)
      // The dead one's DEL, should it come after all, takes nothing from its successor.
      portmap.ok('DEL', 'c1', { backend })
      portmap.ok('CHECK', 'c2', successor, first.path)
      portmap.ok('DEL', 'c2', { backend })
      assert.not.match(host.run('nft', ['list', 'ruleset']).stdout, /patchbay|10\.6\.0/)
    }))
}

test('a backend meets what the other one has left of a dead container', () =>
  withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
    for (const [theirs, ours] of [BACKENDS, [...BACKENDS].reverse()]) {
      const dead = mapped(8126, { backend: theirs, prevResult: cabled(lab, 'cable1', '10.6.0.1') })
      const next = mapped(8126, { backend: ours, prevResult: cabled(lab, 'cable2', '10.6.0.2') })
      portmap.ok('ADD', 'c1', dead, lab.first.path)
      assert.is(portmap.call('ADD', 'c2', next, lab.first.path).json.code, 101, theirs)
      lab.host.run('ip', ['link', 'del', 'cable1'])
      portmap.ok('ADD', 'c2', next, lab.first.path)
      assert.not.match(lab.host.run('nft', ['list', 'ruleset']).stdout, /10\.6\.0\.1/)
      portmap.ok('DEL', 'c2', {})
      portmap.ok('DEL', 'c1', {})
      lab.host.run('ip', ['link', 'del', 'cable2'])
    }
  }))

test('after a flush of the ruleset the next ADD of anybody publishes what all living containers had', () =>
  withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
    const { host, first, second, third } = lab
    const conditionsV4 = ['iifname "out"']
    const one = mapped(8080, { prevResult: lab.prevResult(first), conditionsV4 })
    const two = mapped(8081, { name: 'net2', prevResult: lab.prevResult(third) })
    const gone = mapped(8126, { prevResult: cabled(lab, 'cable1', '10.6.0.1') })
    portmap.ok('ADD', 'c1', one, first.path)
    portmap.ok('ADD', 'c3', two, third.path)
    portmap.ok('ADD', 'c4', gone, first.path)
    const listed = () => host.run('nft', ['list', 'ruleset']).stdout
    host.run('ip', ['link', 'del', 'cable1'])
    host.run('nft', ['flush', 'ruleset'])
    portmap.ok('ADD', 'c2', mapped(8082, { prevResult: lab.prevResult(second) }), second.path)
    portmap.ok('CHECK', 'c1', one, first.path)
    portmap.ok('CHECK', 'c3', two, third.path)
    assert.not.match(listed(), /10\.6\.0\.1/)
    for (const [name, id] of [
      ['net1', 'c1'],
      ['net1', 'c2'],
      ['net2', 'c3'],
      ['net1', 'c4']
    ]) {
      portmap.ok('DEL', id ?? '', { name })
    }
    assert.is(listed(), '')
  }))

/** What takes the rules of iptables away, and whose next ADD brings them back. */
const FLUSHES: readonly (readonly [string, readonly string[], string])[] = [
  ['nft flush ruleset', ['nft flush ruleset'], 'nftables'],
  ['nft flush ruleset', ['nft flush ruleset'], 'iptables'],
  ['iptables -F', ['iptables -t nat -F', 'ip6tables -t nat -F'], 'iptables'],
  ['iptables -F, -X', ['iptables -t nat -F', 'iptables -t nat -X', 'ip6tables -t nat -F'], 'iptables']
]

/** The rules of both families; the order of chains is that of their making. */
function natRules(host: Namespace): readonly string[] {
  return ['iptables', 'ip6tables'].flatMap(tool => host.run(tool, ['-t', 'nat', '-S']).stdout.split('\n')).sort()
}

for (const [name, commands, next] of FLUSHES) {
  test(`after ${name} the next ADD, with ${next}, brings the iptables rules of the living back, and their ports are theirs`, () =>
    withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
      const { host, first, second, third } = lab
      const backend = 'iptables'
      const conditionsV4 = ['!', '-d', '192.0.2.0/24']
      const one = mapped(8080, { backend, markMasqBit: 5, conditionsV4, prevResult: lab.prevResult(first) })
      const two = mapped(8081, { name: 'net2', backend, masqAll: true, prevResult: lab.prevResult(third) })
      portmap.ok('ADD', 'c1', one, first.path)
      portmap.ok('ADD', 'c3', two, third.path)
      const before = natRules(host)
      portmap.ok('ADD', 'c4', mapped(8126, { backend, prevResult: cabled(lab, 'cable1', '10.6.0.1') }), first.path)
      host.run('ip', ['link', 'del', 'cable1'])
      for (const command of commands) assert.is(host.run('sh', ['-c', command]).status, 0)
      const taken = mapped(8081, { backend: next, prevResult: lab.prevResult(second) })
      assert.is(portmap.call('ADD', 'c2', taken, second.path).json.code, 101)
      assert.not.match(natRules(host).join('\n'), /10\.6\.0\.1/)
      portmap.ok('DEL', 'c4', {})
      assert.equal(natRules(host), before)
      portmap.ok('CHECK', 'c1', one, first.path)
      portmap.ok('CHECK', 'c3', two, third.path)
      portmap.ok('DEL', 'c1', {})
      portmap.ok('DEL', 'c3', { name: 'net2' })
      assert.not.match(natRules(host).join('\n'), /CNI-DN-/)
    }))
}

for (const backend of BACKENDS) {
  test(`${backend}: names longer than a comment may be: CHECK, DEL`, () =>
    withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
      const config = mapped(8080, { name: 'n'.repeat(200), backend, prevResult: lab.prevResult(lab.first) })
      const id = 'c'.repeat(200)
      portmap.ok('ADD', id, config, lab.first.path)
      portmap.ok('CHECK', id, config, lab.first.path)
      portmap.ok('DEL', id, config)
      assert.not.match(lab.host.run('nft', ['list', 'ruleset']).stdout, /10\.4\.0\.2/)
    }))
}

test('a port that ADDs before a flush had opened for 127.0.0.1 stays open for the one after it', () =>
  withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
    const { host, first, second } = lab
    portmap.ok('ADD', 'c1', mapped(8080, { prevResult: lab.prevResult(first) }), first.path)
    host.run('nft', ['flush', 'ruleset'])
    portmap.ok('ADD', 'c2', mapped(8081, { prevResult: lab.prevResult(second) }), second.path)
    portmap.ok('DEL', 'c1', {})
    assert.is(setting(host), '1', 'the second one needs it still')
    portmap.ok('DEL', 'c2', {})
    assert.is(setting(host), '0')
    assert.is(host.run('nft', ['list', 'ruleset']).stdout, '')
  }))

test('one port at 20,000 addresses of the host, and 65,000 ports: ADD, CHECK and DEL; 200,001 are too many', () =>
  withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
    const many = (count: number, one: (i: number) => object): object => ({
      prevResult: lab.prevResult(lab.first, [4]),
      runtimeConfig: { portMappings: Array.from({ length: count }, (_, i) => ({ containerPort: 80, ...one(i) })) }
    })
    const hostIp = (i: number) => `172.16.${String(i >> 8)}.${String(i & 255)}`
    for (const [count, one] of [
      [20_000, (i: number) => ({ hostPort: 8080, hostIP: hostIp(i) })],
      [65_000, (i: number) => ({ hostPort: 1 + i })]
    ] as const) {
      const config = many(count, one)
      portmap.ok('ADD', 'c1', config, lab.first.path)
      const elements = lab.host.run('nft', ['list', 'table', 'ip', 'patchbay-portmap']).stdout
      assert.is(elements.match(/comment "net1 c1 eth0" : 10\.4\.0\.2 \. 80/g)?.length, count)
      portmap.ok('CHECK', 'c1', config, lab.first.path)
      portmap.ok('DEL', 'c1', {})
      assert.is(tables(lab.host), '')
    }
    const tooMany = { runtimeConfig: { portMappings: Array(200_001).fill(0) } }
    const refused = portmap.call('ADD', 'c1', tooMany, lab.first.path)
    assert.is(refused.json.code, 7)
    assert.match(refused.json.msg, /runtimeConfig\.portMappings must have 200000 members at most/)
  }))

test('what iptables is told is judged: chain names by grammar, a chain that is not there, options by a list', () =>
  withBridgedContainers(PORTMAP, ({ lab, portmap }) => {
    const before = lab.host.run('nft', ['list', 'ruleset']).stdout
    const cases: readonly (readonly [object, number, RegExp])[] = [
      [
        { externalSetMarkChain: 'MARK --set-mark 0x1' },
        7,
        /externalSetMarkChain must be the name of a chain .*got "MARK/
      ],
      [{ externalSetMarkChain: '-j' }, 7, /externalSetMarkChain must be the name/],
      [{ externalSetMarkChain: 'ACCEPT' }, 7, /externalSetMarkChain must be a chain of its own/],
      [
        { externalSetMarkChain: 'KUBE-MARK-MASQ' },
        7,
        /must be a chain of iptables's table nat that is there, got "KUBE/
      ],
      [{ conditionsV4: ['--modprobe=/tmp/x'] }, 2, /conditionsV4 .* "--modprobe=\/tmp\/x" is no option of a condition/],
      [{ conditionsV4: ['-s', '10.0.0.1', '-j', 'ACCEPT'] }, 2, /"-j" is no option/],
      [{ conditionsV4: ['-m', 'bpf'] }, 2, /"bpf" is no match/],
      [{ conditionsV4: ['-s'] }, 2, /-s must be followed/],
      [{ conditionsV4: ['-s', '--modprobe=/tmp/x'] }, 2, /"--modprobe=\/tmp\/x" is no value for -s/]
    ]
    for (const [more, code, message] of cases) {
      const config = mapped(8080, { ...more, prevResult: lab.prevResult(lab.first) })
      const answer = portmap.call('ADD', 'c1', config, lab.first.path)
      assert.is(answer.json?.code, code, JSON.stringify(answer.json))
      assert.match(answer.json.msg, message)
    }
    assert.is(lab.host.run('nft', ['list', 'ruleset']).stdout, before)
  }))

test.run()
