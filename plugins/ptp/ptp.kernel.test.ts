import { type HostedPlugin, withPlugin } from '../../lib/testing/hosted-plugin.ts'
import { ip, ipAddresses, ipLink, ipLinks, ipRoutes, linkNames, must, routeLine } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { advertiseRouter } from '../../lib/testing/router-advertisement.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ptp } from './ptp.ts'

const test = suite('plugins/ptp on the kernel')

const RESULT = {
  ips: [
    { address: '10.1.0.7/24', gateway: '10.1.0.1' },
    { address: 'fd00:1::7/64', gateway: 'fd00:1::1' }
  ],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
}

function withHost(config: object, body: (hosted: HostedPlugin) => void): void {
  withPlugin(ptp, { ipam: { type: 'fixed', result: RESULT }, ...config }, body)
}

/** Whether an address answers: one connection refused is an answer, and needs no ping on the machine. */
function reaches(from: Namespace, address: string): boolean {
  const code = `const s = require('node:net').connect({ host: ${JSON.stringify(address)}, port: 9, timeout: 1500 })
    s.on('error', e => process.exit(e.code === 'ECONNREFUSED' ? 0 : 1)); s.on('timeout', () => process.exit(1))`
  return from.run(process.execPath, ['-e', code]).status === 0
}

