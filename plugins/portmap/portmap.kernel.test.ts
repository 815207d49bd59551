// needs: nft iptables ip6tables conntrack reference-plugins
// time-out: 600 s
import { type BridgedContainers, rulesetOf, withBridgedContainers } from '../../lib/testing/bridged-containers.ts'
import { askAll, EchoServer, expectAnswers } from '../../lib/testing/echo.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { PluginProgram } from '../../lib/testing/plugin-program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('plugins/portmap on the kernel')

const SIDE_BY_SIDE = {
  ours: ['portmap', PluginProgram.fromSource(new URL('portmap.ts', import.meta.url), 'portmap')],
  reference: ['portmap', ['/usr/lib/cni/portmap']]
} as const

const MAPPINGS = [
  { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' },
  { hostPort: 8053, containerPort: 53, protocol: 'udp' },
  { hostPort: 8081, containerPort: 80, protocol: 'tcp', hostIP: '192.0.2.1' },
  { hostPort: 9000, containerPort: 9000, protocol: 'tcp' },
  { hostPort: 9001, containerPort: 9001, protocol: 'tcp' },
  { hostPort: 9002, containerPort: 9002, protocol: 'tcp' }
]

/** Who asks where, and as whom the container sees it; '' = not at all. */
function matrix(lab: BridgedContainers, backend: string): void {
  const server = EchoServer.start(lab.first, 'c', ['tcp 80', 'udp 53', 'tcp 9001'])
  try {
    const see = (from: Namespace, expected: Readonly<Record<string, string>>): void => {
      const places = Object.keys(expected)
      expectAnswers(from, places, Object.values(expected), backend)
    }
    // From outside the address stays.
    see(lab.outside, {
      'tcp 192.0.2.1 8080': 'c 192.0.2.9',
      'udp 192.0.2.1 8053': 'c 192.0.2.9',
      'tcp 192.0.2.1 8081': 'c 192.0.2.9',
      'tcp 192.0.2.1 9001': 'c 192.0.2.9',
      'tcp fd00:9::1 8080': 'c fd00:9::9',
      'udp fd00:9::1 8053': 'c fd00:9::9',
      'tcp fd00:9::1 9001': 'c fd00:9::9',
      'tcp 192.0.2.1 8082': '',
      'tcp 192.0.2.1 9003': '',
      'tcp fd00:9::1 8081': '',
      'udp 192.0.2.1 8080': '',
      'udp fd00:9::1 8080': ''
    })
    // From the host: by its own addresses as itself, by localhost as the bridge.
    see(lab.host, {
      'tcp 192.0.2.1 8080': 'c 192.0.2.1',
      'tcp 127.0.0.1 8080': 'c 10.4.0.1',
      'udp 127.0.0.1 8053': 'c 10.4.0.1',
      'tcp 127.0.0.1 9001': 'c 10.4.0.1',
      'tcp 127.0.0.1 8081': '',
      'tcp 10.4.0.1 8080': 'c 10.4.0.1',
      'udp 192.0.2.1 8053': 'c 192.0.2.1',
      'tcp fd00:9::1 8080': 'c fd00:9::1',
      'udp fd00:9::1 8053': 'c fd00:9::1',
      'tcp 192.0.2.1 8082': '',
      'udp fd00:9::1 8080': ''
    })
    // From the container itself and from its neighbour: as the bridge, or the answer would go another way.
    for (const namespace of [lab.first, lab.second]) {
      see(namespace, {
        'tcp 192.0.2.1 8080': 'c 10.4.0.1',
        'udp 10.4.0.1 8053': 'c 10.4.0.1',
        'tcp 192.0.2.1 9001': 'c 10.4.0.1',
        'tcp fd00:4::1 8080': 'c fd00:4::1',
        'udp fd00:9::1 8053': 'c fd00:4::1',
        'tcp 192.0.2.1 8082': '',
        'udp fd00:9::1 8080': ''
      })
    }
    see(lab.third, {
      'tcp 192.0.2.1 8080': 'c 10.5.0.2',
      'udp 192.0.2.1 8053': 'c 10.5.0.2',
      'tcp fd00:9::1 8080': 'c fd00:5::2',
      'udp fd00:9::1 8053': 'c fd00:5::2',
      'tcp 192.0.2.1 8082': '',
      'udp fd00:9::1 8080': ''
    })
  } finally {
    server.close()
  }
}

for (const backend of ['nftables', 'iptables']) {
  test(`${backend}: everybody reaches the published ports, under the right address; DEL leaves nothing`, () =>
    withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
      const config = { backend, prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings: MAPPINGS } }
      if (backend === 'iptables') {
        // The shared chains stay, as the reference leaves them.
        ours.ok('ADD', 'c0', config, lab.first.path)
        ours.ok('DEL', 'c0', { backend })
      }
      const before = rulesetOf(lab.host)
      ours.ok('ADD', 'c1', config, lab.first.path)
      matrix(lab, backend)
      ours.ok('CHECK', 'c1', config, lab.first.path)
      ours.ok('DEL', 'c1', {})
      assert.is(rulesetOf(lab.host), before)
      ours.ok('DEL', 'c1', {})
      const answer = ours.call('CHECK', 'c1', config, lab.first.path)
      assert.is(answer.json.code, 100)
    }))
}

