// needs: nft
// time-out: 300 s
import { withBridgedContainers } from '../../lib/testing/bridged-containers.ts'
import { EchoServer, expectAnswers } from '../../lib/testing/echo.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { PluginProgram } from '../../lib/testing/plugin-program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('plugins/portmap: conditions, and the ruleset as a whole')

const OURS = { ours: ['portmap', PluginProgram.fromSource(new URL('portmap.ts', import.meta.url), 'portmap')] } as const

function rules(namespace: Namespace): string {
  return namespace.run('nft', ['list', 'ruleset']).stdout
}

const SINGLE = { hostPort: 8080, containerPort: 80 }

/** The documentation of table.ts and localhost.ts, as a program for nft, with what the mappings below add. */
const DOCUMENTED = `
  table ip patchbay-portmap {
    map ports {
      type inet_proto . inet_service : ipv4_addr . inet_service
      elements = { tcp . 8080 comment "net1 c1 eth0" : 10.4.0.2 . 80, sctp . 3868 comment "net1 c1 eth0" : 10.4.0.2 . 3868 }
    }
    map address-ports {
      type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
      elements = { 192.0.2.1 . udp . 8053 comment "net1 c1 eth0" : 10.4.0.2 . 53 }
    }
    map ranges {
      type ipv4_addr . inet_proto . inet_service : ipv4_addr
      flags interval
      elements = { 0.0.0.0/0 . tcp . 9000-9002 comment "net1 c1 eth0" : 10.4.0.2 }
    }
    map targets {
      type ipv4_addr : verdict
      elements = { 10.4.0.2 comment "net1 c1 eth0" : goto from-10.4.0.0/24 }
    }
    set address-port-index { type inet_proto . inet_service; elements = { udp . 8053 } }
    map conditions {
      type ipv4_addr . inet_proto . inet_service : verdict
      flags interval
      elements = {
        0.0.0.0/0 . tcp . 8080 comment "net1 c1 eth0" : jump if-CHAIN,
        0.0.0.0/0 . sctp . 3868 comment "net1 c1 eth0" : jump if-CHAIN,
        192.0.2.1 . udp . 8053 comment "net1 c1 eth0" : jump if-CHAIN,
        0.0.0.0/0 . tcp . 9000-9002 comment "net1 c1 eth0" : jump if-CHAIN
      }
    }
    chain translate {
      ip daddr . meta l4proto . th dport vmap @conditions
      meta mark set meta mark | 0x1000
      dnat ip to ip daddr . meta l4proto . th dport map @address-ports
      dnat ip to meta l4proto . th dport map @ports
      dnat ip to ip daddr . meta l4proto . th dport map @ranges
      meta mark set meta mark & 0xffffefff
    }
    chain prerouting { type nat hook prerouting priority -100; fib daddr type local jump translate; }
    chain output { type nat hook output priority -100; fib daddr type local jump translate; }
    chain postrouting {
      type nat hook postrouting priority 100
      meta mark & 0x1000 == 0x1000 ip daddr vmap @targets
    }
    chain from-10.4.0.0/24 { ip saddr 10.4.0.0/24 masquerade; ip saddr 127.0.0.0/8 masquerade; }
    chain if-CHAIN {
      ip saddr 10.0.0.0/8 iifname "br1" return
      ip saddr 192.0.2.9 iifname "br1" return
      accept
    }
  }
  table ip patchbay-localhost {
    map containers {
      type ipv4_addr : verdict
      elements = { 10.4.0.2 comment "net1 c1 eth0" : goto opened-br1 }
    }
    chain guard {
      type filter hook prerouting priority -300
      iifname != "lo" ip daddr 127.0.0.0/8 drop
      iifname != "lo" ip saddr 127.0.0.0/8 drop
    }
    chain opened-br1 { }
  }`

const ALL_KINDS = [
  SINGLE,
  { hostPort: 3868, containerPort: 3868, protocol: 'SCTP' },
  { hostPort: 8053, containerPort: 53, protocol: 'udp', hostIP: '192.0.2.1' },
  ...[9000, 9001, 9002].map(port => ({ hostPort: port, containerPort: port }))
]

/** Lines in any order: elements of a map have none, and nft prints chains in the order in which they were made. */
function sorted(text: string): readonly string[] {
  const lines = text.split('\n').flatMap(line => line.split(/,|elements = \{|\}/))
  return lines.map(line => line.trim()).sort()
}

test('the ruleset is the documented one, by the word of nft: every kind of mapping, sctp too', () =>
  withBridgedContainers(OURS, ({ lab, ours }) => {
    const conditionsV4 = ['ip', 'saddr', '{', '10.0.0.0/8,', '192.0.2.9', '}', 'iifname', 'br1']
    const config = { prevResult: lab.prevResult(lab.first, [4]), runtimeConfig: { portMappings: ALL_KINDS } }
    ours.ok('ADD', 'c1', { ...config, conditionsV4 }, lab.first.path)
    const made = rules(lab.host)
    const [chain = ''] = /if-[0-9a-f]{16}/.exec(made) ?? []
    lab.host.run('nft', ['flush', 'ruleset'])
    const program = DOCUMENTED.replaceAll('if-CHAIN', chain)
    const loaded = lab.host.run('nft', ['-f', '-'], { input: program })
    assert.is(loaded.status, 0, loaded.stderr)
    assert.equal(sorted(rules(lab.host)), sorted(made))
    // What nft has made of the documentation is also what CHECK wants, and what DEL removes.
    ours.ok('CHECK', 'c1', { ...config, conditionsV4 }, lab.first.path)
    ours.ok('DEL', 'c1', {})
    assert.is(rules(lab.host), '')
  }))

