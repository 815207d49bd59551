/** Two runtimes on one network: the GC of one, and the containers of the other. */
// needs: ip nft
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/bridge and portmap: GC between runtimes, the executables')

const PORTS = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }

function network(world: World, type: string, more: object = {}): object {
  const ipam = { type: 'host-local', dataDir: world.dataDir, subnet: '10.9.0.0/24' }
  const own =
    type === 'bridge' ? { bridge: 'br7', ipMasq: true, ipMasqBackend: 'nftables', ipam } : { backend: 'nftables' }
  return { cniVersion: '1.1.0', name: 'web', type, stateDir: world.stateDir, ...own, ...more }
}

/** A call that another program makes: its parent is a shell. */
function byShell(world: World, type: string, id: string, more: object = {}): Parsed {
  const env = {
    PATH: process.env['PATH'],
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: id,
    CNI_NETNS: world.container(1).path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: world.binDir
  }
  const input = JSON.stringify(network(world, type, more))
  const outcome = world.host.run('sh', ['-c', '"$1"; exit $?', 'sh', join(world.binDir, type)], { env, input })
  assert.is(outcome.status, 0, outcome.stdout)
  return JSON.parse(outcome.stdout)
}

function gc(world: World, valid: readonly object[]): void {
  for (const type of ['bridge', 'portmap']) {
    const reply = world.call(type, 'GC', network(world, type, { 'cni.dev/valid-attachments': valid }))
    assert.is(reply.status, 0, reply.stdout)
  }
}

function hasPort(world: World): boolean {
  return world.sh(world.host, 'nft', 'list', 'ruleset').includes('8080')
}

test("another runtime's container keeps all it has while it lives; one's own that is not listed goes", async () => {
  await inWorld(2, world => {
    world.add('bridge', network(world, 'bridge'), { containerId: 'own' })
    const made = byShell(world, 'bridge', 'other')
    byShell(world, 'portmap', 'other', { runtimeConfig: PORTS, prevResult: made })
    gc(world, [])
    assert.equal(world.ip(world.container(0), 'link', 'show').length, 1, 'lo')
    assert.is(world.ip(world.container(1), 'link', 'show').length, 2)
    assert.ok(hasPort(world))
    assert.match(world.sh(world.host, 'nft', 'list', 'ruleset'), /web other eth0/)
    // Its address, too: the next container gets another.
    const next = world.add('bridge', network(world, 'bridge'), { containerId: 'next' })
    assert.not.equal(next.ips[0].address, made.ips[0].address)

    world.container(1).close()
    gc(world, [{ containerID: 'next', ifname: 'eth0' }])
    assert.ok(!hasPort(world))
    const ports = world.ip(world.host, 'link', 'show', 'master', 'br7')
    assert.equal(ports.length, 1, "next's")
  })
})

test("a runtime that lists the other one's containers, and one that is gone with its namespace", async () => {
  await inWorld(2, world => {
    byShell(world, 'bridge', 'other')
    gc(world, [{ containerID: 'other', ifname: 'eth0' }])
    assert.is(world.ip(world.container(1), 'link', 'show').length, 2)
    world.del('bridge', network(world, 'bridge'), { containerId: 'other', container: world.container(1) })
    assert.is(world.ip(world.container(1), 'link', 'show').length, 1)
  })
})

test.run()
