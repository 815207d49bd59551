import { formatAddress } from '../../lib/ip/address.ts'
import { formatMac } from '../../lib/ip/mac.ts'
import { parsePrefix } from '../../lib/ip/prefix.ts'
import type { Route } from '../../lib/net/routes.ts'
import { sweepFailures } from '../../lib/testing/failure-sweep.ts'
import { BOX, type FakeAttachment, withFakeKernel } from '../../lib/testing/fake-attachment.ts'
import type { FakeNet } from '../../lib/testing/fake-kernel/fake-kernel.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { sbr } from './sbr.ts'

const test = suite('plugins/sbr')

const PREV_RESULT = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'v1' }, { name: 'eth0', sandbox: BOX }, { name: 'net1', sandbox: BOX }],
  ips: [
    { address: '192.0.2.7/24', gateway: '192.0.2.1', interface: 1 },
    { address: '198.51.100.7/24', interface: 2 },
    { address: '2001:db8::7/64', gateway: '2001:db8::1', interface: 1 }
  ]
}

interface Routed extends FakeAttachment {
  readonly net: FakeNet
  readonly rules: () => readonly string[]
  readonly routes: () => readonly string[]
}

function withRoutes(config: object, body: (routed: Routed) => void): void {
  withFakeKernel(sbr, { prevResult: PREV_RESULT, ...config }, fake => {
    const net = fake.kernel.open(BOX)
    for (const [name, addresses] of [
      ['eth0', ['192.0.2.7/24', '2001:db8::7/64']],
      ['net1', ['198.51.100.7/24']]
    ] as const) {
      const link = net.links.add({ name, kind: { kind: 'dummy' }, up: true })
      for (const text of addresses) {
        const prefix = parsePrefix(text)
        if (prefix !== undefined) net.addresses.add(link.index, { prefix })
      }
    }
    const { index } = net.links.get('eth0')
    for (const gateway of ['192.0.2.1', '2001:db8::1']) net.routes.add(defaultVia(gateway, index))
    const lines = (word: string): readonly string[] =>
      fake
        .box()
        .filter(line => line.startsWith(`  ${word} `))
        .map(line => line.slice(word.length + 3))
        .sort()
    body({ ...fake, net, rules: () => lines('rule'), routes: () => lines('route') })
  })
}

function defaultVia(gateway: string, index: number): Route {
  const prefix = parsePrefix(`${gateway}/${gateway.includes(':') ? '128' : '32'}`)
  return { family: gateway.includes(':') ? 6 : 4, dst: undefined, gateway: prefix?.address, index }
}

test('each address gets a table and a rule; the other interface is left alone; CHECK agrees; DEL takes both away', () => {
  withRoutes({}, ({ caller, rules, routes }) => {
    assert.equal(caller.ok('ADD').ips, PREV_RESULT.ips)
    assert.equal(rules(), ['IPv4 from 192.0.2.7/32 table 100', 'IPv6 from 2001:db8::7/128 table 101'])
    assert.equal(
      routes().map(line => line.replace(/ metric \d+| src \S+/g, '')),
      [
        '192.0.2.0/24 dev eth0 table 100',
        '198.51.100.0/24 dev net1',
        '2001:db8::/64 dev eth0 table 101',
        'default IPv4 via 192.0.2.1 dev eth0 table 100',
        'default IPv6 via 2001:db8::1 dev eth0 table 101'
      ]
    )
    caller.ok('CHECK')
    caller.ok('DEL')
    assert.equal(rules(), [])
    assert.ok(routes().every(line => !line.includes('table')))
    assert.equal(caller.journal(), [])
    caller.ok('DEL')
  })
})

test('a fixed table: rules alone', () => {
  withRoutes({ table: 4_000_000_000 }, ({ caller, rules, routes }) => {
    const before = routes()
    caller.ok('ADD')
    assert.equal(rules(), ['IPv4 from 192.0.2.7/32 table 4000000000', 'IPv6 from 2001:db8::7/128 table 4000000000'])
    assert.equal(routes(), before)
    caller.ok('CHECK')
    // A rule that is there from a container before is taken over.
    caller.ok('ADD')
    caller.ok('DEL')
    assert.equal([...rules(), ...caller.journal()], [])
    assert.equal(routes(), before)
  })
})

