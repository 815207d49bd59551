/** biome-ignore-all lint/style/noExcessiveLinesPerFile: the nouns of one Net against iproute2, over the same pair of namespaces */
/** biome-ignore-all lint/complexity/noExcessiveLinesPerFunction: the nouns of one Net against iproute2, over the same pair of namespaces */
/**
 * The real namespaces, judged by iproute2: what we make, `ip`, `bridge` and `tc` must see; what they make, we must see.
 */
import { spawn } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts'
import { formatMac, parseMac } from '../ip/mac.ts'
import { formatPrefix, type IpPrefix, parsePrefix } from '../ip/prefix.ts'
import { ip, ipLink, ipLinks, must } from '../testing/ip-json.ts'
import { type Namespace, withNamespaces } from '../testing/namespace.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { LinuxKernel } from './kernel-net.ts'
import type { LinkInfo, NewLink } from './links.ts'
import type { Net } from './net.ts'
import { type Route, SCOPE_LINK } from './routes.ts'

const test = suite('lib/net: kernel')
const kernel = new LinuxKernel()

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a value of the test is missing')
  return value
}
const address = (text: string): IpAddress => given(parseAddress(text))
const prefix = (text: string): IpPrefix => given(parsePrefix(text))
const mac = (text: string): Uint8Array => given(parseMac(text))

type Row = Readonly<Record<string, unknown>>

/** JSON of `ip`, `bridge` or `tc`; they print nothing for an empty list, and {} for what a filter left out. */
function json(box: Namespace, line: string): readonly Row[] {
  const [program = '', ...args] = line.split(' ')
  const text = must(box, program, ...args).trim()
  const rows: readonly Row[] = text === '' ? [] : JSON.parse(text)
  return rows.filter(row => Object.keys(row).length > 0)
}

function infoData(box: Namespace, name: string): Row {
  return ipLink(box, name)?.linkinfo?.info_data ?? {}
}

/** Opens each namespace, and closes it whatever happens. */
function withNets(count: number, body: (nets: readonly Net[], boxes: readonly Namespace[]) => void): void {
  withNamespaces(count, (...boxes) => {
    const nets = boxes.map(box => kernel.open(box.path))
    try {
      body(nets, boxes)
    } finally {
      for (const net of nets) net.close()
    }
  })
}

function withNet(body: (net: Net, box: Namespace) => void): void {
  withNets(1, ([net], [box]) => body(given(net), given(box)))
}

test('links made by ip are listed as ip lists them', () => {
  withNet((net, box) => {
    ip(box, 'link add br0 type bridge')
    ip(box, 'link add v0 mtu 1400 address 0a:00:00:00:00:01 txqueuelen 77 type veth peer name v1')
    ip(box, 'link set v0 master br0 up promisc on')
    ip(box, 'link set v1 alias some-alias up')
    ip(box, 'link property add dev v1 altname another-name altname yet-another')
    ip(box, 'link add mv0 link v1 type macvlan mode private')
    ip(box, 'link set dev mv0 group 5 allmulticast on')
    const states: Readonly<Record<string, string>> = { UNKNOWN: 'unknown', UP: 'up', DOWN: 'down' }
    const seen = net.links.list().map(link => ({
      ifindex: link.index,
      ifname: link.name,
      mtu: link.mtu,
      address: link.mac === undefined ? undefined : formatMac(link.mac),
      master: link.masterIndex === undefined ? undefined : net.links.findByIndex(link.masterIndex)?.name,
      parent: link.parentIndex,
      operstate: link.operState,
      txqlen: link.txQueueLength,
      promiscuity: link.promiscuity,
      alias: link.alias,
      altnames: link.altNames,
      kind: link.kind,
      up: link.isUp,
      promisc: link.isPromiscuous,
      allmulti: link.isAllMulticast,
      group: link.groupId === 0 ? 'default' : String(link.groupId)
    }))
    const names = new Map(json(box, 'ip -j link').map(row => [row['ifname'], row['ifindex']]))
    const expected = json(box, 'ip -j -d link').map(row => ({
      ifindex: row['ifindex'],
      ifname: row['ifname'],
      mtu: row['mtu'],
      address: row['address'],
      master: row['master'],
      parent: row['link_index'] ?? names.get(row['link']),
      operstate: states[String(row['operstate'])],
      txqlen: row['txqlen'],
      promiscuity: row['promiscuity'],
      alias: row['ifalias'],
      altnames: row['altnames'] ?? [],
      kind: (row['linkinfo'] as Row | undefined)?.['info_kind'],
      up: (row['flags'] as string[]).includes('UP'),
      promisc: (row['flags'] as string[]).includes('PROMISC'),
      allmulti: (row['flags'] as string[]).includes('ALLMULTI'),
      group: row['group']
    }))
    assert.equal(seen, expected)
    assert.is(net.links.get('another-name').name, 'v1')
  })
})

