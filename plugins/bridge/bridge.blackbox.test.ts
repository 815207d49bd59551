// needs: ip bridge nft iptables ip6tables reference-plugins
/** biome-ignore-all lint/style/noExcessiveLinesPerFile: one story of one plugin: what each case needs is set up once */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { withoutTools } from '../../lib/testing/hidden-tools.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, REFERENCE_DIR, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/bridge, the executable')

function network(world: World, more: object = {}): object {
  return {
    cniVersion: '1.1.0',
    name: 'web',
    type: 'bridge',
    bridge: 'br7',
    stateDir: world.stateDir,
    isDefaultGateway: true,
    ipam: {
      type: 'host-local',
      dataDir: world.dataDir,
      ranges: [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd09::/64' }]]
    },
    ...more
  }
}

function layer2(world: World, more: object = {}): object {
  return { cniVersion: '1.1.0', name: 'l2', type: 'bridge', bridge: 'br7', stateDir: world.stateDir, ...more }
}

function addressesOf(link: Parsed): readonly string[] {
  return link.addr_info
    .filter((one: Parsed) => one.scope === 'global')
    .map((one: Parsed) => `${one.local}/${one.prefixlen}`)
}

test('ADD makes bridge, pair, addresses and routes as its result says, and DEL takes all but the bridge away', async () => {
  await inWorld(1, world => {
    const result = world.add('bridge', network(world, { mtu: 1400 }))
    const [bridge, hostEnd, containerEnd] = result.interfaces

    const box = world.container()
    const eth0 = world.ip(box, 'addr', 'show', 'dev', 'eth0')[0]
    assert.is(eth0.linkinfo.info_kind, 'veth')
    assert.equal(addressesOf(eth0), ['10.9.0.2/24', 'fd09::2/64'])
    assert.is(eth0.address, containerEnd.mac)
    assert.is(eth0.mtu, 1400)
    assert.ok(eth0.flags.includes('UP'))
    assert.not.ok(
      eth0.addr_info.some((one: Parsed) => one.scope === 'global' && one.tentative),
      'no address waits for duplicate detection'
    )
    // The link-local one is tentative until a worker of the kernel has had its turn.
    assert.is(world.sh(box, 'cat', '/proc/sys/net/ipv6/conf/eth0/accept_dad'), '0\n')
    assert.is(containerEnd.sandbox, box.path)

    // Packets of IPv6 are forwarded at once: what asks for the container's MAC is never a tentative address.
    assert.is(world.sh(world.host, 'cat', '/proc/sys/net/ipv6/conf/br7/accept_dad'), '0\n')
    const port = world.ip(world.host, 'link', 'show', 'dev', hostEnd.name)[0]
    assert.is(port.master, 'br7')
    assert.is(port.linkinfo.info_slave_data.hairpin, false)
    assert.is(port.linkinfo.info_slave_data.isolated, false)
    const br7 = world.ip(world.host, 'addr', 'show', 'dev', 'br7')[0]
    assert.equal(addressesOf(br7), ['10.9.0.1/24', 'fd09::1/64'])
    assert.is(br7.address, bridge.mac)
    assert.equal(
      [4, 6].map(family => world.ip(box, `-${family}`, 'route', 'show', 'default')[0].gateway),
      ['10.9.0.1', 'fd09::1']
    )
    assert.is(world.sh(world.host, 'cat', '/proc/sys/net/ipv4/ip_forward').trim(), '1')
    assert.is(world.sh(world.host, 'cat', '/proc/sys/net/ipv6/conf/all/forwarding').trim(), '1')
    assert.is(world.sh(world.host, 'cat', '/proc/sys/net/ipv6/conf/br7/accept_ra').trim(), '0')

    world.del('bridge', network(world, { mtu: 1400 }))
    assert.equal(
      world.ip(box, 'link').map((one: Parsed) => one.ifname),
      ['lo']
    )
    assert.equal(
      world.ip(world.host, 'link').map((one: Parsed) => one.ifname),
      ['lo', 'br7']
    )
    assert.equal(
      readdirSync(join(world.dataDir, 'web')).filter(name => /^[0-9a-f]+[.:]/.test(name)),
      []
    )
    assert.not.ok(existsSync(join(world.stateDir, 'web')))
  })
})

test('every cniVersion: the result has the form of the reference plugin', async () => {
  for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0']) {
    await inWorld(2, world => {
      const ours = world.add('bridge', network(world, { cniVersion }))
      const options = { container: world.container(1), containerId: 'c2', binDir: REFERENCE_DIR, path: REFERENCE_DIR }
      const theirs = world.add('bridge', network(world, { cniVersion }), options)
      assert.equal(normal(ours), normal(theirs), `at ${cniVersion}`)
    })
  }
})