test('the tables of two interfaces are different ones', () => {
  withRoutes({}, ({ caller, rules }) => {
    caller.ok('ADD')
    caller.ok('ADD', { ifName: 'net1' })
    assert.ok(rules().includes('IPv4 from 198.51.100.7/32 table 102'))
    caller.ok('CHECK')
    caller.ok('CHECK', { ifName: 'net1' })
    caller.ok('DEL')
    assert.equal(rules(), ['IPv4 from 198.51.100.7/32 table 102'])
  })
})

test('source hints: the own networks stay in the main table, with the address as source', () => {
  withRoutes({ addSourceHints: true }, ({ caller, net, routes }) => {
    caller.ok('ADD')
    const main = net.routes.list({ index: net.links.get('eth0').index })
    assert.equal(
      main.map(route => (route.source === undefined ? '' : formatAddress(route.source))),
      ['192.0.2.7', '2001:db8::7']
    )
    caller.ok('CHECK')
    for (const route of main) net.routes.remove(route)
    assert.match(caller.fails('CHECK').msg, /route 192\.0\.2\.0\/24 with source 192\.0\.2\.7 is missing from main/)
    assert.ok(routes().some(line => line.includes('table 100')))
  })
})

test("the configuration's gateways go before the result's", () => {
  withRoutes({ gateways: ['192.0.2.254'] }, ({ caller, routes }) => {
    caller.ok('ADD')
    assert.ok(routes().includes('default IPv4 via 192.0.2.254 dev eth0 table 100'))
    assert.not.ok(routes().some(line => line.includes('via 192.0.2.1 ')))
    assert.ok(routes().some(line => line.startsWith('default IPv6 via 2001:db8::1 dev eth0')))
    caller.ok('CHECK')
  })
})

test('an ADD that fails at any step leaves everything as it was', () => {
  for (const config of [{}, { addSourceHints: true }, { table: 7 }]) {
    withRoutes(config, ({ kernel, caller, routes, rules }) => {
      const before = [...routes(), ...rules()]
      let steps = 0
      // The order of routes that were removed and put back is another one: compared sorted.
      for (let step = 1; ; step += 1) {
        kernel.failAt(step)
        const answer = caller.call('ADD')
        kernel.failAt(0)
        if (answer.status === 0) break
        steps = step
        assert.equal([...routes(), ...rules()], before, `step ${String(step)}: ${answer.stdout}`)
        assert.equal(caller.journal(), [])
      }
      assert.ok(steps >= 2)
    })
  }
  withRoutes({ table: 7 }, ({ kernel, caller }) => {
    assert.equal(
      sweepFailures(kernel, caller, () => caller.call('ADD')),
      ['add rule IPv4', 'add rule IPv6']
    )
  })
})

test('mistakes are named with key and value, and nothing is changed', () => {
  const cases: readonly [object, RegExp][] = [
    [{ table: 0 }, /table must be an integer from 1 to 4294967295, got 0/],
    [{ table: 4_294_967_296 }, /table must be an integer/],
    [{ gateways: ['192.0.2.1', '192.0.2.2'] }, /gateways must hold at most one IPv4 and one IPv6 address/],
    [{ gateways: ['gate'] }, /gateways must hold IP addresses, got \["gate"\]/],
    [{ gateways: '192.0.2.1' }, /gateways must be an array of strings/],
    [{ addSourceHints: 1 }, /addSourceHints must be true or false, got 1/],
    [{ prevResult: undefined }, /prevResult: missing/],
    [{ prevResult: { ...PREV_RESULT, ips: [] } }, /route by source of "eth0": it has no address in prevResult/]
  ]
  for (const [config, message] of cases) {
    withRoutes(config, ({ kernel, caller }) => {
      const before = kernel.toText()
      const error = caller.fails('ADD')
      assert.is(error.code, 7)
      assert.match(error.msg, message)
      assert.is(kernel.toText(), before)
      assert.equal(caller.journal(), [])
    })
  }
})

