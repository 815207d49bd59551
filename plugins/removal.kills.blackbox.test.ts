// needs: ip nft strace
/** Calls of the kernel that fail or never return: in DEL as in ADD nothing may be left that the next DEL does not remove. */
import { callWithFault, sweepKills, type Victim } from '../lib/testing/kill-sweep.ts'
import { inHostWithUplink, linkNamesIn } from '../lib/testing/side-by-side.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import type { World } from '../lib/testing/world.ts'

const test = suite('plugins: failing calls of the kernel')

/** A network with as much to remove as it can have. */
function network(world: World, type: string): object {
  const ipam = { type: 'host-local', dataDir: world.dataDir, subnet: '10.9.0.0/24' }
  const common = { cniVersion: '1.1.0', name: 'web', type, stateDir: world.stateDir }
  if (type === 'bridge') return { ...common, ipam, bridge: 'br7', isGateway: true, ipMasq: true, macspoofchk: true }
  if (type === 'ptp') return { ...common, ipam, ipMasq: true }
  if (type === 'macvlan') return { ...common, ipam, master: 'up0' }
  if (type === 'vxlan') return { ...common, ipam, vni: 42, peers: ['192.0.2.2'], isGateway: true, ipMasq: true }
  if (type === 'firewall') return { ...common, ingressPolicy: 'same-bridge' }
  return { ...common, runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }] } }
}

async function inHost(body: (world: World) => void): Promise<void> {
  await inHostWithUplink(1, world => {
    for (const line of ['addr add 192.0.2.1/24 dev up0', 'route add default via 192.0.2.254']) {
      world.sh(world.host, 'ip', ...line.split(' '))
    }
    for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) {
      world.sh(world.host, 'sh', '-c', `echo 1 > /proc/sys/net/${path}`)
    }
    body(world)
  })
}

test('a DEL that is killed at any message to the kernel or change of a file: the next one leaves nothing', async () => {
  for (const type of ['bridge', 'ptp', 'macvlan', 'vxlan', 'firewall', 'portmap']) {
    await inHost(world => {
      const isChained = type === 'firewall' || type === 'portmap'
      const under = network(world, 'bridge')
      let config = network(world, type)
      if (isChained) config = { ...config, prevResult: world.add('bridge', under) }
      // What the first container of a network leaves is there before: a bridge, a lock.
      else {
        world.add(type, config)
        world.del(type, config)
      }
      const before = world.snapshot()
      for (const syscall of ['sendto', '/^(unlink|rename|ftruncate)']) {
        world.add(type, config)
        const kills = sweepKills(world, { plugin: type, config, command: 'DEL', syscall }, when => {
          world.del(type, config, { netns: when % 2 === 0 ? '' : world.container().path })
          assert.is(world.snapshot(), before, `${type}: DEL after a kill at ${syscall} ${when}`)
          world.add(type, config)
        })
        assert.ok(kills > 0, `${type} ${syscall}`)
        assert.is(world.snapshot(), before, type)
      }
    })
  }
})

test('an EIO at any close or unlink: ADD and DEL answer in JSON, and what failed can be made up for', async () => {
  for (const syscall of ['close', '/^unlink']) {
    await inHost(world => {
      const config = network(world, 'bridge')
      world.add('bridge', config)
      world.del('bridge', config)
      const before = world.snapshot()
      for (const command of ['ADD', 'DEL']) {
        const victim: Victim = { plugin: 'bridge', config, command, syscall, fault: 'error=EIO' }
        for (let when = 1; when <= 30; when += 1) {
          if (command === 'DEL') world.add('bridge', config)
          const { status, stdout } = callWithFault(world, victim, when)
          const where = `${command}, ${syscall} ${when}: ${stdout}`
          if (status !== 0) assert.match(JSON.parse(stdout).msg, 'EIO', where)
          if (status !== 0 && command === 'ADD') assert.equal(linkNamesIn(world), ['lo'], where)
          if (status === 0) assert.is(linkNamesIn(world).includes('eth0'), command === 'ADD', where)
          world.del('bridge', config)
          assert.is(world.snapshot(), before, where)
        }
      }
    })
  }
})

test.run()