test('conditions: only who meets them reaches the port, in both families; others are nobody else’s', () =>
  withBridgedContainers(OURS, ({ lab, ours }) => {
    const server = EchoServer.start(lab.first, 'c', ['tcp 80', 'udp 53', 'tcp 9001'])
    const portMappings = [
      SINGLE,
      { hostPort: 8053, containerPort: 53, protocol: 'udp' },
      ...[9000, 9001, 9002].map(port => ({ hostPort: port, containerPort: port }))
    ]
    const config = { prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings } }
    const places = ['tcp 192.0.2.1 8080', 'udp 192.0.2.1 8053', 'tcp 192.0.2.1 9001', 'tcp fd00:9::1 8080']
    const conditioned = (conditionsV4: readonly string[], conditionsV6: readonly string[]) => {
      const own = { ...config, conditionsV4, conditionsV6 }
      ours.ok('ADD', 'c1', own, lab.first.path)
      ours.ok('CHECK', 'c1', own, lab.first.path)
    }
    try {
      conditioned(['ip', 'saddr', '!=', '192.0.2.9'], ['ip6 saddr != fd00:9::9'])
      expectAnswers(lab.outside, places, ['', '', '', ''])
      expectAnswers(lab.host, places.slice(0, 1), ['c 192.0.2.1'])
      expectAnswers(lab.second, places, ['c 10.4.0.1', 'c 10.4.0.1', 'c 10.4.0.1', 'c fd00:4::1'])
      expectAnswers(lab.host, ['tcp 127.0.0.1 8080'], ['c 10.4.0.1'])
      // The next ADD of the same attachment has other conditions; those of one family say nothing about the other.
      conditioned(['iifname { "out", "lo" }'], [])
      expectAnswers(lab.outside, places, ['c 192.0.2.9', 'c 192.0.2.9', 'c 192.0.2.9', 'c fd00:9::9'])
      expectAnswers(lab.second, places, ['', '', '', 'c fd00:4::1'])
      ours.ok('DEL', 'c1', {})
      assert.is(rules(lab.host), '')
    } finally {
      server.close()
    }
  }))

test('conditions: who does not meet them reaches what the host itself has at the port', () =>
  withBridgedContainers(OURS, ({ lab, ours }) => {
    const server = EchoServer.start(lab.host, 'host', ['tcp 8080'])
    try {
      const conditionsV4 = ['ip saddr != 192.0.2.0/24']
      const config = { prevResult: lab.prevResult(lab.first, [4]), runtimeConfig: { portMappings: [SINGLE] } }
      ours.ok('ADD', 'c1', { ...config, conditionsV4 }, lab.first.path)
      expectAnswers(lab.outside, ['tcp 192.0.2.1 8080'], ['host 192.0.2.9'])
    } finally {
      server.close()
    }
  }))

test('conditions: two networks share a chain, which goes with the last; CHECK misses it, GC knows it', () =>
  withBridgedContainers(OURS, ({ lab, ours }) => {
    const conditionsV4 = ['meta mark & 0xf0000000 == 0']
    const first = {
      conditionsV4,
      prevResult: lab.prevResult(lab.first, [4]),
      runtimeConfig: { portMappings: ALL_KINDS }
    }
    const second = {
      ...first,
      name: 'net2',
      prevResult: lab.prevResult(lab.third, [4]),
      runtimeConfig: { portMappings: [{ hostPort: 81, containerPort: 80 }] }
    }
    const gates = () => rules(lab.host).match(/chain if-/g)?.length ?? 0
    ours.ok('ADD', 'c3', second, lab.third.path)
    const before = rules(lab.host)
    ours.ok('ADD', 'c1', first, lab.first.path)
    assert.is(gates(), 1)
    // A port with conditions belongs to its container all the same.
    const foreign = { ...second, name: 'net9', prevResult: lab.prevResult(lab.second, [4]) }
    const taken = ours.call('ADD', 'c9', foreign, lab.second.path)
    assert.is(taken.json.code, 101, JSON.stringify(taken.json))
    ours.ok('DEL', 'c1', {})
    assert.is(rules(lab.host), before)
    ours.ok('CHECK', 'c3', second, lab.third.path)
    const [chain = ''] = /if-[0-9a-f]{16}/.exec(before) ?? []
    lab.host.run('nft', ['flush', 'chain', 'ip', 'patchbay-portmap', chain])
    assert.match(ours.call('CHECK', 'c3', second, lab.third.path).json.msg, /chain if-\w+ .* has lost rules/)
    ours.ok('ADD', 'c1', first, lab.first.path)
    ours.ok('GC', '', { name: 'net2', 'cni.dev/valid-attachments': [] })
    assert.is(gates(), 1)
    lab.host.run('rm', ['-r', `${ours.directory}/state`])
    ours.ok('GC', '', { 'cni.dev/valid-attachments': [] })
    assert.is(rules(lab.host), '')
  }))

test.run()