test('the reference answers the same questions the same way', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, reference }) => {
    const config = { cniVersion: '1.0.0', runtimeConfig: { portMappings: MAPPINGS } }
    const prevResult = { ...lab.prevResult(lab.first), cniVersion: '1.0.0' }
    reference.ok('ADD', 'c1', { ...config, prevResult }, lab.first.path)
    matrix(lab, 'reference')
  }))

test('snat and masqAll: nobody, or everybody, appears as the bridge', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const base = { prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings: MAPPINGS } }
    const server = EchoServer.start(lab.first, 'c', ['tcp 80'])
    try {
      ours.ok('ADD', 'c1', { ...base, masqAll: true }, lab.first.path)
      expectAnswers(lab.outside, ['tcp 192.0.2.1 8080', 'tcp fd00:9::1 8080'], ['c 10.4.0.1', 'c fd00:4::1'])
      ours.ok('DEL', 'c1', {})
      ours.ok('ADD', 'c1', { ...base, snat: false }, lab.first.path)
      expectAnswers(lab.outside, ['tcp 192.0.2.1 8080', 'tcp fd00:9::1 8080'], ['c 192.0.2.9', 'c fd00:9::9'])
      assert.equal(askAll(lab.host, ['tcp 127.0.0.1 8080']), [''])
      ours.ok('DEL', 'c1', {})
      assert.is(rulesetOf(lab.host), '')
    } finally {
      server.close()
    }
  }))

test('a taken port is refused, its owner named, and nothing changed', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours, reference }) => {
    const prevResult = lab.prevResult(lab.first, [4])
    /** The n-th container's mappings. */
    const mapped = (n: number, ...portMappings: object[]): object => {
      const ips = [{ interface: 2, address: `10.4.0.${String(n + 1)}/24`, gateway: '10.4.0.1' }]
      return { prevResult: { ...prevResult, ips }, runtimeConfig: { portMappings } }
    }
    const single = { hostPort: 8080, containerPort: 80 }
    ours.ok('ADD', 'c1', mapped(1, single, { ...single, hostPort: 8081, hostIP: '127.0.0.1' }), lab.first.path)
    ours.ok('ADD', 'c2', mapped(2, { ...single, hostPort: 8081, hostIP: '127.0.0.2' }), lab.first.path)
    const range = [1, 2, 3, 4].map(i => ({ hostPort: 7000 + i, containerPort: 7000 + i }))
    const before = rulesetOf(lab.host)
    const refused = (owner: string, ...portMappings: object[]): void => {
      const answer = ours.call('ADD', 'c9', mapped(9, ...portMappings), lab.first.path)
      assert.is(answer.json.code, 101, JSON.stringify(answer.json))
      assert.match(answer.json.msg, new RegExp(`mapped already by net1 ${owner} eth0`))
      assert.is(rulesetOf(lab.host), before)
    }
    refused('c1', { ...single, containerPort: 81 })
    refused('c1', { ...single, hostIP: '192.0.2.1' })
    refused('c[12]', { ...single, hostPort: 8081 })
    refused('c2', { ...single, hostPort: 8081, hostIP: '127.0.0.2' })
    refused('c1', ...[0, 1, 2].map(i => ({ hostPort: 8079 + i, containerPort: 8079 + i })))
    // More ports than are taken.
    const wide = (first: number, hostIP: string) =>
      Array.from({ length: 12 }, (_, i) => ({ hostPort: first + i, containerPort: first + i, hostIP }))
    refused('c1', ...wide(8070, ''))
    refused('c[12]', ...wide(8081, ''))
    refused('c2', ...wide(8081, '127.0.0.2'))
    ours.ok('ADD', 'c4', mapped(4, ...wide(8081, '127.0.0.3')), lab.second.path)
    ours.ok('DEL', 'c4', {})
    // Other protocols, other addresses and other ports are free.
    ours.ok('ADD', 'c3', mapped(3, { ...single, protocol: 'udp' }), lab.second.path)
    ours.ok('ADD', 'c4', mapped(4, { ...single, hostPort: 8081, hostIP: '127.0.0.3' }), lab.second.path)
    ours.ok('DEL', 'c3', {})
    ours.ok('DEL', 'c4', {})
    assert.is(rulesetOf(lab.host), before)
    ours.ok('DEL', 'c2', {})
    ours.ok('ADD', 'c2', mapped(2, ...range), lab.first.path)
    const answer = ours.call('ADD', 'c9', mapped(9, { ...single, hostPort: 7003 }), lab.first.path)
    assert.match(answer.json.msg, /tcp \*:7003: EEXIST \(mapped already by net1 c2 eth0\)/)
    const referenceConfig = {
      cniVersion: '1.0.0',
      prevResult: { ...prevResult, cniVersion: '1.0.0' },
      runtimeConfig: { portMappings: [{ hostPort: 6000, containerPort: 80, protocol: 'tcp' }] }
    }
    reference.ok('ADD', 'c5', referenceConfig, lab.first.path)
    const foreign = ours.call('ADD', 'c9', mapped(9, { ...single, hostPort: 6000 }), lab.first.path)
    assert.match(foreign.json.msg, /mapped already by name: "net1" id: "c5"/)
  }))

