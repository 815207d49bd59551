import { addMaster, BOTH_FAMILIES, type HostedPlugin, withPlugin } from '../../lib/testing/hosted-plugin.ts'
import { ip, ipAddresses, ipLink, ipRoutes, linkNames, must, routeLine } from '../../lib/testing/ip-json.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { macvlan } from './macvlan.ts'

const test = suite('plugins/macvlan on the kernel')

const RESULT = {
  ...BOTH_FAMILIES,
  routes: [...BOTH_FAMILIES.routes, { dst: '198.51.100.0/24', gw: '192.0.2.9', mtu: 1300, priority: 7 }],
  dns: { nameservers: ['192.0.2.53'] }
}
const IPAM = { type: 'fixed', result: RESULT }

function withMaster(config: object, body: (hosted: HostedPlugin) => void): void {
  withPlugin(macvlan, { master: 'eth1', ...config }, body, addMaster)
}

test('ADD makes the interface with addresses, routes and announcements; CHECK agrees; DEL removes all, twice', () => {
  withMaster({ ipam: IPAM }, ({ host, box, caller }) => {
    const result = caller.ok('ADD')
    const link = ipLink(box, 'eth0')
    assert.is(link.linkinfo?.info_kind, 'macvlan')
    assert.is(link.linkinfo?.info_data?.['mode'], 'bridge')
    assert.is(link.link_index, ipLink(host, 'eth1').ifindex)
    assert.ok(link.flags.includes('UP'))
    assert.is(link.ifalias, 'cni net1 c1 eth0')
    assert.equal(result.interfaces, [{ name: 'eth0', mac: link.address, mtu: 1400, sandbox: box.path }])
    assert.equal(
      result.ips.map(one => one.interface),
      [0, 0]
    )
    assert.equal(result.dns, RESULT.dns)

    const addresses = ipAddresses(box, 'eth0')
    assert.equal(
      addresses.map(one => `${one.local}/${one.prefixlen}`),
      ['192.0.2.7/24', '2001:db8::7/64']
    )
    assert.is(addresses[1]?.nodad, true)
    assert.equal(ipRoutes(box, 4).map(routeLine), [
      'default via 192.0.2.1 dev eth0',
      '192.0.2.0/24 dev eth0',
      '198.51.100.0/24 via 192.0.2.9 dev eth0 metric 7'
    ])
    assert.equal(ipRoutes(box, 4)[2]?.metrics, [{ mtu: 1300 }])
    assert.equal(ipRoutes(box, 6).map(routeLine), [
      '2001:db8::/64 dev eth0 metric 256',
      'default via 2001:db8::1 dev eth0 metric 1024'
    ])
    assert.is(must(box, 'cat', '/proc/sys/net/ipv4/conf/eth0/arp_notify').trim(), '1')
    assert.is(must(box, 'cat', '/proc/sys/net/ipv6/conf/eth0/ndisc_notify').trim(), '1')

    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.equal(linkNames(box), [])
    assert.equal(caller.leases.size, 0)
    assert.equal(caller.journal(), [])
    caller.ok('DEL')
  })
})

test('every mode that the kernel knows', () => {
  for (const mode of ['bridge', 'private', 'vepa', 'passthru', 'source', '']) {
    withMaster({ mode, ipam: IPAM }, ({ box, caller }) => {
      caller.ok('ADD')
      const expected = mode === '' ? 'bridge' : mode
      assert.is(ipLink(box, 'eth0').linkinfo?.info_data?.['mode'], expected)
      const prevResult = caller.ok('DEL') && caller.ok('ADD')
      caller.ok('CHECK', { config: { prevResult } })
      const other = caller.fails('CHECK', { config: { prevResult, mode: mode === 'vepa' ? 'bridge' : 'vepa' } })
      assert.is(other.code, 100)
      assert.match(other.msg, /is in mode/)
    })
  }
})

test('mode source lets in the senders that are named', () => {
  const macs = ['02:00:00:00:00:0a', '02:00:00:00:00:0b']
  withMaster({ mode: 'source', sourceMacs: macs }, ({ box, caller }) => {
    caller.ok('ADD')
    const shown = must(box, 'ip', '-d', 'link', 'show', 'dev', 'eth0')
    assert.match(shown, /remotes \(2\)/)
    for (const mac of macs) assert.ok(shown.includes(mac))
  })
})

