/** What a bridge network must not do to the host's own network, and a container not to its neighbours. */
import { ip, must } from '../../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { advertiseRouter } from '../../lib/testing/router-advertisement.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { bridge } from './bridge.ts'

const test = suite('plugins/bridge and its neighbours')

const IPAM = { type: 'fixed', result: { ips: [{ address: '10.1.0.7/24' }] } }

function sysctl(host: Namespace, path: string): string {
  return must(host, 'cat', `/proc/sys/net/${path}`).trim()
}

function hasRouter(host: Namespace): boolean {
  return must(host, 'ip', '-6', 'route', 'show', 'default') !== ''
}

test('a container that advertises itself is no router to its neighbour where the host is the gateway, unless that is asked for', () => {
  for (const [more, accepts] of [
    [{ isGateway: true }, false],
    [{ isDefaultGateway: true }, false],
    [{ isGateway: true, acceptRa: true }, true],
    [{}, true],
    [{ acceptRa: false }, false]
  ] as const) {
    withNamespaces(3, (host, box, other) => {
      const config = { bridge: 'br3', ipam: IPAM, ...more }
      const caller = new PluginCaller(bridge(new HostedKernel(host.path)), box.path, config)
      const what = JSON.stringify(more)
      try {
        caller.ok('ADD')
        const ips = [{ address: '10.1.0.8/24' }]
        caller.ok('ADD', {
          containerId: 'c2',
          netns: other.path,
          config: { ipam: { type: 'fixed', result: { ips } } }
        })
        assert.is(sysctl(box, 'ipv6/conf/eth0/accept_ra'), accepts ? '1' : '0', what)
        for (let i = 0; i < (accepts ? 100 : 20) && !hasRouter(box); i += 1) {
          advertiseRouter(other, 'eth0')
          must(host, 'sleep', '0.05')
        }
        assert.is(hasRouter(box), accepts, what)
      } finally {
        caller.close()
      }
    })
  }
})

/** The host's own network, and whether the container's may be this one. */
const SUBNETS: readonly (readonly [string, string, string, string, boolean])[] = [
  // address of up0, its router, the container's address, its gateway
  ['192.0.2.9/24', '192.0.2.1', '192.0.2.7/24', '192.0.2.1', false],
  ['192.0.2.9/24', '192.0.2.254', '192.0.2.7/24', '192.0.2.1', false],
  ['fd00:9::9/64', 'fd00:9::1', 'fd00:9::7/64', 'fd00:9::1', false],
  // In a company's large network: only the part with the router is not free.
  ['10.9.0.9/8', '10.0.0.1', '10.0.0.7/16', '10.0.0.1', false],
  ['10.9.0.9/8', '10.0.0.1', '10.88.0.7/16', '10.88.0.1', true],
  // Two networks of containers, with one subnet.
  ['192.0.2.1/24', '192.0.2.254', '192.0.2.7/24', '192.0.2.1', true],
  ['10.9.0.9/32', '10.8.0.1', '10.9.0.7/24', '10.9.0.1', true],
  ['192.0.2.9/24', '192.0.2.1', '198.51.100.7/24', '198.51.100.1', true]
]

test("the host's own network is none for containers: ADD and STATUS name interface and address", () => {
  for (const [own, router, address, gateway, isFree] of SUBNETS) {
    withNamespaces(2, (host, box) => {
      for (const line of ['link add up0 type bridge', `addr add ${own} dev up0 nodad`, 'link set up0 up'])
        ip(host, line)
      must(host, 'ip', 'route', 'add', 'default', 'via', router, 'dev', 'up0', 'onlink')
      const routes = must(host, 'ip', 'route') + must(host, 'ip', '-6', 'route', 'show', 'default')
      const ipam = { type: 'fixed', result: { ips: [{ address, gateway }] } }
      const subnet = address.replace(/[:.]7\//, match => match.replace('7', '0')).replace(':0/', ':/')
      const config = { bridge: 'br3', isGateway: true, ipam: { ...ipam, ranges: [[{ subnet, gateway }]] } }
      const caller = new PluginCaller(bridge(new HostedKernel(host.path)), box.path, config)
      const what = `${address} on ${own}`
      try {
        if (isFree) {
          caller.ok('STATUS')
          caller.ok('ADD')
          caller.ok('DEL')
          return
        }
        for (const [verb, code] of [
          ['STATUS', 50],
          ['ADD', 7]
        ] as const) {
          const { code: seen, msg } = caller.fails(verb)
          assert.is(seen, code, `${what}: ${msg}`)
          assert.match(msg, '"up0" with ' + own, what)
        }
        assert.is(must(host, 'ip', 'route') + must(host, 'ip', '-6', 'route', 'show', 'default'), routes, what)
        assert.equal([caller.leases.size, caller.journal().length], [0, 0])
      } finally {
        caller.close()
      }
    })
  }
})

test.run()
