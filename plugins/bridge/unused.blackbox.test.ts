/** What the last container of a bridge, or of a VLAN of it, takes along when that is asked for. */
// needs: ip bridge
import { assert, suite } from '../../lib/testing/suite.ts'
import { type CallOptions, inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/bridge: keepDevices, the executable')

function network(world: World, name: string, more: object = {}): object {
  return {
    cniVersion: '1.1.0',
    name,
    type: 'bridge',
    bridge: 'br7',
    stateDir: world.stateDir,
    isGateway: true,
    keepDevices: false,
    ipam: { type: 'host-local', dataDir: world.dataDir, subnet: '10.9.0.0/24' },
    ...more
  }
}

function of(world: World, index: number): CallOptions {
  return { container: world.container(index), containerId: `c${index}` }
}

/** The host's links but lo. */
function links(world: World): readonly string[] {
  return world
    .ip(world.host, 'link', 'show')
    .map((link: Parsed) => String(link.ifname))
    .filter((name: string) => name !== 'lo')
    .sort()
}

test('the bridge goes with its last container, whatever the network; the next ADD makes it again', async () => {
  await inWorld(2, world => {
    const [web, db] = [network(world, 'web'), network(world, 'db', { isGateway: false })]
    world.add('bridge', web, of(world, 0))
    world.add('bridge', db, of(world, 1))
    world.del('bridge', web, of(world, 0))
    assert.ok(links(world).includes('br7'))
    world.del('bridge', db, of(world, 1))
    assert.equal(links(world), [])
    for (let i = 0; i < 2; i += 1) world.del('bridge', web, of(world, 0))
    world.add('bridge', web, of(world, 0))
    assert.is(world.ip(world.host, 'addr', 'show', 'dev', 'br7')[0].addr_info[0].local, '10.9.0.1')
    const gc = world.call('bridge', 'GC', { ...web, 'cni.dev/valid-attachments': [] })
    assert.is(gc.status, 0, gc.stdout)
    assert.equal(links(world), [])
  })
})

test("what is not ours or not unused stays: another's bridge, another's port, something on top of it", async () => {
  await inWorld(1, world => {
    const web = network(world, 'web', { isGateway: false })
    world.sh(world.host, 'ip', 'link', 'add', 'br7', 'type', 'bridge')
    world.add('bridge', web, of(world, 0))
    world.del('bridge', web, of(world, 0))
    assert.equal(links(world), ['br7'])
    world.sh(world.host, 'ip', 'link', 'del', 'br7')

    for (const more of [
      ['link', 'add', 'd0', 'master', 'br7', 'type', 'vxlan', 'id', '7', 'dstport', '4789', 'remote', '192.0.2.9'],
      ['link', 'add', 'd0', 'link', 'br7', 'type', 'macvlan']
    ]) {
      world.add('bridge', web, of(world, 0))
      world.sh(world.host, 'ip', ...more)
      world.del('bridge', web, of(world, 0))
      assert.equal(links(world), ['br7', 'd0'], more.join(' '))
      world.sh(world.host, 'ip', 'link', 'del', 'd0')
    }
    world.add('bridge', { ...web, keepDevices: true }, of(world, 0))
    world.del('bridge', { ...web, keepDevices: true }, of(world, 0))
    assert.equal(links(world), ['br7'])
  })
})

test('an ADD that fails takes the bridge along that it has made', async () => {
  await inWorld(1, world => {
    world.sh(world.host, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6')
    const ipam = { type: 'host-local', dataDir: world.dataDir, subnet: 'fd09::/64' }
    const refused = world.call('bridge', 'ADD', network(world, 'web', { ipam }), of(world, 0))
    assert.match(refused.json.details, /switch IPv6 on/)
    assert.equal(links(world), [])
  })
})

test('twenty come and go at once: nobody finds the bridge gone under him', async () => {
  await inWorld(20, async world => {
    const web = network(world, 'web')
    const churn = async (index: number): Promise<void> => {
      for (let i = 0; i < 3; i += 1) {
        for (const verb of ['ADD', 'DEL']) {
          const reply = await world.start('bridge', verb, web, of(world, index))
          assert.is(reply.status, 0, `${verb}: ${reply.stdout}`)
        }
      }
    }
    await Promise.all(world.containers.map((_, index) => churn(index)))
    assert.equal(links(world), [])
  })
})

test.run()
