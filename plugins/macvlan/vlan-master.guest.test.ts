/** A VLAN that is made as the master: the kernel needs 8021q. */
import { ip, ipLink, linkNames } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { macvlan } from './macvlan.ts'

const test = suite('plugins/macvlan, createMaster')

const IPAM = { type: 'fixed', result: { ips: [{ address: '192.0.2.7/24' }] } }

function withTrunk(body: (host: Namespace, caller: PluginCaller) => void): void {
  withNamespaces(2, (host, box) => {
    ip(host, 'link add eth1 mtu 1400 type veth peer name eth1p')
    ip(host, 'link set eth1 up')
    const given = { master: 'eth1.10', createMaster: true, ipam: IPAM }
    const caller = new PluginCaller(macvlan(new HostedKernel(host.path)), box.path, given)
    try {
      body(host, caller)
    } finally {
      caller.close()
    }
  })
}

test('VLAN 10 of eth1 is there after ADD, up, and marked; it stays, and is taken as it is the next time', () => {
  withTrunk((host, caller) => {
    const result = caller.ok('ADD')
    const [made] = JSON.parse(host.run('ip', ['-j', '-d', 'link', 'show', 'dev', 'eth1.10']).stdout)
    assert.equal([made.linkinfo.info_kind, made.linkinfo.info_data.id, made.link], ['vlan', 10, 'eth1'])
    assert.ok(made.flags.includes('UP'))
    // Neither a router of VLAN 10 nor who pretends to be one configures the host.
    const trusted = [
      'ipv6/conf/eth1.10/accept_ra',
      'ipv6/conf/eth1.10/accept_redirects',
      'ipv4/conf/eth1.10/accept_redirects'
    ]
    assert.equal(
      trusted.map(path => host.run('cat', [`/proc/sys/net/${path}`]).stdout),
      ['0\n', '0\n', '0\n']
    )
    assert.is(made.group, String(0x7062766c))
    caller.ok('CHECK', { config: { prevResult: result } })
    caller.ok('DEL')
    assert.ok(linkNames(host).includes('eth1.10'))
    caller.ok('ADD')
    caller.ok('DEL')
    assert.is(ipLink(host, 'eth1.10').ifindex, made.ifindex)
  })
})

test('a trunk that is down, and a VLAN that is there under another name, are told', () => {
  withTrunk((host, caller) => {
    ip(host, 'link set eth1 down')
    assert.match(caller.fails('ADD').msg, /make master "eth1\.10": "eth1" is down/)
    assert.equal(linkNames(host).includes('eth1.10'), false)
    ip(host, 'link set eth1 up')
    // As an ADD leaves it that was killed.
    ip(host, 'link add link eth1 name eth1.10 group 1885501036 type vlan id 10')
    caller.ok('ADD')
    caller.ok('DEL')
    assert.ok(ipLink(host, 'eth1.10').flags.includes('UP'))
    ip(host, 'link del eth1.10')
    ip(host, 'link add link eth1 name trunk10 type vlan id 10')
    assert.match(caller.fails('ADD').msg, /VLAN 10 of "eth1" is there under another name/)
  })
})

test.run()
