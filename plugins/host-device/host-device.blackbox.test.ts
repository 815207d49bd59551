// needs: ip nft strace reference-plugins
import { callUnharmed, sweepKills } from '../../lib/testing/kill-sweep.ts'
import { linkNamesIn } from '../../lib/testing/side-by-side.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, REFERENCE_DIR, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/host-device, the executable')

function network(world: World, more: object = {}): object {
  return {
    cniVersion: '1.0.0',
    name: 'port',
    type: 'host-device',
    device: 'up0',
    stateDir: world.stateDir,
    ipam: { type: 'host-local', dataDir: world.dataDir, subnet: '192.0.2.0/24', routes: [{ dst: '0.0.0.0/0' }] },
    ...more
  }
}

async function inHost(containers: number, body: (world: World) => void | Promise<void>): Promise<void> {
  await inWorld(containers, async world => {
    world.sh(world.host, 'ip', 'link', 'add', 'up0', 'mtu', '1400', 'type', 'veth', 'peer', 'name', 'up1')
    world.sh(world.host, 'ip', 'link', 'set', 'up0', 'alias', 'to the switch')
    world.sh(world.host, 'ip', 'link', 'set', 'up0', 'up')
    await body(world)
  })
}

/** All that is to be as before about the device. */
function deviceOnHost(world: World): string {
  const { mtu, ifalias, address, flags } = world.ip(world.host, 'link', 'show', 'dev', 'up0')[0]
  return JSON.stringify([mtu, ifalias, address, flags.includes('UP')])
}

test('ADD, CHECK, DEL: the device goes and comes home as it was; the result has the form of the reference', async () => {
  await inHost(1, world => {
    const before = [world.snapshot(), deviceOnHost(world)]
    const result = world.add('host-device', network(world))
    assert.equal(linkNamesIn(world), ['lo', 'eth0'])
    assert.is(world.call('host-device', 'CHECK', network(world, { prevResult: result })).status, 0)
    world.del('host-device', network(world))
    world.del('host-device', network(world))
    assert.equal([world.snapshot(), deviceOnHost(world)], before)

    const reference = { binDir: REFERENCE_DIR, path: REFERENCE_DIR }
    const theirs = world.add('host-device', network(world), reference)
    assert.equal(
      { ...result, ips: result.ips.length, routes: result.routes },
      { ...theirs, ips: theirs.ips.length, routes: theirs.routes }
    )
    world.del('host-device', network(world))
    assert.equal(linkNamesIn(world), ['lo'])
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'up0')[0].mtu, 1400)
  })
})

test('bad input: typed errors, and nothing changes', async () => {
  await inHost(1, world => {
    const before = [world.snapshot(), deviceOnHost(world)]
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ device: undefined }, /one \(and only one\) of hwaddr/],
      [{ hwaddr: '02:00:00:00:00:43' }, /one \(and only one\)/],
      [{ device: 'absent' }, /find device "absent": not on the host/],
      [{ device: undefined, pciBusID: '0000:ff:00.0' }, /find PCI device 0000:ff:00\.0: not on the host/],
      [{ device: undefined, kernelpath: '/sys/devices/../../etc' }, /kernelpath must begin/],
      [{ runtimeConfig: { deviceID: '0000:ff:00.0' } }, /not on the host/],
      [{ runtimeConfig: { deviceID: '../up0' } }, /deviceID must be a PCI address/]
    ]
    for (const [more, message] of cases) {
      const reply = world.call('host-device', 'ADD', network(world, more))
      assert.is(reply.status, 1)
      assert.is(reply.json.code, 7, reply.stdout)
      assert.match(reply.json.msg, message)
      world.del('host-device', network(world))
    }
    assert.equal([world.snapshot(), deviceOnHost(world)], before)
  })
})

test('what the container made of its device and in its place does not come onto the host', async () => {
  await inHost(1, world => {
    const before = deviceOnHost(world)
    const [box] = world.containers
    assert.ok(box)
    const links = linkNamesIn(world)
    world.add('host-device', network(world))
    world.sh(box, 'ip', 'link', 'set', 'eth0', 'down')
    world.sh(box, 'ip', 'link', 'set', 'eth0', 'name', 'mine')
    world.sh(box, 'ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other')
    for (const alias of ['', 'eth7', 'up0']) {
      world.sh(box, 'ip', 'link', 'set', 'eth0', 'alias', alias)
      world.del('host-device', network(world))
      assert.is(deviceOnHost(world), before)
      assert.equal([...linkNamesIn(world)].sort(), [...links, 'eth0', 'other'].sort())
    }
  })
})

test('the reference plugin brings home what ours moved', async () => {
  await inHost(1, world => {
    world.add('host-device', network(world))
    world.del('host-device', network(world), { binDir: REFERENCE_DIR, path: REFERENCE_DIR })
    assert.equal(linkNamesIn(world), ['lo'])
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'up0')[0].ifname, 'up0')
    // What it left on the device is tidied by the DEL that has the journal.
    world.del('host-device', network(world))
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'up0')[0].ifalias, 'to the switch')
  })
})

test('of two containers that want it at once, one gets it and the other leaves nothing', async () => {
  await inHost(2, async world => {
    const replies = await Promise.all(
      world.containers.map((container, i) =>
        world.start('host-device', 'ADD', network(world), { container, containerId: `c${i}` })
      )
    )
    assert.equal(replies.map(reply => reply.status).sort(), [0, 1])
    assert.is(replies.find(reply => reply.status === 1)?.json.code, 7)
    const loser = replies.findIndex(reply => reply.status === 1)
    world.del('host-device', network(world), { container: world.container(loser), containerId: `c${loser}` })
    assert.equal([linkNamesIn(world, 0), linkNamesIn(world, 1)].map(names => names.length).sort(), [1, 2])
  })
})

test('an ADD that is killed between any two messages to the kernel: DEL or GC brings the device home', async () => {
  await inHost(1, world => {
    const before = [world.snapshot(), deviceOnHost(world)]
    const config = network(world, { cniVersion: '1.1.0' })
    const kills = sweepKills(world, { plugin: 'host-device', config }, when => {
      if (when % 2 === 0) world.del('host-device', config, { netns: '' })
      else {
        const gc = { ...config, 'cni.dev/valid-attachments': [] }
        assert.is(callUnharmed(world, { plugin: 'host-device', config: gc, command: 'GC' }).status, 0)
      }
      assert.equal(linkNamesIn(world), ['lo'], `killed at message ${when}`)
      assert.equal([world.snapshot(), deviceOnHost(world)], before, `killed at message ${when}`)
    })
    assert.ok(kills >= 6, `${kills} kills`)
  })
})

test.run()