/** Without what differs between two attachments: names of pairs, MACs, the last number of addresses. */
function normal(result: Parsed): Parsed {
  const text = JSON.stringify(result)
    .replace(/veth[0-9a-f]+/g, 'veth')
    .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'mac')
    .replace(/\/proc\/\d+/g, '/proc/N')
    .replace(/10\.9\.0\.[23]\/24/g, '10.9.0.x/24')
    .replace(/fd09::[23]\/64/g, 'fd09::x/64')
  return JSON.parse(text)
}

test('DEL knows the attachment by its names alone', async () => {
  await inWorld(1, world => {
    for (const netns of ['', '/run/netns/patchbay-none', world.container().path]) {
      world.add('bridge', network(world))
      world.del('bridge', network(world, { bridge: 'other', mtu: 9000 }), { netns })
      world.del('bridge', network(world), { netns })
      assert.equal(
        world.ip(world.host, 'link').map((one: Parsed) => one.ifname),
        ['lo', 'br7'],
        `CNI_NETNS=${netns}`
      )
    }
  })
})

test('a second ADD is refused and leaves the first attachment whole', async () => {
  await inWorld(1, world => {
    world.add('bridge', network(world))
    const before = world.snapshot()
    const again = world.call('bridge', 'ADD', network(world))
    assert.is(again.status, 1)
    assert.is(again.json.code, 7)
    assert.match(again.json.msg, /"eth0": the container has an interface of this name/)
    assert.is(world.snapshot(), before)
    assert.is(addressesOf(world.ip(world.container(), 'addr', 'show', 'dev', 'eth0')[0]).length, 2)
  })
})

test('a failed ADD leaves nothing but the bridge', async () => {
  await inWorld(1, world => {
    world.sh(world.host, 'ip', 'link', 'add', 'br7', 'type', 'bridge')
    world.sh(world.host, 'ip', 'link', 'set', 'br7', 'up')
    // As any ADD leaves a bridge that faces containers alone, also one that fails.
    for (const path of [
      'ipv4/conf/br7/accept_redirects',
      'ipv6/conf/br7/accept_redirects',
      'ipv6/conf/br7/accept_ra'
    ]) {
      world.sh(world.host, 'sh', '-c', `echo 0 > /proc/sys/net/${path}`)
    }
    const before = world.snapshot()
    const unroutable = {
      ...network(world),
      ipam: {
        type: 'host-local',
        dataDir: world.dataDir,
        subnet: '10.9.0.0/24',
        // RT_SCOPE_HOST: the kernel's alone to refuse with a gateway.
        routes: [{ dst: '10.8.0.0/16', gw: '10.9.0.1', scope: 254 }]
      }
    }
    const reply = world.call('bridge', 'ADD', unroutable)
    assert.is(reply.status, 1)
    assert.match(reply.json.msg, /route/)
    world.sh(world.host, 'ip', 'address', 'flush', 'dev', 'br7', 'scope', 'global')
    assert.is(world.snapshot(), before)
    assert.equal(
      world.ip(world.container(), 'link').map((one: Parsed) => one.ifname),
      ['lo']
    )
  })
})

