import { networkOf, parsePrefix } from '../lib/ip/prefix.ts'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { bridgeName, type NetworkWish, networkConfig } from './network-config.ts'

const test = suite('cli/network-config')

const ALL = ['bridge', 'ptp', 'portmap', 'firewall', 'tuning', 'dns', 'macvlan', 'ipvlan', 'host-local']

function wish(more: Partial<NetworkWish> = {}): NetworkWish {
  const nothing = { subnets: [], gateways: [], ipRanges: [], auxAddresses: [], options: new Map(), labels: new Map() }
  return {
    name: 'blue',
    driver: 'bridge',
    ipamDriver: '',
    internal: false,
    names: true,
    ipv6: false,
    encrypted: false,
    mayOverlap: false,
    ...nothing,
    ...more
  }
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
        exclude?: readonly string[]
      }[])[]
    }
  })[]
}

/** What is on the host: subnets of networks, prefixes of interfaces (`eth0 192.0.2.7/24`), routes. */
interface Host {
  readonly networks?: readonly string[]
  readonly interfaces?: readonly string[]
  readonly routes?: readonly string[]
  readonly links?: readonly string[]
}

function config(more: Partial<NetworkWish> = {}, host: Host = {}, plugins = ALL): Shown {
  const connected = (host.interfaces ?? []).map(text => {
    const [name = '', address = ''] = text.split(' ')
    const full = prefix(address)
    return { interface: name, address: full.address, prefix: networkOf(full), owner: `interface ${name}` }
  })
  const networks = (host.networks ?? []).map(text => ({ prefix: prefix(text), owner: 'network "green"' }))
  const routed = (host.routes ?? []).map(text => ({
    prefix: prefix(text),
    interface: 'tun0',
    owner: 'the route by tun0'
  }))
  const around = { plugins, networks, connected, routed, links: host.links }
  return JSON.parse(JSON.stringify(networkConfig(wish(more), around)))
}

test('a bridge network has the chain that there are plugins for', () => {
  const types = (plugins: readonly string[]) => config({}, {}, [...plugins]).plugins.map(plugin => plugin.type)
  assert.equal(types(ALL), ['bridge', 'portmap', 'firewall', 'tuning', 'dns'])
  const [dns] = config({ agentSocket: '/run/other.sock' }).plugins.slice(-1)
  assert.equal(dns?.['agent'], { socket: '/run/other.sock' })
  assert.not.ok(config({ names: false }).plugins.some(plugin => plugin.type === 'dns'))
  assert.ok(config({ internal: true }).plugins.find(plugin => plugin.type === 'dns')?.['internal'])
  assert.equal(types(['bridge', 'tuning']), ['bridge', 'tuning'])
})

test('the bridge is named after the network, as nerdctl names it', () => {
  // printf blue | sha256sum
  assert.is(bridgeName('blue'), 'br-16477688c0e0')
  assert.is(config().plugins[0]?.['bridge'], 'br-16477688c0e0')
  assert.is(config({ options: new Map([['com.docker.network.bridge.name', 'br9']]) }).plugins[0]?.['bridge'], 'br9')
})