test('a kernel without VLANs of bridges is told apart from one without bridges', () => {
  withNet((net, box) => {
    let refusal = ''
    try {
      net.links.add({ name: 'br0', kind: { kind: 'bridge', vlanFiltering: true } })
    } catch (error) {
      refusal = String(error)
    }
    const isThere = box.run('ip', ['link', 'add', 'br1', 'type', 'bridge', 'vlan_filtering', '1']).status === 0
    assert.match(refusal, isThere ? /^$/ : /EOPNOTSUPP .*VLANs of bridges need CONFIG_BRIDGE_VLAN_FILTERING/)
  })
})

test('a link is found by names of any length that the kernel takes', () => {
  withNet((net, box) => {
    ip(box, 'link add v0 type veth peer name v1')
    // Fifteen bytes fit IFLA_IFNAME, sixteen do not; 127 is the longest alternative name. Counted in bytes, not letters.
    const names = ['a'.repeat(15), 'b'.repeat(16), 'enp9s0altname-that-is-longer', 'c'.repeat(127), 'é'.repeat(8)]
    for (const name of names) ip(box, `link property add dev v1 altname ${name}`)
    const index = ipLink(box, 'v1').ifindex
    for (const name of names) {
      assert.is(net.links.find(name)?.index, index, name)
      assert.is(net.links.get(name).name, 'v1', name)
    }
    for (const name of ['d'.repeat(16), 'd'.repeat(127), 'd'.repeat(128), 'd'.repeat(100_000)]) {
      assert.is(net.links.find(name), undefined)
      throwsLike(() => net.links.get(name), { errno: 'ENODEV' })
    }
  })
})

test('a veth pair over two namespaces is made whole, ports and all', () => {
  withNets(2, ([host, container], [hostBox, containerBox]) => {
    if (host === undefined || container === undefined || hostBox === undefined || containerBox === undefined) return
    const bridge = host.links.add({ name: 'br0', kind: { kind: 'bridge', ageingTime: 12000 }, up: true })
    const peer = { name: 'eth0', netns: container, mtu: 1400, mac: mac('0a:00:00:00:00:05') }
    const link = host.links.add({
      name: 'veth0',
      kind: { kind: 'veth', peer },
      mtu: 1300,
      mac: mac('0a:00:00:00:00:04'),
      masterIndex: bridge.index,
      up: true,
      txQueueLength: 55
    })
    container.links.set(container.links.get('eth0').index, { up: true })
    const near = given(ipLink(hostBox, 'veth0'))
    const far = given(ipLink(containerBox, 'eth0'))
    assert.is(near.ifindex, link.index)
    assert.equal([near.mtu, near.address, near.master], [1300, '0a:00:00:00:00:04', 'br0'])
    assert.equal([far.mtu, far.address], [1400, '0a:00:00:00:00:05'])
    assert.ok(near.flags.includes('LOWER_UP') && far.flags.includes('LOWER_UP'))
    assert.is(infoData(hostBox, 'br0')['ageing_time'], 12000)
    // Each end names the other's index, and the namespace by the number that this one gave it.
    assert.is(link.parentIndex, far.ifindex)
    assert.is(link.linkNetnsId, host.findNetnsId(container))
    assert.is(container.links.get('eth0').linkNetnsId, container.findNetnsId(host))
    host.links.setPort(link.index, { hairpin: true, isolated: true, learning: false, neighbourSuppress: true })
    const port = given(json(hostBox, 'bridge -j -d link show dev veth0')[0])
    assert.equal(
      [port['hairpin'], port['isolated'], port['learning'], port['neigh_suppress'], port['flood']],
      [true, true, false, true, true]
    )
    const seen = given(host.links.get('veth0').port)
    assert.equal([seen.hairpin, seen.isolated, seen.learning, seen.neighbourSuppress], [true, true, false, true])
    assert.is(host.links.remove('veth0'), true)
    assert.is(host.links.remove('veth0'), false)
    assert.is(container.links.find('eth0'), undefined)
  })
})

test('a pair that cannot be made leaves nothing', () => {
  withNets(2, ([host, container], [hostBox, containerBox]) => {
    if (host === undefined || container === undefined || hostBox === undefined || containerBox === undefined) return
    ip(containerBox, 'link add eth0 type bridge')
    const kind = { kind: 'veth', peer: { name: 'eth0', netns: container } } as const
    throwsLike(() => host.links.add({ name: 'veth0', kind }), { name: 'KernelError', errno: 'EEXIST' })
    const other = { kind: 'veth', peer: { name: 'eth1', netns: container } } as const
    throwsLike(() => host.links.add({ name: 'veth0', kind: other, masterIndex: 999 }), { errno: 'EINVAL' })
    assert.equal(
      ipLinks(hostBox).map(link => link.ifname),
      ['lo']
    )
    assert.equal(
      ipLinks(containerBox).map(link => link.ifname),
      ['lo', 'eth0']
    )
  })
})