for (const [name, routes, accepts] of [
  ['a host that does not route', { ips: [RESULT.ips[0]], routes: [] }, '1'],
  ['a host that routes and listens all the same', RESULT, '2']
] as const) {
  test(`a container's router advertisement configures nothing: ${name}`, () => {
    withHost({ ipam: { type: 'fixed', result: routes } }, ({ host, box, caller }) => {
      must(host, 'sh', '-c', `echo ${accepts} > /proc/sys/net/ipv6/conf/default/accept_ra`)
      caller.ok('ADD')
      const [hostEnd = ''] = linkNames(host)
      const sysctl = (path: string): string => must(host, 'cat', `/proc/sys/net/${path}`).trim()
      assert.is(sysctl(`ipv6/conf/${hostEnd}/accept_ra`), '0')
      assert.is(sysctl(`ipv6/conf/${hostEnd}/accept_redirects`), '0')
      assert.is(sysctl(`ipv4/conf/${hostEnd}/accept_redirects`), '0')
      // The same frame over an interface of nobody's, sent later, shows that this host would obey it.
      ip(host, 'link add bait type veth peer name hook')
      ip(host, `link set hook netns ${String(box.pid)} up`)
      must(host, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/bait/accept_dad; ip link set bait up')
      whenUsable(host, 'bait')
      whenUsable(host, hostEnd)
      advertiseRouter(box, 'eth0')
      advertiseRouter(box, 'hook')
      for (let i = 0; i < 100 && routersOf(host).length === 0; i += 1) must(host, 'sleep', '0.05')
      assert.equal(routersOf(host), ['default via fe80::66 dev bait'])
      assert.not.match(must(host, 'ip', '-6', 'addr', 'show', 'dev', hostEnd), /2001:db8:bad/)
    })
  })
}

/** The default routes that routers have told the host of. */
function routersOf(host: Namespace): readonly string[] {
  const lines = must(host, 'ip', '-6', 'route', 'show', 'default').split('\n')
  return lines.filter(line => line !== '').map(line => line.split(' ').slice(0, 5).join(' '))
}

/** Until its link-local address is there and no longer being checked: before that the kernel drops advertisements. */
function whenUsable(host: Namespace, name: string): void {
  for (let i = 0; i < 200; i += 1) {
    const shown = must(host, 'ip', '-6', 'addr', 'show', 'dev', name, 'scope', 'link', '-tentative')
    if (shown.includes('fe80')) return
    must(host, 'sleep', '0.05')
  }
  throw new Error(`wait for ${name}: no link-local address`)
}

test('ADD lays the cable: host route, gateway address, everything by the host; both ends reach each other', () => {
  withHost({ mtu: 1400 }, ({ host, box, caller }) => {
    const result = caller.ok('ADD')
    const [hostEnd] = linkNames(host)
    assert.match(hostEnd ?? '', /^veth[0-9a-f]{11}$/)
    const outside = ipLink(host, hostEnd ?? '')
    const inside = ipLink(box, 'eth0')
    assert.equal(result.interfaces, [
      { name: hostEnd, mac: outside.address, mtu: 1400 },
      { name: 'eth0', mac: inside.address, mtu: 1400, sandbox: box.path }
    ])
    assert.equal(
      result.ips.map(one => one.interface),
      [1, 1]
    )
    assert.equal(
      ipAddresses(host, hostEnd ?? '').map(one => `${one.local}/${one.prefixlen}`),
      ['10.1.0.1/32', 'fd00:1::1/128']
    )
    assert.equal(
      ipAddresses(box, 'eth0').map(one => `${one.local}/${one.prefixlen}`),
      ['10.1.0.7/24', 'fd00:1::7/64']
    )
    assert.equal(ipRoutes(box, 4).map(routeLine), [
      'default via 10.1.0.1 dev eth0',
      '10.1.0.0/24 via 10.1.0.1 dev eth0',
      '10.1.0.1 dev eth0'
    ])
    assert.equal(ipRoutes(box, 6).map(routeLine), [
      'fd00:1::1 dev eth0 metric 1024',
      'fd00:1::/64 via fd00:1::1 dev eth0 metric 1024',
      'default via fd00:1::1 dev eth0 metric 1024'
    ])
    assert.equal(ipRoutes(host, 4).map(routeLine), [`10.1.0.7 dev ${hostEnd ?? ''}`])
    assert.is(must(host, 'cat', '/proc/sys/net/ipv4/ip_forward').trim(), '1')
    assert.is(must(host, 'cat', '/proc/sys/net/ipv6/conf/all/forwarding').trim(), '1')
    for (const [from, address] of [
      [box, '10.1.0.1'],
      [box, 'fd00:1::1'],
      [host, '10.1.0.7'],
      [host, 'fd00:1::7']
    ] as const) {
      assert.ok(reaches(from, address), address)
    }
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.equal([...linkNames(host), ...linkNames(box)], [])
    assert.equal(ipRoutes(host, 4), [])
    assert.equal(caller.leases.size, 0)
    assert.equal(caller.journal(), [])
    caller.ok('DEL')
  })
})

test('a gateway that IPAM does not name is the first address of the network', () => {
  const result = {
    ips: [{ address: '10.1.0.7/24' }, { address: '10.1.0.8/24' }, { address: '10.2.0.7/24', gateway: '10.2.0.254' }]
  }
  withHost({ ipam: { type: 'fixed', result } }, ({ host, box, caller }) => {
    const added = caller.ok('ADD')
    assert.equal(
      added.ips.map(one => one.gateway),
      ['10.1.0.1', '10.1.0.1', '10.2.0.254']
    )
    const [hostEnd] = linkNames(host)
    assert.equal(
      ipAddresses(host, hostEnd ?? '').map(one => one.local),
      ['10.1.0.1', '10.2.0.254']
    )
    assert.ok(reaches(box, '10.2.0.254'))
    caller.ok('CHECK', { config: { prevResult: added } })
  })
})

test('an address with no room for a gateway is refused, and all is taken back', () => {
  for (const address of ['10.1.0.7/32', '10.1.0.1/24']) {
    withHost({ ipam: { type: 'fixed', result: { ips: [{ address }] } } }, ({ host, box, caller }) => {
      const error = caller.fails('ADD')
      assert.is(error.code, 7)
      assert.match(error.msg, /find gateway of 10\.1\.0\./)
      assert.equal([...linkNames(host), ...linkNames(box), ...caller.leases, ...caller.journal()], [])
    })
  }
})

test('a /32 with a gateway outside works: the gateway is on the cable', () => {
  const result = { ips: [{ address: '10.1.0.7/32', gateway: '169.254.1.1' }], routes: [{ dst: '0.0.0.0/0' }] }
  withHost({ ipam: { type: 'fixed', result } }, ({ box, caller }) => {
    caller.ok('ADD')
    assert.equal(ipRoutes(box, 4).map(routeLine), ['default via 169.254.1.1 dev eth0', '169.254.1.1 dev eth0'])
    assert.ok(reaches(box, '169.254.1.1'))
  })
})

test('without ipam, with a wrong MTU, with a failing pool: refused, and nothing left', () => {
  const cases: readonly { readonly config: object; readonly code: number; readonly message: RegExp }[] = [
    { config: { ipam: {} }, code: 7, message: /ipam must name an IPAM plugin/ },
    { config: { mtu: 12 }, code: 7, message: /mtu must be 0 or at least 68, got 12/ },
    { config: { mtu: 65_536 }, code: 7, message: /mtu must be an integer from 0 to 65535/ }
  ]
  for (const { config, code, message } of cases) {
    withHost(config, ({ host, box, caller }) => {
      const error = caller.fails('ADD')
      assert.is(error.code, code)
      assert.match(error.msg, message)
      assert.equal([...linkNames(host), ...linkNames(box), ...caller.leases, ...caller.journal()], [])
    })
  }
  withHost({}, ({ host, box, caller }) => {
    caller.failIpam = true
    assert.match(caller.fails('ADD').msg, /pool is empty/)
    assert.equal([...linkNames(host), ...linkNames(box), ...caller.leases, ...caller.journal()], [])
  })
})

test('a neighbour as gateway of a route is refused: behind a cable there are none', () => {
  const result = { ...RESULT, routes: [{ dst: '10.9.0.0/16', gw: '10.1.0.2' }] }
  withHost({ ipam: { type: 'fixed', result } }, ({ host, box, caller }) => {
    assert.match(caller.fails('ADD').msg, /10\.9\.0\.0\/16 via 10\.1\.0\.2/)
    assert.equal([...linkNames(host), ...linkNames(box), ...caller.leases, ...caller.journal()], [])
  })
})

test('a name that is taken is refused, and the DEL that follows spares its owner', () => {
  withHost({}, ({ host, box, caller }) => {
    caller.ok('ADD')
    assert.is(caller.fails('ADD').code, 7)
    const other = { config: { name: 'net2' } }
    assert.is(caller.fails('ADD', other).code, 7)
    caller.ok('DEL', other)
    assert.equal(linkNames(box), ['eth0'])
    assert.is(linkNames(host).length, 1)
  })
})

test('DEL by container and interface name alone, with an empty and a vanished namespace', () => {
  for (const netns of ['', '/run/netns/patchbay-test-absent']) {
    withHost({}, ({ host, box, caller }) => {
      caller.ok('ADD')
      caller.ok('DEL', { netns, config: { ipam: { type: 'fixed' }, mtu: 'nonsense' } })
      assert.equal([...linkNames(host), ...linkNames(box), ...caller.leases, ...caller.journal()], [])
    })
  }
})

test('DEL and CHECK know a cable that another implementation laid', () => {
  withHost({}, ({ host, box, caller }) => {
    const result = caller.ok('ADD')
    const ours = linkNames(host)[0] ?? ''
    ip(host, `link set ${ours} down`)
    ip(host, `link set ${ours} name veth12345678`)
    ip(host, 'link set veth12345678 up')
    ip(host, 'route add 10.1.0.7/32 dev veth12345678')
    ip(host, 'route add fd00:1::7/128 dev veth12345678')
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.equal([...linkNames(host), ...linkNames(box)], [])
  })
})

test('a route without gateway in prevResult is the one over the gateway, or one that is on the link', () => {
  withHost({}, ({ box, caller }) => {
    const result = caller.ok('ADD')
    const prevResult = { ...result, routes: [{ dst: '192.168.7.0/24' }, { dst: 'fd07::/64' }] }
    const missing = caller.fails('CHECK', { config: { prevResult } })
    assert.match(
      missing.msg,
      /route 192\.168\.7\.0\/24 via 10\.1\.0\.1 is missing.*route fd07::\/64 via fd00:1::1 is missing/
    )
    // As a plugin behind us in the chain may add them.
    ip(box, 'route add 192.168.7.0/24 dev eth0')
    ip(box, 'route add fd07::/64 via fd00:1::1 dev eth0')
    caller.ok('CHECK', { config: { prevResult } })
    ip(box, 'route replace 192.168.7.0/24 via 10.1.0.1 dev eth0')
    ip(box, 'route replace fd07::/64 dev eth0')
    caller.ok('CHECK', { config: { prevResult } })
    ip(box, 'route replace 192.168.7.0/24 via 10.1.0.2 dev eth0 onlink')
    assert.match(
      caller.fails('CHECK', { config: { prevResult } }).msg,
      /route 192\.168\.7\.0\/24 via 10\.1\.0\.1 is missing/
    )
  })
})

test('CHECK names what is wrong on either end', () => {
  withHost({}, ({ host, box, caller }) => {
    const prevResult = caller.ok('ADD')
    const hostEnd = linkNames(host)[0] ?? ''
    ip(host, 'route del 10.1.0.7')
    ip(host, `addr del 10.1.0.1/32 dev ${hostEnd}`)
    ip(box, 'route del 10.1.0.0/24')
    must(host, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward')
    const { code, msg } = caller.fails('CHECK', { config: { prevResult } })
    assert.is(code, 100)
    assert.match(msg, /route 10\.1\.0\.0\/24 via 10\.1\.0\.1 is missing from "eth0"/)
    assert.match(msg, /address 10\.1\.0\.1\/32 is missing from "veth/)
    assert.match(msg, /route 10\.1\.0\.7\/32 is missing from "veth/)
    assert.match(msg, /does not forward IPv4/)
  })
})

test('GC removes the cables that the runtime does not know', () => {
  withHost({}, ({ host, box, caller }) => {
    caller.ok('ADD')
    const second = { containerId: 'c2', ifName: 'eth1' }
    const taken = caller.fails('ADD', second)
    assert.is(taken.code, 7)
    assert.match(taken.msg, /10\.1\.0\.7\/32 .*another container's/)
    assert.is(linkNames(host).length, 1)
    const result = { ips: [{ address: '10.1.0.8/24', gateway: '10.1.0.1' }] }
    caller.ok('ADD', { ...second, config: { ipam: { type: 'fixed', result } } })
    assert.is(caller.gc([{ containerID: 'c1', ifname: 'eth0' }]).status, 0)
    assert.equal(linkNames(box), ['eth0'])
    assert.is(linkNames(host).length, 1)
    assert.equal(caller.journal(), ['net1/c1:eth0.ptp.json'])
    caller.ok('STATUS')
    assert.equal(caller.ipamCalls.slice(-2), ['GC', 'STATUS'])
  })
})

test('the MAC that the caller asks for is that of the container end', () => {
  withHost({}, ({ box, caller }) => {
    caller.ok('ADD', { config: { runtimeConfig: { mac: '02:00:00:00:00:07' } } })
    assert.is(ipLink(box, 'eth0').address, '02:00:00:00:00:07')
  })
})

test('a host whose IPv6 is off has it on the cable alone', () => {
  withHost({}, ({ host, box, caller }) => {
    for (const box1 of [host, box]) {
      must(box1, 'sh', '-c', 'for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done')
    }
    caller.ok('ADD')
    assert.ok(reaches(box, 'fd00:1::1'))
    assert.is(ipLinks(host).length, 2)
  })
})

/** A network beyond the host that knows no way back to the container's. */
function addOutside(host: Namespace, outside: Namespace): void {
  ip(host, 'link add up0 type veth peer name up1')
  ip(host, `link set up1 netns ${String(outside.pid)}`)
  ip(host, 'addr add 203.0.113.1/24 dev up0')
  ip(host, 'addr add 2001:db8:9::1/64 dev up0 nodad')
  ip(host, 'link set up0 up')
  ip(outside, 'addr add 203.0.113.9/24 dev up1')
  ip(outside, 'addr add 2001:db8:9::9/64 dev up1 nodad')
  ip(outside, 'link set up1 up')
}

test('ipMasq: the container reaches what knows no way back to it, on both families; DEL and GC take the rules away', () => {
  for (const ipMasq of [false, true]) {
    withNamespaces(1, outside => {
      withHost({ ipMasq }, ({ host, box, caller }) => {
        addOutside(host, outside)
        const prevResult = caller.ok('ADD')
        assert.is(reaches(box, '203.0.113.9'), ipMasq)
        assert.is(reaches(box, '2001:db8:9::9'), ipMasq)
        caller.ok('CHECK', { config: { prevResult } })
        if (!ipMasq) return
        const rules = (): string => must(host, 'nft', 'list', 'ruleset')
        assert.match(rules(), /10\.1\.0\.7/)
        caller.ok('DEL', { netns: '', config: { ipMasq: false } })
        assert.not.match(rules(), /10\.1\.0\.7|fd00:1::7/)
        caller.ok('ADD')
        assert.is(caller.gc([]).status, 0)
        assert.not.match(rules(), /10\.1\.0\.7|fd00:1::7/)
        caller.ok('ADD')
        must(host, 'nft', 'flush', 'ruleset')
        assert.match(caller.fails('CHECK', { config: { prevResult } }).msg, /masquerade/)
        caller.ok('DEL')
      })
    })
  }
})

test.run()