test('CHECK names rules, default routes and networks that are missing', () => {
  withRoutes({}, ({ caller, net }) => {
    caller.ok('ADD')
    for (const route of net.routes.list({ table: 101 })) net.routes.remove(route)
    for (const rule of net.rules.list(4)) net.rules.remove(rule)
    const error = caller.fails('CHECK')
    assert.is(error.code, 100)
    assert.match(error.msg, /rule from 192\.0\.2\.7 to table 100 is missing/)
    assert.match(error.msg, /route default via 2001:db8::1 is missing from table 101/)
    assert.match(error.msg, /route 2001:db8::\/64 is missing from table 101/)
    net.links.remove('eth0')
    assert.match(caller.fails('CHECK').msg, /link "eth0" is missing/)
  })
})

test('DEL without a namespace, without the interface, with a changed configuration', () => {
  for (const netns of ['', '/run/netns/nowhere']) {
    withRoutes({}, ({ caller }) => {
      caller.ok('ADD')
      caller.ok('DEL', { netns, config: { prevResult: undefined, table: 'changed' } })
      assert.equal(caller.journal(), [])
    })
  }
  withRoutes({}, ({ caller, net, rules }) => {
    caller.ok('ADD')
    net.links.remove('eth0')
    caller.ok('DEL', { config: { table: 5 } })
    assert.equal(rules(), [])
  })
})

test('rules of an ADD that wrote nothing down are found by the addresses of the interface', () => {
  withRoutes({}, ({ caller, net, rules }) => {
    const from = parsePrefix('192.0.2.7/32')
    net.rules.add({ family: 4, from, table: 100 })
    net.rules.add({ family: 4, from: parsePrefix('198.51.100.7/32'), table: 101 })
    caller.ok('CHECK', { config: { table: 100, prevResult: { ...PREV_RESULT, ips: [PREV_RESULT.ips[0]] } } })
    // Whose eth0 it is says the MAC in the result that the runtime kept.
    caller.ok('DEL')
    assert.is(rules().length, 2)
    const { mac } = net.links.get('eth0')
    const named = { name: 'eth0', sandbox: BOX, mac: mac === undefined ? '' : formatMac(mac) }
    const prevResult = { ...PREV_RESULT, interfaces: [{ name: 'v1' }, named, { name: 'net1', sandbox: BOX }] }
    caller.ok('DEL', { config: { prevResult, table: 9 } })
    assert.is(rules().length, 2)
    caller.ok('DEL', { config: { prevResult } })
    assert.equal(rules(), ['IPv4 from 198.51.100.7/32 table 101'])
  })
})

test('GC: all of an attachment that is not valid, and nothing in a namespace that is another one by now', () => {
  withRoutes({}, ({ caller, net, rules, routes }) => {
    net.links.set(net.links.get('eth0').index, { alias: 'cni net1 c1 eth0' })
    caller.ok('ADD')
    caller.gc([{ containerID: 'c1', ifname: 'eth0' }])
    assert.is(rules().length, 2)
    caller.gc([])
    assert.equal([...rules(), ...caller.journal()], [])
    assert.not.ok(routes().some(line => line.includes('table')))
  })
  withRoutes({}, ({ caller, net, rules }) => {
    caller.ok('ADD')
    net.links.set(net.links.get('eth0').index, { alias: 'cni net1 c2 eth0' })
    caller.gc([])
    assert.is(rules().length, 2)
    assert.equal(caller.journal(), [])
  })
  withRoutes({}, ({ caller, net, rules }) => {
    caller.ok('ADD')
    net.links.remove('eth0')
    caller.gc([])
    assert.equal([...rules(), ...caller.journal()], [])
  })
})

test.run()
