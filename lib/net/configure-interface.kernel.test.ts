import { parseAddress } from '../ip/address.ts'
import { type IpPrefix, parsePrefix } from '../ip/prefix.ts'
import { ip, ipAddresses, ipLink, ipRoutes, must, routeLine } from '../testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../testing/namespace.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { configureInterface } from './configure-interface.ts'
import { checkInterface } from './interface-check.ts'
import { LinuxKernel } from './kernel-net.ts'
import type { Net } from './net.ts'

const test = suite('lib/net: container on the kernel')

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(`no prefix: ${text}`)
  return parsed
}

/** `far` and `box` with a veth between them: `far0`, up, and `eth0`, down. */
function withCable(body: (far: Namespace, box: Namespace, net: Net) => void): void {
  withNamespaces(2, (far, box) => {
    ip(far, 'link add far0 type veth peer name eth0')
    ip(far, `link set eth0 netns ${String(box.pid)}`)
    ip(far, 'link set far0 up')
    const net = new LinuxKernel().open(box.path)
    try {
      body(far, box, net)
    } finally {
      net.close()
    }
  })
}

interface NeighbourLine {
  readonly dst: string
  readonly lladdr?: string
}

/** What `far` believes to be the MAC of an address. */
function believedMac(far: Namespace, address: string): string {
  const lines: readonly NeighbourLine[] = JSON.parse(
    must(far, 'ip', '-j', 'neigh', 'show', address, 'dev', 'far0') || '[]'
  )
  return lines[0]?.lladdr ?? ''
}

function until(condition: () => boolean): boolean {
  for (let tries = 0; tries < 100; tries += 1) {
    if (condition()) return true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
  }
  return false
}

test('neighbours that remember the former owner of an address learn of the new one at once', () => {
  withCable((far, box, net) => {
    ip(far, 'addr add 10.1.0.1/24 dev far0')
    ip(far, 'addr add fd00::1/64 dev far0 nodad')
    for (const address of ['10.1.0.5', 'fd00::5']) {
      ip(far, `neigh replace ${address} lladdr 02:00:00:00:00:99 dev far0 nud stale`)
    }
    configureInterface(net, net.links.get('eth0'), {
      addresses: [prefix('10.1.0.5/24'), prefix('fd00::5/64')],
      routes: []
    })
    const mac = ipLink(box, 'eth0').address
    for (const address of ['10.1.0.5', 'fd00::5']) {
      assert.ok(
        until(() => believedMac(far, address) === mac),
        `${address} is believed at ${believedMac(far, address)}, it is at ${mac}`
      )
    }
  })
})

test('IPv6 addresses are usable at once: not tentative, with their routes', () => {
  withCable((_far, box, net) => {
    configureInterface(net, net.links.get('eth0'), {
      addresses: [prefix('fd00::5/64')],
      routes: [{ family: 6, dst: undefined, gateway: parseAddress('fe80::1') }]
    })
    assert.equal(
      ipAddresses(box, 'eth0').map(one => [one.local, one.tentative ?? false]),
      [['fd00::5', false]]
    )
    assert.equal(ipRoutes(box, 6).map(routeLine), [
      'fd00::/64 dev eth0 metric 256',
      'default via fe80::1 dev eth0 metric 1024'
    ])
  })
})

test('with duplicate address detection: waits for its outcome, and names a duplicate', () => {
  withCable((far, box, net) => {
    const setup = { addresses: [prefix('fd00::5/64')], routes: [], detectDuplicates: true }
    configureInterface(net, net.links.get('eth0'), setup)
    assert.equal(
      ipAddresses(box, 'eth0').map(one => [one.local, one.tentative ?? false]),
      [['fd00::5', false]]
    )
    ip(box, 'addr flush dev eth0')
    ip(box, 'link set eth0 down')
    ip(far, 'addr add fd00::5/64 dev far0 nodad')
    throwsLike(() => configureInterface(net, net.links.get('eth0'), setup), {
      errno: 'EADDRINUSE',
      message: /add address fd00::5\/64 to "eth0"/
    })
  })
})

test('IPv6 that is off is switched on for the interface and lo, and for nothing else', () => {
  withCable((_far, box, net) => {
    ip(box, 'link add other type veth peer name other1')
    must(
      box,
      'sh',
      '-c',
      'for i in all default eth0 other lo; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done'
    )
    configureInterface(net, net.links.get('eth0'), { addresses: [prefix('10.1.0.5/24')], routes: [] })
    const isOff = (name: string): string => must(box, 'cat', `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`).trim()
    assert.equal(['eth0', 'lo', 'other'].map(isOff), ['1', '1', '1'])
    configureInterface(net, net.links.get('eth0'), { addresses: [prefix('fd00::5/64')], routes: [] })
    assert.equal(['eth0', 'lo', 'other'].map(isOff), ['0', '0', '1'])
  })
})

test('an interface with dots in its name', () => {
  withCable((_far, box, net) => {
    ip(box, 'link set eth0 name eth0.5.x')
    const link = net.links.get('eth0.5.x')
    configureInterface(net, link, { addresses: [prefix('10.1.0.5/24'), prefix('fd00::5/64')], routes: [] })
    assert.is(must(box, 'cat', '/proc/sys/net/ipv4/conf/eth0.5.x/arp_notify').trim(), '1')
    assert.is(must(box, 'cat', '/proc/sys/net/ipv6/conf/eth0.5.x/keep_addr_on_down').trim(), '1')
  })
})