for (const backend of ['nftables', 'iptables']) {
  test(`${backend}: a container on two networks has its ports on the first; both can go in any order`, () =>
    withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
      const runtimeConfig = { portMappings: MAPPINGS }
      const first = { backend, prevResult: lab.prevResult(lab.first), runtimeConfig }
      const second = { backend, name: 'net2', prevResult: lab.prevResult(lab.third), runtimeConfig }
      const server = EchoServer.start(lab.first, 'c', ['tcp 80'])
      try {
        ours.ok('ADD', 'c1', first, lab.first.path)
        const before = rulesetOf(lab.host)
        ours.ok('ADD', 'c1', second, lab.third.path)
        expectAnswers(lab.outside, ['tcp 192.0.2.1 8080', 'tcp fd00:9::1 8080'], ['c 192.0.2.9', 'c fd00:9::9'])
        ours.ok('CHECK', 'c1', first, lab.first.path)
        ours.ok('CHECK', 'c1', second, lab.third.path)
        ours.ok('DEL', 'c1', { backend, name: 'net2' })
        assert.is(rulesetOf(lab.host), before)
        ours.ok('ADD', 'c1', second, lab.third.path)
        ours.ok('DEL', 'c1', { backend })
        ours.ok('DEL', 'c1', { backend, name: 'net2' })
        assert.not.match(rulesetOf(lab.host), /c1|8080/)
      } finally {
        server.close()
      }
    }))
}

test('the same attachment again, after a kill or without its journal: no conflict with itself', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const config = { prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings: MAPPINGS } }
    ours.ok('ADD', 'c1', config, lab.first.path)
    const before = rulesetOf(lab.host)
    ours.ok('ADD', 'c1', config, lab.first.path)
    assert.is(rulesetOf(lab.host), before)
    lab.host.run('rm', ['-r', `${ours.directory}/state`])
    ours.ok('ADD', 'c1', config, lab.first.path)
    assert.is(rulesetOf(lab.host), before)
    ours.ok('DEL', 'c1', {})
    assert.is(rulesetOf(lab.host), '')
  }))

test('an address that its last container left behind: its mappings go when the address is given away', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const config = { prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings: MAPPINGS } }
    ours.ok('ADD', 'c1', config, lab.first.path)
    ours.ok('ADD', 'c2', config, lab.first.path)
    assert.not.match(rulesetOf(lab.host), /net1 c1 eth0/)
    const after = rulesetOf(lab.host)
    ours.ok('DEL', 'c1', {})
    assert.is(rulesetOf(lab.host), after)
    ours.ok('DEL', 'c2', {})
    assert.is(rulesetOf(lab.host), '')
  }))

