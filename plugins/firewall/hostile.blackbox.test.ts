// needs: ip nft iptables ip6tables
// time-out: 300 s

import { binDir } from '../../lib/testing/blackbox.ts'
import { withBridgedContainers } from '../../lib/testing/bridged-containers.ts'
import { EchoServer, expectAnswers } from '../../lib/testing/echo.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('plugins/firewall among others')

const BOTH = {
  firewall: ['firewall', [`${binDir()}/firewall`]],
  portmap: ['portmap', [`${binDir()}/portmap`]]
} as const

const DIRECT = ['tcp 10.4.0.2 80', 'udp 10.4.0.2 80', 'tcp fd00:4::2 80', 'udp fd00:4::2 80']
const PUBLISHED = ['tcp 192.0.2.1 8080', 'tcp fd00:9::1 8080']
const NOBODY = ['', '', '', '']

for (const backend of ['nftables', 'iptables']) {
  for (const ingressPolicy of ['same-bridge', 'isolated']) {
    test(`${backend}, ${ingressPolicy}: without directRouting the outside reaches published ports alone`, () =>
      withBridgedContainers(BOTH, ({ lab, firewall, portmap }) => {
        const prevResult = lab.prevResult(lab.first)
        const runtimeConfig = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }
        portmap.ok('ADD', 'c1', { backend, prevResult, runtimeConfig }, lab.first.path)
        const servers = [
          EchoServer.start(lab.first, 'c', ['tcp 80', 'udp 80']),
          EchoServer.start(lab.outside, 'o', ['tcp 80', 'udp 80'])
        ]
        const seen = (address: string) => [`c ${address}`, `c ${address}`]
        const outside = [...seen('192.0.2.9'), ...seen('fd00:9::9')]
        try {
          const config = { backend, ingressPolicy, prevResult }
          firewall.ok('ADD', 'c1', config, lab.first.path)
          expectAnswers(lab.outside, DIRECT, outside, 'a neighbour who knows the way')
          firewall.ok('DEL', 'c1', config)
          const closed = { ...config, directRouting: false }
          firewall.ok('ADD', 'c1', closed, lab.first.path)
          firewall.ok('CHECK', 'c1', closed, lab.first.path)
          expectAnswers(lab.outside, DIRECT, NOBODY)
          expectAnswers(lab.third, DIRECT, NOBODY, 'another bridge is outside, too')
          expectAnswers(lab.outside, PUBLISHED, ['c 192.0.2.9', 'c fd00:9::9'])
          // Answers to what the container asks, and the host, come through.
          expectAnswers(lab.first, ['tcp 192.0.2.9 80', 'udp fd00:9::9 80'], ['o 10.4.0.2', 'o fd00:4::2'])
          expectAnswers(lab.host, DIRECT, [...seen('10.4.0.1'), ...seen('fd00:4::1')])
          const neighbour = ingressPolicy === 'isolated' ? NOBODY : [...seen('10.4.0.3'), ...seen('fd00:4::3')]
          if (ingressPolicy === 'same-bridge') expectAnswers(lab.second, DIRECT, neighbour)
          firewall.ok('DEL', 'c1', {})
          assert.not.match(lab.host.run('nft', ['list', 'tables']).stdout, /patchbay-firewall/)
        } finally {
          for (const server of servers) server.close()
        }
      }))
  }
}

test('directRouting that would mean something else is refused, and so are chains of ours or of iptables', () =>
  withBridgedContainers(BOTH, ({ lab, firewall }) => {
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ directRouting: false }, /directRouting needs an ingressPolicy.*got false/],
      [{ directRouting: 'no', ingressPolicy: 'isolated' }, /directRouting must be true or false, got "no"/],
      [
        { iptablesAdminChainName: 'X -j ACCEPT' },
        /iptablesAdminChainName must be the name of a chain .*got "X -j ACCEPT"/
      ],
      [{ iptablesAdminChainName: 'DROP' }, /iptablesAdminChainName must be a chain of its own/],
      [{ iptablesAdminChainName: 'CNI-FORWARD' }, /iptablesAdminChainName must not be a chain of this plugin/]
    ]
    for (const [more, message] of cases) {
      const config = { ...more, prevResult: lab.prevResult(lab.first) }
      const answer = firewall.call('ADD', 'c1', config, lab.first.path)
      assert.is(answer.json?.code, 7, JSON.stringify(answer.json))
      assert.match(answer.json.msg, message)
    }
    assert.is(lab.host.run('nft', ['list', 'ruleset']).stdout, '')
  }))

