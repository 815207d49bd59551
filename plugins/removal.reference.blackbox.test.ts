// needs: ip reference-plugins
/**
 * Attachments that the reference plugins made, removed by ours with as little as runtimes tell: below cniVersion 0.4.0 DEL gets
 * no prevResult, and a lost cache has none either. No address may be given back while somebody still has it.
 */
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addEnvironment } from '../lib/testing/kill-sweep.ts'
import { inHostWithUplink, linkNamesIn } from '../lib/testing/side-by-side.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { REFERENCE_DIR, type World } from '../lib/testing/world.ts'

const test = suite('plugins: migration')

const REFERENCE = { binDir: REFERENCE_DIR, path: REFERENCE_DIR }

/** A network with one address to give away. */
function network(world: World, type: string, more: object = {}): object {
  const range = { subnet: '10.8.0.0/24', rangeStart: '10.8.0.7', rangeEnd: '10.8.0.7' }
  const ipam = { type: 'host-local', dataDir: world.dataDir, ranges: [[range]] }
  const own = { bridge: { bridge: 'br8' }, macvlan: { master: 'up0' } }[type] ?? {}
  return { cniVersion: '1.0.0', name: 'small', type, stateDir: world.stateDir, ...own, ipam, ...more }
}

function leases(world: World): readonly string[] {
  return readdirSync(join(world.dataDir, 'small')).filter(name => /^10\./.test(name))
}

test('DEL without prevResult takes the interface that has the leased address, and gives the address to the next', async () => {
  for (const type of ['bridge', 'ptp', 'macvlan']) {
    for (const cniVersion of ['0.3.1', '1.0.0']) {
      await inHostWithUplink(2, world => {
        const config = network(world, type, { cniVersion })
        world.add(type, config, REFERENCE)
        world.del(type, config)
        assert.equal([linkNamesIn(world, 0), leases(world)], [['lo'], []], `${type} ${cniVersion}`)
        world.add(type, config, { container: world.container(1), containerId: 'c2' })
        assert.equal(leases(world), ['10.8.0.7'])
        world.del(type, config)
        assert.equal(
          [linkNamesIn(world, 1), leases(world)],
          [['lo', 'eth0'], ['10.8.0.7']],
          'a second DEL of the first'
        )
      })
    }
  }
})

test('DEL with an empty CNI_NETNS finds the interface by the result that the runtime kept', async () => {
  for (const type of ['bridge', 'ptp', 'macvlan']) {
    await inHostWithUplink(1, world => {
      const config = network(world, type)
      const prevResult = world.add(type, config, REFERENCE)
      world.del(type, { ...config, prevResult }, { netns: '' })
      assert.equal([linkNamesIn(world, 0), leases(world)], [['lo'], []], type)
    })
  }
})

test('what has another address than the leased one is another attachment, and stays', async () => {
  await inHostWithUplink(2, world => {
    const ipam = { type: 'host-local', dataDir: world.dataDir, subnet: '10.8.0.0/24' }
    const config = network(world, 'bridge', { ipam })
    world.add('bridge', config, REFERENCE)
    world.add('bridge', config, { ...REFERENCE, container: world.container(1), containerId: 'c2' })
    world.del('bridge', config, { container: world.container(1), containerId: 'c1' })
    assert.equal(
      [linkNamesIn(world, 1), leases(world)],
      [['lo', 'eth0'], ['10.8.0.3']],
      'the path is of another container'
    )
    world.sh(world.container(1), 'ip', 'link', 'set', 'eth0', 'name', 'net1')
    world.sh(world.container(1), 'ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'own')
    world.del('bridge', config, { container: world.container(1), containerId: 'c3' })
    assert.equal(linkNamesIn(world, 1).includes('eth0'), true, 'an attachment that never was')
  })
})

test('an interface that nothing tells of keeps its address leased: of another kind, or with an IPAM that cannot be asked', async () => {
  await inHostWithUplink(1, world => {
    world.add('macvlan', network(world, 'macvlan'), REFERENCE)
    const reply = world.call('bridge', 'DEL', network(world, 'bridge'))
    assert.equal([reply.status, linkNamesIn(world, 0), leases(world)], [0, ['lo', 'eth0'], ['10.8.0.7']])
    assert.match(reply.stderr, 'the address is not given back')
    world.sh(world.container(), 'ip', 'link', 'del', 'eth0')
    world.del('bridge', network(world, 'bridge'))
    assert.equal(leases(world), [])
  })
  await inHostWithUplink(1, world => {
    const calls = join(world.directory, 'calls')
    const program = join(world.directory, 'other-ipam')
    const result = '{"cniVersion":"1.0.0","ips":[{"address":"10.8.0.9/24"}]}'
    writeFileSync(program, `#!/bin/sh\necho "$CNI_COMMAND" >> ${calls}\necho '${result}'\n`)
    chmodSync(program, 0o755)
    const path = `${world.directory}:${REFERENCE_DIR}`
    const config = network(world, 'bridge', { ipam: { type: 'other-ipam' } })
    world.add('bridge', config, { binDir: REFERENCE_DIR, path })
    assert.is(world.call('bridge', 'DEL', config, { path }).status, 0)
    assert.is(readFileSync(calls, 'utf8'), 'ADD\n')
    world.sh(world.container(), 'ip', 'link', 'del', 'eth0')
    assert.is(world.call('bridge', 'DEL', config, { path }).status, 0)
    assert.is(readFileSync(calls, 'utf8'), 'ADD\nDEL\n')
  })
})

test('a path that leads to a namespace of the host by now is that of no container', async () => {
  await inHostWithUplink(1, world => {
    for (const type of ['bridge', 'ptp', 'macvlan']) {
      const config = network(world, type)
      assert.is(world.call(type, 'ADD', config, { netns: world.host.path }).json.code, 8)
      world.add(type, config)
      world.del(type, config, { netns: world.host.path })
      assert.equal([linkNamesIn(world, 0), leases(world)], [['lo'], []], type)
    }
    // In process namespaces of their own: the first process in the host's network, the plugin in another.
    const env = { ...addEnvironment(world), CNI_NETNS: '/proc/1/ns/net' }
    const args = ['-pf', '--mount-proc', 'sh', '-c', 'unshare -n "$0"; exit', join(world.binDir, 'bridge')]
    const { stdout } = world.host.run('unshare', args, { env, input: JSON.stringify(network(world, 'bridge')) })
    assert.match(JSON.parse(stdout).msg, "is the network namespace of the machine's first process")
  })
})

test.run()
