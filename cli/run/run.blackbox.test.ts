/** Containers of `patchbay run` with the built plugins, on a host of its own. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { binDir, ENGINE } from '../../lib/testing/blackbox.ts'
import { type Namespace, type Outcome, withNamespaces } from '../../lib/testing/namespace.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite(`cli/run ${ENGINE}`)

interface Stage {
  readonly host: Namespace
  readonly directory: string
  /** Runs a verb with the stage's directories. */
  readonly run: (verb: string, ...rest: string[]) => Outcome
}

function withStage(body: (stage: Stage) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-run-'))
  const own = (name: string): string => join(directory, name)
  try {
    withNamespaces(1, host => {
      if (host === undefined) return
      host.run('ip', ['link', 'set', 'lo', 'up'])
      mkdirSync(own('net.d'))
      const stateDir = own('state')
      const ipam = { type: 'host-local', dataDir: own('ipam'), ranges: [[{ subnet: '10.99.0.0/24' }]] }
      const bridge = { type: 'bridge', bridge: 'br-run', isDefaultGateway: true, hairpinMode: true, stateDir, ipam }
      const plugins = [bridge, { type: 'portmap', capabilities: { portMappings: true }, stateDir }]
      writeFileSync(own('net.d/bridge.conflist'), JSON.stringify({ cniVersion: '1.1.0', name: 'bridge', plugins }))
      const place = [
        '--conf-dir',
        own('net.d'),
        '--cache-dir',
        own('cache'),
        '--bin-dir',
        binDir(),
        '--run-dir',
        own('run')
      ]
      const [node, ...program] = patchbayProgram()
      const run = (verb: string, ...rest: string[]): Outcome =>
        host.run(node, [...program, ...verb.split(' '), ...place, ...rest])
      body({ host, directory, run })
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const SERVER = `require('node:http').createServer((request, response) => {
  console.log('asked for ' + request.url)
  response.end('hello ' + request.socket.remoteAddress.replace('::ffff:', ''))
}).listen(80)`

/** Asks until the server listens. */
const CLIENT = `const ask = () => fetch('http://127.0.0.1:8080/').then(answer => answer.text()).then(
  text => process.stdout.write(text),
  () => setTimeout(ask, 20)
)
ask()`

/** Nothing of any container but its bridge. */
function isClean({ host, directory }: Stage): void {
  assert.match(host.run('ip', ['-o', 'link']).stdout, /^1: lo:[^\n]*\n\d+: br-run:[^\n]*\n$/)
  const leases = readdirSync(join(directory, 'ipam', 'bridge')).filter(name => /^[0-9.]+$/.test(name))
  assert.equal([leases, readdirSync(join(directory, 'cache', 'results'))], [[], []])
}

test('a command has its own address, name and files, and its exit status is ours', () => {
  withStage(stage => {
    const script = 'ip -4 -o addr show eth0; hostname; cat /etc/hosts; exit 7'
    const done = stage.run('run', '--rm', '--name', 'one', '--add-host', 'db:192.0.2.5', '--', 'sh', '-c', script)
    assert.is(done.status, 7, done.stderr)
    assert.match(done.stdout, / inet 10\.99\.0\.2\/24 /)
    assert.match(done.stdout, /\none\n127\.0\.0\.1\tlocalhost\n/)
    assert.match(done.stdout, /\n10\.99\.0\.2\tone\n192\.0\.2\.5\tdb\n/)
    assert.is(spawnSync('hostname', { encoding: 'utf8' }).stdout.trim(), hostname(), 'the host keeps its own')
    isClean(stage)
    assert.equal(readdirSync(join(stage.directory, 'run')), [])
  })
})

test('a server in the background: its port, its log, a command beside it, its end', () => {
  withStage(stage => {
    const { host, run } = stage
    const serve = [process.execPath, '-e', SERVER]
    const started = run('run', '-d', '--name', 'web', '-p', '8080:80', '--', ...serve)
    assert.equal([started.status, started.stdout], [0, 'web\n'], started.stderr)
    assert.is(run('port', 'web', '80').stdout, '0.0.0.0:8080\n')
    assert.is(host.run(process.execPath, ['-e', CLIENT]).stdout, 'hello 10.99.0.1')
    assert.is(run('logs', 'web').stdout, 'asked for /\n')
    assert.match(run('exec', 'web', 'cat', '/etc/hosts').stdout, /10\.99\.0\.2\tweb\n/)
    assert.match(run('run', '--rm', '--network', 'container:web', 'ss', '-tlnH').stdout, /:80 /)
    const twice = run('run', '--name', 'web', 'true')
    assert.match(twice.stderr, /a container has this name already/)
    assert.match(run('rm', 'web').stderr, /it is running/)
    const [row] = JSON.parse(run('ps', '--json').stdout)
    assert.equal([row.Name, row.State, row.Ports], ['web', 'running', ['0.0.0.0:8080->80/tcp']])
    assert.is(run('network disconnect', 'bridge', 'web').status, 0)
    assert.match(run('network connect', 'bridge', 'web').stdout, /\beth0\b/)
    assert.is(run('stop', '-t', '5', 'web').status, 0)
    assert.match(run('ps', '-a').stdout, /web .* exited \(143\) /)
    assert.is(run('rm', 'web').status, 0)
    isClean(stage)
  })
})

test('a shell in the background waits for input; inspect, ps, logs and kill as with Docker', () => {
  withStage(stage => {
    const { host, run } = stage
    assert.is(run('run', '-dit', '--name', 'sh1', '-p', '8080:80', 'sh').status, 0)
    const shown = (template: string): string => run('inspect', '-f', template, 'sh1').stdout.trim()
    assert.is(shown('{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}}{{end}}'), '10.99.0.2/24')
    assert.is(shown('{{range $p, $c := .NetworkSettings.Ports}}{{$p}} {{(index $c 0).HostPort}}{{end}}'), '80/tcp 8080')
    const pid = shown('{{.State.Pid}}')
    const [address] = JSON.parse(host.run('nsenter', ['-t', pid, '-n', 'ip', '-j', 'address', 'show', 'eth0']).stdout)
    assert.equal([address.addr_info[0].local, address.address], ['10.99.0.2', shown('{{.NetworkSettings.MacAddress}}')])
    assert.match(run('network connect', 'bridge', 'sh1').stderr, /it is on it already, as eth0/)
    assert.is(run('exec', '-it', '-w', '/', 'sh1', 'pwd').stdout, '/\n')
    assert.is(run('run', '-d', '--name', 'three', '--network', 'none', '--', 'seq', '3').status, 0)
    const last = (): string => run('ps', '-l', '--format', '{{.Names}} {{.State}}').stdout
    for (let i = 0; i < 500 && last() === 'three running\n'; i += 1);
    assert.is(last(), 'three exited\n')
    assert.is(run('logs', '--tail', '2', 'three').stdout, '2\n3\n')
    assert.is(run('ps', '-q', '-f', 'status=exited').stdout, 'three\n')
    assert.is(run('ps', '-q', '-f', 'publish=8080').stdout, 'sh1\n')
    for (const line of run('ps', '-a').stdout.split('\n')) assert.ok(line.length <= 80, line)
    assert.is(run('kill', '-s', 'TERM', 'sh1').status, 0)
    assert.is(run('rm', '-f', 'sh1').status, 0)
    assert.match(run('exec', 'three', 'true').stderr, /find container "three": it has ended/)
    assert.is(run('rm', 'three').status, 0)
    isClean(stage)
  })
})

test('host, none, and what cannot be started', () => {
  withStage(stage => {
    const { host, run } = stage
    const inode = (outcome: Outcome): string => outcome.stdout.trim()
    const where = ['readlink', '/proc/self/ns/net']
    assert.is(
      inode(run('run', '--rm', '--network', 'host', ...where)),
      inode(host.run('readlink', ['/proc/self/ns/net']))
    )
    assert.is(
      run('run', '--rm', '--network', 'none', 'sh', '-c', 'cat /sys/class/net/lo/flags; ls /sys/class/net').status,
      0
    )
    for (const extra of [[], ['-d']]) {
      const failed = run('run', ...extra, '--name', 'x', '/nonexistent/program')
      assert.is(failed.status, 1)
      assert.match(failed.stderr, /start "\/nonexistent\/program": ENOENT/)
    }
    isClean(stage)
    assert.is(existsSync(join(stage.directory, 'run', 'x')), false)
    assert.is(run('run', '--network', 'none', '-p', '80', 'true').status, 2)
  })
})

test('started again, and restarted: as it was asked for, on the networks that it was on, also after a kill', () => {
  withStage(stage => {
    const { directory, run } = stage
    const other = { type: 'bridge', bridge: 'br-two', stateDir: join(directory, 'state') }
    const ipam = { type: 'host-local', dataDir: join(directory, 'ipam'), ranges: [[{ subnet: '10.98.0.0/24' }]] }
    const conflist = { cniVersion: '1.1.0', name: 'two', plugins: [{ ...other, ipam }] }
    writeFileSync(join(directory, 'net.d/two.conflist'), JSON.stringify(conflist))
    const shown = 'printf "%s " $SECRET; hostname; read line; exit 3'
    assert.is(
      run('run', '-d', '-i', '--name', 'web', '-p', '8080:80', '-e', 'SECRET=hunter2', 'sh', '-c', shown).status,
      0
    )
    const keeper = (): number => JSON.parse(readFileSync(join(directory, 'run/web/state.json'), 'utf8')).keeper
    assert.not.match(readFileSync(`/proc/${String(keeper())}/cmdline`, 'utf8'), /hunter2/)
    assert.is(run('start', 'web').stdout, 'web\n', 'of one that runs nothing is done')
    assert.is(run('network connect', 'two', 'web').status, 0)
    const field = (template: string): string => run('ps', '-a', '--format', template).stdout.trim()
    assert.is(run('stop', 'web').status, 0)
    assert.is(field('{{.State}}'), 'exited')
    assert.is(run('start', 'web').stdout, 'web\n')
    assert.is(field('{{.State}} {{.Networks}} {{.Ports}}'), 'running bridge two 0.0.0.0:8080->80/tcp')
    assert.match(
      run('exec', 'web', 'ip', '-4', '-o', 'addr').stdout,
      /eth0 +inet 10\.99\.0\.[\s\S]*eth1 +inet 10\.98\.0\./
    )
    assert.is(run('network disconnect', 'two', 'web').status, 0)
    const first = keeper()
    assert.is(run('restart', '-t', '1', 'web').status, 0, 'of one that runs')
    assert.ok(keeper() !== first)
    assert.is(field('{{.State}} {{.Networks}}'), 'running bridge')
    assert.is(readFileSync(join(directory, 'run/web/log'), 'utf8'), 'hunter2 web\n'.repeat(3))
    process.kill(keeper(), 'SIGKILL')
    assert.is(run('restart', '-t', '1', 'web').status, 0, 'of one whose keeper was killed')
    assert.is(field('{{.State}}'), 'running')
    assert.is(run('rm', '-f', 'web').status, 0)
    // Killed before anything was known of it but its name.
    mkdirSync(join(directory, 'run/torn'))
    assert.match(run('start', 'torn').stderr, /start container "torn": how it was asked for is not known any more/)
    assert.match(run('ps', '-a').stdout, /torn .* ended /)
    assert.is(run('rm', 'torn').status, 0)
    assert.equal(readdirSync(join(directory, 'run')), [])
  })
})

test('what a killed keeper leaves is found by stop', () => {
  withStage(stage => {
    assert.is(stage.run('run', '-d', '--name', 'web', 'sleep', '600').status, 0)
    const state = JSON.parse(readFileSync(join(stage.directory, 'run', 'web', 'state.json'), 'utf8'))
    process.kill(state.keeper, 'SIGKILL')
    assert.match(stage.run('ps').stdout, /web .* up \d+ seconds? /)
    assert.is(stage.run('stop', 'web').status, 0)
    isClean(stage)
    assert.match(stage.run('ps', '-a').stdout, /web .* ended /)
  })
})

test.run()
