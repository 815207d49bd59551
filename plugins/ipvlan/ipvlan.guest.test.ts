import { addMaster, BOTH_FAMILIES, type HostedPlugin, withPlugin } from '../../lib/testing/hosted-plugin.ts'
import { ip, ipAddresses, ipLink, ipRoutes, linkNames, routeLine } from '../../lib/testing/ip-json.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ipvlan } from './ipvlan.ts'

const test = suite('plugins/ipvlan on the kernel')

const IPAM = { type: 'fixed', result: BOTH_FAMILIES }

function withMaster(config: object, body: (hosted: HostedPlugin) => void): void {
  withPlugin(ipvlan, { master: 'eth1', ipam: IPAM, ...config }, body, addMaster)
}

test('every mode and flag: ADD, CHECK, DEL twice', () => {
  for (const [mode, flag] of [
    ['', ''],
    ['l2', 'private'],
    ['l3', 'vepa'],
    ['l3s', 'bridge']
  ]) {
    withMaster({ mode, flag }, ({ host, box, caller }) => {
      const result = caller.ok('ADD')
      const link = ipLink(box, 'eth0')
      assert.is(link.linkinfo?.info_kind, 'ipvlan')
      assert.is(link.linkinfo?.info_data?.['mode'], mode === '' ? 'l2' : mode)
      // iproute2 shows the flag as a member without value.
      if (flag !== '') assert.ok(Object.keys(link.linkinfo?.info_data ?? {}).includes(flag ?? ''))
      assert.is(link.link_index, ipLink(host, 'eth1').ifindex)
      assert.is(link.address, ipLink(host, 'eth1').address)
      assert.equal(result.interfaces, [{ name: 'eth0', mac: link.address, mtu: 1400, sandbox: box.path }])
      assert.equal(
        ipAddresses(box, 'eth0').map(one => `${one.local}/${one.prefixlen}`),
        ['192.0.2.7/24', '2001:db8::7/64']
      )
      assert.is(ipRoutes(box, 4).map(routeLine)[0], 'default via 192.0.2.1 dev eth0')
      caller.ok('CHECK', { config: { prevResult: result } })
      const other = caller.fails('CHECK', { config: { prevResult: result, mode: mode === 'l3' ? 'l2' : 'l3' } })
      assert.match(other.msg, /is in mode/)
      caller.ok('DEL')
      caller.ok('DEL')
      assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
    })
  }
})

test('chained: the master and the addresses of the plugin before', () => {
  withMaster({ master: '', ipam: {} }, ({ box, caller }) => {
    const before = {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'eth1', mac: '02:00:00:00:00:01' }],
      ips: [{ interface: 0, address: '192.0.2.9/24', gateway: '192.0.2.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
      dns: { nameservers: ['192.0.2.53'] }
    }
    const result = caller.ok('ADD', { config: { prevResult: before } })
    assert.equal(
      result.interfaces.map(one => one.name),
      ['eth1', 'eth0']
    )
    assert.equal(result.ips, [{ interface: 1, address: '192.0.2.9/24', gateway: '192.0.2.1' }])
    assert.is(result.routes.length, 1)
    assert.equal(result.dns, before.dns)
    assert.equal(
      ipAddresses(box, 'eth0').map(one => one.local),
      ['192.0.2.9']
    )
    assert.is(caller.leases.size, 0)
    // A plugin after us may have added interfaces of its own.
    const later = { ...result, interfaces: [...result.interfaces, { name: 'ifb7' }] }
    caller.ok('CHECK', { config: { prevResult: later } })
    caller.ok('DEL', { config: { prevResult: later } })
    assert.equal(linkNames(box), [])

    const two = { ...before, interfaces: [{ name: 'eth1' }, { name: 'eth2' }] }
    assert.match(caller.fails('ADD', { config: { prevResult: two } }).msg, /prevResult has 2 interfaces/)
    const withIpam = caller.ok('ADD', { config: { prevResult: before, ipam: IPAM } })
    assert.equal(
      withIpam.ips.map(one => one.interface),
      [0, 1, 1]
    )
  })
})

test('the interface of the default route is the master when none is named, and DEL does not care', () => {
  withMaster({ master: '' }, ({ host, box, caller }) => {
    assert.match(caller.fails('ADD').msg, /no default route on the host/)
    ip(host, 'addr add 203.0.113.2/24 dev eth1')
    ip(host, 'route add default via 203.0.113.1')
    const prevResult = caller.ok('ADD')
    caller.ok('CHECK', { config: { prevResult } })
    ip(host, 'route del default')
    caller.ok('DEL')
    assert.equal(linkNames(box), [])
    assert.is(caller.fails('STATUS').code, 50)
  })
})

test('what cannot be is refused by code and word, and leaves nothing behind', () => {
  const cases: readonly { readonly config: object; readonly message: RegExp }[] = [
    { config: { master: 'absent' }, message: /find master "absent"/ },
    { config: { mtu: 1401 }, message: /mtu must be at most 1400/ },
    { config: { mode: 'l4' }, message: /mode must be one of/ },
    { config: { flag: 'open' }, message: /flag must be one of/ },
    { config: { ipam: {} }, message: /ipam must name an IPAM plugin/ }
  ]
  for (const { config, message } of cases) {
    withMaster(config, ({ box, caller }) => {
      const error = caller.fails('ADD')
      assert.is(error.code, 7)
      assert.match(error.msg, message)
      assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
      caller.ok('DEL')
    })
  }
})

test('a master with macvlans is refused', () => {
  withMaster({}, ({ host, box, caller }) => {
    ip(host, 'link add mv link eth1 type macvlan')
    const error = caller.fails('ADD')
    assert.is(error.code, 7)
    assert.match(error.msg, /master "eth1" is used otherwise/)
    assert.equal([...linkNames(box), ...caller.journal()], [])
  })
})

test('linkInContainer, a name that is taken, a failing pool, GC, DEL without a namespace', () => {
  withMaster({ master: 'inside', linkInContainer: true }, ({ box, caller }) => {
    ip(box, 'link add inside type veth peer name other')
    const prevResult = caller.ok('ADD')
    caller.ok('CHECK', { config: { prevResult } })
    assert.is(caller.fails('ADD', { containerId: 'c2' }).code, 7)
    caller.ok('DEL', { containerId: 'c2' })
    caller.ok('DEL', { netns: '' })
    assert.equal(linkNames(box), ['inside', 'other'])
    caller.failIpam = true
    assert.match(caller.fails('ADD').msg, /pool is empty/)
    caller.failIpam = false
    caller.ok('ADD')
    assert.is(caller.gc([]).status, 0)
    assert.equal([...linkNames(box), ...caller.journal()], ['inside', 'other'])
  })
})

test.run()