test('a pair inside another namespace than the asker’s', () => {
  withNets(2, ([host, container], [hostBox, containerBox]) => {
    if (host === undefined || container === undefined || hostBox === undefined || containerBox === undefined) return
    host.links.addIn(container, { name: 'a', kind: { kind: 'veth', peer: { name: 'b' } } })
    assert.equal(
      ipLinks(containerBox)
        .map(link => link.ifname)
        .sort(),
      ['a', 'b', 'lo']
    )
    assert.equal(
      ipLinks(hostBox).map(link => link.ifname),
      ['lo']
    )
  })
})

test('links of every kind carry what was asked for', () => {
  withNets(2, ([net, other], [box, otherBox]) => {
    if (net === undefined || other === undefined || box === undefined || otherBox === undefined) return
    const parent = net.links.add({ name: 'p0', kind: { kind: 'veth', peer: { name: 'p1' } }, up: true })
    const group = address('239.1.1.1')
    const make = (link: NewLink): LinkInfo => net.links.add(link).info

    make({ name: 'mv0', kind: { kind: 'macvlan', parentIndex: parent.index, mode: 'vepa', bcQueueLength: 500 } })
    assert.is(infoData(box, 'mv0')['mode'], 'vepa')
    assert.is(infoData(box, 'mv0')['bcqueuelen'], 500)
    const macs = [mac('0a:00:00:00:00:07'), mac('0a:00:00:00:00:08')]
    const source = make({ name: 'mv1', kind: { kind: 'macvlan', parentIndex: parent.index, mode: 'source', macs } })
    assert.is(infoData(box, 'mv1')['macaddr_count'], 2)
    assert.ok(source.kind === 'macvlan' && source.mode === 'source' && source.macCount === 2)

    make({
      name: 'vx0',
      kind: {
        kind: 'vxlan',
        id: 42,
        local: address('192.0.2.1'),
        group,
        parentIndex: parent.index,
        port: 4790,
        learning: false,
        ttl: 9,
        tos: 16,
        ageing: 60,
        limit: 10,
        sourcePorts: { low: 40000, high: 40100 },
        l2miss: true,
        l3miss: true,
        proxy: true,
        udpChecksum: false,
        df: 'set'
      }
    })
    const vx0 = infoData(box, 'vx0')
    assert.equal(
      ['id', 'local', 'group', 'link', 'port', 'learning', 'ttl', 'ageing', 'limit', 'df', 'proxy'].map(
        key => vx0[key]
      ),
      [42, '192.0.2.1', '239.1.1.1', 'p0', 4790, false, 9, 60, 10, 'set', true]
    )
    assert.equal(vx0['port_range'], { low: 40000, high: 40100 })
    assert.equal([vx0['l2miss'], vx0['l3miss'], vx0['udp_csum']], [true, true, false])

    const six = make({
      name: 'vx1',
      kind: {
        kind: 'vxlan',
        id: 43,
        local: address('2001:db8::1'),
        port: 8472,
        udpZeroChecksum6Tx: true,
        udpZeroChecksum6Rx: true
      }
    })
    const vx1 = infoData(box, 'vx1')
    assert.equal([vx1['local6'], vx1['udp_zero_csum6_tx'], vx1['udp_zero_csum6_rx']], ['2001:db8::1', true, true])
    assert.ok(six.kind === 'vxlan' && six.id === 43 && six.learning === true && six.port === 8472)
    assert.is(six.kind === 'vxlan' && six.local !== undefined ? formatAddress(six.local) : '', '2001:db8::1')

    make({ name: 'ifb7', kind: { kind: 'ifb' } })
    assert.is(ipLink(box, 'ifb7')?.linkinfo?.info_kind, 'ifb')

    // The parent is looked up here, the link appears there.
    const kind = { kind: 'macvlan', parentIndex: parent.index, mode: 'bridge' } as const
    net.links.addIn(other, { name: 'eth0', kind, mtu: 1200, mac: mac('0a:00:00:00:00:22'), up: true })
    const away = other.links.get('eth0')
    const seen = given(ipLink(otherBox, 'eth0'))
    assert.equal([seen.ifindex, seen.mtu, seen.address], [away.index, 1200, '0a:00:00:00:00:22'])
    assert.ok(seen.flags.includes('UP'))
    assert.is(away.parentIndex, parent.index)
    assert.is(away.linkNetnsId, other.findNetnsId(net))
  })
})

