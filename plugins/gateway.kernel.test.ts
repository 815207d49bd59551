/** What a gateway must not do to the host's own network, and a container not to its neighbours. */
import { ip, must } from '../lib/testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../lib/testing/plugin-caller.ts'
import { advertiseRouter } from '../lib/testing/router-advertisement.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { bridge } from './bridge/bridge.ts'
import { ptp } from './ptp/ptp.ts'

const test = suite('plugins: gateways and neighbours')

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

test("the host's router is no gateway or address of ptp; other addresses of the host's network may be", () => {
  for (const [address, gateway, isFree] of [
    ['192.0.2.7/24', '192.0.2.1', false],
    ['192.0.2.1/24', '192.0.2.77', false],
    ['192.0.2.7/24', '192.0.2.77', true],
    ['198.51.100.7/24', '198.51.100.1', true]
  ] as const) {
    withNamespaces(2, (host, box) => {
      for (const line of ['link add up0 type bridge', 'addr add 192.0.2.9/24 dev up0', 'link set up0 up'])
        ip(host, line)
      ip(host, 'route add default via 192.0.2.1 dev up0')
      const ipam = { type: 'fixed', result: { ips: [{ address, gateway }] } }
      const caller = new PluginCaller(ptp(new HostedKernel(host.path)), box.path, { ipam })
      try {
        if (isFree) caller.ok('ADD')
        else
          assert.match(caller.fails('ADD').msg, /use address 192\.0\.2\.1: it is that of the host's router, by "up0"/)
        assert.match(must(host, 'ip', 'route', 'get', '192.0.2.1'), /dev up0/)
      } finally {
        caller.close()
      }
    })
  }
})

test('what no host can have in a network is neither its gateway nor a container of it', () => {
  for (const [address, gateway] of [
    ['127.0.0.5/8', '127.0.0.1'],
    ['10.1.0.5/24', '127.0.0.1'],
    ['224.0.0.5/24', '224.0.0.1'],
    ['255.255.255.255/32', '10.1.0.1'],
    ['0.0.0.0/0', '10.1.0.1'],
    ['0.0.0.7/24', '10.1.0.1'],
    ['ff02::5/16', 'fd00::1'],
    ['fd00::5/64', '::1'],
    ['10.1.0.255/24', '10.1.0.1'],
    ['10.1.0.5/24', '10.1.0.255'],
    ['10.1.0.5/24', '255.255.255.255']
  ] as const) {
    for (const [plugin, more] of [
      [bridge, { bridge: 'br3', isGateway: true }],
      [ptp, {}],
      // The host has no part in it.
      [bridge, { bridge: 'br3' }]
    ] as const) {
      withNamespaces(2, (host, box) => {
        const config = { ...more, ipam: { type: 'fixed', result: { ips: [{ address, gateway }] } } }
        const caller = new PluginCaller(plugin(new HostedKernel(host.path)), box.path, config)
        try {
          assert.match(caller.fails('ADD').msg, /no host can have it in a network/, `${address} ${gateway}`)
          assert.equal([caller.leases.size, caller.journal().length], [0, 0])
        } finally {
          caller.close()
        }
      })
    }
  }
})

test('neither does a route lead over one; and 0.0.0.0 or :: as a gateway is none', () => {
  for (const [plugin, more] of [
    [bridge, { bridge: 'br3' }],
    [ptp, {}]
  ] as const) {
    withNamespaces(2, (host, box) => {
      const ips = [
        { address: '10.1.0.5/24', gateway: '0.0.0.0' },
        { address: 'fd00::5/64', gateway: '::' }
      ]
      const ipam = (gw: string) => ({ type: 'fixed', result: { ips, routes: [{ dst: '10.7.0.0/16', gw }] } })
      const caller = new PluginCaller(plugin(new HostedKernel(host.path)), box.path, more)
      try {
        const refused = caller.fails('ADD', { config: { ipam: ipam('224.0.0.1') } })
        assert.is(refused.msg, 'use address 224.0.0.1 of IPAM: no host can have it in a network')
        assert.equal([refused.code, caller.leases.size, caller.journal().length], [7, 0, 0])
        const made = caller.ok('ADD', { config: { ipam: ipam('0.0.0.0') } })
        const gateways = made.ips?.map(ip => ip.gateway)
        assert.equal(gateways, plugin === ptp ? ['10.1.0.1', 'fd00::1'] : [undefined, undefined])
        assert.match(must(box, 'ip', 'route', 'show', '10.7.0.0/16'), /^10\.7\.0\.0\/16 dev eth0/)
        caller.ok('DEL', { config: { ipam: ipam('0.0.0.0') } })
      } finally {
        caller.close()
      }
    })
  }
})

test.run()
