// needs: ip nft
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/tap, the executable')

function network(world: World, more: object = {}): object {
  return { cniVersion: '1.1.0', name: 'machines', type: 'tap', stateDir: world.stateDir, ...more }
}

test('ADD, CHECK, DEL: layer 2 and with addresses, without any ip program', async () => {
  for (const ipam of [
    undefined,
    { type: 'static', addresses: [{ address: '10.6.0.2/24' }, { address: 'fd06::2/64' }] }
  ]) {
    await inWorld(1, world => {
      const config = network(world, { owner: 1234, group: 4321, multiQueue: true, mtu: 1300, ipam })
      const before = world.snapshot()
      const result = world.add('tap', config, { env: { PATH: '/nonexistent' } })
      const eth0 = world.ip(world.container(), 'addr', 'show', 'dev', 'eth0')[0]
      const { type, multi_queue, persist } = eth0.linkinfo.info_data
      assert.equal([type, multi_queue, persist, eth0.mtu], ['tap', true, true, 1300])
      assert.is(eth0.addr_info.filter((one: Parsed) => one.scope === 'global').length, ipam === undefined ? 0 : 2)
      assert.equal(result.interfaces, [{ name: 'eth0', mac: eth0.address, mtu: 1300, sandbox: world.container().path }])
      assert.is(world.call('tap', 'CHECK', { ...config, prevResult: result }).status, 0)
      world.del('tap', config)
      world.del('tap', config)
      assert.is(world.ip(world.container(), 'link').length, 1)
      assert.is(world.snapshot(), before)
    })
  }
})

test.run()