test('a tap belongs to whom it was given', () => {
  withNet((net, box) => {
    const tap = net.links.addTap({ name: 'tap0', owner: 54321, group: 4294967294, multiQueue: true })
    const data = infoData(box, 'tap0')
    assert.equal([data['type'], data['user'], data['multi_queue'], data['persist']], ['tap', 54321, true, true])
    assert.ok(tap.info.kind === 'tun' && tap.info.owner === 54321 && tap.info.group === 4294967294)
    throwsLike(() => net.links.addTap({ name: 'tap0' }), { name: 'KernelError', errno: 'EBUSY', message: /"tap0"/ })
    const plain = net.links.addTap({ name: 'tap1' })
    assert.ok(plain.info.kind === 'tun' && plain.info.owner === undefined)
    assert.is(net.links.removeByIndex(tap.index), true)
    assert.is(net.links.removeByIndex(tap.index), false)
  })
})

/** Of the veth pairs that iproute2 sees. */
function namesOf(box: Namespace): readonly string[] {
  const links: { readonly ifname: string }[] = JSON.parse(box.run('ip', ['-j', 'link', 'show', 'type', 'veth']).stdout)
  return links.map(link => link.ifname).sort()
}

test('links are removed together, and no others', () => {
  withNet((net, box) => {
    const add = (name: string): number =>
      net.links.add({ name, kind: { kind: 'veth', peer: { name: `far-${name}` } } }).index
    const [kept, ...gone] = ['kept', 'one', 'two', 'three'].map(add)
    net.links.removeTogether([...gone, 4711])
    assert.equal(namesOf(box), ['far-kept', 'kept'])
    assert.is(net.links.get('kept').index, kept)
    net.links.removeTogether([4711])
  })
})

test('links are changed in one request', () => {
  withNets(2, ([net, other], [box, otherBox]) => {
    if (net === undefined || other === undefined || box === undefined || otherBox === undefined) return
    const link = net.links.add({ name: 'v0', kind: { kind: 'veth', peer: { name: 'v1' } } })
    net.links.set(link.index, {
      name: 'renamed',
      mtu: 1280,
      mac: mac('0a:00:00:00:00:33'),
      alias: 'an alias',
      txQueueLength: 9,
      promiscuous: true,
      allMulticast: true,
      up: true
    })
    const seen = given(ipLink(box, 'renamed'))
    assert.equal([seen.mtu, seen.address, seen.ifalias], [1280, '0a:00:00:00:00:33', 'an alias'])
    for (const flag of ['UP', 'PROMISC', 'ALLMULTI']) assert.ok(seen.flags.includes(flag), flag)
    net.links.set(link.index, { promiscuous: false, alias: '' })
    assert.is(ipLink(box, 'renamed')?.ifalias, undefined)
    assert.ok(ipLink(box, 'renamed')?.flags.includes('PROMISC') === false)
    assert.ok(ipLink(box, 'renamed')?.flags.includes('UP') === true)
    net.links.set(link.index, { netns: other, name: 'moved' })
    assert.is(net.links.findByIndex(link.index), undefined)
    assert.is(ipLink(otherBox, 'moved')?.mtu, 1280)
  })
})

test('refusals carry code and the kernel’s own words', () => {
  withNet((net, box) => {
    ip(box, 'link add v0 type veth peer name v1')
    const index = net.links.get('v0').index
    throwsLike(() => net.links.get('absent'), {
      errno: 'ENODEV',
      message: /^get link "absent": ENODEV \(No such device\)$/
    })
    throwsLike(() => net.links.add({ name: 'v0', kind: { kind: 'ifb' } }), { errno: 'EEXIST' })
    throwsLike(() => net.links.set(index, { mtu: 10 }), {
      errno: 'EINVAL',
      message: new RegExp(`^set link ${index}: EINVAL \\(Invalid argument; mtu less than device minimum\\)$`)
    })
    throwsLike(() => net.links.set(4711, { up: true }), { errno: 'ENODEV' })
    throwsLike(() => net.routes.add({ dst: undefined, gateway: address('192.0.2.1') }), {
      errno: 'ENETUNREACH',
      message: /^add route default \(IPv4\) via 192\.0\.2\.1: ENETUNREACH \(.*; Nexthop has invalid gateway\)$/
    })
    assert.is(net.links.findByIndex(0), undefined)
  })
})

test('an IPv6 address on a link with an MTU too small for one: the reason is told', () => {
  withNet((net, box) => {
    ip(box, 'link add v0 mtu 1279 type veth peer name v1')
    const index = net.links.get('v0').index
    const address = { prefix: prefix('2001:db8::2/64') }
    for (const add of [() => net.addresses.add(index, address), () => net.addresses.ensure(index, [address])]) {
      throwsLike(add, { errno: 'EINVAL', message: /^add address 2001:db8::2\/64 to link .*IPv6 needs an MTU of 1280/ })
    }
    ip(box, 'link set v0 mtu 1280')
    net.addresses.ensure(index, [address])
  })
})