test('iptables: where FORWARD drops and br_netfilter is on, a container of another host comes in over its tunnel', () =>
  withBridgedContainers(BOTH, ({ lab, firewall }) => {
    const { host, outside, first } = lab
    const setUp = `ip link add tun1 type vxlan id 5 dstport 4789 local 192.0.2.1 remote 192.0.2.9
      ip link set tun1 master br1 up; iptables -P FORWARD DROP
      echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables`
    assert.is(host.run('sh', ['-e', '-c', setUp]).status, 0)
    const farAway = `ip link add tun1 type vxlan id 5 dstport 4789 local 192.0.2.9 remote 192.0.2.1
      ip addr add 10.4.0.9/24 dev tun1; ip link set tun1 up`
    assert.is(outside.run('sh', ['-e', '-c', farAway]).status, 0)
    const { interfaces, ...rest } = lab.prevResult(first, [4]) as { interfaces: object[] }
    const prevResult = { ...rest, interfaces: [...interfaces, { name: 'tun1' }] }
    const server = EchoServer.start(first, 'c', ['tcp 80'])
    try {
      expectAnswers(outside, ['tcp 10.4.0.2 80'], [''])
      for (const ingressPolicy of ['open', 'same-bridge']) {
        const config = { ingressPolicy, prevResult }
        firewall.ok('ADD', 'c1', config, first.path)
        expectAnswers(outside, ['tcp 10.4.0.2 80'], ['c 10.4.0.9'], ingressPolicy)
        firewall.ok('CHECK', 'c1', config, first.path)
        firewall.ok('DEL', 'c1', {})
        assert.not.match(host.run('iptables', ['-S']).stdout, /br1|10\.4\.0\.2/)
      }
    } finally {
      server.close()
    }
  }))

test('every address of the result is covered, whichever interface has it, and without any on the host', () =>
  withBridgedContainers(BOTH, ({ lab, firewall }) => {
    const { host, first } = lab
    const elsewhere = { interfaces: [{ name: 'dummy0' }], ips: [{ address: '10.0.0.2/24', interface: 0 }] }
    const config = { cniVersion: '1.1.0', prevResult: { cniVersion: '1.1.0', ...elsewhere } }
    const policed = { ...config, ingressPolicy: 'same-bridge' }
    firewall.env = { ...firewall.env, CNI_IFNAME: 'dummy0' }
    firewall.ok('ADD', 'c1', policed, first.path)
    assert.match(
      host.run('nft', ['list', 'ruleset']).stdout,
      /10\.0\.0\.2 comment "net1 c1 dummy0" : goto same-bridge-/
    )
    firewall.ok('CHECK', 'c1', policed, first.path)
    firewall.ok('DEL', 'c1', policed)
    assert.is(host.run('nft', ['list', 'ruleset']).stdout, '')
    firewall.ok('ADD', 'c1', { ...policed, backend: 'iptables' }, first.path)
    assert.match(host.run('iptables', ['-S', 'CNI-FORWARD']).stdout, /-s 10\.0\.0\.2\/32 -j ACCEPT/)
    assert.match(host.run('nft', ['list', 'ruleset']).stdout, /10\.0\.0\.2 comment "net1 c1 dummy0"/)
    firewall.ok('DEL', 'c1', {})
    assert.not.match(host.run('nft', ['list', 'ruleset']).stdout, /10\.0\.0\.2/)
  }))

