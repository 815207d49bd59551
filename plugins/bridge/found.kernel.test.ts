/** A bridge that was there before: what the containers on it may tell the host. */
import { type HostedPlugin, withPlugin } from '../../lib/testing/hosted-plugin.ts'
import { ip, ipLink, must } from '../../lib/testing/ip-json.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { advertiseRouter } from '../../lib/testing/router-advertisement.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { bridge } from './bridge.ts'

const test = suite('plugins/bridge on a bridge that was there before')

const IPAM = { type: 'fixed', result: { ips: [{ address: '10.1.0.7/24' }] } }

/** @param ports commands that give the bridge what it has besides containers */
function withFoundBridge(ports: readonly string[], body: (host: Namespace, box: Namespace) => void): void {
  const find = (host: Namespace): void => {
    ip(host, 'link add br3 type bridge')
    for (const line of ports) ip(host, line)
    must(host, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/br3/accept_dad; ip link set br3 up')
  }
  const attach = ({ host, box, caller }: HostedPlugin): void => {
    caller.ok('ADD')
    assert.is(ipLink(box, 'eth0').linkinfo?.info_kind, 'veth')
    body(host, box)
  }
  withPlugin(bridge, { bridge: 'br3', ipam: IPAM }, attach, find)
}

function sysctl(host: Namespace, path: string): string {
  return must(host, 'cat', `/proc/sys/net/${path}`).trim()
}

function hasRouter(host: Namespace): boolean {
  return must(host, 'ip', '-6', 'route', 'show', 'default') !== ''
}

test('one without a way out of the host: nothing that a container advertises is taken', () => {
  withFoundBridge([], (host, box) => {
    assert.is(sysctl(host, 'ipv6/conf/br3/accept_ra'), '0')
    assert.is(sysctl(host, 'ipv6/conf/br3/accept_redirects'), '0')
    assert.is(sysctl(host, 'ipv4/conf/br3/accept_redirects'), '0')
    for (let i = 0; i < 20; i += 1) {
      advertiseRouter(box, 'eth0')
      must(host, 'sleep', '0.05')
    }
    assert.not.ok(hasRouter(host))
    // The same frames again with what the kernel has by default: they do arrive.
    must(host, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/br3/accept_ra')
    for (let i = 0; i < 100 && !hasRouter(host); i += 1) {
      advertiseRouter(box, 'eth0')
      must(host, 'sleep', '0.05')
    }
    assert.ok(hasRouter(host))
  })
})

test('one with an uplink stays as its administrator has it', () => {
  withFoundBridge(['link add up0 type vxlan id 7 dstport 4789 remote 192.0.2.9', 'link set up0 master br3'], host => {
    assert.is(sysctl(host, 'ipv6/conf/br3/accept_ra'), '1')
  })
})

test.run()
