// needs: ip nft strace reference-plugins
import { callUnharmed, sweepKills } from '../../lib/testing/kill-sweep.ts'
import { comparable, hostLocalIpam, inHostWithUplink, linkNamesIn } from '../../lib/testing/side-by-side.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { type Parsed, REFERENCE_DIR, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/macvlan, the executable')

function network(world: World, more: object = {}): object {
  return {
    cniVersion: '1.1.0',
    name: 'lan',
    type: 'macvlan',
    master: 'up0',
    stateDir: world.stateDir,
    ipam: hostLocalIpam(world, '192.0.2.0/24', '2001:db8::/64'),
    ...more
  }
}

test('ADD, CHECK, DEL: the container has what the result says, and nothing stays', async () => {
  await inHostWithUplink(1, world => {
    const before = world.snapshot()
    const result = world.add('macvlan', network(world, { mtu: 1400 }))
    const eth0 = world.ip(world.container(), 'addr', 'show', 'dev', 'eth0')[0]
    assert.is(eth0.linkinfo.info_kind, 'macvlan')
    assert.equal(result.interfaces, [{ name: 'eth0', mac: eth0.address, mtu: 1400, sandbox: world.container().path }])
    assert.equal(
      eth0.addr_info
        .filter((one: Parsed) => one.scope === 'global')
        .map((one: Parsed) => `${one.local}/${one.prefixlen}`),
      result.ips.map((one: Parsed) => one.address)
    )
    assert.is(world.call('macvlan', 'CHECK', network(world, { prevResult: result })).status, 0)
    world.del('macvlan', network(world))
    world.del('macvlan', network(world))
    assert.equal(linkNamesIn(world), ['lo'])
    assert.is(world.snapshot(), before)
  })
})

test('every cniVersion: the result has the form of the reference plugin', async () => {
  for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0']) {
    await inHostWithUplink(2, world => {
      const ours = world.add('macvlan', network(world, { cniVersion }))
      const options = { container: world.container(1), containerId: 'c2', binDir: REFERENCE_DIR, path: REFERENCE_DIR }
      const theirs = world.add('macvlan', network(world, { cniVersion }), options)
      assert.equal(comparable(ours), comparable(theirs), `at ${cniVersion}`)
      assert.equal(seen(world, 0), seen(world, 1))
    })
  }
})

/** Addresses and routes of a container, whoever made them. */
function seen(world: World, index: number): Parsed {
  const box = world.container(index)
  const eth0 = world.ip(box, 'addr', 'show', 'dev', 'eth0')[0]
  const addresses = eth0.addr_info.filter((one: Parsed) => one.scope === 'global')
  const routes = ['-4', '-6'].map(family => world.sh(box, 'ip', family, 'route').replace(/ +$/gm, ''))
  const lines = routes
    .join('')
    .split('\n')
    .filter(line => !line.startsWith('fe80'))
  return comparable([
    eth0.linkinfo.info_data.mode,
    eth0.flags,
    addresses.map((one: Parsed) => [one.local, one.prefixlen, one.broadcast ?? '', one.scope]),
    lines
  ])
}

test('the master is named by an alternative name longer than a first one can be', async () => {
  await inHostWithUplink(1, world => {
    const master = 'enp9s0altname-that-is-longer'
    const missing = world.call('macvlan', 'ADD', network(world, { master }))
    assert.equal([missing.json.code, missing.json.msg], [7, `find master "${master}": no such link on the host`])
    assert.is(world.call('macvlan', 'STATUS', network(world, { master })).json.code, 50)
    world.sh(world.host, 'ip', 'link', 'property', 'add', 'dev', 'up0', 'altname', master)
    assert.is(world.call('macvlan', 'STATUS', network(world, { master })).status, 0)
    const result = world.add('macvlan', network(world, { master }))
    const below = world.ip(world.host, 'link', 'show', 'dev', 'up0')[0].ifindex
    assert.is(world.ip(world.container(), 'link', 'show', 'dev', 'eth0')[0].link_index, below)
    assert.is(world.call('macvlan', 'CHECK', network(world, { master, prevResult: result })).status, 0)
    world.del('macvlan', network(world, { master }))
    assert.equal(linkNamesIn(world), ['lo'])
  })
})

