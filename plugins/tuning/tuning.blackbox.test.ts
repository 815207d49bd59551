// needs: ip
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/tuning, the executable')

const IF_NAME = 'eth0.5'
const OPTIONS = { ifName: IF_NAME }

function prepare(world: World): void {
  world.sh(world.host, 'ip', 'link', 'add', 'vh', 'type', 'veth', 'peer', 'name', 'vc')
  world.sh(world.host, 'ip', 'link', 'set', 'vc', 'netns', String(world.container().pid), 'name', IF_NAME, 'up')
}

function network(world: World, more: object): object {
  const interfaces = [{ name: 'vh' }, { name: IF_NAME, mac: '00:00:00:00:00:01', sandbox: world.container().path }]
  const dataDir = join(world.directory, 'tuning')
  return { cniVersion: '1.1.0', name: 'web', type: 'tuning', dataDir, prevResult: { interfaces }, ...more }
}

function state(world: World): Parsed {
  const link = world.ip(world.container(), 'link', 'show', 'dev', IF_NAME)[0]
  return [link.address, link.mtu, link.txqlen, link.flags.includes('PROMISC'), link.flags.includes('ALLMULTI')]
}

const ALL = {
  sysctl: { 'net.core.somaxconn': '500', 'net.ipv4.conf.IFNAME.arp_filter': '1' },
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 77,
  runtimeConfig: { Mac: '02:11:22:33:44:55' }
}

test('ADD, CHECK, a change that CHECK names, DEL, DEL again', async () => {
  await inWorld(1, world => {
    prepare(world)
    const before = state(world)
    const result = world.add('tuning', network(world, ALL), OPTIONS)
    assert.equal(state(world), ['02:11:22:33:44:55', 1400, 77, true, true])
    assert.is(world.sh(world.container(), 'cat', '/proc/sys/net/core/somaxconn').trim(), '500')
    assert.is(world.sh(world.container(), 'cat', `/proc/sys/net/ipv4/conf/${IF_NAME}/arp_filter`).trim(), '1')
    assert.is(result.interfaces[1].mac, '02:11:22:33:44:55')
    assert.is(result.interfaces[1].mtu, 1400)
    const checked = (): Parsed => world.call('tuning', 'CHECK', network(world, { ...ALL, prevResult: result }), OPTIONS)
    assert.is(checked().status, 0, checked().stdout)
    world.sh(world.container(), 'ip', 'link', 'set', IF_NAME, 'txqueuelen', '9')
    assert.match(checked().json.msg, /a queue of 9 packets, not 77/)
    for (let i = 0; i < 2; i += 1) world.del('tuning', network(world, ALL), OPTIONS)
    assert.equal(state(world), before)
    assert.equal(readdirSync(join(world.directory, 'tuning')), [])
  })
})

test('nothing to tune: every verb succeeds without a namespace, and nothing is written', async () => {
  await inWorld(1, world => {
    const options = { netns: '/run/netns/patchbay-none' }
    const config = network(world, { 'cni.dev/valid-attachments': [] })
    const result = world.add('tuning', config, options)
    assert.equal(result.interfaces, [
      { name: 'vh' },
      { name: IF_NAME, mac: '00:00:00:00:00:01', sandbox: world.container().path }
    ])
    world.del('tuning', config, { netns: '' })
    for (const command of ['CHECK', 'GC', 'STATUS']) assert.is(world.call('tuning', command, config, options).status, 0)
    assert.not.ok(existsSync(join(world.directory, 'tuning')))
  })
})

test('GC and DEL without a namespace take away what was saved', async () => {
  await inWorld(1, world => {
    prepare(world)
    for (const containerId of ['c1', 'c2', 'c3']) {
      world.add('tuning', network(world, { mtu: 1400 }), { ...OPTIONS, containerId })
    }
    world.del('tuning', network(world, {}), { ...OPTIONS, containerId: 'c1', netns: '' })
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'c3', ifname: IF_NAME }] }
    assert.is(world.call('tuning', 'GC', network(world, valid)).status, 0)
    assert.equal(readdirSync(join(world.directory, 'tuning')), [`c3_${IF_NAME}.json`])
  })
})

test('wrong keys and values: code 7 with both, nothing changed', async () => {
  await inWorld(1, world => {
    prepare(world)
    const before = state(world)
    for (const [more, message] of [
      [{ sysctl: { 'kernel.panic': '1' } }, /sysctl\.kernel\.panic must be.*got "1"/],
      [{ sysctl: { 'net/../kernel/panic': '1' } }, /below net/],
      [{ sysctl: { 'net.core.somaxconn': '1', 'net/core/somaxconn': '2' } }, /another key names/],
      [{ mtu: 20, mac: 'x' }, /mac must be a MAC address of six bytes, got "x"; mtu must be 0 or/]
    ] as const) {
      const reply = world.call('tuning', 'ADD', network(world, more), OPTIONS)
      assert.is(reply.json.code, 7, reply.stdout)
      assert.match(reply.json.msg, message)
    }
    const twice = '{"sysctl":{"net.core.somaxconn":"1","net.core.somaxconn":"2"}}'
    const text = JSON.stringify(network(world, {})).replace(/}$/, `,${twice.slice(1)}`)
    assert.match(world.call('tuning', 'ADD', text, OPTIONS).json.msg, /another key names/)
    assert.equal(state(world), before)
  })
})

test('the allow-list of the machine', async () => {
  await inWorld(1, world => {
    prepare(world)
    // In a mount namespace of its own the machine's /etc is covered by an empty one with a list in it.
    const script = `mount -t tmpfs none /etc && mkdir -p /etc/cni/tuning && printf '^net.core.' >/etc/cni/tuning/allowlist.conf && exec ${world.binDir}/tuning`
    const call = (sysctl: object): Parsed => {
      const env = {
        PATH: process.env['PATH'],
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'c1',
        CNI_NETNS: world.container().path,
        CNI_IFNAME: IF_NAME,
        CNI_PATH: '/nonexistent'
      }
      const input = JSON.stringify(network(world, { sysctl }))
      return JSON.parse(world.host.run('unshare', ['--mount', 'sh', '-c', script], { env, input }).stdout)
    }
    assert.is(call({ 'net.core.somaxconn': '7' }).code, undefined)
    assert.match(call({ 'net.ipv4.ip_forward': '1' }).msg, /set sysctl "net\.ipv4\.ip_forward": not in the allow-list/)
  })
})

test.run()
