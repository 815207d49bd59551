// needs: ip bridge strace
/**
 * Names and paths that nobody should use: ADD works or refuses with nothing left, and DEL and GC clean up all the same.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { ENGINE } from '../../lib/testing/blackbox.ts'
import { addEnvironment, callUnharmed, sweepKills } from '../../lib/testing/kill-sweep.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { inWorld, type Parsed, type World } from '../../lib/testing/world.ts'

const test = suite('plugins/bridge, hostile names and paths')

function network(world: World, more: object = {}): object {
  const ipam = { type: 'host-local', dataDir: world.dataDir, subnet: '10.9.0.0/24' }
  return { cniVersion: '1.1.0', name: 'web', type: 'bridge', bridge: 'br7', stateDir: world.stateDir, ipam, ...more }
}

function links(world: World): readonly string[] {
  return world.ip(world.host, 'link').map((one: Parsed) => one.ifname)
}

function leases(world: World, name = 'web'): readonly string[] {
  return readdirSync(join(world.dataDir, name)).filter(file => /^10\.[0-9.]+$/.test(file))
}

/** Nothing of an attachment is there; the bridge may be. */
function assertClean(world: World, what: string): void {
  assert.equal(links(world), ['lo', 'br7'], what)
  assert.equal(leases(world), [], what)
  assert.not.ok(existsSync(join(world.stateDir, 'web')), what)
}

test('container ids longer than a file name: ADD, CHECK, GC and DEL', async () => {
  for (const length of [150, 190, 230, 250, 256, 4000]) {
    await inWorld(1, world => {
      const containerId = 'a'.repeat(length)
      const prevResult = world.add('bridge', network(world), { containerId })
      const checked = world.call('bridge', 'CHECK', network(world, { prevResult }), { containerId })
      assert.is(checked.status, 0, checked.stdout)

      const valid = [{ containerID: containerId, ifname: 'eth0' }]
      const kept = world.call('bridge', 'GC', network(world, { 'cni.dev/valid-attachments': valid }))
      assert.is(kept.status, 0, kept.stdout)
      assert.is(leases(world).length, 1, `GC keeps the valid attachment of ${length} characters`)
      assert.is(links(world).length, 3)

      world.del('bridge', network(world), { containerId, netns: '' })
      assertClean(world, `DEL of ${length} characters`)

      world.add('bridge', network(world), { containerId })
      world.call('bridge', 'GC', network(world, { 'cni.dev/valid-attachments': [] }))
      assertClean(world, `GC of ${length} characters`)
    })
  }
})

test('a network name longer than a directory name is refused, and its DEL and GC find nothing', async () => {
  await inWorld(1, world => {
    const config = network(world, { name: 'n'.repeat(300), 'cni.dev/valid-attachments': [] })
    const added = world.call('bridge', 'ADD', config)
    assert.is(added.json.code, 7, added.stdout)
    assert.match(added.json.details, '255')
    world.del('bridge', config)
    assert.is(world.call('bridge', 'GC', config).status, 0)
    assert.equal(links(world), ['lo'])
  })
})

test('a directory or a FIFO where the journal entry belongs: DEL and GC still remove link and lease', async () => {
  for (const put of [mkdirSync, makeFifo]) {
    for (const command of ['DEL', 'GC']) {
      await inWorld(1, world => {
        world.add('bridge', network(world))
        const entry = join(world.stateDir, 'web', 'c1:eth0.bridge.json')
        world.sh(world.host, 'rm', entry)
        put(entry)
        world.call('bridge', command, network(world, { 'cni.dev/valid-attachments': [] }))
        assert.equal(links(world), ['lo', 'br7'])
        assert.equal(leases(world), [])
      })
    }
  }
})

function makeFifo(path: string): void {
  assert.is(spawnSync('mkfifo', [path]).status, 0)
}

