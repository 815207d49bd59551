import type { Plugin } from '../../lib/cni/plugin.ts'
import { parseAddress } from '../../lib/ip/address.ts'
import { FakeKernel } from '../../lib/testing/fake-kernel/fake-kernel.ts'
import { PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { joinRanges, type Mapping, mappingText, overlap, parseProtocol } from './mapping.ts'
import { portmap } from './portmap.ts'

const test = suite('plugins/portmap')

const PREV_RESULT = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'br0' }, { name: 'eth0', sandbox: '/run/netns/c1' }],
  ips: [{ interface: 1, address: '10.4.0.5/24' }]
}

function withCaller(body: (caller: PluginCaller) => void): void {
  const plugin: Plugin = portmap(new FakeKernel())
  const caller = new PluginCaller(plugin, '/run/netns/c1', { prevResult: PREV_RESULT })
  try {
    body(caller)
  } finally {
    caller.close()
  }
}

function mapped(...portMappings: object[]): { config: object } {
  return { config: { runtimeConfig: { portMappings } } }
}

function single(first: number, containerPort = first, protocol: Mapping['protocol'] = 6): Mapping {
  return { protocol, hostAddress: undefined, first, last: first, containerPort }
}

test('bad input: one error names every key and value, and nothing is written', () =>
  withCaller(caller => {
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ hostPort: 0, containerPort: 80 }, /portMappings\[0\]\.hostPort must be an integer from 1 to 65535, got 0/],
      [{ hostPort: 8080, containerPort: 70000 }, /containerPort must be an integer from 1 to 65535, got 70000/],
      [{ containerPort: 80 }, /hostPort is missing/],
      [{ hostPort: 1, containerPort: 1, protocol: 'icmp' }, /protocol must be "tcp", "udp" or "sctp", got "icmp"/],
      [{ hostPort: 1, containerPort: 1, hostIP: '1.2.3' }, /hostIP must be an IP address, got "1\.2\.3"/],
      [{ hostPort: 1, containerPort: 1, hostIP: '::1' }, /hostIP must be of a family that the container has.*got "::1"/]
    ]
    for (const [mapping, message] of cases) {
      const error = caller.fails('ADD', mapped(mapping))
      assert.is(error.code, 7)
      assert.match(error.msg, message)
    }
    const both = caller.fails('ADD', mapped({ hostPort: 0, containerPort: -1 }))
    assert.match(both.msg, /hostPort.*containerPort/)
    const twice = caller.fails('ADD', mapped({ hostPort: 1, containerPort: 1 }, { hostPort: 1, containerPort: 2 }))
    assert.match(twice.msg, /portMappings\[1\]\.hostPort is mapped twice/)
    assert.equal(caller.journal(), [])
  }))

test('options that belong to another backend are refused with key and value', () =>
  withCaller(caller => {
    const config = { backend: 'nftables', externalSetMarkChain: 'KUBE-MARK-MASQ' }
    const error = caller.fails('ADD', { config })
    assert.is(error.code, 2)
    assert.match(error.msg, /externalSetMarkChain "KUBE-MARK-MASQ" is not supported/)
    const mixed = { conditionsV4: ['ip', 'saddr', '10.0.0.0/8'], conditionsV6: ['-s', 'fd00::/8'] }
    const both = caller.fails('ADD', { config: mixed })
    assert.is(both.code, 2)
    assert.match(both.msg, /conditionsV4 \["ip","saddr","10\.0\.0\.0\/8"\] is not supported: .*\(conditionsV6\)/)
    const arguments4 = caller.fails('ADD', { config: { backend: 'nftables', conditionsV4: ['!', '-d', '10.0.0.1'] } })
    assert.match(arguments4.msg, /conditionsV4 .* is not supported: the backend "nftables" does not have it/)
    const chosen = caller.fails('ADD', { config: { backend: 'iptables', conditionsV4: ['ip daddr 10.0.0.1'] } })
    assert.match(chosen.msg, /conditionsV4 \["ip daddr 10\.0\.0\.1"\] is not supported: with iptables/)
    const unknown = caller.fails('ADD', { config: { conditionsV6: ['ip6 saddr fd00::/8 log'] } })
    assert.is(unknown.code, 2)
    assert.match(unknown.msg, /conditionsV6 \["ip6 saddr fd00::\/8 log"\] is not supported: "log" is not understood/)
    assert.is(caller.fails('ADD', { config: { backend: 'ipfw' } }).code, 7)
    assert.is(caller.fails('ADD', { config: { markMasqBit: 32 } }).code, 7)
    assert.is(caller.fails('ADD', { config: { markMasqBit: 3, externalSetMarkChain: 'X' } }).code, 7)
  }))

