/** Hosts as namespaces on an underlay; the executables are called as a runtime would call them. */
// needs: bridge ethtool ping nft
// time-out: 600 s
import { inLab, isUnreachable, type LabHost, type OverlayLab, ok, pings } from '../../lib/testing/overlay-lab.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('plugins/vxlan, black box')

/** The same subnets on every host, a range of them for each. */
function hostLocal(host: LabHost, v6 = true): object {
  const h = String(host.number + 1)
  const range4 = { subnet: '10.42.0.0/16', rangeStart: `10.42.${h}.10`, rangeEnd: `10.42.${h}.250` }
  const range6 = { subnet: 'fd42::/64', rangeStart: `fd42::${h}:10`, rangeEnd: `fd42::${h}:ff` }
  return { type: 'host-local', dataDir: `${host.directory}/leases`, ranges: v6 ? [[range4], [range6]] : [[range4]] }
}

function network(lab: OverlayLab, host: LabHost, more: object = {}): Record<string, unknown> {
  const peers = lab.hosts.map(one => one.address)
  return { type: 'vxlan', vni: 42, peers, isGateway: true, ipam: hostLocal(host), ...more }
}

function addresses(reply: { readonly json: { readonly ips: readonly { readonly address: string }[] } }): string[] {
  return reply.json.ips.map(ip => ip.address.split('/')[0] ?? '')
}

test('the underlay is named by an alternative name longer than a first one can be', async () => {
  await inLab(2, {}, lab => {
    const [host] = lab.hosts
    if (host === undefined) throw new Error('the lab has no host')
    const underlay = JSON.parse(ok(host.namespace, `ip -j addr show to ${host.address}`))[0].ifname
    const dev = 'enp9s0altname-that-is-longer'
    ok(host.namespace, `ip link property add dev ${underlay} altname ${dev}`)
    for (const more of [{ dev }, { dev, local: host.address }]) {
      const config = network(lab, host, more)
      const { netns, reply } = lab.add(host, config, 'c1')
      assert.is(JSON.parse(ok(host.namespace, 'ip -j -d link show vx42'))[0].linkinfo.info_data.link, underlay)
      const checked = lab.call(host, 'CHECK', { ...config, prevResult: reply.json }, { id: 'c1', netns: netns.path })
      assert.is(checked.status, 0, checked.stdout)
      assert.is(lab.call(host, 'DEL', config, { id: 'c1', netns: netns.path }).status, 0)
    }
  })
})

test('any container reaches any other over IPv4 and IPv6 with frames of full size, and nothing is left', async () => {
  await inLab(3, {}, lab => {
    const before = lab.hosts.map(host => lab.links(host.namespace))
    const boxes = lab.hosts.flatMap(host =>
      [1, 2].map(n => ({
        host,
        id: `c${host.number}-${n}`,
        ...lab.add(host, network(lab, host), `c${host.number}-${n}`)
      }))
    )
    for (const from of boxes) {
      for (const to of boxes) {
        if (from === to) continue
        const [four = '', six = ''] = addresses(to.reply)
        assert.ok(pings(from.netns, four, 1450 - 28), `${from.id} to ${four}`)
        assert.ok(pings(from.netns, six, 1450 - 48), `${from.id} to ${six}`)
      }
      assert.ok(pings(from.netns, '10.42.0.1'), 'the gateway on the own host')
    }
    const [first] = boxes
    assert.equal(
      first?.reply.json.interfaces.map((one: { name: string; mtu: number }) => `${one.name} ${one.mtu}`).slice(0, 2),
      ['br-vx42 1450', 'vx42 1450']
    )
    assert.is(first?.reply.json.interfaces[3].mtu, 1450)
    const gatewayMacs = lab.hosts.map(host => JSON.parse(ok(host.namespace, 'ip -j link show br-vx42'))[0].address)
    assert.is(new Set(gatewayMacs).size, 1)
    const tunnelMacs = lab.hosts.map(host => JSON.parse(ok(host.namespace, 'ip -j link show vx42'))[0].address)
    assert.is(new Set(tunnelMacs).size, 3)
    for (const { host, id, netns, reply } of boxes) {
      const checked = lab.call(
        host,
        'CHECK',
        { ...network(lab, host), prevResult: reply.json },
        { id, netns: netns.path }
      )
      assert.is(checked.stdout, '')
      const gone = lab.call(host, 'DEL', network(lab, host), { id, netns: '' })
      assert.is(gone.stdout, '')
      assert.is(lab.call(host, 'DEL', network(lab, host), { id, netns: '' }).status, 0)
    }
    lab.hosts.forEach((host, i) => {
      assert.equal(lab.links(host.namespace), before[i])
      assert.equal(
        lab.files(host).filter(name => !/last_reserved_ip|lock$|\.locks|\.patchbay/.test(name)),
        []
      )
    })
  })
})