test('port keys: hairpin, isolation, promiscuous bridge, MAC from each source', async () => {
  await inWorld(3, world => {
    const hairpin = world.add('bridge', network(world, { hairpinMode: true, portIsolation: true }))
    const port = world.ip(world.host, 'link', 'show', 'dev', hairpin.interfaces[1].name)[0].linkinfo.info_slave_data
    assert.ok(port.hairpin)
    assert.ok(port.isolated)

    const asked = {
      args: { cni: { mac: '02:11:22:33:44:55' } },
      runtimeConfig: { mac: '02:66:77:88:99:aa' },
      promiscMode: true
    }
    const options = { container: world.container(1), containerId: 'c2', args: 'MAC=02:00:00:00:00:01' }
    const byRuntime = world.add('bridge', network(world, asked), options)
    assert.is(byRuntime.interfaces[2].mac, '02:66:77:88:99:aa')
    assert.is(world.ip(world.container(1), 'link', 'show', 'dev', 'eth0')[0].address, '02:66:77:88:99:aa')
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'br7')[0].promiscuity > 0, true)
    const third = {
      container: world.container(2),
      containerId: 'c3',
      args: 'IgnoreUnknown=1;MAC=02:00:00:00:00:01;X=y'
    }
    assert.is(world.add('bridge', network(world), third).interfaces[2].mac, '02:00:00:00:00:01')
  })
})

test('layer 2 only: a pair without addresses; CHECK works; disableContainerInterface keeps it down', async () => {
  await inWorld(2, world => {
    const result = world.add('bridge', layer2(world))
    assert.is(result.ips, undefined)
    assert.is(world.call('bridge', 'CHECK', layer2(world, { prevResult: result })).status, 0)
    const off = { container: world.container(1), containerId: 'c2' }
    world.add('bridge', layer2(world, { disableContainerInterface: true }), off)
    assert.not.ok(world.ip(world.container(1), 'link', 'show', 'dev', 'eth0')[0].flags.includes('UP'))
  })
})

test('layer 2 in versions whose results have no interfaces: the attachment is whole, the result empty', async () => {
  await inWorld(1, world => {
    for (const cniVersion of ['0.1.0', '0.2.0']) {
      const config = layer2(world, { cniVersion })
      assert.equal(world.add('bridge', config), { cniVersion, dns: {} })
      assert.is(world.ip(world.container(), 'link', 'show', 'dev', 'eth0')[0].operstate, 'UP')
      world.del('bridge', config)
      assert.is(world.ip(world.container(), 'link').length, 1)
    }
  })
})

test('the bridge keeps its MAC when containers come and go, and gets the same one again', async () => {
  await inWorld(2, world => {
    const first = world.add('bridge', network(world)).interfaces[0].mac
    const options = { container: world.container(1), containerId: 'c2', args: 'MAC=02:00:00:00:00:01' }
    world.add('bridge', network(world), options)
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'br7')[0].address, first)
    world.del('bridge', network(world))
    world.del('bridge', network(world), options)
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'br7')[0].address, first)
    world.sh(world.host, 'ip', 'link', 'del', 'br7')
    assert.is(world.add('bridge', network(world)).interfaces[0].mac, first)
  })
})

test('the MTU of the bridge outlives its last container', async () => {
  await inWorld(1, world => {
    world.add('bridge', network(world, { mtu: 1400 }))
    world.del('bridge', network(world, { mtu: 1400 }))
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'br7')[0].mtu, 1400)
  })
})

test('a bridge that somebody else made keeps its MAC from the first container on', async () => {
  await inWorld(1, world => {
    world.sh(world.host, 'ip', 'link', 'add', 'br7', 'type', 'bridge')
    const mac = (): string => world.ip(world.host, 'link', 'show', 'dev', 'br7')[0].address
    const before = mac()
    const hostEnd = world.add('bridge', network(world)).interfaces[1].name
    // A bridge takes the lowest MAC of its ports, unless it has one of its own.
    world.sh(world.host, 'ip', 'link', 'set', hostEnd, 'address', '00:00:00:00:00:01')
    assert.is(mac(), before)
    world.del('bridge', network(world))
    assert.is(mac(), before)
  })
})