test('addresses', () => {
  withNet((net, box) => {
    ip(box, 'link add v0 type veth peer name v1')
    ip(box, 'link set v1 up')
    ip(box, 'link set v0 addrgenmode none up')
    const index = net.links.get('v0').index
    net.addresses.ensure(index, [
      { prefix: prefix('10.1.0.2/24'), broadcast: address('10.1.0.255') },
      { prefix: prefix('10.2.0.2/24'), label: 'v0:x', noPrefixRoute: true },
      { prefix: prefix('10.3.0.1/32'), peer: prefix('10.3.0.9/32'), scope: SCOPE_LINK },
      { prefix: prefix('2001:db8::2/64'), noDad: true },
      { prefix: prefix('2001:db8:1::2/64'), noDad: true, lifetime: { preferred: 500, valid: undefined } }
    ])
    const rows = given(json(box, 'ip -j -d addr show dev v0')[0])['addr_info'] as Row[]
    const shown = rows.map(row => [
      `${row['local']}/${row['prefixlen']}`,
      row['address'],
      row['broadcast'],
      row['scope'],
      row['label'],
      row['noprefixroute'] ?? false,
      row['nodad'] ?? false
    ])
    assert.equal(shown, [
      ['10.3.0.1/32', '10.3.0.9', undefined, 'link', 'v0', false, false],
      ['10.1.0.2/24', undefined, '10.1.0.255', 'global', 'v0', false, false],
      ['10.2.0.2/24', undefined, undefined, 'global', 'v0:x', true, false],
      ['2001:db8:1::2/64', undefined, undefined, 'global', undefined, false, true],
      ['2001:db8::2/64', undefined, undefined, 'global', undefined, false, true]
    ])
    const listed = net.addresses.list(index)
    assert.equal(
      listed.map(one => [formatPrefix(one.prefix), one.isTentative, one.scope, one.lifetime !== undefined]),
      [
        ['10.3.0.1/32', false, 253, false],
        ['10.1.0.2/24', false, 0, false],
        ['10.2.0.2/24', false, 0, false],
        ['2001:db8:1::2/64', false, 0, true],
        ['2001:db8::2/64', false, 0, false]
      ]
    )
    const far = given(listed[0]?.peer)
    assert.is(formatPrefix(far), '10.3.0.9/32')
    assert.is(net.addresses.list(net.links.get('v1').index).filter(one => one.prefix.address.family === 4).length, 0)
    // The same again is fine, with another length it is told apart, by itself it is refused.
    net.addresses.ensure(index, [{ prefix: prefix('10.1.0.2/24') }])
    net.addresses.ensure(index, [{ prefix: prefix('2001:db8::2/64'), noDad: true }])
    throwsLike(() => net.addresses.ensure(index, [{ prefix: prefix('2001:db8::2/48') }]), {
      errno: 'EEXIST',
      message: /there as 2001:db8::2\/64/
    })
    throwsLike(() => net.addresses.add(index, { prefix: prefix('10.1.0.2/24') }), { errno: 'EEXIST' })
    assert.is(net.addresses.remove(index, prefix('10.1.0.2/24')), true)
    assert.is(net.addresses.remove(index, prefix('10.1.0.2/24')), false)
    assert.is(net.addresses.remove(index, prefix('2001:db8::2/64')), true)
    assert.is(net.addresses.remove(index, prefix('2001:db8::2/64')), false)
    throwsLike(() => net.addresses.add(4711, { prefix: prefix('10.1.0.2/24') }), { errno: 'ENODEV' })
    throwsLike(() => net.addresses.list(4711), { errno: 'ENODEV' })
  })
})

/** Routes as `ip` shows them, without those that come and go by themselves. */
function shownRoutes(box: Namespace, table: string): string {
  const own = (row: Row): boolean => !String(row['dst']).startsWith('fe80') && !String(row['dst']).startsWith('ff00')
  const all = json(box, 'ip -j -d -4 route show table all').concat(json(box, 'ip -j -d -6 route show table all'))
  const rows = all.filter(row => own(row) && (row['table'] ?? 'main') === table)
  return rows
    .map(row => JSON.stringify(row))
    .sort()
    .join('\n')
}