test('DEL and GC: of one network only, also without the journal; a flush in between is no error', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const config = { prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings: MAPPINGS.slice(0, 1) } }
    const other = {
      name: 'net2',
      prevResult: lab.prevResult(lab.third),
      runtimeConfig: { portMappings: [{ hostPort: 5000, containerPort: 80 }] }
    }
    ours.ok('ADD', 'c1', config, lab.first.path)
    ours.ok('ADD', 'c1', other, lab.third.path)
    ours.ok('DEL', 'c1', {})
    assert.match(rulesetOf(lab.host), /net2 c1 eth0/)
    assert.not.match(rulesetOf(lab.host), /net1/)
    ours.ok('ADD', 'c1', config, lab.first.path)
    const kept = { 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] }
    ours.ok('GC', '', kept)
    assert.match(rulesetOf(lab.host), /net1 c1 eth0/)
    lab.host.run('rm', ['-r', `${ours.directory}/state/net1`])
    ours.ok('GC', '', { 'cni.dev/valid-attachments': [] })
    assert.not.match(rulesetOf(lab.host), /net1/)
    lab.host.run('nft', ['flush', 'ruleset'])
    ours.ok('DEL', 'c1', { name: 'net2' })
    ours.ok('STATUS', '', {})
  }))

test("the reference's DEL removes our iptables rules, ours the reference's", () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours, reference }) => {
    const runtimeConfig = {
      portMappings: [
        { hostPort: 8053, containerPort: 53, protocol: 'tcp' },
        { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
        { hostPort: 8053, containerPort: 53, protocol: 'udp' }
      ]
    }
    const config = { backend: 'iptables', prevResult: lab.prevResult(lab.first), runtimeConfig }
    const theirs = { ...config, cniVersion: '1.0.0', prevResult: { ...lab.prevResult(lab.first), cniVersion: '1.0.0' } }
    const saved = (): string =>
      lab.host.run('iptables-save', ['-t', 'nat']).stdout + lab.host.run('ip6tables-save', ['-t', 'nat']).stdout
    ours.ok('ADD', 'c1', config, lab.first.path)
    const made = saved().replace(/^[#:].*\n/gm, '')
    reference.ok('DEL', 'c1', theirs, lab.first.path)
    assert.not.match(saved(), /CNI-DN-/)
    reference.ok('ADD', 'c1', theirs, lab.first.path)
    assert.equal(
      saved()
        .replace(/^[#:].*\n/gm, '')
        .split('\n')
        .sort(),
      made.split('\n').sort()
    )
    lab.host.run('rm', ['-r', `${ours.directory}/state`])
    ours.ok('DEL', 'c1', {})
    assert.not.match(saved(), /CNI-DN-/)
  }))

test('iptables: conditions and a foreign chain for the mark', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const base = { prevResult: lab.prevResult(lab.first, [4]), runtimeConfig: { portMappings: MAPPINGS.slice(0, 1) } }
    const server = EchoServer.start(lab.first, 'c', ['tcp 80'])
    try {
      const conditionsV4 = ['!', '-s', '192.0.2.9', '-m', 'comment', '--comment', 'with blanks']
      ours.ok('ADD', 'c1', { ...base, conditionsV4 }, lab.first.path)
      assert.equal(askAll(lab.outside, ['tcp 192.0.2.1 8080']), [''])
      expectAnswers(lab.host, ['tcp 127.0.0.1 8080'], ['c 10.4.0.1'])
      ours.ok('DEL', 'c1', {})
      lab.host.run('nft', ['flush', 'ruleset'])
      lab.host.run('iptables', ['-t', 'nat', '-N', 'MARK-IT'])
      ours.ok('ADD', 'c1', { ...base, externalSetMarkChain: 'MARK-IT' }, lab.first.path)
      const saved = lab.host.run('iptables-save', ['-t', 'nat']).stdout
      assert.match(saved, /-A CNI-DN-\w+ -s 10\.4\.0\.0\/24 -p tcp -m tcp --dport 8080 -j MARK-IT/)
      assert.not.match(saved, /CNI-HOSTPORT-(SETMARK|MASQ)/)
      expectAnswers(lab.outside, ['tcp 192.0.2.1 8080'], ['c 192.0.2.9'])
      ours.ok('DEL', 'c1', {})
      ours.ok('ADD', 'c1', { ...base, backend: 'iptables', markMasqBit: 6 }, lab.first.path)
      assert.match(lab.host.run('iptables-save', ['-t', 'nat']).stdout, /--set-xmark 0x40\/0x40/)
      expectAnswers(lab.host, ['tcp 127.0.0.1 8080'], ['c 10.4.0.1'])
    } finally {
      server.close()
    }
  }))

test('with nft, iptables and ip out of PATH the default backend works', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    ours.env = { ...ours.env, PATH: '/nonexistent' }
    const config = { prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings: MAPPINGS } }
    ours.ok('ADD', 'c1', config, lab.first.path)
    ours.ok('CHECK', 'c1', config, lab.first.path)
    ours.ok('DEL', 'c1', {})
    assert.is(rulesetOf(lab.host), '')
  }))