test('MTU, MAC and broadcast queue as configured, the MAC by rising precedence', () => {
  const config = { mtu: 1300, mac: '02:00:00:00:00:01', bcqueuelen: 1234 }
  withMaster(config, ({ box, caller }) => {
    const macOf = (options: object): string | undefined => {
      caller.ok('ADD', options)
      const link = ipLink(box, 'eth0')
      assert.is(link.mtu, 1300)
      assert.is(link.linkinfo?.info_data?.['bcqueuelen'], 1234)
      caller.ok('DEL')
      return link.address
    }
    const args = 'MAC=02:00:00:00:00:02'
    assert.is(macOf({}), '02:00:00:00:00:01')
    assert.is(macOf({ args }), '02:00:00:00:00:02')
    assert.is(macOf({ args, config: { args: { cni: { mac: '02:00:00:00:00:03' } } } }), '02:00:00:00:00:03')
    assert.is(
      macOf({
        args,
        config: { args: { cni: { mac: '02:00:00:00:00:03' } }, runtimeConfig: { mac: '02:00:00:00:00:04' } }
      }),
      '02:00:00:00:00:04'
    )
  })
})

test('without ipam: layer 2 only, up and without addresses; CHECK and DEL work all the same', () => {
  withMaster({}, ({ box, caller }) => {
    const result = caller.ok('ADD')
    assert.is(result.ips, undefined)
    assert.ok(ipLink(box, 'eth0').flags.includes('UP'))
    assert.equal(ipAddresses(box, 'eth0'), [])
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.equal(linkNames(box), [])
  })
})

test('the master is the interface of the default route when none is named', () => {
  withMaster({ master: '' }, ({ host, box, caller }) => {
    const none = caller.fails('ADD')
    assert.is(none.code, 7)
    assert.match(none.msg, /no default route/)
    ip(host, 'addr add 203.0.113.2/24 dev eth1')
    ip(host, 'addr add 203.0.114.2/24 dev eth1p')
    ip(host, 'route add default via 203.0.114.1 metric 50')
    ip(host, 'route add default via 203.0.113.1 metric 20')
    caller.ok('ADD')
    assert.is(ipLink(box, 'eth0').link_index, ipLink(host, 'eth1').ifindex)
    // What the default route is by now is no matter of DEL's.
    ip(host, 'route del default via 203.0.113.1')
    ip(host, 'route del default via 203.0.114.1')
    caller.ok('DEL')
    assert.equal(linkNames(box), [])
  })
})

test('linkInContainer: the master is inside', () => {
  withMaster({ master: 'inside', linkInContainer: true }, ({ host, box, caller }) => {
    assert.match(caller.fails('ADD').msg, /"inside": no such link in the container/)
    ip(box, 'link add inside type veth peer name insidep')
    const result = caller.ok('ADD')
    assert.is(ipLink(box, 'eth0').link_index, undefined)
    assert.match(must(box, 'ip', 'link', 'show', 'dev', 'eth0'), /eth0@inside/)
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.equal(linkNames(box), ['inside', 'insidep'])
    assert.equal(linkNames(host), ['eth1', 'eth1p'])
  })
})

test('what cannot be is refused by code and word, and leaves nothing behind', () => {
  const cases: readonly { readonly config: object; readonly code: number; readonly message: RegExp }[] = [
    { config: { master: 'absent' }, code: 7, message: /find master "absent": no such link on the host/ },
    { config: { mtu: 1401 }, code: 7, message: /mtu must be at most 1400, that of master "eth1", got 1401/ },
    { config: { mtu: 40 }, code: 7, message: /mtu must be 0 or at least 68, got 40/ },
    { config: { mode: 'bridges' }, code: 7, message: /mode must be one of/ },
    {
      config: { mac: '03:00:00:00:00:01' },
      code: 7,
      message: /mac must be a unicast MAC address, got "03:00:00:00:00:01"/
    },
    { config: { mac: 'nonsense' }, code: 7, message: /mac must be a MAC address/ },
    { config: { sourceMacs: ['02:00:00:00:00:01'] }, code: 7, message: /sourceMacs is for mode "source" only/ },
    { config: { master: 7, mtu: '9' }, code: 7, message: /master must be a string, got 7; mtu must be an integer/ }
  ]
  for (const { config, code, message } of cases) {
    withMaster({ ipam: IPAM, ...config }, ({ box, caller }) => {
      const error = caller.fails('ADD')
      assert.is(error.code, code, error.msg)
      assert.match(error.msg, message)
      assert.equal(linkNames(box), [])
      assert.equal(caller.leases.size, 0)
      assert.equal(caller.journal(), [])
      caller.ok('DEL')
    })
  }
})

