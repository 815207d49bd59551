// needs: ip nft tc strace
import { sweepKills } from '../../lib/testing/kill-sweep.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { transferSeconds } from '../../lib/testing/transfer.ts'
import { inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/bandwidth, the executable')

/** `eth0` of the container with 10.0.0.2, and its end `vh` on the host with 10.0.0.1. */
function prepare(world: World): void {
  const box = world.container()
  world.sh(world.host, 'ip', 'link', 'add', 'vh', 'type', 'veth', 'peer', 'name', 'vc')
  world.sh(world.host, 'ip', 'link', 'set', 'vc', 'netns', String(box.pid), 'name', 'eth0', 'up')
  world.sh(world.host, 'ip', 'link', 'set', 'vh', 'up')
  world.sh(world.host, 'ip', 'addr', 'add', '10.0.0.1/24', 'dev', 'vh')
  world.sh(box, 'ip', 'addr', 'add', '10.0.0.2/24', 'dev', 'eth0')
}

function network(world: World, more: object): object {
  const interfaces = [{ name: 'vh' }, { name: 'eth0', sandbox: world.container().path }]
  return {
    cniVersion: '1.1.0',
    name: 'web',
    type: 'bandwidth',
    stateDir: world.stateDir,
    prevResult: { interfaces, ips: [{ address: '10.0.0.2/24', interface: 1 }] },
    ...more
  }
}

/** Every qdisc but the ones links have of their own. */
function qdiscs(world: World): Parsed {
  return world.json(world.host, 'tc', '-j', 'qdisc').filter((one: Parsed) => one.kind !== 'noqueue')
}

const BOTH = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 800_000 }

test('ADD, CHECK, a change that CHECK names, DEL, DEL again', async () => {
  await inWorld(1, world => {
    prepare(world)
    const before = world.snapshot()
    const config = network(world, { runtimeConfig: { Bandwidth: { ...BOTH } } })
    const result = world.add('bandwidth', config)
    const kinds = (): readonly string[] => qdiscs(world).map((one: Parsed) => `${one.dev} ${one.kind}`)
    const ifb = result.interfaces[2].name
    assert.equal(kinds(), ['vh tbf', 'vh ingress', `${ifb} tbf`])
    assert.is(world.ip(world.host, 'link', 'show', 'dev', ifb)[0].address, result.interfaces[2].mac)
    const checked = (): Parsed => world.call('bandwidth', 'CHECK', { ...config, prevResult: result })
    assert.is(checked().status, 0, checked().stdout)
    world.sh(
      world.host,
      'tc',
      'qdisc',
      'replace',
      'dev',
      ifb,
      'root',
      'tbf',
      'rate',
      '1mbit',
      'burst',
      '9k',
      'latency',
      '9ms'
    )
    assert.match(checked().json.msg, /the tbf of "bwp[0-9a-f]+" is rate 1000000bit/)
    for (let i = 0; i < 2; i += 1) world.del('bandwidth', config, { netns: '' })
    assert.equal(qdiscs(world), [])
    assert.is(world.snapshot(), before)
  })
})

test('both directions are as fast as the limits say, and no faster', async () => {
  await inWorld(1, async world => {
    prepare(world)
    world.add('bandwidth', network(world, BOTH))
    const box = world.container()
    const bytes = 1_000_000
    // Of 1,000,000 bytes the bucket lets 100,000 through at once; 8 Mbit/s need 0.9 s for the rest, 16 Mbit/s 0.45 s.
    // Only too fast is wrong: how slow it may get is up to the machine.
    const down = await transferSeconds(world.host, box, '10.0.0.2', bytes)
    assert.ok(down > 0.8, `ingress took ${String(down)} s`)
    const up = await transferSeconds(box, world.host, '10.0.0.1', bytes)
    assert.ok(up > 0.4, `egress took ${String(up)} s`)
    world.del('bandwidth', network(world, BOTH))
    const free = await transferSeconds(box, world.host, '10.0.0.1', bytes)
    assert.ok(free < up, `without limits ${String(free)} s, with them ${String(up)} s`)
  })
})

test('an ADD killed at any message to the kernel: DEL brings everything back, and so it does after another ADD', async () => {
  await inWorld(1, world => {
    prepare(world)
    const before = world.snapshot()
    const config = network(world, BOTH)
    const kills = sweepKills(world, { plugin: 'bandwidth', config }, when => {
      if (when % 2 === 0) {
        world.add('bandwidth', config)
        assert.is(qdiscs(world).length, 3, `killed at message ${String(when)}`)
      }
      world.del('bandwidth', config, when % 3 === 0 ? { netns: '' } : {})
      assert.is(world.snapshot(), before, `killed at message ${String(when)}`)
      assert.equal(qdiscs(world), [], `killed at message ${String(when)}`)
    })
    assert.ok(kills >= 6, `${String(kills)} messages`)
  })
})

test('wrong configurations and interfaces that cannot be limited: nothing changes', async () => {
  await inWorld(1, world => {
    prepare(world)
    world.sh(world.container(), 'ip', 'link', 'add', 'mv0', 'link', 'eth0', 'type', 'macvlan')
    const before = world.snapshot()
    for (const [more, ifName, message] of [
      [{ ingressRate: 8000 }, 'eth0', /ingressRate must come with ingressBurst, got 8000/],
      [BOTH, 'mv0', /limit bandwidth of "mv0": it is of kind "macvlan"/],
      [BOTH, 'eth5', /ENODEV/]
    ] as const) {
      const reply = world.call('bandwidth', 'ADD', network(world, more), { ifName })
      assert.is(reply.status, 1)
      assert.match(reply.json.msg, message)
    }
    assert.is(world.snapshot(), before)
    assert.equal(qdiscs(world), [])
  })
})

test('GC and STATUS', async () => {
  await inWorld(1, world => {
    prepare(world)
    const before = world.snapshot()
    const config = network(world, BOTH)
    world.add('bandwidth', config)
    assert.is(world.call('bandwidth', 'STATUS', config).status, 0)
    const gc = (valid: readonly object[]): number =>
      world.call('bandwidth', 'GC', { ...config, 'cni.dev/valid-attachments': valid }, { netns: '' }).status
    assert.is(gc([{ containerID: 'c1', ifname: 'eth0' }]), 0)
    assert.is(qdiscs(world).length, 3)
    assert.is(gc([]), 0)
    assert.equal(qdiscs(world), [])
    assert.is(world.snapshot(), before)
  })
})

test.run()