test('a socket of the host at the port is no conflict: nerdctl reserves ports so; the mapping goes first', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const config = {
      prevResult: lab.prevResult(lab.first),
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }] }
    }
    const host = EchoServer.start(lab.host, 'host', ['tcp 8080'])
    const container = EchoServer.start(lab.first, 'c', ['tcp 80'])
    try {
      const places = ['tcp 192.0.2.1 8080', 'tcp fd00:9::1 8080']
      expectAnswers(lab.outside, places, ['host 192.0.2.9', 'host fd00:9::9'])
      ours.ok('ADD', 'c1', config, lab.first.path)
      expectAnswers(lab.outside, places, ['c 192.0.2.9', 'c fd00:9::9'])
      ours.ok('DEL', 'c1', {})
      expectAnswers(lab.outside, places, ['host 192.0.2.9', 'host fd00:9::9'])
    } finally {
      host.close()
      container.close()
    }
  }))

test('UDP: a client that never stops reaches the new container', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const runtimeConfig = { portMappings: [{ hostPort: 53, containerPort: 53, protocol: 'udp' }] }
    const one = EchoServer.start(lab.first, 'one', ['udp 53'])
    const two = EchoServer.start(lab.second, 'two', ['udp 53'])
    // The same source port each time: one connection, as far as the connection table knows.
    const client = `
      import { createSocket } from 'node:dgram'
      const socket = createSocket('udp4')
      socket.on('message', m => { console.log(String(m)); process.exit(0) })
      const send = () => socket.send('?', 53, '192.0.2.1')
      // A busy machine may lose one, or be slow to answer.
      socket.bind(4444, () => { send(); setInterval(send, 400) })
      setTimeout(() => process.exit(0), Number(process.argv[1]))`
    const answer = (patience = 10_000): string =>
      lab.outside.run(process.execPath, ['--input-type=module', '-e', client, String(patience)]).stdout.trim()
    try {
      // As on any host with a firewall: without a rule that asks for connections none are remembered.
      const tracking = 'table ip host { chain in { type filter hook input priority 0; ct state established accept; }; }'
      assert.is(lab.host.run('nft', ['-f', '-'], { input: tracking }).status, 0)
      ours.ok('ADD', 'c1', { prevResult: lab.prevResult(lab.first), runtimeConfig }, lab.first.path)
      assert.is(answer(), 'one 192.0.2.9')
      assert.match(lab.host.run('conntrack', ['-L', '-p', 'udp']).stdout, /dport=53/)
      ours.ok('DEL', 'c1', {})
      assert.is(lab.host.run('conntrack', ['-L', '-p', 'udp']).stdout, '')
      // What comes meanwhile would be an entry that leads nowhere.
      assert.is(answer(1000), '')
      assert.match(lab.host.run('conntrack', ['-L', '-p', 'udp']).stdout, /dport=53/)
      ours.ok('ADD', 'c2', { prevResult: lab.prevResult(lab.second), runtimeConfig }, lab.second.path)
      assert.is(answer(), 'two 192.0.2.9')
    } finally {
      one.close()
      two.close()
    }
  }))

test('UDP: of many ports, too, what went to them before is forgotten, and nothing else', () =>
  withBridgedContainers(SIDE_BY_SIDE, ({ lab, ours }) => {
    const scattered = Array.from({ length: 40 }, (_, i) => ({
      hostPort: 5000 + 10 * i,
      containerPort: 53,
      protocol: 'udp'
    }))
    const atOne = { hostPort: 7000, containerPort: 53, protocol: 'udp', hostIP: '192.0.2.1' }
    const sent = ['192.0.2.1 5000', '192.0.2.1 5390', '192.0.2.1 5391', '192.0.2.1 7000', '192.0.2.77 7000']
    for (const [i, one] of sent.entries()) {
      const [to = '', port = ''] = one.split(' ')
      const from = ['-s', '192.0.2.9', '--sport', String(4000 + i), '-d', to, '--dport', port]
      assert.is(lab.host.run('conntrack', ['-I', '-p', 'udp', ...from, '--timeout', '600']).status, 0)
    }
    ours.ok(
      'ADD',
      'c1',
      { prevResult: lab.prevResult(lab.first), runtimeConfig: { portMappings: [...scattered, atOne] } },
      lab.first.path
    )
    const left = lab.host
      .run('conntrack', ['-L', '-p', 'udp'])
      .stdout.split('\n')
      .filter(line => line !== '')
    const places = left.map(line => /dst=(\S+) sport=\d+ dport=(\d+)/.exec(line)?.slice(1).join(' ')).sort()
    assert.equal(places, ['192.0.2.1 5391', '192.0.2.77 7000'])
  }))

test.run()
