// needs: ip reference-plugins
/** vlan, ipvlan and dummy as executables, beside the reference where it has them, on a kernel that has the kinds. */
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, REFERENCE_DIR, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/vlan, ipvlan and dummy, the executables')

interface Case {
  readonly type: string
  readonly keys: object
  readonly hasReference: boolean
}

const CASES: readonly Case[] = [
  { type: 'vlan', keys: { master: 'up0', vlanId: 5 }, hasReference: true },
  { type: 'ipvlan', keys: { master: 'up0', mode: 'l2' }, hasReference: true },
  { type: 'ipvlan', keys: { master: 'up0', mode: 'l3' }, hasReference: true },
  { type: 'dummy', keys: {}, hasReference: false }
]

function network(world: World, one: Case, more: object = {}): object {
  return {
    cniVersion: '1.0.0',
    name: 'lan',
    type: one.type,
    stateDir: world.stateDir,
    ipam: {
      type: 'host-local',
      dataDir: world.dataDir,
      ranges: [[{ subnet: '192.0.2.0/24' }], [{ subnet: '2001:db8::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
    },
    ...one.keys,
    ...more
  }
}

async function inHost(containers: number, body: (world: World) => void | Promise<void>): Promise<void> {
  await inWorld(containers, async world => {
    world.sh(world.host, 'ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1')
    world.sh(world.host, 'ip', 'link', 'set', 'up0', 'up')
    world.sh(world.host, 'ip', 'link', 'set', 'up1', 'up')
    await body(world)
  })
}

function normal(value: Parsed): Parsed {
  const text = JSON.stringify(value)
    .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'mac')
    .replace(/\/proc\/\d+/g, '/proc/N')
    .replace(/192\.0\.2\.[23]\b/g, '192.0.2.x')
    .replace(/2001:db8::[23]\b/g, '2001:db8::x')
  return JSON.parse(text)
}

function routesIn(world: World, index: number): Parsed {
  const routes = ['-4', '-6'].flatMap(family => world.ip(world.container(index), family, 'route'))
  const lines = routes
    .filter((one: Parsed) => !one.dst.startsWith('fe80'))
    .map((one: Parsed) => `${one.dst} via ${one.gateway ?? 'none'}`)
  return normal(lines.sort())
}

test('ADD, CHECK, DEL twice; result and routes as the reference plugin makes them', async () => {
  for (const one of CASES) {
    await inHost(2, world => {
      const before = world.snapshot()
      const result = world.add(one.type, network(world, one))
      const eth0 = world.ip(world.container(), 'link', 'show', 'dev', 'eth0')[0]
      assert.is(eth0.linkinfo.info_kind, one.type)
      assert.is(result.interfaces[0].mac, eth0.address)
      const check = world.call(one.type, 'CHECK', network(world, one, { prevResult: result }))
      assert.is(check.status, 0, check.stdout)
      const routes = routesIn(world, 0)
      world.del(one.type, network(world, one), { netns: '' })
      world.del(one.type, network(world, one))
      assert.is(world.ip(world.container(), 'link').length, 1)
      assert.is(world.snapshot(), before)
      if (!one.hasReference) return
      const reference = { container: world.container(1), containerId: 'c2', binDir: REFERENCE_DIR, path: REFERENCE_DIR }
      const theirs = world.add(one.type, network(world, one), reference)
      assert.equal(normal(result), normal(theirs))
      assert.equal(routes, routesIn(world, 1))
      world.del(one.type, network(world, one), { container: world.container(1), containerId: 'c2' })
      assert.is(world.ip(world.container(1), 'link').length, 1)
      assert.is(world.snapshot(), before)
    })
  }
})

test('of two ADDs at once for one VLAN one wins', async () => {
  const vlan: Case = { type: 'vlan', keys: { master: 'up0', vlanId: 7 }, hasReference: true }
  await inHost(2, async world => {
    const replies = await Promise.all(
      world.containers.map((container, i) =>
        world.start('vlan', 'ADD', network(world, vlan), { container, containerId: `c${i}` })
      )
    )
    assert.equal(replies.map(reply => reply.status).sort(), [0, 1])
    assert.is(replies.find(reply => reply.status === 1)?.json.code, 7)
  })
})

test.run()