test('without mappings the result goes through and nothing is done', () =>
  withCaller(caller => {
    assert.equal(caller.ok('ADD').ips, PREV_RESULT.ips)
    caller.ok('CHECK')
    caller.ok('DEL')
    assert.equal(caller.journal(), [])
  }))

test('0.0.0.0 is no family that the container must have', () =>
  withCaller(caller => {
    caller.ok('ADD', mapped({ hostPort: 1, containerPort: 1, hostIP: '::' }, { HOSTPORT: 2, ContainerPort: 2 }))
    caller.ok('DEL')
    assert.equal(caller.journal(), [])
  }))

test('one port in one call twice: at the same address, or where one is all addresses, of a family or of both', () =>
  withCaller(caller => {
    const port = (hostIP?: string, containerPort = 80) => ({ hostPort: 8080, containerPort, protocol: 'tcp', hostIP })
    const clashes: readonly (readonly [string | undefined, string | undefined])[] = [
      [undefined, undefined],
      [undefined, '192.0.2.1'],
      ['192.0.2.1', undefined],
      ['0.0.0.0', '192.0.2.1'],
      ['192.0.2.1', '0.0.0.0'],
      ['192.0.2.1', '192.0.2.1'],
      [undefined, '::'],
      ['::', undefined]
    ]
    for (const [first, second] of clashes) {
      const error = caller.fails('ADD', mapped(port(first), port(second, 81)))
      assert.match(error.msg, /portMappings\[1\]\.hostPort is mapped twice/, `${first ?? ''} ${second ?? ''}`)
      // The same twice is once.
      if (first === second) caller.ok('ADD', mapped(port(first), port(second)))
    }
    caller.ok('ADD', mapped(port('192.0.2.1'), port('192.0.2.2', 81), port('::', 82), { ...port(), protocol: 'udp' }))
  }))

test('scattered ports are judged in one pass: 65,000 of them, none beside the next', () => {
  const ports = Array.from({ length: 65_000 }, (_, i) => single(1 + i, 1 + ((i * 7919) % 65_535)))
  const joined = joinRanges(ports)
  assert.is(joined.length, 65_000)
  assert.ok(joined.every((one, i) => one.first === 1 + i && one.last === one.first))
})

test('ranges: neighbouring ports that keep their number, whatever their order', () => {
  const joined = joinRanges([single(9002), single(9000), single(80, 8080), single(9001), single(53, 53, 17)])
  assert.equal(
    joined.map(one => `${mappingText(one)}>${String(one.containerPort)}`),
    ['udp *:53>53', 'tcp *:80>8080', 'tcp *:9000-9002>9000']
  )
  const moved = joinRanges([single(100, 200), single(101, 201), single(102, 202)])
  assert.equal(moved.map(mappingText), ['tcp *:100', 'tcp *:101', 'tcp *:102'])
  assert.equal(joinRanges([]), [])
})

test('overlap: by protocol, address and port', () => {
  const at = (address: string, first: number, last = first): Mapping => ({
    ...single(first),
    last,
    hostAddress: parseAddress(address)
  })
  assert.ok(overlap(single(80), single(80)))
  assert.not(overlap(single(80), single(80, 80, 17)))
  assert.ok(overlap(single(80), at('10.0.0.1', 80)))
  assert.ok(overlap(at('0.0.0.0', 80), at('10.0.0.1', 70, 90)))
  assert.not(overlap(at('10.0.0.1', 80), at('10.0.0.2', 80)))
  assert.not(overlap(at('0.0.0.0', 80), at('::', 80)))
  assert.not(overlap(at('10.0.0.1', 80, 90), at('10.0.0.1', 91)))
})

test('protocols in any case', () => {
  assert.equal(['TCP', 'udp', 'Sctp', 'icmp', ''].map(parseProtocol), [6, 17, 132, undefined, undefined])
})

test.run()