test('an existing bridge is brought in line, an interface of another kind refused', async () => {
  await inWorld(1, world => {
    world.sh(world.host, 'ip', 'link', 'add', 'br7', 'type', 'bridge')
    world.add('bridge', network(world, { mtu: 1380, promiscMode: true }))
    const bridge = world.ip(world.host, 'link', 'show', 'dev', 'br7')[0]
    assert.is(bridge.mtu, 1380)
    assert.ok(bridge.flags.includes('UP'))
    assert.ok(bridge.flags.includes('PROMISC'))
    world.sh(world.host, 'ip', 'link', 'add', 'br8', 'type', 'veth', 'peer', 'name', 'br9')
    for (const command of ['ADD', 'STATUS']) {
      const reply = world.call('bridge', command, layer2(world, { bridge: 'br8' }), { ifName: 'eth1' })
      assert.is(reply.status, 1)
      assert.is(reply.json.code, command === 'ADD' ? 7 : 50)
      assert.match(reply.json.msg, /"br8": an interface of kind "veth" has this name/)
    }
  })
})

test('a gateway address of another network is refused, and replaced with forceAddress', async () => {
  await inWorld(1, world => {
    world.sh(world.host, 'ip', 'link', 'add', 'br7', 'type', 'bridge')
    world.sh(world.host, 'ip', 'address', 'add', '10.8.0.1/24', 'dev', 'br7')
    const refused = world.call('bridge', 'ADD', network(world))
    assert.is(refused.json.code, 7)
    assert.match(refused.json.msg, /10\.9\.0\.1\/24 to "br7": it has 10\.8\.0\.1\/24/)
    assert.match(refused.json.details, /forceAddress/)
    world.add('bridge', network(world, { forceAddress: true }))
    assert.equal(addressesOf(world.ip(world.host, 'addr', 'show', 'dev', 'br7')[0]), ['10.9.0.1/24', 'fd09::1/64'])
  })
})

test('CHECK notices what changed, one thing at a time', async () => {
  await inWorld(1, world => {
    const config = network(world, { mtu: 1400, hairpinMode: true })
    const result = world.add('bridge', config)
    const hostEnd = result.interfaces[1].name
    const checked = (): Parsed => world.call('bridge', 'CHECK', { ...config, prevResult: result })
    assert.is(checked().status, 0, checked().stdout)
    const box = world.container()
    const changes: readonly [readonly string[], readonly string[], RegExp][] = [
      [['link', 'set', 'eth0', 'mtu', '1300'], ['link', 'set', 'eth0', 'mtu', '1400'], /MTU 1300/],
      [['address', 'del', '10.9.0.2/24', 'dev', 'eth0'], [], /10\.9\.0\.2\/24 is missing/]
    ]
    for (const [change, back, expected] of changes) {
      world.sh(box, 'ip', ...change)
      const reply = checked()
      assert.is(reply.status, 1)
      assert.match(reply.json.msg, expected)
      if (back.length > 0) world.sh(box, 'ip', ...back)
    }
    const hostChanges: readonly [readonly string[], RegExp][] = [
      [['link', 'set', hostEnd, 'type', 'bridge_slave', 'hairpin', 'off'], /hairpin off/],
      [['link', 'set', hostEnd, 'type', 'bridge_slave', 'isolated', 'on'], /isolation on/],
      [['link', 'set', 'br7', 'address', '02:00:00:00:00:99'], /MAC 02:00:00:00:00:99/],
      [['link', 'set', hostEnd, 'nomaster'], /a port of "nothing"/]
    ]
    for (const [change, expected] of hostChanges) {
      world.sh(world.host, 'ip', ...change)
      assert.match(checked().json.msg, expected)
    }
  })
})