test('routes: what ip made can be listed, removed and made again', () => {
  withNet((net, box) => {
    ip(box, 'link add v0 type veth peer name v1')
    ip(box, 'link set v1 up')
    ip(box, 'link set v0 addrgenmode none up')
    ip(box, 'addr add 10.1.0.2/24 dev v0')
    ip(box, 'addr add 2001:db8::2/64 dev v0 nodad')
    const lines = [
      'default via 10.1.0.1 dev v0',
      '10.20.0.0/16 via 10.1.0.1 dev v0 metric 50 mtu 1300 advmss 1260',
      '10.21.0.0/16 via 172.16.0.1 dev v0 onlink proto static',
      '10.22.0.0/16 nexthop via 10.1.0.1 dev v0 weight 3 nexthop via 10.1.0.9 dev v0 weight 1',
      '10.23.0.0/16 via inet6 2001:db8::9 dev v0',
      'blackhole 10.24.0.0/16',
      'unreachable 10.25.0.0/16 metric 9',
      '10.26.0.0/16 dev v0 src 10.1.0.2',
      '10.27.0.1 dev v0 scope host',
      'default via 2001:db8::1 dev v0 metric 77',
      '2001:db8:9::/48 via 2001:db8::1 dev v0 mtu 1400',
      'unreachable 2001:db8:a::/48'
    ]
    for (const line of lines) ip(box, `route add ${line}`)
    ip(box, 'route add 10.30.0.0/16 via 10.1.0.1 table 1000')
    ip(box, 'route add default via 10.1.0.1 table 100')
    for (const [name, table] of [
      ['main', 254],
      ['1000', 1000],
      ['100', 100]
    ] as const) {
      const before = shownRoutes(box, name)
      const routes = net.routes.list({ table }).filter(route => route.protocol !== 2)
      assert.ok(routes.length > 0)
      for (const route of routes) assert.is(net.routes.remove(route), true, JSON.stringify(route))
      for (const route of routes) assert.is(net.routes.remove(route), false, JSON.stringify(route))
      assert.is.not(shownRoutes(box, name), before)
      // The way to a gateway first.
      const direct = (route: Route): number => (route.gateway === undefined ? 0 : 1)
      net.routes.ensure([...routes].sort((a, b) => direct(a) - direct(b)))
      assert.is(shownRoutes(box, name), before)
      net.routes.ensure(routes)
      assert.is(shownRoutes(box, name), before)
    }
  })
})

test('routes: filters, defaults and the explanation of a rival', () => {
  withNet((net, box) => {
    ip(box, 'link add v0 type veth peer name v1')
    ip(box, 'link set v1 up')
    ip(box, 'link set v0 up')
    ip(box, 'addr add 10.1.0.2/24 dev v0')
    const index = net.links.get('v0').index
    net.routes.add({ dst: undefined, gateway: address('10.1.0.1') })
    net.routes.add({ dst: prefix('10.9.0.0/16'), index })
    net.routes.add({ dst: prefix('10.9.1.7/16'), gateway: address('10.1.0.1'), table: 4000, mtu: 1400 })
    assert.equal(json(box, 'ip -j route show default')[0]?.['gateway'], '10.1.0.1')
    assert.equal(json(box, 'ip -j route show 10.9.0.0/16')[0]?.['scope'], 'link')
    assert.equal(
      net.routes.list({ family: 4 }).map(route => (route.dst === undefined ? 'default' : formatPrefix(route.dst))),
      ['default', '10.1.0.0/24', '10.9.0.0/16']
    )
    assert.is(net.routes.list({ dst: prefix('10.9.0.0/16') }).length, 1)
    assert.is(net.routes.list({ dst: prefix('10.9.0.0/24') }).length, 0)
    assert.is(net.routes.list({ dst: prefix('0.0.0.0/0') }).length, 1)
    assert.is(net.routes.list({ table: 4000 }).length, 1)
    assert.is(net.routes.list({ table: 4001 }).length, 0)
    assert.is(net.routes.list({ family: 4, index: net.links.get('lo').index }).length, 0)
    assert.ok(net.routes.list({ table: 0, family: 4 }).some(route => route.table === 255))
    throwsLike(() => net.routes.ensure([{ dst: undefined, gateway: address('10.1.0.7') }]), {
      errno: 'EEXIST',
      message: /there as default \(IPv4\) via 10\.1\.0\.1 dev \d+/
    })
    net.routes.replace({ dst: undefined, gateway: address('10.1.0.7') })
    assert.equal(
      json(box, 'ip -j route show default').map(row => row['gateway']),
      ['10.1.0.7']
    )
    net.routes.ensure([{ dst: undefined, gateway: address('10.1.0.8'), metric: 5 }])
    assert.is(net.routes.remove({ dst: undefined, family: 4, metric: 5 }), true)
    assert.is(net.routes.remove({ dst: undefined, family: 6 }), false)
  })
})

test('more requests than fit one send, more answers than fit one datagram', () => {
  withNet((net, box) => {
    ip(box, 'link set lo up')
    const routes: Route[] = []
    for (let i = 0; i < 1000; i += 1) routes.push({ dst: prefix(`10.${i >> 8}.${i & 255}.0/24`), index: 1 })
    net.routes.ensure(routes)
    assert.is(json(box, 'ip -j route').length, 1000)
    assert.is(net.routes.list({ family: 4 }).length, 1000)
    const twice = [...routes.slice(0, 500), { dst: prefix('10.0.0.0/24'), gateway: address('192.0.2.1') }]
    throwsLike(() => net.routes.ensure(twice), { errno: 'ENETUNREACH' })
  })
})

