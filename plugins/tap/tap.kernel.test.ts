import { type HostedPlugin, withPlugin } from '../../lib/testing/hosted-plugin.ts'
import { ip, ipAddresses, ipLink, ipRoutes, linkNames, routeLine } from '../../lib/testing/ip-json.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { tap } from './tap.ts'

const test = suite('plugins/tap on the kernel')

const RESULT = { ips: [{ address: '10.1.0.7/24', gateway: '10.1.0.1' }], routes: [{ dst: '0.0.0.0/0' }] }

function withBox(config: object, body: (hosted: HostedPlugin) => void): void {
  withPlugin(tap, config, hosted => {
    body(hosted)
    assert.equal(linkNames(hosted.host), [])
  })
}

test('ADD makes a tap that stays, with MTU, MAC, addresses and routes; CHECK agrees; DEL twice', () => {
  const config = { mtu: 1400, mac: '02:00:00:00:00:07', ipam: { type: 'fixed', result: RESULT } }
  withBox(config, ({ box, caller }) => {
    const result = caller.ok('ADD')
    const link = ipLink(box, 'eth0')
    assert.is(link.linkinfo?.info_kind, 'tun')
    assert.is(link.linkinfo?.info_data?.['type'], 'tap')
    assert.is(link.linkinfo?.info_data?.['persist'], true)
    assert.ok(link.flags.includes('UP'))
    assert.equal(result.interfaces, [{ name: 'eth0', mac: '02:00:00:00:00:07', mtu: 1400, sandbox: box.path }])
    assert.is(link.address, '02:00:00:00:00:07')
    assert.is(link.mtu, 1400)
    assert.equal(
      ipAddresses(box, 'eth0').map(one => `${one.local}/${one.prefixlen}`),
      ['10.1.0.7/24']
    )
    assert.equal(ipRoutes(box, 4).map(routeLine)[0], 'default via 10.1.0.1 dev eth0')
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    caller.ok('DEL')
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
  })
})

test('a name that is not ASCII is the same bytes to the device, to netlink and to /proc/sys', () => {
  withBox({ mtu: 1400, ipam: { type: 'fixed', result: RESULT } }, ({ box, caller }) => {
    for (const ifName of ['é', 'ééééééé', 'a日本語']) {
      const result = caller.ok('ADD', { ifName })
      assert.equal(linkNames(box), [ifName])
      caller.ok('CHECK', { ifName, config: { prevResult: result } })
      caller.ok('DEL', { ifName })
      assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
    }
  })
})

test('owner, group and several queues, as ip tuntap shows them; user 0 is a user', () => {
  for (const [owner, group] of [
    [54_321, 54_322],
    [0, 0]
  ]) {
    withBox({ owner, group, multiQueue: true }, ({ box, caller }) => {
      const prevResult = caller.ok('ADD')
      const { user, group: shownGroup, multi_queue } = ipLink(box, 'eth0').linkinfo?.info_data ?? {}
      // iproute2 shows names where there are some.
      const names = owner === 0 ? ['root', 'root'] : [owner, group]
      assert.equal([user, shownGroup, multi_queue], [...names, true])
      caller.ok('CHECK', { config: { prevResult } })
      const other = caller.fails('CHECK', { config: { prevResult, owner: 5, group: 6, multiQueue: false } })
      assert.match(other.msg, /belongs to user \d+, not 5/)
      assert.match(other.msg, /belongs to group \d+, not 6/)
      assert.match(other.msg, /has several queues/)
    })
  }
})

test('bridge: the tap becomes a port of a bridge of the container', () => {
  withBox({ bridge: 'br0' }, ({ box, caller }) => {
    const missing = caller.fails('ADD')
    assert.is(missing.code, 7)
    assert.match(missing.msg, /find bridge "br0" in the container: no such link/)
    ip(box, 'link add br0 type veth peer name other')
    assert.match(caller.fails('ADD').msg, /it is of kind "veth"/)
    ip(box, 'link del br0')
    ip(box, 'link add br0 type bridge')
    const prevResult = caller.ok('ADD')
    assert.is(ipLink(box, 'eth0').master, 'br0')
    caller.ok('CHECK', { config: { prevResult } })
    ip(box, 'link set eth0 nomaster')
    assert.match(caller.fails('CHECK', { config: { prevResult } }).msg, /is not on bridge "br0"/)
    caller.ok('DEL')
    assert.equal(linkNames(box), ['br0'])
  })
})

test('a name that is taken, an MTU that the kernel refuses, a failing pool: nothing left', () => {
  withBox({ ipam: { type: 'fixed', result: RESULT } }, ({ box, caller }) => {
    ip(box, 'link add eth0 type veth peer name other')
    assert.is(caller.fails('ADD').code, 7)
    caller.ok('DEL')
    assert.equal(linkNames(box), ['eth0', 'other'])
    ip(box, 'link del eth0')
    assert.match(caller.fails('ADD', { config: { mtu: 65_535 } }).msg, /E[A-Z]+/)
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
    caller.failIpam = true
    assert.match(caller.fails('ADD').msg, /pool is empty/)
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
    assert.match(caller.fails('ADD', { config: { owner: -1, group: 'wheel' } }).msg, /owner must be .*; group must be/)
  })
})

test('an SELinux context where there is no SELinux: code 2 with key and value', () => {
  withBox({ selinuxContext: 'system_u:object_r:tun_t:s0' }, ({ box, caller }) => {
    const error = caller.fails('ADD')
    assert.is(error.code, 2)
    assert.match(error.msg, /selinuxContext "system_u:object_r:tun_t:s0"/)
    assert.equal([...linkNames(box), ...caller.journal()], [])
  })
})

test('GC and DEL without a namespace', () => {
  withBox({}, ({ box, caller }) => {
    caller.ok('ADD')
    caller.ok('DEL', { netns: '' })
    assert.equal(linkNames(box), [])
    caller.ok('ADD')
    assert.is(caller.gc([]).status, 0)
    assert.equal([...linkNames(box), ...caller.journal()], [])
    caller.ok('STATUS')
  })
})

test.run()
