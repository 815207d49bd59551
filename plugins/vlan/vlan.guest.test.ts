import { addMaster, BOTH_FAMILIES, type HostedPlugin, withPlugin } from '../../lib/testing/hosted-plugin.ts'
import { ip, ipAddresses, ipLink, ipRoutes, linkNames, routeLine } from '../../lib/testing/ip-json.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { vlan } from './vlan.ts'

const test = suite('plugins/vlan on the kernel')

const IPAM = { type: 'fixed', result: BOTH_FAMILIES }

/** On the trunk `eth1`. */
function withTrunk(config: object, body: (hosted: HostedPlugin) => void): void {
  withPlugin(vlan, { master: 'eth1', vlanId: 5, ipam: IPAM, ...config }, body, addMaster)
}

test('ADD gives the container the VLAN; CHECK agrees; DEL twice', () => {
  withTrunk({}, ({ host, box, caller }) => {
    const result = caller.ok('ADD')
    const link = ipLink(box, 'eth0')
    assert.is(link.linkinfo?.info_kind, 'vlan')
    assert.is(link.linkinfo?.info_data?.['id'], 5)
    assert.is(link.link_index, ipLink(host, 'eth1').ifindex)
    assert.ok(link.flags.includes('UP'))
    assert.equal(result.interfaces, [{ name: 'eth0', mac: link.address, mtu: 1400, sandbox: box.path }])
    assert.equal(
      ipAddresses(box, 'eth0').map(one => `${one.local}/${one.prefixlen}`),
      ['192.0.2.7/24', '2001:db8::7/64']
    )
    assert.equal(ipRoutes(box, 4).map(routeLine), ['default via 192.0.2.1 dev eth0', '192.0.2.0/24 dev eth0'])
    caller.ok('CHECK', { config: { prevResult: result } })
    assert.match(caller.fails('CHECK', { config: { prevResult: result, vlanId: 6 } }).msg, /is VLAN 5, not 6/)
    ip(host, 'link add eth9 type veth peer name eth9p')
    assert.match(caller.fails('CHECK', { config: { prevResult: result, master: 'eth9' } }).msg, /not on master "eth9"/)
    caller.ok('DEL')
    caller.ok('DEL')
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
  })
})

test('VLANs 0 and 4094 exist, 4095 and -1 do not; an MTU up to the one of the master', () => {
  for (const vlanId of [0, 4094]) {
    withTrunk({ vlanId, mtu: 1400 }, ({ box, caller }) => {
      caller.ok('ADD')
      assert.is(ipLink(box, 'eth0').linkinfo?.info_data?.['id'], vlanId)
    })
  }
  const cases: readonly { readonly config: object; readonly message: RegExp }[] = [
    { config: { vlanId: 4095 }, message: /vlanId must be an integer from 0 to 4094, got 4095/ },
    { config: { vlanId: -1 }, message: /vlanId must be an integer/ },
    { config: { mtu: 1401 }, message: /mtu must be at most 1400, that of master "eth1", got 1401/ },
    { config: { master: '' }, message: /master must name the interface/ },
    { config: { master: 'absent' }, message: /find master "absent": no such link on the host/ },
    { config: { ipam: {} }, message: /ipam must name an IPAM plugin/ }
  ]
  for (const { config, message } of cases) {
    withTrunk(config, ({ host, box, caller }) => {
      const error = caller.fails('ADD')
      assert.is(error.code, 7)
      assert.match(error.msg, message)
      assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
      assert.equal(linkNames(host), ['eth1', 'eth1p'])
      caller.ok('DEL')
    })
  }
})

test('a VLAN that another container has, and a name that is taken, are told apart', () => {
  withTrunk({}, ({ box, caller }) => {
    caller.ok('ADD')
    const used = caller.fails('ADD', { containerId: 'c2', ifName: 'eth1' })
    assert.is(used.code, 7)
    assert.match(used.msg, /VLAN 5 of master "eth1" is in use already/)
    assert.is(caller.fails('ADD', { containerId: 'c2', config: { vlanId: 6 } }).code, 7)
    caller.ok('DEL', { containerId: 'c2', ifName: 'eth1' })
    assert.equal(linkNames(box), ['eth0'])
    assert.equal([...caller.leases], ['c1:eth0'])
  })
})

test('linkInContainer: the trunk is inside', () => {
  withTrunk({ master: 'trunk', linkInContainer: true }, ({ box, caller }) => {
    ip(box, 'link add trunk type veth peer name other')
    ip(box, 'link set trunk up')
    const prevResult = caller.ok('ADD')
    caller.ok('CHECK', { config: { prevResult } })
    caller.ok('DEL')
    assert.equal(linkNames(box), ['other', 'trunk'])
  })
})

test('DEL without master, namespace or sense in the configuration; GC; STATUS', () => {
  withTrunk({}, ({ host, box, caller }) => {
    caller.ok('ADD')
    caller.ok('DEL', { netns: '', config: { master: 7, vlanId: 'x' } })
    assert.equal([...linkNames(box), ...caller.leases, ...caller.journal()], [])
    caller.ok('ADD')
    assert.is(caller.gc([]).status, 0)
    assert.equal([...linkNames(box), ...caller.journal()], [])
    caller.ok('STATUS')
    caller.ok('ADD')
    ip(host, 'link del eth1')
    caller.ok('DEL')
    assert.equal([...caller.leases, ...caller.journal()], [])
    assert.is(caller.fails('STATUS').code, 50)
  })
})

test('IPAM that fails leaves nothing', () => {
  withTrunk({}, ({ box, caller }) => {
    caller.failIpam = true
    assert.match(caller.fails('ADD').msg, /pool is empty/)
    assert.equal([...linkNames(box), ...caller.journal()], [])
  })
})

test.run()