test('either implementation removes what the other made', async () => {
  await inHostWithUplink(2, world => {
    const before = world.snapshot()
    const config = network(world, { cniVersion: '1.0.0' })
    const first = { container: world.container(0), containerId: 'c1' }
    const second = { container: world.container(1), containerId: 'c2' }
    const reference = { binDir: REFERENCE_DIR, path: REFERENCE_DIR }
    const theirs = world.add('macvlan', config, { ...first, ...reference })
    world.add('macvlan', config, second)
    assert.is(
      world.call('macvlan', 'CHECK', network(world, { cniVersion: '1.0.0', prevResult: theirs }), first).status,
      0
    )
    // Whose it is says the result that the runtime kept: the reference leaves no other trace.
    world.del('macvlan', { ...config, prevResult: theirs }, first)
    world.del('macvlan', config, { ...second, ...reference })
    assert.equal([linkNamesIn(world, 0), linkNamesIn(world, 1)], [['lo'], ['lo']])
    // Ours has a journal entry that the reference does not know of.
    world.del('macvlan', config, second)
    assert.is(world.snapshot(), before)
  })
})

test('ten containers at once on one master', async () => {
  await inHostWithUplink(10, async world => {
    const replies = await Promise.all(
      world.containers.map((container, i) =>
        world.start('macvlan', 'ADD', network(world), { container, containerId: `c${i}` })
      )
    )
    for (const reply of replies) assert.is(reply.status, 0, reply.stdout + reply.stderr)
    assert.is(new Set(replies.map(reply => reply.json.ips[0].address)).size, 10)
    assert.is(new Set(replies.map(reply => reply.json.interfaces[0].mac)).size, 10)
  })
})

test('of two ADDs for one name and of two for one passthru master, one wins and the other leaves nothing', async () => {
  await inHostWithUplink(2, async world => {
    const same = await Promise.all(
      ['c1', 'c2'].map(containerId => world.start('macvlan', 'ADD', network(world), { containerId }))
    )
    assert.equal(same.map(reply => reply.status).sort(), [0, 1])
    const loser = same.findIndex(reply => reply.status === 1) === 0 ? 'c1' : 'c2'
    assert.is(same.find(reply => reply.status === 1)?.json.code, 7)
    world.del('macvlan', network(world), { containerId: loser })
    assert.equal(linkNamesIn(world), ['lo', 'eth0'])
    world.del('macvlan', network(world), { containerId: loser === 'c1' ? 'c2' : 'c1' })

    const alone = network(world, { mode: 'passthru' })
    const two = await Promise.all(
      world.containers.map((container, i) => world.start('macvlan', 'ADD', alone, { container, containerId: `p${i}` }))
    )
    assert.equal(two.map(reply => reply.status).sort(), [0, 1])
    assert.is(two.find(reply => reply.status === 1)?.json.code, 7)
  })
})

test('an ADD that is killed between any two messages to the kernel: DEL and GC leave nothing', async () => {
  await inHostWithUplink(1, world => {
    const before = world.snapshot()
    const config = network(world)
    const kills = sweepKills(world, { plugin: 'macvlan', config }, when => {
      // Every other time the runtime has forgotten the container, as after a crash of its own.
      if (when % 2 === 0) {
        const gc = { ...config, 'cni.dev/valid-attachments': [] }
        assert.is(callUnharmed(world, { plugin: 'macvlan', config: gc, command: 'GC' }).status, 0)
      } else world.del('macvlan', config, { netns: when % 4 === 1 ? '' : world.container().path })
      assert.equal(linkNamesIn(world), ['lo'], `killed at message ${when}`)
      assert.is(world.snapshot(), before, `killed at message ${when}`)
    })
    assert.ok(kills >= 5, `${kills} kills`)
    world.del('macvlan', config)
  })
})

test('bad input: typed errors, and nothing stays', async () => {
  await inHostWithUplink(1, world => {
    const before = world.snapshot()
    const cases: readonly (readonly [object, number, RegExp])[] = [
      [{ master: 'absent' }, 7, /find master "absent"/],
      [{ mtu: 9000 }, 7, /mtu must be at most 1500/],
      [{ mode: 'other' }, 7, /mode must be one of/],
      [{ ipam: { type: 'absent' } }, 7, /"absent"/]
    ]
    for (const [more, code, message] of cases) {
      const reply = world.call('macvlan', 'ADD', network(world, more))
      assert.is(reply.status, 1)
      assert.is(reply.json.code, code, reply.stdout)
      assert.match(reply.json.msg, message)
      assert.is(world.snapshot(), before)
      assert.equal(linkNamesIn(world), ['lo'])
    }
    const status = world.call('macvlan', 'STATUS', network(world, { master: 'absent' }), { netns: '' })
    assert.is(status.json.code, 50)
  })
})

test.run()
