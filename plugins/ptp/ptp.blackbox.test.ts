// needs: ip nft iptables strace reference-plugins
import { callUnharmed, sweepKills } from '../../lib/testing/kill-sweep.ts'
import { comparable, hostLocalIpam, linkNamesIn } from '../../lib/testing/side-by-side.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, REFERENCE_DIR, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/ptp, the executable')

function network(world: World, more: object = {}): object {
  return {
    cniVersion: '1.1.0',
    name: 'cables',
    type: 'ptp',
    stateDir: world.stateDir,
    ipam: hostLocalIpam(world, '10.7.0.0/24', 'fd07::/64'),
    ...more
  }
}

/** Forwarding is on beforehand: it is what a cable leaves behind. */
async function inHost(containers: number, body: (world: World) => void | Promise<void>): Promise<void> {
  await inWorld(containers, async world => {
    for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) {
      world.sh(world.host, 'sh', '-c', `echo 1 > /proc/sys/net/${path}`)
    }
    await body(world)
  })
}

test('ADD, CHECK, DEL: host and container as the result says, and nothing stays', async () => {
  await inHost(1, world => {
    const before = world.snapshot()
    const result = world.add('ptp', network(world, { mtu: 1400, ipMasq: true }))
    const [hostEnd, end] = result.interfaces
    assert.is(world.ip(world.host, 'link', 'show', 'dev', hostEnd.name)[0].address, hostEnd.mac)
    assert.is(world.ip(world.container(), 'link', 'show', 'dev', 'eth0')[0].address, end.mac)
    assert.match(world.sh(world.host, 'nft', 'list', 'ruleset'), /10\.7\.0\.2/)
    const check = network(world, { mtu: 1400, ipMasq: true, prevResult: result })
    assert.is(world.call('ptp', 'CHECK', check).status, 0)
    world.del('ptp', network(world), { netns: '' })
    world.del('ptp', network(world))
    assert.equal(linkNamesIn(world), ['lo'])
    assert.is(world.snapshot(), before)
    assert.not.match(world.sh(world.host, 'nft', 'list', 'ruleset'), /10\.7\.0\.2/)
  })
})

test('every cniVersion: result, addresses and routes are those of the reference plugin', async () => {
  for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0']) {
    await inHost(2, world => {
      const ours = world.add('ptp', network(world, { cniVersion }))
      const options = { container: world.container(1), containerId: 'c2', binDir: REFERENCE_DIR, path: REFERENCE_DIR }
      const theirs = world.add('ptp', network(world, { cniVersion }), options)
      assert.equal(comparable(ours), comparable(theirs), `at ${cniVersion}`)
      assert.equal(routesIn(world, 0), routesIn(world, 1))
    })
  }
})

/** Where a container sends what: destination, gateway and source; what the kernel makes by itself left out. */
function routesIn(world: World, index: number): Parsed {
  const routes = ['-4', '-6'].flatMap(family => world.ip(world.container(index), family, 'route'))
  const lines = routes
    .filter((one: Parsed) => !one.dst.startsWith('fe80') && !(one.protocol === 'kernel' && one.dst.includes(':')))
    .map((one: Parsed) => `${one.dst} via ${one.gateway ?? 'none'}`)
  return comparable(lines.sort())
}

test('either implementation removes what the other laid', async () => {
  await inHost(2, world => {
    const before = world.snapshot()
    const config = network(world, { cniVersion: '1.0.0' })
    const first = { container: world.container(0), containerId: 'c1' }
    const second = { container: world.container(1), containerId: 'c2' }
    const reference = { binDir: REFERENCE_DIR, path: REFERENCE_DIR }
    const theirs = world.add('ptp', config, { ...first, ...reference })
    world.add('ptp', config, second)
    const check = world.call('ptp', 'CHECK', network(world, { cniVersion: '1.0.0', prevResult: theirs }), first)
    assert.is(check.status, 0, check.stdout)
    // Whose it is says the result that the runtime kept: the reference leaves no other trace.
    world.del('ptp', { ...config, prevResult: theirs }, first)
    world.del('ptp', config, { ...second, ...reference })
    world.del('ptp', config, second)
    assert.equal([linkNamesIn(world, 0), linkNamesIn(world, 1)], [['lo'], ['lo']])
    assert.is(world.snapshot(), before)
  })
})

test('masquerade by iptables, and what the reference masqueraded, goes with DEL', async () => {
  await inHost(1, world => {
    const rules = (): string => world.sh(world.host, 'iptables', '-t', 'nat', '-S')
    const config = network(world, { cniVersion: '1.0.0', ipMasq: true, ipMasqBackend: 'iptables' })
    world.add('ptp', config)
    assert.match(rules(), /10\.7\.0\.2/)
    world.del('ptp', network(world), { netns: '' })
    assert.not.match(rules(), /10\.7\.0\.2|CNI-/)

    const reference = { binDir: REFERENCE_DIR, path: REFERENCE_DIR }
    const theirs = world.add('ptp', config, reference)
    assert.match(rules(), /10\.7\.0\.3/)
    world.del('ptp', { ...config, prevResult: theirs })
    assert.not.match(rules(), /10\.7\.0\.3|CNI-/)
    assert.equal(linkNamesIn(world), ['lo'])
  })
})

test('ten containers at once; two ADDs for one name: one wins', async () => {
  await inHost(10, async world => {
    const replies = await Promise.all(
      world.containers.map((container, i) =>
        world.start('ptp', 'ADD', network(world, { ipMasq: true }), { container, containerId: `c${i}` })
      )
    )
    for (const reply of replies) assert.is(reply.status, 0, reply.stdout + reply.stderr)
    assert.is(new Set(replies.map(reply => reply.json.ips[0].address)).size, 10)
    for (let i = 0; i < 10; i += 1) {
      world.del('ptp', network(world), { container: world.container(i), containerId: `c${i}` })
    }
    assert.is(world.ip(world.host, 'link').length, 1)

    const same = await Promise.all(
      ['c1', 'c2'].map(containerId => world.start('ptp', 'ADD', network(world), { containerId }))
    )
    assert.equal(same.map(reply => reply.status).sort(), [0, 1])
    assert.is(same.find(reply => reply.status === 1)?.json.code, 7)
    assert.is(world.ip(world.host, 'link').length, 2)
  })
})

test('an ADD that is killed between any two messages to the kernel: DEL or GC leaves nothing', async () => {
  await inHost(1, world => {
    const before = world.snapshot()
    const config = network(world, { ipMasq: true })
    const kills = sweepKills(world, { plugin: 'ptp', config }, when => {
      if (when % 2 === 0) world.del('ptp', config, { netns: '' })
      else {
        const gc = { ...config, 'cni.dev/valid-attachments': [] }
        assert.is(callUnharmed(world, { plugin: 'ptp', config: gc, command: 'GC' }).status, 0)
      }
      assert.equal(linkNamesIn(world), ['lo'], `killed at message ${when}`)
      assert.is(world.snapshot(), before, `killed at message ${when}`)
      assert.not.match(world.sh(world.host, 'nft', 'list', 'ruleset'), /10\.7\.0\.\d+ /)
    })
    assert.ok(kills >= 8, `${kills} kills`)
  })
})

test.run()