test('neighbours and proxies', () => {
  withNet((net, box) => {
    ip(box, 'link add v0 type veth peer name v1')
    ip(box, 'link set v0 up')
    const index = net.links.get('v0').index
    ip(box, 'neigh add 10.1.0.9 lladdr 0a:00:00:00:00:0a dev v0 nud permanent')
    ip(box, 'neigh add 2001:db8::9 lladdr 0a:00:00:00:00:0b dev v0 nud noarp extern_learn')
    ip(box, 'neigh add proxy 10.1.0.77 dev v0')
    const listed = net.neighbours.list(index).filter(one => !formatAddress(one.address).startsWith('ff02'))
    assert.equal(
      listed.map(one => [formatAddress(one.address), one.state, one.proxy, one.extLearn]).sort(),
      [
        ['10.1.0.77', 'none', true, false],
        ['10.1.0.9', 'permanent', false, false],
        ['2001:db8::9', 'noarp', false, true]
      ].sort()
    )
  })
})

test('forwarding databases of a tunnel and of a bridge', () => {
  withNet((net, box) => {
    const local = address('192.0.2.1')
    const vx = net.links.add({ name: 'vx0', kind: { kind: 'vxlan', id: 9, local, port: 4789 }, up: true })
    net.fdb.set(vx.index, { mac: mac('0a:00:00:00:00:01'), dst: address('192.0.2.2') })
    net.fdb.set(vx.index, { mac: mac('0a:00:00:00:00:01'), dst: address('192.0.2.4') })
    const zero = mac('00:00:00:00:00:00')
    net.fdb.append(vx.index, { mac: zero, dst: address('192.0.2.5') })
    net.fdb.append(vx.index, { mac: zero, dst: address('192.0.2.6'), vni: 77, port: 4000 })
    const shown = json(box, 'bridge -j fdb show dev vx0').map(row => [row['mac'], row['dst'], row['vni'], row['port']])
    const expected = [
      ['00:00:00:00:00:00', '192.0.2.5', undefined, undefined],
      ['00:00:00:00:00:00', '192.0.2.6', 77, 4000],
      ['0a:00:00:00:00:01', '192.0.2.4', undefined, undefined]
    ]
    assert.equal(shown.sort(), expected)
    const listed = net.fdb.list(vx.index)
    assert.equal(
      listed
        .map(one => [formatMac(one.mac), one.dst === undefined ? '' : formatAddress(one.dst), one.vni, one.port])
        .sort(),
      expected
    )
    assert.ok(listed.every(one => one.self === true && one.permanent === true))
    assert.is(net.fdb.remove(vx.index, { mac: zero, dst: address('192.0.2.5') }), true)
    assert.is(net.fdb.remove(vx.index, { mac: mac('0a:00:00:00:00:77'), dst: address('192.0.2.5') }), false)
    assert.is(json(box, 'bridge -j fdb show dev vx0').length, 2)

    const bridge = net.links.add({ name: 'br0', kind: { kind: 'bridge' }, up: true })
    const port = net.links.add({ name: 'v0', kind: { kind: 'veth', peer: { name: 'v1' } }, masterIndex: bridge.index })
    net.fdb.set(port.index, { mac: mac('0a:00:00:00:00:42'), master: true })
    const row = json(box, 'bridge -j fdb show dev v0').find(one => one['mac'] === '0a:00:00:00:00:42')
    assert.equal([row?.['master'], row?.['state']], ['br0', 'static'])
    const entry = net.fdb.list(port.index).find(one => formatMac(one.mac) === '0a:00:00:00:00:42')
    assert.equal([entry?.master, entry?.self, entry?.permanent, entry?.local], [true, false, true, false])
  })
})