test('two networks with one subnet on the same hosts do not see each other', async () => {
  await inLab(2, {}, lab => {
    const [a, b] = [lab.host(0), lab.host(1)]
    const blue = (host: LabHost, address: string) => ({
      ...network(lab, host, { name: 'blue', vni: 7, isGateway: false }),
      ipam: {
        type: 'host-local',
        dataDir: `${host.directory}/leases`,
        ranges: [[{ subnet: '10.42.0.0/16', rangeStart: address, rangeEnd: address }]]
      }
    })
    const red = (host: LabHost, address: string) => ({ ...blue(host, address), name: 'red', vni: 8 })
    const blueA = lab.add(a, blue(a, '10.42.0.5'), 'blue-a')
    const redA = lab.add(a, red(a, '10.42.0.5'), 'red-a')
    lab.add(b, blue(b, '10.42.0.6'), 'blue-b')
    const redB = lab.add(b, red(b, '10.42.0.7'), 'red-b')
    assert.ok(pings(blueA.netns, '10.42.0.6'))
    assert.ok(pings(redA.netns, '10.42.0.7'))
    assert.ok(isUnreachable(blueA.netns, '10.42.0.7'))
    assert.ok(isUnreachable(redA.netns, '10.42.0.6'))
    assert.ok(pings(redB.netns, '10.42.0.5'))
  })
})

test('over IPv6: 70 bytes less; the largest MTU fits, a larger one is refused', async () => {
  await inLab(2, {}, lab => {
    const peers = lab.hosts.map(host => host.address6)
    const [a, b] = [lab.host(0), lab.host(1)]
    const one = lab.add(a, network(lab, a, { peers }), 'c1')
    const two = lab.add(b, network(lab, b, { peers, mtu: 1430 }), 'c2')
    assert.is(one.reply.json.interfaces[3].mtu, 1430)
    const [four = '', six = ''] = addresses(two.reply)
    assert.ok(pings(one.netns, four, 1430 - 28))
    assert.ok(pings(one.netns, six, 1430 - 48))
    const refused = lab.call(b, 'ADD', network(lab, b, { peers, mtu: 1431 }), { id: 'c3', netns: lab.container().path })
    assert.is(refused.json.code, 7)
    assert.match(refused.json.msg, /mtu must be at most 1430, got 1431/)
    const refused4 = lab.call(b, 'ADD', network(lab, b, { mtu: 1451 }), { id: 'c3', netns: lab.container().path })
    assert.match(refused4.json.msg, /mtu must be at most 1450, got 1451/)
  })
})

test('a multicast group instead of a list, of either family', async () => {
  await inLab(2, {}, lab => {
    const [a, b] = [lab.host(0), lab.host(1)]
    for (const [group, vni] of [
      ['239.1.1.1', 42],
      ['ff05::42', 43]
    ] as const) {
      const config = { name: `net${vni}`, vni, peers: undefined, group, dev: 'eth0', isGateway: false }
      const one = lab.add(a, network(lab, a, config), `a${vni}`)
      const two = lab.add(b, network(lab, b, config), `b${vni}`)
      for (const address of addresses(two.reply)) assert.ok(pings(one.netns, address), `${group}: ${address}`)
      assert.match(ok(a.namespace, `ip -d link show vx${vni}`), new RegExp(`group ${group} .*dev eth0`))
    }
  })
})