test('GC removes what is not listed as valid, and nothing of another network', async () => {
  await inWorld(3, world => {
    const options = [0, 1].map(i => ({ container: world.container(i), containerId: `c${i}` }))
    for (const one of options) world.add('bridge', network(world), one)
    world.add('bridge', layer2(world, { name: 'other' }), { container: world.container(2), containerId: 'c0' })
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'c0', ifname: 'eth0' }] }
    assert.is(world.call('bridge', 'GC', network(world, valid), { netns: '' }).status, 0)
    assert.equal(
      world.containers.map(box => world.ip(box, 'link').length),
      [2, 1, 2]
    )
    const leases = readdirSync(join(world.dataDir, 'web')).filter(name => /^10\./.test(name))
    assert.equal(leases, ['10.9.0.2'])
  })
})

test('twenty containers start at once on a bridge that is not there yet', async () => {
  await inWorld(20, async world => {
    const replies = await Promise.all(
      world.containers.map((container, i) =>
        world.start('bridge', 'ADD', network(world), { container, containerId: `c${i}` })
      )
    )
    assert.equal(
      replies.map(reply => reply.status),
      replies.map(() => 0),
      replies.map(reply => reply.stdout + reply.stderr).join('')
    )
    const addresses = replies.map(reply => reply.json.ips[0].address)
    assert.is(new Set(addresses).size, 20)
    const bridges = world.ip(world.host, 'link', 'show', 'type', 'bridge')
    assert.is(bridges.length, 1)
  })
})

test('with the Go plugins: their bridge with our host-local, ours with theirs, one data directory', async () => {
  await inWorld(4, world => {
    const config = network(world, { cniVersion: '1.0.0' })
    const used = world.containers.map((container, i) => {
      const binDir = i % 2 === 0 ? world.binDir : REFERENCE_DIR
      const path = i < 2 ? REFERENCE_DIR : world.binDir
      const options = { container, containerId: `c${i}`, binDir, path }
      const prevResult = world.add('bridge', config, options)
      return { options, prevResult, address: prevResult.ips[0].address }
    })
    assert.equal(
      used.map(one => one.address),
      ['10.9.0.2/24', '10.9.0.3/24', '10.9.0.4/24', '10.9.0.5/24']
    )
    // Each attachment is deleted by the other implementation, with the result that the runtime kept.
    for (const { options, prevResult } of used) {
      const binDir = options.binDir === REFERENCE_DIR ? world.binDir : REFERENCE_DIR
      world.del('bridge', { ...config, prevResult }, { ...options, binDir, path: binDir })
    }
    assert.equal(
      world.containers.map(box => world.ip(box, 'link').length),
      [1, 1, 1, 1]
    )
    assert.equal(
      readdirSync(join(world.dataDir, 'web')).filter(name => /^[0-9a-f]+[.:]/.test(name)),
      []
    )
  })
})

test('without iproute2, nft and iptables on the host: every verb works, masquerade and spoof check too', async () => {
  await inWorld(1, world => {
    const options = withoutTools(world, ['bridge'])
    const config = network(world, { ipMasq: true, macspoofchk: true })
    const run = (verb: string, more: object = {}) => {
      const reply = world.call('bridge', verb, { ...config, ...more }, options)
      assert.is(reply.status, 0, `${verb}: ${reply.stdout}${reply.stderr}`)
      return reply.json
    }
    const prevResult = run('ADD')
    assert.match(world.sh(world.host, 'nft', 'list', 'ruleset'), /table ip patchbay-masquerade/)
    run('CHECK', { prevResult })
    run('STATUS')
    run('DEL')
    assert.is(world.sh(world.host, 'nft', 'list', 'ruleset'), '')
    run('ADD')
    run('GC', { 'cni.dev/valid-attachments': [] })
    assert.is(world.sh(world.host, 'nft', 'list', 'ruleset'), '')
  })
})

