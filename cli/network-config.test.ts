import { parsePrefix } from '../lib/ip/prefix.ts'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { bridgeName, type NetworkWish, networkConfig } from './network-config.ts'

const test = suite('cli/network-config')

const ALL = ['bridge', 'portmap', 'firewall', 'tuning', 'macvlan', 'ipvlan', 'host-local']

function wish(more: Partial<NetworkWish> = {}): NetworkWish {
  const nothing = { subnets: [], gateways: [], ipRanges: [], options: new Map(), labels: new Map() }
  return { name: 'blue', driver: 'bridge', internal: false, ipv6: false, ...nothing, ...more }
}

function prefix(text: string) {
  const value = parsePrefix(text)
  if (value === undefined) throw new Error(`bad prefix ${text}`)
  return value
}

interface Shown {
  readonly labels?: object
  readonly plugins: readonly (Readonly<Record<string, unknown>> & {
    readonly type: string
    readonly ipam: {
      readonly routes?: unknown
      readonly ranges: readonly (readonly {
        subnet: string
        gateway: string
        rangeStart?: string
        rangeEnd?: string
      }[])[]
    }
  })[]
}

function config(more: Partial<NetworkWish> = {}, plugins = ALL, used: readonly string[] = []): Shown {
  return JSON.parse(JSON.stringify(networkConfig(wish(more), { plugins, used: used.map(prefix) })))
}

test('a bridge network has the chain that there are plugins for', () => {
  const types = (plugins: readonly string[]) => config({}, [...plugins]).plugins.map(plugin => plugin.type)
  assert.equal(types(ALL), ['bridge', 'portmap', 'firewall', 'tuning'])
  assert.equal(types(['bridge', 'tuning']), ['bridge', 'tuning'])
})

test('the bridge is named after the network, as nerdctl names it', () => {
  // printf blue | sha256sum
  assert.is(bridgeName('blue'), 'br-16477688c0e0')
  assert.is(config().plugins[0]?.['bridge'], 'br-16477688c0e0')
  assert.is(config({ options: new Map([['com.docker.network.bridge.name', 'br9']]) }).plugins[0]?.['bridge'], 'br9')
})

test('a free subnet is chosen, clear of everything in use', () => {
  const subnet = (used: readonly string[]) => config({}, ALL, used).plugins[0]?.ipam.ranges[0]?.[0]?.subnet
  assert.is(subnet([]), '10.89.0.0/24')
  assert.is(subnet(['10.89.0.0/24', '10.89.1.128/25']), '10.89.2.0/24')
  assert.is(subnet(['10.89.0.0/17']), '10.89.128.0/24')
  throwsLike(() => subnet(['10.0.0.0/8']), {
    name: 'CommandError',
    message: /every subnet of 10\.89\.0\.0\/16 is in use/
  })
})

test('subnets, gateways and ranges go together by containment', () => {
  const ranges = config({
    subnets: ['10.1.0.0/24', 'fd00:1::/64'],
    gateways: ['fd00:1::ffff', '10.1.0.254'],
    ipRanges: ['10.1.0.128/25']
  }).plugins[0]?.ipam.ranges
  assert.equal(ranges, [
    [{ subnet: '10.1.0.0/24', gateway: '10.1.0.254', rangeStart: '10.1.0.128', rangeEnd: '10.1.0.254' }],
    [{ subnet: 'fd00:1::/64', gateway: 'fd00:1::ffff' }]
  ])
  const whole = config({ subnets: ['10.1.0.0/24'], ipRanges: ['10.1.0.0/24'] }).plugins[0]?.ipam.ranges[0]?.[0]
  assert.is(whole?.rangeStart, '10.1.0.1')
})

test('IPv6 adds a subnet of its own and a default route', () => {
  const { ipam } = config({ ipv6: true }).plugins[0] ?? {}
  assert.is(ipam?.ranges.length, 2)
  assert.match(ipam?.ranges[1]?.[0]?.subnet ?? '', /^fd[0-9a-f]{2}:.*::\/64$/)
  assert.equal(ipam?.routes, [{ dst: '0.0.0.0/0' }, { dst: '::/0' }])
})

test('an internal network leads nowhere', () => {
  const shown = config({ internal: true })
  assert.equal(
    shown.plugins.map(plugin => plugin.type),
    ['bridge', 'firewall', 'tuning']
  )
  const bridge = shown.plugins[0]
  assert.equal([bridge?.['isGateway'], bridge?.['ipMasq'], bridge?.ipam.routes], [false, false, undefined])
})

test('options in the words of Docker and in short', () => {
  const bridge = (options: readonly (readonly [string, string])[]) => config({ options: new Map(options) }).plugins[0]
  assert.is(bridge([['com.docker.network.driver.mtu', '1400']])?.['mtu'], 1400)
  assert.is(bridge([['mtu', '9000']])?.['mtu'], 9000)
  assert.is(bridge([['com.docker.network.bridge.enable_ip_masquerade', 'false']])?.['ipMasq'], false)
  assert.is(bridge([['icc', 'false']])?.['portIsolation'], true)
  throwsLike(() => bridge([['mtu', '10']]), { message: /mtu=10: must be an integer from 68/ })
  throwsLike(() => bridge([['icc', 'maybe']]), { message: /must be true or false/ })
  throwsLike(() => bridge([['speed', 'fast']]), { message: /read -o speed: unknown/ })
})

test('macvlan and ipvlan hang from an interface', () => {
  const options = new Map([
    ['parent', 'eth1'],
    ['macvlan_mode', 'bridge']
  ])
  const [plugin] = config({ driver: 'macvlan', options }).plugins
  assert.equal([plugin?.type, plugin?.['master'], plugin?.['mode']], ['macvlan', 'eth1', 'bridge'])
  throwsLike(() => config({ driver: 'ipvlan' }), { message: /needs a parent interface/ })
  throwsLike(() => config({ driver: 'overlay' }), { message: /no driver "overlay"/ })
  throwsLike(() => config({ driver: 'macvlan' }, ['bridge']), { message: /no driver "macvlan"/ })
})

test('wishes that cannot be', () => {
  const cases: readonly (readonly [Partial<NetworkWish>, RegExp])[] = [
    [{ subnets: ['10.1.0.0'] }, /--subnet "10\.1\.0\.0"/],
    [{ subnets: ['10.1.0.0/31'] }, /too small/],
    [{ subnets: ['10.1.0.0/24', '10.1.0.0/16'] }, /10\.1\.0\.0\/16 overlaps 10\.1\.0\.0\/24/],
    [{ subnets: ['10.1.0.0/24'], gateways: ['10.2.0.1'] }, /--gateway 10\.2\.0\.1: not in 10\.1\.0\.0\/24/],
    [{ subnets: ['10.1.0.0/24'], gateways: ['x'] }, /--gateway "x"/],
    [{ ipRanges: ['10.1.0.0/25'] }, /--ip-range 10\.1\.0\.0: not in/]
  ]
  for (const [more, message] of cases) throwsLike(() => config(more), { name: 'CommandError', message })
  throwsLike(() => config({ subnets: ['10.1.0.0/24'] }, ALL, ['10.0.0.0/8']), { message: /overlaps 10\.0\.0\.0\/8/ })
})

test('labels are kept', () => {
  assert.equal(config({ labels: new Map([['a', 'b=c']]) }).labels, { a: 'b=c' })
})

test.run()
