import { type HostedPlugin, withPlugin } from '../../lib/testing/hosted-plugin.ts'
import { ip, ipAddresses, ipLink, ipRoutes, linkNames, routeLine } from '../../lib/testing/ip-json.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { dummy } from './dummy.ts'

const test = suite('plugins/dummy on the kernel')

const RESULT = {
  ips: [{ address: '10.9.0.2/24' }, { address: 'fd00:9::2/64' }],
  routes: [{ dst: '10.10.0.0/16' }]
}

function withBox(config: object, body: (hosted: HostedPlugin) => void): void {
  withPlugin(dummy, { ipam: { type: 'fixed', result: RESULT }, ...config }, hosted => {
    body(hosted)
    assert.equal(linkNames(hosted.host), [])
  })
}

test('ADD makes the interface with its addresses; CHECK agrees; DEL twice', () => {
  withBox({ mtu: 1300 }, ({ box, caller }) => {
    const result = caller.ok('ADD')
    const link = ipLink(box, 'eth0')
    assert.is(link.linkinfo?.info_kind, 'dummy')
    assert.ok(link.flags.includes('UP'))
    assert.equal(result.interfaces, [{ name: 'eth0', mac: link.address, mtu: 1300, sandbox: box.path }])
    assert.equal(
      ipAddresses(box, 'eth0').map(one => `${one.local}/${one.prefixlen}`),
      ['10.9.0.2/24', 'fd00:9::2/64']
    )
    assert.equal(ipRoutes(box, 4).map(routeLine), ['10.9.0.0/24 dev eth0', '10.10.0.0/16 dev eth0'])
    caller.ok('CHECK', { config: { prevResult: result } })
    ip(box, 'addr del fd00:9::2/64 dev eth0')
    assert.match(caller.fails('CHECK', { config: { prevResult: result } }).msg, /address fd00:9::2\/64 is missing/)
    caller.ok('DEL')
    caller.ok('DEL')
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
  })
})

test('CHECK finds another kind of link in its place', () => {
  withBox({}, ({ box, caller }) => {
    const prevResult = caller.ok('ADD')
    ip(box, 'link del eth0')
    ip(box, 'link add eth0 type veth peer name other')
    assert.match(caller.fails('CHECK', { config: { prevResult } }).msg, /is of kind "veth", not "dummy"/)
    caller.ok('DEL')
    assert.equal(linkNames(box), ['eth0', 'other'])
  })
})

test('without ipam, with a wrong MTU, with a name that is taken: refused, nothing left', () => {
  withBox({ ipam: {} }, ({ caller }) => {
    assert.match(caller.fails('ADD').msg, /ipam must name an IPAM plugin/)
  })
  withBox({ mtu: -1 }, ({ box, caller }) => {
    assert.is(caller.fails('ADD').code, 7)
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
  })
  withBox({}, ({ box, caller }) => {
    caller.ok('ADD')
    assert.is(caller.fails('ADD', { containerId: 'c2' }).code, 7)
    caller.ok('DEL', { containerId: 'c2' })
    assert.equal(linkNames(box), ['eth0'])
    caller.failIpam = true
    assert.match(caller.fails('ADD', { ifName: 'eth1' }).msg, /pool is empty/)
    assert.equal(linkNames(box), ['eth0'])
  })
})

test('DEL without a namespace, GC, STATUS', () => {
  withBox({}, ({ box, caller }) => {
    caller.ok('ADD')
    caller.ok('DEL', { netns: '' })
    caller.ok('ADD')
    caller.ok('ADD', { containerId: 'c2', ifName: 'eth1' })
    assert.is(caller.gc([{ containerID: 'c2', ifname: 'eth1' }]).status, 0)
    assert.equal(linkNames(box), ['eth1'])
    caller.ok('STATUS')
  })
})

test.run()