/** include/uapi/linux/netdevice.h: the address was set by somebody; udev and NetworkManager replace only others */
const NET_ADDR_SET = '3'

test('MAC addresses count as set, so that udev and NetworkManager leave them alone', async () => {
  await inLab(1, {}, lab => {
    const host = lab.host(0)
    lab.add(host, network(lab, host), 'c1')
    for (const link of ['vx42', 'br-vx42']) {
      // Another namespace's links are seen by a sysfs that is mounted in it.
      const script = `mount -t sysfs sysfs /sys && cat /sys/class/net/${link}/addr_assign_type`
      const { status, stdout, stderr } = host.namespace.run('unshare', ['--mount', 'sh', '-c', script])
      assert.equal([status, stdout.trim()], [0, NET_ADDR_SET], `${link} ${stderr}`)
    }
  })
})

test('what somebody changed is set right by the next ADD; a foreign device is refused by the field that differs', async () => {
  await inLab(2, {}, lab => {
    const [a, b] = [lab.host(0), lab.host(1)]
    const one = lab.add(a, network(lab, a), 'c1')
    const two = lab.add(b, network(lab, b), 'c2')
    const mac = JSON.parse(ok(a.namespace, 'ip -j link show vx42'))[0].address
    ok(a.namespace, 'ip link set vx42 address 02:11:22:33:44:55 mtu 1300')
    ok(a.namespace, 'ip link set vx42 nomaster')
    ok(a.namespace, 'bridge fdb del 00:00:00:00:00:00 dev vx42 dst 192.0.2.2 self')
    ok(a.namespace, 'bridge fdb append 00:00:00:00:00:00 dev vx42 dst 192.0.2.77 self permanent')
    const checked = lab.call(
      a,
      'CHECK',
      { ...network(lab, a), prevResult: one.reply.json },
      { id: 'c1', netns: one.netns.path }
    )
    assert.is(checked.json.code, 100)
    for (const part of [/MTU 1300, not 1450/, /not a port of "br-vx42"/, /another MAC/, /peer 192\.0\.2\.2/]) {
      assert.match(checked.json.msg, part)
    }
    lab.add(a, network(lab, a), 'c3')
    assert.is(JSON.parse(ok(a.namespace, 'ip -j link show vx42'))[0].address, mac)
    assert.not.match(ok(a.namespace, 'bridge fdb show dev vx42'), /192\.0\.2\.77/)
    assert.ok(pings(one.netns, addresses(two.reply)[0] ?? '', 1422))

    ok(b.namespace, 'ip link add name mine type vxlan id 99 local 192.0.2.2 dstport 4789')
    const taken = lab.call(b, 'ADD', network(lab, b, { name: 'other', vni: 98, tunnel: 'mine' }), {
      id: 'c4',
      netns: lab.container().path
    })
    assert.is(taken.json.code, 7)
    assert.match(taken.json.msg, /"mine": vni is 99, not 98/)
    const status = lab.call(b, 'STATUS', network(lab, b, { name: 'other', vni: 98, tunnel: 'mine' }), {
      id: '',
      netns: ''
    })
    assert.is(status.json.code, 50)
    const vni = lab.call(b, 'ADD', network(lab, b, { name: 'other', vni: 99 }), {
      id: 'c4',
      netns: lab.container().path
    })
    assert.match(vni.json.msg, /"mine" has VNI 99 on UDP port 4789 already/)
    assert.equal(
      lab.links(b.namespace).filter(name => /99|98/.test(name)),
      []
    )
  })
})