test('IPv6 addresses stay when the interface is down for a while', () => {
  withCable((_far, box, net) => {
    configureInterface(net, net.links.get('eth0'), { addresses: [prefix('fd00::5/64')], routes: [] })
    ip(box, 'link set eth0 down')
    ip(box, 'link set eth0 up')
    assert.is(ipAddresses(box, 'eth0').length, 1)
  })
})

test('mtu, advmss, table, scope and metric of routes; a check that finds each of them changed', () => {
  withCable((_far, box, net) => {
    const gateway = parseAddress('10.1.0.1')
    const routes = [
      { dst: prefix('10.2.0.0/16'), gateway, mtu: 1300, advmss: 1200, metric: 7 },
      { dst: prefix('10.3.0.0/16'), gateway, table: 500 },
      { dst: prefix('10.4.0.0/16'), scope: 253 },
      { dst: prefix('10.5.0.0/16'), gateway },
      { dst: prefix('10.5.0.0/16'), gateway: parseAddress('10.1.0.2') }
    ]
    const addresses = [prefix('10.1.0.5/24')]
    configureInterface(net, net.links.get('eth0'), { addresses, routes })
    const seen = ipRoutes(box, 4)
    assert.equal(seen.find(one => one.dst === '10.2.0.0/16')?.metrics, [{ mtu: 1300, advmss: 1200 }])
    assert.is(seen.find(one => one.dst === '10.4.0.0/16')?.scope, 'link')
    assert.equal(
      seen.find(one => one.dst === '10.5.0.0/16')?.nexthops?.map(hop => hop.gateway),
      ['10.1.0.1', '10.1.0.2']
    )
    assert.match(must(box, 'ip', 'route', 'show', 'table', '500'), /10\.3\.0\.0\/16 via 10\.1\.0\.1/)
    const expected = { name: 'eth0', kind: 'veth', addresses, routes }
    assert.equal(checkInterface(net, expected), [])
    const wrong = [
      { dst: prefix('10.2.0.0/16'), gateway, mtu: 1299 },
      { dst: prefix('10.2.0.0/16'), gateway, advmss: 1199 },
      { dst: prefix('10.2.0.0/16'), gateway, metric: 8 },
      { dst: prefix('10.3.0.0/16'), gateway, table: 254 },
      { dst: prefix('10.4.0.0/16'), scope: 0 },
      { dst: prefix('10.5.0.0/16'), gateway: parseAddress('10.1.0.3') },
      { dst: prefix('10.2.0.0/17'), gateway }
    ]
    for (const route of wrong) {
      const problems = checkInterface(net, { ...expected, routes: [route] })
      assert.is(problems.length, 1, JSON.stringify(route))
      assert.match(problems[0] ?? '', /^route 10\..* is missing from "eth0"$/)
    }
    assert.equal(checkInterface(net, { ...expected, kind: 'macvlan', mtu: 1499, addresses: [prefix('10.1.0.5/25')] }), [
      'link "eth0" is of kind "veth", not "macvlan"',
      'link "eth0" has MTU 1500, not 1499',
      'address 10.1.0.5/25 is missing from "eth0"'
    ])
    assert.equal(checkInterface(net, { ...expected, name: 'eth7' }), ['link "eth7" is missing'])
  })
})

test('a route to the same destination through another interface stays first, for both families', () => {
  withCable((_far, box, net) => {
    ip(box, 'link add first type veth peer name first1')
    ip(box, 'addr add 10.9.0.5/24 dev first')
    ip(box, 'addr add fd09::5/64 dev first nodad')
    ip(box, 'link set first1 up')
    ip(box, 'link set first up')
    ip(box, 'route add default via 10.9.0.1')
    ip(box, '-6 route add default via fd09::1')
    const gateways = [parseAddress('10.1.0.1'), parseAddress('fd00::1')]
    const setup = {
      addresses: [prefix('10.1.0.5/24'), prefix('fd00::5/64')],
      routes: gateways.map(gateway => ({ family: gateway?.family, dst: undefined, gateway }))
    }
    const link = net.links.get('eth0')
    for (let times = 0; times < 2; times += 1) {
      configureInterface(net, link, setup)
      assert.equal(
        [...ipRoutes(box, 4), ...ipRoutes(box, 6)].map(routeLine).filter(line => line.startsWith('default')),
        [
          'default via 10.9.0.1 dev first',
          'default via 10.1.0.1 dev eth0 metric 1',
          'default via fd09::1 dev first metric 1024',
          'default via fd00::1 dev eth0 metric 1025'
        ]
      )
    }
    assert.equal(checkInterface(net, { name: 'eth0', ...setup }), [])
  })
})

test('20,000 routes are added and checked within the time of a test, those of another network first', () => {
  withCable((_far, box, net) => {
    ip(box, 'link add eth1 type veth peer name eth2')
    ip(box, 'link set eth1 up')
    ip(box, 'route add 10.64.0.0/24 dev eth1')
    const gateway = parseAddress('10.1.0.1')
    const routes = Array.from({ length: 20_000 }, (_, i) => ({
      dst: prefix(`10.${64 + (i >> 8)}.${i & 255}.0/24`),
      gateway
    }))
    const setup = { addresses: [prefix('10.1.0.5/24')], routes }
    configureInterface(net, net.links.get('eth0'), setup)
    assert.is(must(box, 'ip', 'route', 'show', 'via', '10.1.0.1').trim().split('\n').length, 20_000)
    assert.match(must(box, 'ip', 'route', 'show', '10.64.0.0/24', 'dev', 'eth0'), /metric 1/)
    assert.equal(checkInterface(net, { name: 'eth0', ...setup }), [])
  })
})

test.run()