test('ipMasqBackend iptables on a host without: refused with key and value before anything is made', async () => {
  for (const type of ['bridge', 'ptp']) {
    await inWorld(1, world => {
      const options = withoutTools(world, [type])
      const before = world.snapshot()
      const config = network(world, { type, ipMasq: true, ipMasqBackend: 'iptables' })
      const reply = world.call(type, 'ADD', config, options)
      assert.is(reply.json?.code, 2, reply.stdout + reply.stderr)
      assert.match(
        reply.json.msg,
        /ipMasqBackend "iptables" is not supported: neither iptables nor ip6tables is installed/
      )
      assert.is(world.call(type, 'STATUS', config, options).json?.code, 50)
      assert.is(world.snapshot(), before)
      world.del(type, config, options)
      assert.is(world.snapshot(), before)
    })
  }
})

test('masquerade flushed by somebody else in between: CHECK tells, DEL is clean, the next ADD works', async () => {
  await inWorld(1, world => {
    const ruleset = () => world.sh(world.host, 'nft', 'list', 'ruleset')
    for (const ipMasqBackend of ['nftables', 'iptables']) {
      const config = network(world, { ipMasq: true, ipMasqBackend })
      for (let round = 0; round < 2; round += 1) {
        const prevResult = world.add('bridge', config)
        const checked = () => world.call('bridge', 'CHECK', { ...config, prevResult })
        assert.is(checked().status, 0)
        if (round === 0) world.sh(world.host, 'nft', 'flush', 'ruleset')
        else for (const tool of ['iptables', 'ip6tables']) world.sh(world.host, tool, '-t', 'nat', '-F')
        // iptables flushes nothing but its own.
        const isOurs = ipMasqBackend === 'nftables' && round === 1
        assert.is(checked().json?.code, isOurs ? undefined : 100, `${ipMasqBackend} ${String(round)}`)
        world.del('bridge', config)
        assert.not.match(ruleset(), /patchbay|CNI-|10\.9\./)
      }
    }
  })
})

test('wrong configurations name key, value and expectation, and change nothing', async () => {
  await inWorld(1, world => {
    const before = world.snapshot()
    const cases: readonly [object, RegExp][] = [
      [{ bridge: 'a/b' }, /bridge must be an interface name.*got "a\/b"/],
      [{ bridge: 'abcdefghijklmnop' }, /bridge must be an interface name/],
      [{ mtu: -1 }, /mtu must be an integer from 0 to 65535, got -1/],
      [{ mtu: '1500' }, /mtu must be an integer.*got "1500"/],
      [{ isGateway: 'yes' }, /isGateway must be true or false, got "yes"/],
      [{ hairpinMode: true, promiscMode: true }, /hairpinMode and promiscMode/],
      [{ vlan: 4095 }, /vlan must be an integer from 0 to 4094, got 4095/],
      [{ vlanTrunk: [{ minID: 9, maxID: 3 }] }, /vlanTrunk\[0\]\.minID must not be above maxID 3, got 9/],
      [{ vlanTrunk: [{ minID: 9 }] }, /vlanTrunk\[0\]\.minID needs maxID/],
      [{ stateDir: 'state' }, /stateDir must be an absolute path, got "state"/],
      [
        { ipam: { type: 'host-local', subnet: '10.9.0.0/24', dataDir: 'leases' } },
        /dataDir must be an absolute path, got "leases"/
      ],
      [{ disableContainerInterface: true }, /disableContainerInterface cannot be used with ipam/]
    ]
    for (const [more, expected] of cases) {
      const reply = world.call('bridge', 'ADD', network(world, more))
      assert.is(reply.status, 1)
      assert.is(reply.json.code, 7, JSON.stringify(more))
      assert.match(reply.json.msg, expected)
    }
    const all = world.call('bridge', 'ADD', network(world, { mtu: -1, vlan: 5000, isGateway: 1 }))
    assert.match(all.json.msg, /mtu.*vlan|vlan.*mtu/)
    assert.match(all.json.msg, /isGateway/)
    const noNamespace = world.call('bridge', 'ADD', network(world), { netns: '/etc/passwd' })
    assert.is(noNamespace.status, 1)
    assert.match(noNamespace.json.msg, /"\/etc\/passwd": not a namespace file/)
    assert.is(world.snapshot(), before)
  })
})

test.run()
