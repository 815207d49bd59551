// needs: ip ping reference-plugins strace
import { sweepKills } from '../../lib/testing/kill-sweep.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, REFERENCE_DIR, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/sbr, the executable')

/** Two interfaces, of which `eth0` has the default routes; at the far end of each a router that answers. */
function prepare(world: World): void {
  const box = world.container()
  sh(box, 'ip link set lo up')
  for (const [name, net] of [
    ['eth0', '1'],
    ['net1', '2']
  ] as const) {
    sh(
      world.host,
      `ip link add v-${name} type veth peer name ${name} address 02:00:00:00:00:0${net} netns ${String(box.pid)}
      ip link set v-${name} up
      ip addr add 10.${net}.0.1/24 dev v-${name}; ip addr add fd00:${net}::1/64 dev v-${name} nodad`
    )
    giveAddresses(box, name, net)
  }
  // Far away, reached from either router.
  sh(world.host, 'ip link set lo up; ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo nodad')
  sh(world.host, 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done')
  giveDefaults(box)
}

function sh(namespace: Namespace, script: string): void {
  const outcome = namespace.run('sh', ['-ec', script])
  if (outcome.status !== 0) throw new Error(outcome.stderr)
}

function giveAddresses(box: Namespace, name: string, net: string): void {
  sh(
    box,
    `ip link set ${name} up; ip addr flush dev ${name} scope global
    ip addr add 10.${net}.0.5/24 dev ${name}; ip addr add fd00:${net}::5/64 dev ${name} nodad`
  )
}

function giveDefaults(box: Namespace): void {
  sh(box, 'ip route replace default via 10.1.0.1; ip -6 route replace default via fd00:1::1')
}

function network(world: World, ifName: string, more: object = {}): object {
  const net = ifName === 'eth0' ? '1' : '2'
  const own = { name: ifName, sandbox: world.container().path, mac: `02:00:00:00:00:0${net}` }
  const interfaces = [{ name: `v-${ifName}` }, own]
  const ips = [
    { address: `10.${net}.0.5/24`, gateway: `10.${net}.0.1`, interface: 1 },
    { address: `fd00:${net}::5/64`, gateway: `fd00:${net}::1`, interface: 1 }
  ]
  return {
    cniVersion: '1.0.0',
    name: 'web',
    type: 'sbr',
    stateDir: world.stateDir,
    prevResult: { cniVersion: '1.0.0', interfaces, ips },
    ...more
  }
}

/** By which interface and gateway the container sends from an address. */
function way(world: World, from: string, to: string): string {
  const route = world.ip(world.container(), 'route', 'get', to, 'from', from)[0]
  return `${String(route.dev)} ${String(route.gateway)}`
}

function rules(world: World): readonly string[] {
  const box = world.container()
  const all: readonly Parsed[] = [...world.ip(box, 'rule'), ...world.ip(box, '-6', 'rule')]
  return all.filter(rule => rule.src !== 'all').map(rule => `${rule.src} ${rule.table}`)
}

/** The ways of the default routes in the main table, of each family. */
function mainDefaults(box: Namespace): readonly (readonly string[])[] {
  return ['-4', '-6'].map(family => {
    const lines = box.run('ip', [family, 'route', 'show', 'default']).stdout
    return [...lines.matchAll(/via (\S+) dev (\S+)/g)].map(([, gateway, name]) => `${gateway} ${name}`).sort()
  })
}

/** Everything that routing in the container consists of. */
function routing(world: World): string {
  const box = world.container()
  return ['-4', '-6']
    .map(f => world.sh(box, 'ip', f, 'rule') + world.sh(box, 'ip', f, 'route', 'show', 'table', 'all'))
    .join('')
}

test('what is sent from an address leaves by its interface and its gateway, in both families', async () => {
  await inWorld(1, world => {
    prepare(world)
    assert.is(way(world, '10.2.0.5', '192.0.2.1'), 'eth0 10.1.0.1')
    world.add('sbr', network(world, 'net1'), { ifName: 'net1' })
    assert.is(way(world, '10.2.0.5', '192.0.2.1'), 'net1 10.2.0.1')
    assert.is(way(world, 'fd00:2::5', '2001:db8::1'), 'net1 fd00:2::1')
    assert.is(way(world, '10.1.0.5', '192.0.2.1'), 'eth0 10.1.0.1')
    for (const [from, to] of [
      ['10.2.0.5', '192.0.2.1'],
      ['10.1.0.5', '192.0.2.1'],
      ['fd00:2::5', '2001:db8::1']
    ] as const) {
      world.sh(world.container(), 'ping', '-c', '1', '-W', '2', '-I', from, to)
    }
    assert.equal(rules(world), ['10.2.0.5 100', 'fd00:2::5 101'])
    assert.is(world.call('sbr', 'CHECK', network(world, 'net1'), { ifName: 'net1' }).status, 0)
    world.sh(world.container(), 'ip', 'route', 'flush', 'table', '100')
    const reply = world.call('sbr', 'CHECK', network(world, 'net1'), { ifName: 'net1' })
    assert.match(reply.json.msg, /route default via 10\.2\.0\.1 is missing from table 100/)
    for (let i = 0; i < 2; i += 1) world.del('sbr', network(world, 'net1'), { ifName: 'net1' })
    assert.equal(rules(world), [])
    assert.not.match(routing(world), /table 10[01]/)
  })
})

test('of a default route that interfaces share each keeps its own part', async () => {
  await inWorld(1, world => {
    prepare(world)
    const box = world.container()
    sh(
      box,
      `ip route replace default nexthop via 10.1.0.1 dev eth0 nexthop via 10.2.0.1 dev net1
      ip -6 route append default via fd00:2::1 dev net1`
    )
    assert.is(mainDefaults(box).flat().length, 4)
    world.add('sbr', network(world, 'net1'), { ifName: 'net1' })
    assert.equal(mainDefaults(box), [['10.1.0.1 eth0'], ['fd00:1::1 eth0']])
    assert.is(way(world, '10.2.0.5', '192.0.2.1'), 'net1 10.2.0.1')
    assert.is(way(world, 'fd00:2::5', '2001:db8::1'), 'net1 fd00:2::1')
    assert.is(way(world, '10.1.0.5', '192.0.2.1'), 'eth0 10.1.0.1')
    assert.is(world.call('sbr', 'CHECK', network(world, 'net1'), { ifName: 'net1' }).status, 0)
  })
})

test('with source hints the own networks can be reached without a source address', async () => {
  await inWorld(1, world => {
    prepare(world)
    world.add('sbr', network(world, 'net1', { addSourceHints: true }), { ifName: 'net1' })
    const [route] = world.ip(world.container(), 'route', 'get', '10.2.0.1')
    assert.equal([route.dev, route.prefsrc], ['net1', '10.2.0.5'])
    world.sh(world.container(), 'ping', '-c', '1', '-W', '2', 'fd00:2::1')
  })
})

test('as many ADDs at once as there are interfaces: no two share a table', async () => {
  await inWorld(1, async world => {
    prepare(world)
    const box = world.container()
    const names = Array.from({ length: 12 }, (_, i) => `m${String(i)}`)
    for (const [i, name] of names.entries()) {
      world.sh(
        world.host,
        'ip',
        'link',
        'add',
        `v${name}`,
        'type',
        'veth',
        'peer',
        'name',
        name,
        'netns',
        String(box.pid)
      )
      world.sh(box, 'ip', 'link', 'set', name, 'up')
      world.sh(box, 'ip', 'addr', 'add', `10.${String(50 + i)}.0.5/24`, 'dev', name)
    }
    const replies = await Promise.all(
      names.map((name, i) => {
        const prevResult = {
          interfaces: [{ name, sandbox: box.path }],
          ips: [{ address: `10.${String(50 + i)}.0.5/24`, gateway: `10.${String(50 + i)}.0.1`, interface: 0 }]
        }
        return world.start('sbr', 'ADD', network(world, name, { prevResult }), { ifName: name })
      })
    )
    assert.equal(
      replies.map(reply => reply.status),
      names.map(() => 0),
      replies.map(reply => reply.stdout).join('')
    )
    const tables = rules(world).map(rule => rule.split(' ')[1])
    assert.equal(
      tables.sort(),
      names.map((_, i) => String(100 + i))
    )
  })
})

test("the reference plugin: either's DEL removes the other's rules, and our CHECK accepts its ADD", async () => {
  await inWorld(1, world => {
    prepare(world)
    const config = network(world, 'net1')
    const theirs = { ifName: 'net1', binDir: REFERENCE_DIR }
    world.add('sbr', config, theirs)
    assert.is(way(world, '10.2.0.5', '192.0.2.1'), 'net1 10.2.0.1')
    assert.is(world.call('sbr', 'CHECK', config, { ifName: 'net1' }).status, 0)
    world.del('sbr', config, { ifName: 'net1' })
    assert.equal(rules(world), [])
  })
  await inWorld(1, world => {
    prepare(world)
    const config = network(world, 'net1')
    world.add('sbr', config, { ifName: 'net1' })
    world.del('sbr', config, { ifName: 'net1', binDir: REFERENCE_DIR })
    assert.equal(rules(world), [])
    world.del('sbr', config, { ifName: 'net1' })
  })
})

test('an ADD killed at any message to the kernel: no rule is left after DEL', async () => {
  await inWorld(1, world => {
    prepare(world)
    const config = network(world, 'eth0')
    const kills = sweepKills(world, { plugin: 'sbr', config }, when => {
      world.del('sbr', config)
      assert.equal(rules(world), [], `killed at message ${String(when)}`)
      assert.not.match(routing(world), /table 10[01]/, `killed at message ${String(when)}`)
      // The routes went with the tables, as the interface would go next.
      giveAddresses(world.container(), 'eth0', '1')
      giveDefaults(world.container())
    })
    assert.ok(kills >= 8, String(kills))
  })
})

test('ADD, DEL and ADD again of an interface that stays: the routes that went with the tables keep no gateway away', async () => {
  await inWorld(1, world => {
    prepare(world)
    const config = network(world, 'eth0')
    world.add('sbr', config)
    world.del('sbr', config)
    world.add('sbr', config)
    for (const family of ['-4', '-6']) {
      const table = family === '-4' ? '100' : '101'
      const [route] = world.ip(world.container(), family, 'route', 'show', 'default', 'table', table)
      assert.is(route?.dev, 'eth0')
    }
    world.del('sbr', config)
    assert.equal(rules(world), [])
  })
})

test('a failed ADD, DEL without a namespace, mistakes', async () => {
  await inWorld(1, world => {
    prepare(world)
    const before = routing(world)
    // The kernel refuses a multicast gateway, after rules and routes have been made.
    const refused = world.call('sbr', 'ADD', network(world, 'net1', { gateways: ['224.0.0.1'] }), { ifName: 'net1' })
    assert.is(refused.status, 1)
    assert.is(
      routing(world).replace(/\s+/g, ' ').split(' ').sort().join(' '),
      before.replace(/\s+/g, ' ').split(' ').sort().join(' ')
    )
    assert.match(
      world.call('sbr', 'ADD', network(world, 'net1', { table: 0 }), { ifName: 'net1' }).json.msg,
      /table must/
    )
    world.del('sbr', network(world, 'net1'), { ifName: 'net1', netns: '' })
    world.add('sbr', network(world, 'net1', { table: 77 }), { ifName: 'net1' })
    assert.equal(rules(world), ['10.2.0.5 77', 'fd00:2::5 77'])
    world.del('sbr', network(world, 'net1'), { ifName: 'net1', netns: '/run/netns/patchbay-none' })
  })
})

test.run()