test('a directory at an address keeps it, a FIFO does not, and neither stops ADD, DEL or GC', async () => {
  for (const [put, expected] of [
    [mkdirSync, '10.9.0.3/24'],
    [makeFifo, '10.9.0.2/24']
  ] as const) {
    await inWorld(1, world => {
      mkdirSync(join(world.dataDir, 'web'), { recursive: true })
      put(join(world.dataDir, 'web', '10.9.0.2'))
      assert.is(world.add('bridge', network(world)).ips[0].address, expected)
      world.del('bridge', network(world))
      const collected = world.call('bridge', 'GC', network(world, { 'cni.dev/valid-attachments': [] }))
      assert.is(collected.status, 0, collected.stdout)
      assert.is(existsSync(join(world.dataDir, 'web', '10.9.0.2')), put === mkdirSync)
    })
  }
})

test('a result that cannot be delivered: ADD takes everything back', async () => {
  await inWorld(1, world => {
    const env = addEnvironment(world)
    const input = JSON.stringify(network(world))
    for (const line of ['"$1" > /dev/full', '("$1"; echo "status $?" >&2) | true']) {
      const run = world.host.run('sh', ['-c', line, 'sh', join(world.binDir, 'bridge')], { env, input })
      assert.match(run.stderr, /write standard output: E(NOSPC|PIPE)/)
      assertClean(world, line)
    }
  })
})

test('closed streams: no file or socket of ours takes their place', async () => {
  await inWorld(1, world => {
    const input = JSON.stringify(network(world, { cniVersion: '9.9.9' }))
    const env = { PATH: process.env['PATH'], CNI_COMMAND: 'STATUS', CNI_PATH: world.binDir }
    for (const redirection of ['>&-', '<&- >&-', '<&- >&- 2>&-', '>&- 2>&-']) {
      const line = `strace -f -o "$2" -e trace='/^(open(at)?|socket)$' "$1" ${redirection}`
      const trace = join(world.directory, 'trace')
      world.host.run('sh', ['-c', line, 'sh', join(world.binDir, 'bridge'), trace], { env, input })
      const opened = readFileSync(trace, 'utf8').split('\n')
      const first = opened.findIndex(line => line.includes('"/dev/null"'))
      assert.ok(first >= 0, redirection)
      // Before it the dynamic loader opens libraries.
      const wrong = opened.slice(first).filter(line => / = [012]$/.test(line) && !line.includes('"/dev/null"'))
      assert.equal(wrong, [], redirection)
    }
  })
})

test('paths that are no network namespace: ADD and CHECK name the path, DEL goes on without', async () => {
  await inWorld(1, world => {
    const fifo = join(world.directory, 'fifo')
    makeFifo(fifo)
    const paths = [fifo, world.directory, '/proc/self/ns/mnt', '/proc/self/ns/user', '/dev/null', '/etc/passwd']
    for (const netns of [...paths, `/${'x'.repeat(300)}`]) {
      const added = world.call('bridge', 'ADD', network(world), { netns })
      assert.is(added.json.code, netns.length > 300 ? 3 : 8, added.stdout)
      assert.match(added.json.msg, JSON.stringify(netns))
      world.del('bridge', network(world), { netns })
    }
    assert.equal(links(world), ['lo'])
  })
})

test('an IPAM plugin that is executed inherits the three streams and nothing else', async () => {
  await inWorld(1, world => {
    const program = join(world.directory, 'shell-ipam')
    writeFileSync(
      program,
      `#!/bin/sh\nls -l /proc/$$/fd > ${world.directory}/fds\necho '{"code": 11, "msg": "no"}'; exit 1\n`
    )
    chmodSync(program, 0o755)
    const config = network(world, { ipam: { type: 'shell-ipam' } })
    assert.is(world.call('bridge', 'ADD', config, { path: world.directory }).json.code, 11)
    const open = readFileSync(join(world.directory, 'fds'), 'utf8')
    assert.not.match(open, `net:[${String(statSync(world.container().path).ino)}]`)
  })
})

test('messages do not repeat a megabyte of configuration', async () => {
  await inWorld(1, world => {
    for (const more of [
      { name: 'ä'.repeat(1 << 19) },
      { ipam: { type: 'static', addresses: new Array(50_000).fill(5) } }
    ]) {
      const reply = world.call('bridge', 'ADD', network(world, more))
      assert.is(reply.json.code, 7)
      assert.ok(reply.stdout.length < 10_000, `${reply.stdout.length} characters`)
    }
  })
})

