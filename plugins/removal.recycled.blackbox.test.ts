// needs: ip nft
/**
 * The path of a namespace that is gone may lead to another container by now, as `/proc/PID/ns/net` does: whatever is removed
 * there by the name of an interface is that container's.
 */
import { assert, suite } from '../lib/testing/suite.ts'
import { inWorld, type Parsed, type World } from '../lib/testing/world.ts'

const test = suite('plugins: recycled paths')

interface Attached {
  readonly containerId: string
  readonly prevResult: Parsed
}

const CHAIN = ['bridge', 'tuning', 'sbr', 'bandwidth', 'firewall', 'portmap'] as const

function configOf(world: World, type: string, containerId: string, prevResult?: Parsed): object {
  const ipam = { type: 'host-local', dataDir: world.dataDir, subnet: '10.9.0.0/24' }
  const own: Record<string, object> = {
    bridge: { bridge: 'br7', isGateway: true, ipMasq: true, macspoofchk: true, ipam },
    tuning: { mtu: 1400, allmulti: true, dataDir: `${world.directory}/tuning` },
    bandwidth: { ingressRate: 8_000_000, ingressBurst: 8_000_000 },
    firewall: { ingressPolicy: 'same-bridge' },
    portmap: { runtimeConfig: { portMappings: [{ hostPort: containerId === 'c1' ? 8081 : 8082, containerPort: 80 }] } }
  }
  return { cniVersion: '1.0.0', name: 'web', type, stateDir: world.stateDir, ...own[type], prevResult }
}

function attach(world: World, index: number): Attached {
  const containerId = `c${index + 1}`
  const options = { container: world.container(index), containerId }
  world.add('loopback', configOf(world, 'loopback', containerId), { ...options, ifName: 'lo' })
  let prevResult: Parsed
  for (const type of CHAIN) prevResult = world.add(type, configOf(world, type, containerId, prevResult), options)
  return { containerId, prevResult }
}

function detach(world: World, { containerId, prevResult }: Attached, netns: string, tells: boolean): void {
  for (const type of [...CHAIN].reverse()) {
    world.del(type, configOf(world, type, containerId, tells ? prevResult : undefined), { containerId, netns })
  }
  world.del('loopback', configOf(world, 'loopback', containerId), { containerId, netns, ifName: 'lo' })
}

/** Everything of the container, and of the host what names it. */
function stateOf(world: World, index: number): string {
  const box = world.container(index)
  const lines = [
    'ip -o link',
    'ip -o addr',
    'ip route show table all',
    'ip -6 route show table all',
    'ip rule',
    'ip -6 rule'
  ]
  const inside = lines.flatMap(line => world.sh(box, 'sh', '-c', line).split('\n'))
  const element = new RegExp(`[^,{\\s][^,{}]*comment "web c${index + 1} eth0"[^,}]*`, 'g')
  const rules = world.sh(world.host, 'nft', 'list', 'ruleset').match(element) ?? []
  // What the kernel gives itself when it has looked for duplicates.
  return [...inside.filter(line => !line.includes('fe80:')), ...rules.map(one => one.trim())].join('\n')
}

test('a DEL of one that is gone, with the path of one that lives: with and without prevResult the living one is whole', async () => {
  for (const tells of [true, false]) {
    await inWorld(2, world => {
      const gone = attach(world, 0)
      const alive = attach(world, 1)
      const before = stateOf(world, 1)
      world.container(0).close()
      detach(world, gone, world.container(1).path, tells)
      // loopback is not told whose lo it is, and has no journal: see there.
      assert.is(stateOf(world, 1), before)
      detach(world, alive, world.container(1).path, tells)
      assert.equal(
        world.ip(world.host, 'link').map((one: Parsed) => one.ifname),
        ['lo', 'br7']
      )
      assert.is(world.sh(world.host, 'nft', 'list', 'ruleset'), '')
    })
  }
})

test.run()