test('rules', () => {
  withNet((net, box) => {
    net.rules.add({ family: 4, from: prefix('10.1.0.2/32'), table: 1000, priority: 100 })
    net.rules.add({
      family: 4,
      mark: 0x2000,
      mask: 0xff00,
      iifName: 'v0',
      table: 77,
      suppressPrefixLength: 0,
      priority: 90,
      invert: true
    })
    net.rules.add({ family: 6, to: prefix('2001:db8::/32'), action: 'blackhole', priority: 50 })
    net.rules.add({ family: 4, priority: 60, action: 'goto', goto: 100, protocol: 4 })
    const shown = json(box, 'ip -j rule').filter(row => row['priority'] !== 0 && Number(row['priority']) < 32766)
    assert.equal(
      shown.map(row => [
        row['priority'],
        row['src'],
        row['table'],
        row['iif'],
        row['fwmark'],
        row['fwmask'],
        row['goto']
      ]),
      [
        [60, 'all', undefined, undefined, undefined, undefined, 100],
        [90, 'all', '77', 'v0', '0x2000', '0xff00', undefined],
        [100, '10.1.0.2', '1000', undefined, undefined, undefined, undefined]
      ]
    )
    assert.equal(json(box, 'ip -j -6 rule').find(row => row['priority'] === 50)?.['action'], 'blackhole')
    throwsLike(() => net.rules.add({ family: 4, from: prefix('10.1.0.2/32'), table: 1000, priority: 100 }), {
      errno: 'EEXIST'
    })
    const rules = net.rules.list(4).filter(rule => rule.priority !== 0 && (rule.priority ?? 0) < 32766)
    assert.equal(
      rules.map(rule => [rule.priority, rule.table, rule.mark, rule.invert, rule.suppressPrefixLength]),
      [
        [60, undefined, undefined, false, undefined],
        [90, 77, 0x2000, true, 0],
        [100, 1000, undefined, false, undefined]
      ]
    )
    for (const rule of rules) assert.is(net.rules.remove(rule), true, JSON.stringify(rule))
    for (const rule of rules) assert.is(net.rules.remove(rule), false, JSON.stringify(rule))
    assert.is(json(box, 'ip -j rule').length, 3)
  })
})

test('sysctls of the namespace, also of links with dots in their names', () => {
  withNet((net, box) => {
    ip(box, 'link add eth0.5 type veth peer name v1')
    net.sysctls.write('ipv4/conf/eth0.5/arp_notify', '1')
    assert.is(must(box, 'cat', '/proc/sys/net/ipv4/conf/eth0.5/arp_notify'), '1\n')
    assert.is(net.sysctls.read('ipv4/conf/eth0.5/arp_notify'), '1')
    assert.is(net.sysctls.read('ipv4/conf/absent/arp_notify'), undefined)
    assert.is(kernel.host().sysctls.read('ipv4/conf/eth0.5/arp_notify'), undefined)
    throwsLike(() => net.sysctls.write('ipv4/conf/absent/arp_notify', '1'), { name: 'KernelError', errno: 'ENOENT' })
    throwsLike(() => net.sysctls.write('ipv4/conf/lo/arp_notify', 'no number'), { errno: 'EINVAL' })
    for (const path of [
      '../kernel/hostname',
      '/etc/passwd',
      'ipv4/../../kernel/hostname',
      '',
      'a//b',
      'ipv4/.',
      'a\0b'
    ]) {
      throwsLike(() => net.sysctls.read(path), { errno: 'EINVAL' })
      throwsLike(() => net.sysctls.write(path, 'x'), { errno: 'EINVAL' })
    }
  })
})

test('namespaces: same, absent, and not one', () => {
  withNets(2, ([a, b], [box]) => {
    const again = kernel.open(given(box).path)
    assert.ok(given(a).isSameAs(again))
    assert.not.ok(given(a).isSameAs(given(b)))
    assert.is(given(a).findNetnsId(given(b)), undefined)
    again.close()
    throwsLike(() => kernel.open('/run/netns/absent-of-test'), { name: 'NetnsError', message: /no such file/ })
    throwsLike(() => kernel.open('/etc/passwd'), { name: 'NetnsError', message: /not a namespace/ })
    assert.is(kernel.find('/run/netns/absent-of-test'), undefined)
    assert.is(kernel.find('/etc/passwd'), undefined)
  })
})

test('the process stays in its namespace, and no descriptor is left open', () => {
  const home = readlinkSync('/proc/self/ns/net')
  withNet((net, box) => {
    net.links.list()
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 20; i += 1) {
      const one = kernel.open(box.path)
      one.links.list()
      one.sysctls.read('ipv4/ip_forward')
      one.links.addTap({ name: `tap${i}` })
      one.close()
      throwsLike(() => kernel.open('/etc/passwd'), { name: 'NetnsError' })
    }
    assert.is(readdirSync('/proc/self/fd').length, before)
    assert.is(readlinkSync('/proc/self/ns/net'), home)
  })
})

test('lists are whole while others change them', () => {
  withNet((net, box) => {
    const names: string[] = []
    for (let i = 0; i < 100; i += 1) names.push(net.links.add({ name: `i${i}`, kind: { kind: 'ifb' } }).name)
    const script = 'while :; do ip link add x type veth peer name y; ip link del x; done'
    const changer = spawn('nsenter', [`--net=${box.path}`, 'sh', '-c', script], { stdio: 'ignore' })
    try {
      const seen = new Set<number>()
      // Until both have been seen, with the pair and without: however slow the machine, the other program gets its turn.
      for (let round = 0; round < 300 || seen.size < 2; round += 1) {
        const listed = net.links.list().map(link => link.name)
        seen.add(listed.length)
        assert.equal(
          listed.filter(name => name.startsWith('i')),
          names,
          `round ${round}`
        )
      }
    } finally {
      changer.kill('SIGKILL')
    }
  })
})

test.run()