test('a second passthru on one master is refused, and the first stays as it is', () => {
  withMaster({ mode: 'passthru', ipam: IPAM }, ({ box, caller }) => {
    const first = caller.ok('ADD')
    const error = caller.fails('ADD', { containerId: 'c2', ifName: 'eth9' })
    assert.is(error.code, 7)
    assert.match(error.msg, /mode passthru/)
    assert.equal(linkNames(box), ['eth0'])
    caller.ok('DEL', { containerId: 'c2', ifName: 'eth9' })
    caller.ok('CHECK', { config: { prevResult: first } })
    assert.equal([...caller.leases], ['c1:eth0'])
  })
})

test('a name that is taken is refused before an address is taken, and the DEL that follows spares its owner', () => {
  withMaster({ ipam: IPAM }, ({ box, caller }) => {
    caller.ok('ADD')
    const again = caller.fails('ADD')
    assert.is(again.code, 7)
    assert.match(again.msg, /"eth0"/)
    assert.equal(caller.journal(), ['net1/c1:eth0.macvlan.json'])

    const other = { containerId: 'c1', config: { name: 'net2' } }
    assert.is(caller.fails('ADD', other).code, 7)
    caller.ok('DEL', other)
    assert.equal(linkNames(box), ['eth0'])
    caller.ok('DEL')
    assert.equal(linkNames(box), [])
  })
})

test('IPAM that fails leaves no link and no journal entry', () => {
  withMaster({ ipam: IPAM }, ({ box, caller }) => {
    caller.failIpam = true
    assert.match(caller.fails('ADD').msg, /the pool is empty/)
    assert.equal(linkNames(box), [])
    assert.equal(caller.journal(), [])
  })
  withMaster({ ipam: { type: 'fixed', result: {} } }, ({ box, caller }) => {
    const error = caller.fails('ADD')
    assert.is(error.code, 7)
    assert.match(error.msg, /returned none/)
    assert.equal(linkNames(box), [])
    assert.equal(caller.leases.size, 0)
  })
})

test('a route that the kernel refuses takes everything back', () => {
  const result = { ...RESULT, routes: [{ dst: '198.51.100.0/24', gw: '192.0.2.9', scope: 254 }] }
  withMaster({ ipam: { type: 'fixed', result } }, ({ box, caller }) => {
    const error = caller.fails('ADD')
    assert.match(error.msg, /add route 198\.51\.100\.0\/24/)
    assert.equal(linkNames(box), [])
    assert.equal(caller.leases.size, 0)
    assert.equal(caller.journal(), [])
  })
})

test('DEL without namespace, with a vanished one, and without the master', () => {
  withMaster({ ipam: IPAM }, ({ host, box, caller }) => {
    caller.ok('ADD')
    // The journal has the namespace that ADD was given.
    caller.ok('DEL', { netns: '' })
    assert.equal(linkNames(box), [])
    assert.equal(caller.leases.size, 0)

    caller.ok('ADD')
    caller.ok('DEL', { netns: '/run/netns/patchbay-test-absent' })
    assert.equal(caller.leases.size, 0)
    assert.equal(caller.journal(), [])

    caller.ok('DEL')
    caller.ok('ADD')
    ip(host, 'link del eth1')
    caller.ok('DEL', { config: { mode: 'no such mode' } })
    assert.equal(linkNames(box), [])
    assert.equal(caller.journal(), [])
  })
})