test('interfaces of another kind under the names of its own are refused by name, and stay as they are', async () => {
  await inLab(1, {}, lab => {
    const a = lab.host(0)
    const { netns, reply } = lab.add(a, network(lab, a), 'c1')
    const veth: string = reply.json.interfaces[2].name
    assert.is(lab.call(a, 'DEL', network(lab, a), { id: 'c1', netns: netns.path }).status, 0)
    for (const [name, line] of [
      [veth, `ip link add ${veth} type bridge`],
      ['br-vx42', 'ip link add br-vx42 type veth peer name br-p'],
      ['vx42', 'ip link add vx42 type bridge']
    ] as const) {
      ok(a.namespace, line)
      const state = (): string => ok(a.namespace, `ip -d link show ${name}`)
      const before = state()
      const refused = lab.call(a, 'ADD', network(lab, a), { id: 'c1', netns: netns.path })
      assert.is(refused.json.code, 7, refused.stdout)
      assert.match(refused.json.msg, name)
      const gone = lab.call(a, 'DEL', network(lab, a), { id: 'c1', netns: netns.path })
      assert.is(gone.status, 0, gone.stdout)
      assert.is(state(), before)
      ok(a.namespace, `ip link del ${name}`)
      assert.equal(lab.links(a.namespace), ['eth0', 'lo'])
      assert.equal(
        lab.files(a).filter(file => /10\.42|fd42|\.json$/.test(file)),
        []
      )
    }
  })
})

test('GC takes what the runtime does not know, keepDevices keeps bridge and tunnel, 20 ADDs at once make one of each', async () => {
  await inLab(2, {}, async lab => {
    const [a] = [lab.host(0)]
    const calls = Array.from({ length: 20 }, (_, i) =>
      lab.start(a, 'ADD', network(lab, a), { id: `c${i}`, netns: lab.container().path })
    )
    for (const reply of await Promise.all(calls)) assert.is(reply.status, 0, reply.stdout)
    assert.is(lab.links(a.namespace).filter(name => name.startsWith('veth')).length, 20)
    const keep = [{ containerID: 'c3', ifname: 'eth0' }]
    const gc = lab.call(a, 'GC', network(lab, a, { 'cni.dev/valid-attachments': keep }), { id: '', netns: '' })
    assert.is(gc.stdout, '')
    assert.is(lab.links(a.namespace).filter(name => name.startsWith('veth')).length, 1)
    const none = lab.call(a, 'GC', network(lab, a, { 'cni.dev/valid-attachments': [] }), { id: '', netns: '' })
    assert.is(none.stdout, '')
    assert.equal(lab.links(a.namespace), ['eth0', 'lo'])

    const kept = network(lab, a, { keepDevices: true })
    lab.add(a, kept, 'k1')
    assert.is(lab.call(a, 'DEL', kept, { id: 'k1', netns: '' }).status, 0)
    assert.equal(lab.links(a.namespace), ['br-vx42', 'eth0', 'lo', 'vx42'])
  })
})

test("a frame of another host's gateway does not move ours; checksums are left to the hardware only on request", async () => {
  await inLab(2, {}, lab => {
    const [a, b] = [lab.host(0), lab.host(1)]
    const one = lab.add(a, network(lab, a, { txChecksumOffload: false }), 'c1')
    const two = lab.add(b, network(lab, b), 'c2')
    assert.match(ok(a.namespace, 'ethtool -k vx42'), /tx-checksumming: off/)
    assert.match(ok(b.namespace, 'ethtool -k vx42'), /tx-checksumming: on/)
    // b's gateway asks the whole network for an address of a's.
    b.namespace.run('ping', ['-c', '1', '-W', '1', addresses(one.reply)[0] ?? ''])
    const gateway = JSON.parse(ok(a.namespace, 'ip -j link show br-vx42'))[0].address
    const fdb = ok(a.namespace, 'bridge fdb show br br-vx42')
      .split('\n')
      .filter(line => line.startsWith(gateway))
    assert.equal(
      fdb.filter(line => line.includes('vx42 dst') && !line.includes('dst 192.0.2.1 ')),
      []
    )
    assert.ok(pings(one.netns, '10.42.0.1'))
    assert.ok(pings(two.netns, addresses(one.reply)[0] ?? ''))
  })
})