test('iptables: a bridge whose name would mean another one there is refused; other containers come and go', () =>
  withBridgedContainers(BOTH, ({ lab, firewall }) => {
    const { host, first } = lab
    const backend = 'iptables'
    for (const name of ['br"x', "br'x", 'br+', '!br', 'br\\x', '*']) {
      host.run('ip', ['link', 'add', 'name', name, 'type', 'bridge'])
      const { ips } = lab.prevResult(first) as { ips: object[] }
      const prevResult = { cniVersion: '1.1.0', interfaces: [{ name }, { name: 'eth0', sandbox: first.path }], ips }
      const config = { backend, ingressPolicy: 'isolated', prevResult }
      const refused = firewall.call('ADD', 'c1', config, first.path)
      assert.is(refused.json.code, 7, JSON.stringify(refused.json))
      assert.match(refused.json.msg, `name interface ${JSON.stringify(name)} in a rule of iptables`)
      firewall.ok('DEL', 'c1', {})
      // No rule names it.
      firewall.ok('ADD', 'c1', { ...config, ingressPolicy: 'open' }, first.path)
      firewall.ok('DEL', 'c1', {})
    }
    const one = { backend, ingressPolicy: 'isolated', prevResult: lab.prevResult(first) }
    firewall.ok('ADD', 'c1', one, first.path)
    firewall.ok('CHECK', 'c1', one, first.path)
    firewall.ok('DEL', 'c1', {})
    assert.not.match(host.run('iptables', ['-S']).stdout, /DROP|10\.4\.0/)
  }))

test('isolated keeps a port apart that has no address', () =>
  withBridgedContainers(BOTH, ({ lab, firewall }) => {
    const config = { ingressPolicy: 'isolated', prevResult: { ...lab.prevResult(lab.first), ips: [] } }
    firewall.ok('ADD', 'c1', config, lab.first.path)
    assert.match(lab.host.run('nft', ['list', 'ruleset']).stdout, /"veth1" comment "net1 c1 eth0"/)
    firewall.ok('DEL', 'c1', {})
    assert.is(lab.host.run('nft', ['list', 'ruleset']).stdout, '')
  }))

test('after a flush of the ruleset the next ADD of anybody isolates what all living containers had', () =>
  withBridgedContainers(BOTH, ({ lab, firewall }) => {
    const { host, first, second, third } = lab
    const one = { ingressPolicy: 'isolated', prevResult: lab.prevResult(first) }
    const two = { name: 'net2', ingressPolicy: 'same-bridge', directRouting: false, prevResult: lab.prevResult(third) }
    firewall.ok('ADD', 'c1', one, first.path)
    firewall.ok('ADD', 'c3', two, third.path)
    host.run('nft', ['flush', 'ruleset'])
    firewall.ok('ADD', 'c2', { ...one, prevResult: lab.prevResult(second) }, second.path)
    firewall.ok('CHECK', 'c1', one, first.path)
    firewall.ok('CHECK', 'c3', two, third.path)
    firewall.ok('DEL', 'c1', {})
    firewall.ok('DEL', 'c2', {})
    firewall.ok('DEL', 'c3', { name: 'net2' })
    assert.is(host.run('nft', ['list', 'ruleset']).stdout, '')
  }))

for (const flush of ['nft flush ruleset', 'iptables -F; ip6tables -F', 'iptables -F; iptables -X; ip6tables -F']) {
  test(`after ${flush} the next ADD of anybody brings exceptions and isolation by iptables back`, () =>
    withBridgedContainers(BOTH, ({ lab, firewall }) => {
      const { host, first, second, third } = lab
      const listed = () =>
        ['iptables', 'ip6tables']
          .flatMap(tool => host.run(tool, ['-S']).stdout.split('\n'))
          .filter(one => one !== '')
          .sort()
      const backend = 'iptables'
      const one = { backend, ingressPolicy: 'isolated', prevResult: lab.prevResult(first) }
      const two = { name: 'net2', backend, iptablesAdminChainName: 'MINE', prevResult: lab.prevResult(third) }
      firewall.ok('ADD', 'c1', one, first.path)
      firewall.ok('ADD', 'c3', two, third.path)
      const before = listed()
      assert.is(host.run('sh', ['-c', flush]).status, 0)
      const next = { name: 'net2', backend, prevResult: lab.prevResult(second) }
      firewall.ok('ADD', 'c2', next, second.path)
      firewall.ok('CHECK', 'c1', one, first.path)
      firewall.ok('CHECK', 'c3', two, third.path)
      firewall.ok('DEL', 'c2', { name: 'net2' })
      // The administrator's chain of c2 stays, as ever.
      const isNew = (line: string): boolean => /CNI-ADMIN/.test(line)
      assert.equal(
        listed().filter(line => !isNew(line)),
        before.filter(line => !isNew(line))
      )
      firewall.ok('DEL', 'c1', {})
      firewall.ok('DEL', 'c3', { name: 'net2' })
      assert.not.match(listed().join('\n'), /10\.4\.0|DROP/)
    }))
}

test.run()