test('CHECK names every difference', () => {
  withMaster({ ipam: IPAM }, ({ box, caller }) => {
    const prevResult = caller.ok('ADD')
    const problem = (): string => caller.fails('CHECK', { config: { prevResult } }).msg
    ip(box, 'addr del 192.0.2.7/24 dev eth0')
    ip(box, 'link set eth0 mtu 1280')
    ip(box, 'link set eth0 address 02:00:00:00:00:99')
    const msg = problem()
    assert.match(msg, /has MTU 1280, not 1400/)
    assert.match(msg, /has MAC 02:00:00:00:00:99, not/)
    assert.match(msg, /address 192\.0\.2\.7\/24 is missing/)
    assert.match(msg, /route default via 192\.0\.2\.1 is missing/)
    assert.match(msg, /route 198\.51\.100\.0\/24 via 192\.0\.2\.9 metric 7 is missing/)
    ip(box, 'link set eth0 down')
    assert.match(problem(), /link "eth0" is down/)
    ip(box, 'link del eth0')
    assert.match(problem(), /link "eth0" is missing/)
    assert.is(caller.fails('CHECK').code, 7)
  })
})

test('GC removes what the runtime does not know, and asks IPAM to', () => {
  withMaster({ ipam: IPAM }, ({ box, caller }) => {
    caller.ok('ADD')
    const second = caller.ok('ADD', { containerId: 'c2', ifName: 'eth1' })
    // Two networks with default routes: the first keeps the traffic, the second stands by.
    assert.equal(
      ipRoutes(box, 4)
        .map(routeLine)
        .filter(line => line.startsWith('default')),
      ['default via 192.0.2.1 dev eth0', 'default via 192.0.2.1 dev eth1 metric 1']
    )
    assert.equal(
      ipRoutes(box, 6)
        .map(routeLine)
        .filter(line => line.startsWith('default')),
      ['default via 2001:db8::1 dev eth0 metric 1024', 'default via 2001:db8::1 dev eth1 metric 1025']
    )
    caller.ok('CHECK', { containerId: 'c2', ifName: 'eth1', config: { prevResult: second } })
    assert.is(caller.gc([{ containerID: 'c2', ifname: 'eth1' }]).status, 0)
    assert.equal(linkNames(box), ['eth1'])
    assert.equal(caller.journal(), ['net1/c2:eth1.macvlan.json'])
    assert.ok(caller.ipamCalls.includes('GC'))
    assert.is(caller.gc([]).status, 0)
    assert.equal(linkNames(box), [])
    assert.equal(caller.journal(), [])
  })
})

test('STATUS: 50 without the master, else as IPAM says', () => {
  withMaster({ ipam: IPAM }, ({ host, caller }) => {
    caller.ok('STATUS')
    assert.ok(caller.ipamCalls.includes('STATUS'))
    ip(host, 'link del eth1')
    const error = caller.fails('STATUS')
    assert.is(error.code, 50)
    assert.match(error.msg, /"eth1"/)
  })
})

test('a container whose IPv6 is off gets its IPv6 address all the same', () => {
  withMaster({ ipam: IPAM }, ({ box, caller }) => {
    must(
      box,
      'sh',
      '-c',
      'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'
    )
    caller.ok('ADD')
    assert.is(ipAddresses(box, 'eth0').length, 2)
    assert.is(must(box, 'cat', '/proc/sys/net/ipv6/conf/lo/disable_ipv6').trim(), '0')
  })
})

test('acceptRa: the kernel default unless it is given', () => {
  for (const [acceptRa, expected] of [
    [undefined, '1'],
    [true, '1'],
    [false, '0']
  ] as const) {
    withMaster({ acceptRa, ipam: IPAM }, ({ box, caller }) => {
      caller.ok('ADD')
      assert.is(must(box, 'cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra').trim(), expected)
    })
  }
  withMaster({ acceptRa: 1 }, ({ caller }) => {
    assert.match(caller.fails('ADD').msg, /acceptRa must be true or false, got 1/)
  })
})

test('in a chain the earlier interfaces and addresses stay in the result', () => {
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'first', sandbox: '/x' }],
    ips: [{ interface: 0, address: '10.0.0.1/24' }],
    routes: [{ dst: '10.0.0.0/8' }],
    dns: { nameservers: ['10.0.0.53'] }
  }
  withMaster({ ipam: IPAM }, ({ caller }) => {
    const result = caller.ok('ADD', { config: { prevResult } })
    assert.equal(
      result.interfaces.map(one => one.name),
      ['first', 'eth0']
    )
    assert.equal(
      result.ips.map(one => one.interface),
      [0, 1, 1]
    )
    assert.is(result.routes.length, 4)
    caller.ok('CHECK', { config: { prevResult: result } })
  })
})

test.run()