test('interface names that the kernel would take for a pattern', async () => {
  await inWorld(1, world => {
    const reply = world.call('bridge', 'ADD', network(world), { ifName: 'eth%d' })
    assert.is(reply.json.code, 4, reply.stdout)
    const wide = world.call('bridge', 'ADD', network(world, { bridge: 'ä'.repeat(8) }))
    assert.is(wide.json.code, 7, wide.stdout)
    assert.match(wide.json.msg, '15 bytes')
  })
})

const READ_ONLY_SYSCTLS = 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec "$0"'

test('a host whose /proc/sys is read-only: works when it forwards already, else says so and leaves nothing', async () => {
  for (const forwards of ['1', '0']) {
    await inWorld(1, world => {
      const ranges = [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd09::/64' }]]
      const ipam = { type: 'host-local', dataDir: world.dataDir, ranges }
      const input = JSON.stringify(network(world, { ipam, isDefaultGateway: true }))
      world.sh(
        world.host,
        'sysctl',
        '-qw',
        `net.ipv4.ip_forward=${forwards}`,
        `net.ipv6.conf.all.forwarding=${forwards}`
      )
      const env = addEnvironment(world)
      const args = ['-m', 'sh', '-c', READ_ONLY_SYSCTLS, join(world.binDir, 'bridge')]
      const run = world.host.run('unshare', args, { env, input })
      if (forwards === '1') {
        assert.is(run.status, 0, run.stdout)
        assert.is(world.ip(world.container(), '-6', 'route', 'show', 'default')[0].gateway, 'fd09::1')
        return
      }
      assert.match(run.stdout, 'write sysctl \\"ipv4/ip_forward\\" = \\"1\\": EROFS')
      assertClean(world, 'not forwarding')
    })
  }
})

/** The first argument is a file system to be read-only; the rest is run. */
const READ_ONLY = 'mount -t tmpfs -o mode=755 none "$0" && mount -o remount,ro "$0" && exec "$1"'

test('a journal on a read-only file system: ADD says what it could not write, and DEL of nothing succeeds', async () => {
  await inWorld(1, world => {
    mkdirSync(world.stateDir)
    const input = JSON.stringify(network(world))
    for (const command of ['ADD', 'DEL']) {
      const env = { ...addEnvironment(world), CNI_COMMAND: command }
      const args = ['-m', 'sh', '-c', READ_ONLY, world.stateDir, join(world.binDir, 'bridge')]
      const run = world.host.run('unshare', args, { env, input })
      assert.is(run.status, command === 'ADD' ? 1 : 0, run.stdout)
      if (command === 'ADD') assert.match(JSON.parse(run.stdout).msg, /^(make directory|write) .*EROFS$/)
      assert.equal(links(world), ['lo'])
    }
  })
})

test("an interface of another kind under the name of the host's end is refused, not removed", async () => {
  await inWorld(1, world => {
    for (const type of ['bridge', 'ptp']) {
      const config = network(world, { type })
      const [name = ''] = world
        .add(type, config)
        .interfaces.map((one: Parsed) => one.name)
        .filter((one: string) => one.startsWith('veth'))
      world.del(type, config)
      world.sh(world.host, 'ip', 'link', 'add', name, 'type', 'bridge')
      const reply = world.call(type, 'ADD', config)
      assert.is(reply.json.code, 7, reply.stdout)
      assert.match(reply.json.msg, name)
      world.del(type, config)
      assert.ok(links(world).includes(name), type)
      assert.equal(leases(world), [])
      world.sh(world.host, 'ip', 'link', 'del', name)
    }
  })
})

test('directories that others can change: ADD and GC refuse them, DEL leaves them alone', async () => {
  await inWorld(1, world => {
    const victim = join(world.directory, 'victim')
    writeFileSync(victim, 'as it was')
    const open = join(world.directory, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    const ipam = { type: 'host-local', dataDir: open, subnet: '10.9.0.0/24' }
    for (const more of [{ stateDir: open }, { ipam }, { ipam: { ...ipam, dataDir: `${open}/deep/er` } }]) {
      const config = network(world, { ...more, 'cni.dev/valid-attachments': [] })
      for (const verb of ['ADD', 'GC']) {
        const reply = world.call('bridge', verb, config)
        assert.is(reply.json?.code, 7, `${verb}: ${reply.stdout}`)
        assert.match(reply.json.msg, /(stateDir|ipam\.dataDir) must be a directory that root alone can change/)
      }
      // What somebody has put there: a lease that is a link to a file of root's, an entry that tells lies.
      mkdirSync(join(open, 'web'), { recursive: true })
      linkSync(victim, join(open, 'web', '10.9.0.2'))
      writeFileSync(join(open, 'web', 'c1:eth0.bridge.json'), '{"netns":"/proc/1/ns/net"}')
      const removed = world.call('bridge', 'DEL', config)
      assert.equal([removed.status, removed.stdout], [0, ''])
      assert.match(removed.stderr, 'left alone')
      assert.equal(readdirSync(join(open, 'web')).sort(), ['10.9.0.2', 'c1:eth0.bridge.json'])
      assert.is(readFileSync(victim, 'utf8'), 'as it was')
      rmSync(join(open, 'web'), { recursive: true })
    }
    assert.equal(links(world), ['lo'])
  })
})

test('IPv6 switched off: an IPv4 network leaves it off; a network with both says what to do on the host', async () => {
  await inWorld(1, world => {
    for (const namespace of [world.host, world.container()]) {
      for (const which of ['all', 'default']) {
        world.sh(namespace, 'sysctl', '-qw', `net.ipv6.conf.${which}.disable_ipv6=1`)
      }
    }
    world.add('bridge', network(world, { isDefaultGateway: true }))
    assert.equal(world.ip(world.container(), '-6', 'addr'), [])
    assert.equal(world.ip(world.host, '-6', 'addr'), [])
    world.del('bridge', network(world))

    const ranges = [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd09::/64' }]]
    const both = network(world, { isGateway: true, ipam: { type: 'host-local', dataDir: world.dataDir, ranges } })
    const reply = world.call('bridge', 'ADD', both)
    assert.is(reply.json.code, 7, reply.stdout)
    assert.match(reply.json.details, 'sysctl -w net.ipv6.conf.br7.disable_ipv6=0')
    assertClean(world, 'both')
    world.sh(world.host, 'sysctl', '-qw', 'net.ipv6.conf.br7.disable_ipv6=0')
    world.add('bridge', both)
  })
})

/** What each engine calls, by strace's patterns (C libraries differ in what they call to open a file): the Node engine starts threads and is slow, and has these from the same lines of source. */
const CALLS: readonly string[] =
  ENGINE === 'native'
    ? ['/^open(at)?$', 'write', 'ftruncate', 'close', '/^rename', '/^mkdir', 'setsockopt']
    : ['/^rename']

test('killed between any two changes of files: DEL leaves nothing, and so does GC', async () => {
  for (const command of ['DEL', 'GC']) {
    await inWorld(1, world => {
      const config = network(world, { 'cni.dev/valid-attachments': [] })
      world.add('bridge', config)
      world.del('bridge', config)
      for (const syscall of CALLS) {
        const clean = (when: number): void => {
          const reply = callUnharmed(world, { plugin: 'bridge', config, command })
          assert.is(reply.status, 0, reply.stdout)
          const what = `${command} after a kill at ${syscall} ${when}`
          assertClean(world, what)
          assert.equal(ownerFiles(world), [], what)
        }
        assert.ok(sweepKills(world, { plugin: 'bridge', config, syscall }, clean) > 0, syscall)
        world.del('bridge', config)
      }
    })
  }
})

/** What host-local remembers beside the leases, but for its seal. */
function ownerFiles(world: World): readonly string[] {
  return readdirSync(join(world.dataDir, '.patchbay', 'web')).filter(file => file !== 'seal')
}

test.run()
