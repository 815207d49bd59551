/** The command with the built plugins, on a host of its own. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { binDir, ENGINE } from '../lib/testing/blackbox.ts'
import { type Namespace, withNamespaces } from '../lib/testing/namespace.ts'
import { patchbayProgram } from '../lib/testing/program.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite(`cli/patchbay ${ENGINE}`)

interface Stage {
  readonly directory: string
  /** Runs the command on the host. */
  readonly run: (...argv: string[]) => { status: number; stdout: string; stderr: string }
}

function withHost(containers: number, body: (stage: Stage, host: Namespace, ...boxes: Namespace[]) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-command-'))
  try {
    withNamespaces(containers + 1, (host, ...boxes) => {
      if (host === undefined) throw new Error('make a host: none was made')
      const place = [
        '--conf-dir',
        join(directory, 'net.d'),
        '--bin-dir',
        binDir(),
        '--cache-dir',
        join(directory, 'cache')
      ]
      const [node, ...command] = patchbayProgram()
      const run = (...argv: string[]) => host.run(node, [...command, ...argv, ...place])
      body({ directory, run }, host, ...boxes)
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** A bridge network whose leases and journal are in the stage's directory instead of the machine's. */
function createNetwork(stage: Stage): void {
  const created = stage.run('network', 'create', 'blue', '--subnet', '10.99.0.0/24')
  assert.is(created.status, 0, created.stderr)
  const path = join(stage.directory, 'net.d', 'patchbay-blue.conflist')
  const list: { plugins: { type: string; ipMasq?: boolean; stateDir?: string; ipam: { dataDir?: string } }[] } =
    JSON.parse(readFileSync(path, 'utf8'))
  const [bridge] = list.plugins
  assert.is(bridge?.type, 'bridge')
  if (bridge === undefined) return
  bridge.ipMasq = false
  bridge.stateDir = join(stage.directory, 'run')
  bridge.ipam.dataDir = join(stage.directory, 'ipam')
  list.plugins = [bridge]
  writeFileSync(path, JSON.stringify(list))
}

function leases(stage: Stage): readonly string[] {
  const directory = join(stage.directory, 'ipam', 'blue')
  if (!existsSync(directory)) return []
  return readdirSync(directory).filter(name => /^[0-9.]+$/.test(name))
}

/** The interfaces of a namespace, from /proc. */
function links(box: Namespace): readonly string[] {
  const lines = box.run('cat', ['/proc/net/dev']).stdout.split('\n').slice(2)
  return lines.map(line => line.split(':')[0]?.trim() ?? '').filter(name => name !== '')
}

test('two containers come and go; the network goes with the last', () => {
  withHost(2, (stage, host, red, blue) => {
    if (red === undefined || blue === undefined) return
    createNetwork(stage)
    assert.is(stage.run('status', 'blue').stdout, 'blue is ready\n')
    const first = stage.run('attach', 'blue', red.path, '--json')
    assert.is(first.status, 0, first.stderr)
    assert.is(JSON.parse(first.stdout).ips[0].address, '10.99.0.2/24')
    const second = stage.run(
      'network',
      'connect',
      'blue',
      String(blue.pid),
      '--ip',
      '10.99.0.77',
      '--mac-address',
      '02:00:00:00:00:77'
    )
    assert.match(second.stdout, /10\.99\.0\.77\/24 +10\.99\.0\.1 +02:00:00:00:00:77/)
    assert.equal(links(red), ['lo', 'eth0'])
    assert.equal(leases(stage).length, 2)
    assert.is(stage.run('check', 'blue', red.path).status, 0)
    const [shown] = JSON.parse(stage.run('network', 'inspect', 'blue').stdout)
    assert.equal(shown.Containers[`pid-${blue.pid}.${hostname()}`].Addresses, ['10.99.0.77/24'])

    assert.is(stage.run('network', 'rm', 'blue').status, 1)
    for (let i = 0; i < 2; i += 1) assert.is(stage.run('detach', 'blue', red.path).status, 0)
    assert.is(stage.run('network', 'disconnect', 'blue', String(blue.pid)).status, 0)
    assert.equal([links(red), links(blue), leases(stage)], [['lo'], ['lo'], []])
    assert.is(stage.run('network', 'rm', 'blue').status, 0)
    assert.equal(links(host), ['lo'], 'the bridge is gone too')
    assert.equal(readdirSync(join(stage.directory, 'net.d')), [])
    assert.equal(readdirSync(join(stage.directory, 'cache', 'results')), [])
  })
})

test('a network stays while a container that its cache does not know is on it', () => {
  withHost(1, (stage, host, red) => {
    if (red === undefined) return
    createNetwork(stage)
    assert.is(stage.run('attach', 'blue', red.path).status, 0)
    // As where another runtime has made the attachment, which keeps its cache somewhere else.
    rmSync(join(stage.directory, 'cache', 'results'), { recursive: true })
    const refused = stage.run('network', 'rm', 'blue')
    assert.match(refused.stderr, `remove network "blue": pid-${red.pid}.${hostname()} attached`)
    assert.is(stage.run('network', 'prune', '--dry-run').stdout, '')
    assert.equal([links(red), leases(stage)], [['lo', 'eth0'], ['10.99.0.2']])
    assert.is(stage.run('network', 'rm', '--force', 'blue').status, 0)
    assert.equal([links(red), links(host)], [['lo'], ['lo']])
  })
})

test('gc gives back what a dead container held', () => {
  withHost(2, (stage, _host, dead, alive) => {
    if (dead === undefined || alive === undefined) return
    createNetwork(stage)
    for (const box of [dead, alive]) assert.is(stage.run('attach', 'blue', box.path).status, 0)
    dead.close()
    const deadline = Date.now() + 10_000
    let answer = stage.run('gc', 'blue', '--json')
    while (JSON.parse(answer.stdout).removed.length === 0 && Date.now() < deadline)
      answer = stage.run('gc', 'blue', '--json')
    assert.equal(JSON.parse(answer.stdout).removed, [{ containerId: `pid-${dead.pid}.${hostname()}`, ifName: 'eth0' }])
    assert.equal(leases(stage), ['10.99.0.3'])
    assert.is(stage.run('check', 'blue', alive.path).status, 0)
  })
})

test('a container whose first process has ended keeps its network, and is found by the id it was attached under', () => {
  withHost(1, (stage, _host, box) => {
    if (box === undefined) return
    createNetwork(stage)
    const shell = spawnSync('nsenter', [`--net=${box.path}`, 'sh', '-c', 'sleep 600 >/dev/null 2>&1 & echo $!'])
    const child = shell.stdout.toString().trim()
    try {
      assert.is(stage.run('attach', 'blue', box.path, '--container-id', 'c1').status, 0)
      box.close()
      while (existsSync(box.path)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
      assert.equal(JSON.parse(stage.run('gc', 'blue', '--json').stdout).removed, [])
      assert.is(stage.run('check', 'blue', 'c1').status, 0)
      const inside = spawnSync('nsenter', [`--net=/proc/${child}/ns/net`, 'cat', '/proc/net/dev'], { encoding: 'utf8' })
      assert.match(inside.stdout, 'eth0')
      assert.is(stage.run('network', 'disconnect', 'blue', child).stdout, 'disconnected c1 (eth0) from blue\n')
    } finally {
      process.kill(Number(child), 'SIGKILL')
    }
  })
})

test('an interface of another runtime stays, whatever is asked of its name', () => {
  withHost(1, (stage, _host, box) => {
    if (box === undefined) return
    createNetwork(stage)
    box.run('ip', ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other'])
    const before = box.run('ip', ['-o', 'link', 'show', 'eth0']).stdout
    assert.is(stage.run('attach', 'blue', box.path).status, 1)
    assert.match(stage.run('network', 'connect', 'blue', box.path).stdout, /\beth1\b/)
    assert.is(stage.run('network', 'disconnect', 'blue', box.path).status, 0)
    assert.is(box.run('ip', ['-o', 'link', 'show', 'eth0']).stdout, before)
    assert.equal(links(box).toSorted(), ['eth0', 'lo', 'other'])
  })
})

test('what cannot be attached is told with the plugin, the code and the remedy, and leaves nothing', () => {
  withHost(1, (stage, host, box) => {
    if (box === undefined) return
    createNetwork(stage)
    const nothing = stage.run('attach', 'blue', '/etc/hostname', '--container-id', 'c1')
    assert.match(nothing.stderr, /"\/etc\/hostname": not a namespace file\n {2}what to do: name a container of run/)
    const answer = stage.run('network', 'connect', 'blue', box.path, '--ip', '10.98.0.1')
    assert.is(answer.status, 1)
    assert.match(answer.stderr, /10\.98\.0\.1.*\n {2}in plugin bridge, ADD with code 101\n {2}what to do: /)
    assert.equal(
      links(host).filter(name => name.startsWith('veth')),
      []
    )
    assert.equal(leases(stage), [])
    assert.is(stage.run('attach', 'blue', box.path).status, 0, 'the network works on')
  })
})

test.run()