test('a free subnet is chosen, clear of everything in use', () => {
  const subnet = (host: Host) => config({}, host).plugins[0]?.ipam.ranges[0]?.[0]?.subnet
  assert.is(subnet({}), '10.89.0.0/24')
  assert.is(subnet({ networks: ['10.89.0.0/24'], interfaces: ['eth0 10.89.1.200/25'] }), '10.89.2.0/24')
  assert.is(subnet({ networks: ['10.89.0.0/17'] }), '10.89.128.0/24')
  assert.is(subnet({ networks: ['10.0.0.0/8'] }), '172.28.0.0/24')
  assert.is(subnet({ routes: ['10.0.0.0/8', '172.16.0.0/12'] }), '192.168.128.0/24')
  // A VPN over the whole Internet leaves nothing that is not routed: then any subnet that nobody has.
  assert.is(subnet({ routes: ['0.0.0.0/1', '128.0.0.0/1'], networks: ['10.89.0.0/24'] }), '10.89.1.0/24')
  throwsLike(() => subnet({ networks: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'] }), {
    name: 'CommandError',
    message: /every subnet of 10\.89\.0\.0\/16.* is in use/
  })
})

test('subnets of networks, interfaces and routes clash, and are named; unless that is wanted', () => {
  const make = (subnet: string, host: Host, mayOverlap = false) =>
    config({ subnets: [subnet], mayOverlap }, host).plugins[0]?.ipam.ranges[0]?.[0]?.subnet
  assert.is(make('10.5.0.0/24', { routes: ['10.6.0.0/16', '0.0.0.0/1', '128.0.0.0/1'] }), '10.5.0.0/24')
  const refused = (host: Host, message: RegExp) =>
    throwsLike(() => make('10.5.0.0/24', host), { name: 'CommandError', message })
  refused({ interfaces: ['eth0 10.5.0.9/16'] }, /10\.5\.0\.0\/24 overlaps 10\.5\.0\.0\/16 of interface eth0/)
  refused({ networks: ['10.5.0.128/25'] }, /overlaps 10\.5\.0\.128\/25 of network "green"/)
  refused({ routes: ['10.0.0.0/8'] }, /overlaps 10\.0\.0\.0\/8 of the route by tun0/)
  const crowded = { interfaces: ['eth0 10.5.0.9/16'], networks: ['10.5.0.128/25'], routes: ['10.0.0.0/8'] }
  assert.is(make('10.5.0.0/24', crowded, true), '10.5.0.0/24')
  const twice = { subnets: ['10.5.0.0/24', '10.5.0.0/25'], mayOverlap: true }
  throwsLike(() => config(twice), { message: /overlaps 10\.5\.0\.0\/24 of another --subnet/ })
})

test('macvlan in its parent\u2019s own subnet, without the host\u2019s addresses; a bridge that is there', () => {
  const host = { interfaces: ['eth0 192.168.1.20/24', 'br0 10.6.0.1/24'] }
  const lan = (parent: string) =>
    config({ driver: 'macvlan', subnets: ['192.168.1.0/24'], options: new Map([['parent', parent]]) }, host)
  assert.equal(lan('eth0').plugins[0]?.ipam.ranges[0]?.[0]?.exclude, ['192.168.1.20'])
  throwsLike(() => lan('eth1'), { message: /overlaps 192\.168\.1\.0\/24 of interface eth0/ })
  const onto = (bridge: string) => config({ subnets: ['10.6.0.0/24'], options: new Map([['bridge', bridge]]) }, host)
  assert.is(onto('br0').plugins[0]?.['bridge'], 'br0')
  throwsLike(() => onto('br1'), { message: /of interface br0/ })
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
  const asked = (wish: Partial<NetworkWish>) => config(wish).plugins[0]?.ipam
  assert.match(
    JSON.stringify(asked({ subnets: ['10.1.0.0/24'], ipRanges: ['10.1.0.0/25'] })),
    /"requestedFrom":"subnet"/
  )
  assert.ok(!JSON.stringify(asked({ subnets: ['10.1.0.0/24'] })).includes('requestedFrom'))
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
    ['bridge', 'firewall', 'tuning', 'dns']
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
  const modes = new Map([...options, ['macvlan_mode', 'brigde']])
  throwsLike(() => config({ driver: 'macvlan', options: modes }), {
    message: /mode=brigde: must be one of bridge, .*"bridge"\?/
  })
  throwsLike(() => config({ driver: 'toString' }), { message: /no driver "toString"/ })
  throwsLike(() => config({ driver: 'macvlan' }, {}, ['bridge']), { message: /no driver "macvlan"/ })
})

test('a parent is there, or is a VLAN of one that is there', () => {
  const on = (parent: string) =>
    config(
      { driver: 'macvlan', options: new Map([['parent', parent]]) },
      { links: ['lo', 'eth0', 'enp9s0altname-that-is-long'] }
    ).plugins[0]
  assert.equal([on('eth0')?.['createMaster'], on('eth0.10')?.['createMaster']], [undefined, true])
  assert.is(on('enp9s0altname-that-is-long')?.['master'], 'enp9s0altname-that-is-long')
  throwsLike(() => on('eth1'), { name: 'CommandError', message: /has no interface eth1; did you mean "eth0"\?/ })
  throwsLike(() => on('eth1.10'), { name: 'CommandError', message: /has no interface eth1/ })
  throwsLike(() => on('eth0.4095'), { name: 'CommandError', message: /has no interface eth0\.4095/ })
})

test('ptp, and networks that get their addresses from a DHCP server or none', () => {
  const types = (more: Partial<NetworkWish>) => config(more).plugins.map(plugin => plugin.type)
  assert.equal(types({ driver: 'ptp' }), ['ptp', 'portmap', 'firewall', 'tuning', 'dns'])
  assert.equal(config({ ipamDriver: 'dhcp' }).plugins[0]?.ipam, { type: 'dhcp' })
  assert.is(config({ ipamDriver: 'none' }).plugins[0]?.ipam, undefined)
  throwsLike(() => config({ ipamDriver: 'dhpc' }), { message: /"dhpc"; did you mean "dhcp"\?/ })
  throwsLike(() => config({ ipamDriver: 'dhcp', subnets: ['10.1.0.0/24'] }), { message: /takes no subnet/ })
})

test('what no container gets', () => {
  const range = (more: Partial<NetworkWish>) =>
    config({ subnets: ['10.1.0.0/24'], ...more }).plugins[0]?.ipam.ranges[0]?.[0]
  assert.equal(range({ auxAddresses: ['router=10.1.0.5', '10.1.0.6'] })?.exclude, ['10.1.0.5', '10.1.0.6'])
  throwsLike(() => range({ auxAddresses: ['router=10.2.0.5'] }), { message: /--aux-address 10\.2\.0\.5: not in/ })
})

test('wishes that cannot be', () => {
  const subnets = ['10.1.0.0/24']
  const cases: readonly (readonly [Partial<NetworkWish>, RegExp])[] = [
    [{ subnets: ['10.1.0.0'] }, /--subnet "10\.1\.0\.0"/],
    [{ subnets: ['10.1.0.0/31'] }, /too small/],
    [{ subnets, gateways: ['10.2.0.1'] }, /--gateway 10\.2\.0\.1: not in 10\.1\.0\.0\/24/],
    [{ subnets, gateways: ['x'] }, /--gateway "x"/],
    [{ subnets, gateways: ['10.1.0.0'] }, /10\.1\.0\.0: is the address of the network itself/],
    [{ subnets, gateways: ['10.1.0.255'] }, /10\.1\.0\.255: is the broadcast address/],
    [{ subnets, gateways: ['10.1.0.1', '10.1.0.2'] }, /10\.1\.0\.1 and 10\.1\.0\.2 are both in 10\.1\.0\.0\/24/],
    [{ ipRanges: ['10.1.0.0/25'] }, /--ip-range 10\.1\.0\.0: not in/],
    [{ subnets, ipRanges: ['10.1.0.0/16'] }, /10\.1\.0\.0\/16: is not within 10\.1\.0\.0\/24/],
    [{ subnets, ipRanges: ['10.1.0.1/32'] }, /10\.1\.0\.1 to 10\.1\.0\.1 has no address left/],
    [{ subnets, ipRanges: ['10.1.0.255/32'] }, /10\.1\.0\.255\/32: holds no address/],
    [{ subnets, ipRanges: ['10.1.0.4/31'], auxAddresses: ['10.1.0.4', '10.1.0.5'] }, /has no address left/],
    [{ subnets: ['224.1.0.0/24'] }, /of multicast/],
    [{ subnets: ['0.0.0.0/0'] }, /"this network"/],
    [{ subnets: ['127.1.0.0/24'] }, /of the loopback/],
    [{ subnets: ['fe80::/64'] }, /link-local/],
    [{ subnets: ['ff02::/64'] }, /of multicast/],
    [{ options: new Map([['bridge', 'a/b']]) }, /bridge=a\/b: must hold no/],
    [{ options: new Map([['bridge', 'averylongbridgename']]) }, /must be at most 15 bytes/]
  ]
  for (const [more, message] of cases) throwsLike(() => config(more), { name: 'UsageError', message })
  throwsLike(() => config({ subnets: ['10.1.0.0/24', '10.1.0.0/16'] }), {
    name: 'CommandError',
    message: /10\.1\.0\.0\/16 overlaps 10\.1\.0\.0\/24 of another --subnet/
  })
})

test('labels are kept', () => {
  assert.equal(config({ labels: new Map([['a', 'b=c']]) }).labels, { a: 'b=c' })
})

test.run()
