// needs: bridge
// time-out: 180 s
import { spawn } from 'node:child_process'
import { type Namespace, NSENTER } from '../../lib/testing/namespace.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/bridge: VLANs, on a kernel that filters them')

function network(world: World, more: object): object {
  return {
    cniVersion: '1.1.0',
    name: 'web',
    type: 'bridge',
    bridge: 'br7',
    stateDir: world.stateDir,
    ipam: { type: 'host-local', dataDir: world.dataDir, subnet: '10.9.0.0/24' },
    ...more
  }
}

/** As `bridge vlan` shows them: `10 pvid untagged`, `20-29`. */
function vlansOf(world: World, port: string): readonly string[] {
  const rows: Parsed[] = world.json(world.host, 'bridge', '-compressvlans', '-j', 'vlan', 'show', 'dev', port)
  return (rows[0]?.vlans ?? []).map((one: Parsed) => {
    const range = one.vlanEnd === undefined ? `${one.vlan}` : `${one.vlan}-${one.vlanEnd}`
    const flags: readonly string[] = (one.flags ?? []).map((flag: string) => flag.toLowerCase().replace('egress ', ''))
    return [range, ...flags].join(' ')
  })
}

function add(world: World, index: number, more: object): string {
  const options = { container: world.container(index), containerId: `c${index}` }
  return world.add('bridge', network(world, more), options).interfaces[1].name
}

test('vlan: the port is in this VLAN alone, untagged, and the bridge filters', async () => {
  await inWorld(1, world => {
    const port = add(world, 0, { vlan: 10 })
    assert.equal(vlansOf(world, port), ['10 pvid untagged'])
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'br7')[0].linkinfo.info_data.vlan_filtering, 1)
  })
})

test('preserveDefaultVlan keeps VLAN 1 beside it', async () => {
  await inWorld(1, world => {
    const port = add(world, 0, { vlan: 10, preserveDefaultVlan: true })
    assert.equal(vlansOf(world, port), ['1 untagged', '10 pvid untagged'])
  })
})

test('vlanTrunk: tagged VLANs beside the native one, ranges around it', async () => {
  await inWorld(2, world => {
    const trunk = add(world, 0, { vlanTrunk: [{ id: 42 }, { minID: 100, maxID: 103 }] })
    assert.equal(vlansOf(world, trunk), ['1 pvid untagged', '42', '100-103'])
    const both = add(world, 1, { vlan: 101, vlanTrunk: [{ minID: 100, maxID: 103 }] })
    assert.equal(vlansOf(world, both), ['100', '101 pvid untagged', '102-103'])
  })
})

test('an existing bridge that does not filter is made to', async () => {
  await inWorld(1, world => {
    world.sh(world.host, 'ip', 'link', 'add', 'br7', 'type', 'bridge')
    add(world, 0, { vlan: 10 })
    assert.is(world.ip(world.host, 'link', 'show', 'dev', 'br7')[0].linkinfo.info_data.vlan_filtering, 1)
  })
})

test('containers of one VLAN reach each other and their gateway, those of another do not', async () => {
  await inWorld(3, async world => {
    const gateway = { isGateway: true }
    add(world, 0, { vlan: 10, ...gateway })
    add(world, 1, { vlan: 10, ...gateway })
    add(world, 2, { vlan: 20 })
    const [first, second, third] = world.containers
    if (first === undefined || second === undefined || third === undefined) throw new Error('three containers')
    const gatewayLink = world.ip(world.host, 'addr', 'show', 'dev', 'br7.10')[0]
    assert.is(gatewayLink.addr_info.find((one: Parsed) => one.family === 'inet').local, '10.9.0.1')
    assert.ok(await reaches(first, second, '10.9.0.3'))
    assert.ok(await reaches(first, world.host, '10.9.0.1'))
    assert.not.ok(await reaches(third, second, '10.9.0.3'))
  })
})

test('CHECK notices a VLAN that is gone; GC and DEL leave nothing of the port', async () => {
  await inWorld(1, world => {
    const config = network(world, { vlan: 10, vlanTrunk: [{ id: 42 }] })
    const result = world.add('bridge', config)
    const port = result.interfaces[1].name
    assert.is(world.call('bridge', 'CHECK', { ...config, prevResult: result }).status, 0)
    world.sh(world.host, 'bridge', 'vlan', 'del', 'dev', port, 'vid', '42')
    const reply = world.call('bridge', 'CHECK', { ...config, prevResult: result })
    assert.match(reply.json.msg, /is not in VLAN 42/)
    world.del('bridge', config)
    assert.equal(
      world.ip(world.host, 'link').map((one: Parsed) => one.ifname),
      ['lo', 'br7']
    )
  })
})

/** Whether a TCP connection between the two namespaces comes about. */
async function reaches(from: Namespace, to: Namespace, address: string): Promise<boolean> {
  const serve = `require('net').createServer(s => s.end('x')).listen(7, '0.0.0.0', () => console.log('ready'))`
  const server = spawn(NSENTER, [`--net=${to.path}`, process.execPath, '-e', serve], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  try {
    await new Promise(resolve => server.stdout.once('data', resolve))
    const ask = `const s = require('net').connect(7, '${address}'); s.setTimeout(2500, () => process.exit(1)); s.on('error', () => process.exit(1)); s.on('data', () => process.exit(0))`
    return from.run(process.execPath, ['-e', ask]).status === 0
  } finally {
    server.kill('SIGKILL')
  }
}

test("keepDevices false: a VLAN's gateway interface goes with the VLAN's last container, the bridge with the last of all", async () => {
  await inWorld(2, world => {
    const names = (): readonly string[] =>
      world.ip(world.host, 'link', 'show').map((link: Parsed) => String(link.ifname))
    const keys = { keepDevices: false, isGateway: true }
    const at = (vlan: number, subnet: string): object =>
      network(world, { ...keys, vlan, ipam: { type: 'host-local', dataDir: world.dataDir, subnet } })
    const [ten, twenty] = [at(10, '10.9.0.0/24'), at(20, '10.8.0.0/24')]
    const [first, second] = [0, 1].map(i => ({ container: world.container(i), containerId: `c${i}` }))
    world.add('bridge', ten, first)
    world.add('bridge', twenty, second)
    assert.ok(names().includes('br7.10') && names().includes('br7.20'))
    world.del('bridge', ten, first)
    assert.ok(!names().includes('br7.10') && names().includes('br7.20'))
    // Somebody else's port in the VLAN needs the gateway.
    world.add('bridge', ten, first)
    world.sh(world.host, 'ip', 'link', 'add', 'vm0', 'type', 'dummy')
    world.sh(world.host, 'ip', 'link', 'set', 'vm0', 'master', 'br7')
    world.sh(world.host, 'bridge', 'vlan', 'add', 'dev', 'vm0', 'vid', '5-15')
    world.del('bridge', ten, first)
    assert.ok(names().includes('br7.10'))
    world.sh(world.host, 'ip', 'link', 'del', 'vm0')
    world.del('bridge', twenty, second)
    assert.equal(
      names().filter(name => name.startsWith('br7')),
      []
    )
  })
})

test.run()