test('by the gateway of its own host a container reaches what is outside, masqueraded', async () => {
  await inLab(2, {}, lab => {
    const [a, b] = [lab.host(0), lab.host(1)]
    const outside = lab.plug(50)
    const masqueraded = { isDefaultGateway: true, ipMasq: true }
    const one = lab.add(a, network(lab, a, masqueraded), 'c1')
    const two = lab.add(b, network(lab, b, { isDefaultGateway: true }), 'c2')
    assert.ok(pings(one.netns, outside.address))
    assert.ok(isUnreachable(two.netns, outside.address), 'without ipMasq nobody finds the way back')
    const [four = ''] = addresses(one.reply)
    assert.ok(pings(two.netns, four))
    assert.is(lab.call(a, 'DEL', network(lab, a, masqueraded), { id: 'c1', netns: '' }).stdout, '')
    assert.not.match(ok(a.namespace, 'nft list ruleset'), /10\.42/)
  })
})

test('port, names, hairpin and MAC as configured; one VNI twice on a host by different ports', async () => {
  await inLab(2, {}, lab => {
    const [a, b] = [lab.host(0), lab.host(1)]
    const own = { name: 'own', port: 8472, bridge: 'blue0', tunnel: 'blue1', local: a.address, hairpinMode: true }
    const mac = '02:00:00:00:00:42'
    const asked = { args: { cni: { mac: '02:00:00:00:00:41' } }, runtimeConfig: { mac } }
    const one = lab.add(a, network(lab, a, { ...own, ...asked }), 'c1')
    assert.equal(one.reply.json.interfaces.map((each: { name: string }) => each.name).slice(0, 2), ['blue0', 'blue1'])
    assert.is(one.reply.json.interfaces[3].mac, mac)
    assert.match(ok(one.netns, 'ip link show eth0'), new RegExp(`link/ether ${mac} `))
    assert.match(ok(a.namespace, 'ip -d link show blue1'), /vxlan id 42 local 192\.0\.2\.1 .*dstport 8472 /)
    assert.match(ok(a.namespace, `bridge -d link show dev ${one.reply.json.interfaces[2].name}`), /hairpin on/)
    const two = lab.add(b, network(lab, b, { ...own, local: b.address }), 'c2')
    assert.ok(pings(one.netns, addresses(two.reply)[0] ?? ''))
    const other = lab.add(a, network(lab, a, { name: 'other' }), 'c3')
    assert.match(ok(a.namespace, 'ip -d link show vx42'), /vxlan id 42 .*dstport 4789 /)
    assert.ok(isUnreachable(other.netns, addresses(two.reply)[0] ?? ''), 'nobody is there on the other port')
  })
})

test('ADD leaves nothing when it fails at its last steps', async () => {
  await inLab(1, {}, lab => {
    const a = lab.host(0)
    const broken = network(lab, a, {
      ipam: {
        type: 'host-local',
        dataDir: `${a.directory}/leases`,
        ranges: [[{ subnet: '10.42.0.0/24' }]],
        routes: [{ dst: '10.9.0.0/24', gw: '203.0.113.1', mtu: 1, scope: 254 }]
      }
    })
    const reply = lab.call(a, 'ADD', broken, { id: 'c1', netns: lab.container().path })
    assert.is(reply.status, 1, reply.stdout)
    assert.equal(lab.links(a.namespace), ['eth0', 'lo'])
    assert.equal(
      lab.files(a).filter(name => !/last_reserved_ip|lock$|\.locks|\.patchbay/.test(name)),
      []
    )
  })
})

test.run()
