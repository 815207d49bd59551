// needs: ip nft reference-plugins
/** vlan, ipvlan and dummy as executables, beside the reference where it has them, on a kernel that has the kinds. */
import { comparable, hostLocalIpam, inHostWithUplink } from '../../lib/testing/side-by-side.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { type Parsed, REFERENCE_DIR, type World } from '../../lib/testing/world.ts'

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
    ipam: hostLocalIpam(world, '192.0.2.0/24', '2001:db8::/64'),
    ...one.keys,
    ...more
  }
}

function routesIn(world: World, index: number): Parsed {
  const routes = ['-4', '-6'].flatMap(family => world.ip(world.container(index), family, 'route'))
  const lines = routes
    .filter((one: Parsed) => !one.dst.startsWith('fe80'))
    .map((one: Parsed) => `${one.dst} via ${one.gateway ?? 'none'}`)
  return comparable(lines.sort())
}

test('ADD, CHECK, DEL twice; result and routes as the reference plugin makes them', async () => {
  for (const one of CASES) {
    await inHostWithUplink(2, world => {
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
      assert.equal(comparable(result), comparable(theirs))
      assert.equal(routes, routesIn(world, 1))
      const kept = { ...network(world, one), prevResult: theirs }
      world.del(one.type, kept, { container: world.container(1), containerId: 'c2' })
      assert.is(world.ip(world.container(1), 'link').length, 1)
      assert.is(world.snapshot(), before)
    })
  }
})

test('of two ADDs at once for one VLAN one wins', async () => {
  const vlan: Case = { type: 'vlan', keys: { master: 'up0', vlanId: 7 }, hasReference: true }
  await inHostWithUplink(2, async world => {
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
