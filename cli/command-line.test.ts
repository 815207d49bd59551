/** The command over plugins that are shell scripts: what it calls, says, and remembers. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { runCommandLine } from './command-line.ts'

const test = suite('cli/command-line')

const RESULT = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/c' }],
  ips: [{ interface: 0, address: '10.0.0.2/24', gateway: '10.0.0.1' }]
}

const STUB = `#!/bin/sh
cd "$(dirname "$0")"
cat > input
echo "$(basename "$0") $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_ARGS" >> log
if [ -f "fail.$CNI_COMMAND" ]; then cat "fail.$CNI_COMMAND"; exit 1; fi
[ "$CNI_COMMAND" = ADD ] && cat result
exit 0
`

interface Answer {
  readonly status: number
  readonly out: string
  readonly err: string
}

interface Stage {
  readonly directory: string
  /** Runs a command with the stage's directories. */
  readonly run: (...argv: string[]) => Promise<Answer>
  /** What the plugins were called with since the last question. */
  readonly calls: () => string
  readonly fail: (command: string, error: object) => void
}

async function withStage(body: (stage: Stage) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-cli-'))
  try {
    const bin = join(directory, 'bin')
    for (const path of [bin, join(directory, 'net.d')]) mkdirSync(path)
    for (const name of ['one', 'two']) writeFileSync(join(bin, name), STUB, { mode: 0o755 })
    writeFileSync(join(bin, 'result'), JSON.stringify(RESULT))
    const list = {
      cniVersion: '1.1.0',
      name: 'blue',
      plugins: [{ type: 'one', capabilities: { ports: true } }, { type: 'two' }]
    }
    writeFileSync(join(directory, 'net.d', 'blue.conflist'), JSON.stringify(list))
    const place = ['--conf-dir', join(directory, 'net.d'), '--bin-dir', bin, '--cache-dir', join(directory, 'cache')]
    await body({
      directory,
      run: (...argv) => command(...argv, ...place),
      calls: () => {
        const log = join(bin, 'log')
        const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
        writeFileSync(log, '')
        return text.replaceAll(/ *\n/g, '; ').slice(0, -2)
      },
      fail: (verb, error) => writeFileSync(join(bin, `fail.${verb}`), JSON.stringify(error))
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function command(...argv: string[]): Promise<Answer> {
  let out = ''
  let err = ''
  const output = {
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    }
  }
  const status = await runCommandLine(argv, output)
  return { status, out, err }
}

/** A namespace that is there: only its path matters here. */
const PID = String(process.pid)
const NETNS = `/proc/${PID}/ns/net`
const ID = `pid-${PID}`

test('attach, check and detach run the chain and show what came of it', () =>
  withStage(async ({ run, calls, directory }) => {
    const attached = await run('attach', 'blue', NETNS, '--args', 'IP=10.0.0.2', '--cap', 'ports=[1]')
    assert.equal(attached, {
      status: 0,
      out: `NETWORK  ${'CONTAINER'.padEnd(ID.length)}  INTERFACE  ADDRESS      GATEWAY   MAC\nblue     ${ID.padEnd(9)}  eth0       10.0.0.2/24  10.0.0.1  02:00:00:00:00:01\n`,
      err: ''
    })
    assert.is(calls(), `one ADD ${ID} eth0 IP=10.0.0.2; two ADD ${ID} eth0 IP=10.0.0.2`)
    const checked = await run('check', 'blue', PID)
    assert.equal(checked, { status: 0, out: `${ID} (eth0) on blue: as it should be\n`, err: '' })
    calls()
    const again = await run('attach', 'blue', NETNS)
    assert.is(again.status, 1)
    assert.match(
      again.err,
      /patchbay: attach "pid-[0-9]+" to "blue": it is attached as eth0 already\n {2}what to do: detach/
    )
    assert.is(calls(), '')
    assert.equal(await run('detach', 'blue', NETNS), { status: 0, out: `detached ${ID} (eth0) from blue\n`, err: '' })
    assert.is(
      calls(),
      `two DEL ${ID} eth0 IP=10.0.0.2; one DEL ${ID} eth0 IP=10.0.0.2`,
      'with the arguments of the ADD'
    )
    assert.equal(JSON.parse(readFileSync(join(directory, 'bin', 'input'), 'utf8')).runtimeConfig, { ports: [1] })
    assert.is((await run('detach', 'blue', NETNS)).status, 0, 'repeating is no error')
  }))

test('detach works when the network was removed and the namespace is gone', () =>
  withStage(async ({ run, calls, directory }) => {
    await run('attach', 'blue', NETNS, '--container-id', 'c1', '--ifname', 'net7')
    rmSync(join(directory, 'net.d', 'blue.conflist'))
    calls()
    const answer = await run('detach', 'blue', '--container-id', 'c1', '--ifname', 'net7', '--json')
    assert.is(answer.status, 0, answer.err)
    assert.equal(JSON.parse(answer.out), { network: 'blue', containerId: 'c1', ifName: 'net7', detached: true })
    assert.is(calls(), 'two DEL c1 net7; one DEL c1 net7')
  }))

test('a failed attach is cleaned up and explained, to people and to programs', () =>
  withStage(async ({ run, calls, fail }) => {
    fail('ADD', { code: 11, msg: 'allocate address: busy', details: 'try again' })
    const person = await run('attach', 'blue', NETNS)
    assert.is(person.status, 1)
    assert.is(
      person.err,
      'patchbay: allocate address: busy\n  in plugin one, ADD with code 11\n  what to do: try again\n'
    )
    assert.is(calls(), `one ADD ${ID} eth0; two DEL ${ID} eth0; one DEL ${ID} eth0`)
    const program = await run('attach', 'blue', NETNS, '--json')
    assert.is(program.out, '')
    assert.equal(JSON.parse(program.err), {
      error: { message: 'allocate address: busy', plugin: 'one', command: 'ADD', code: 11, advice: 'try again' }
    })
    const listed = JSON.parse((await run('network', 'ls', '--json')).out)
    assert.is(listed[0].containers, 0)
  }))

test('attach --json prints the result and nothing else', () =>
  withStage(async ({ run }) => {
    assert.equal(JSON.parse((await run('attach', 'blue', NETNS, '--json')).out), RESULT)
  }))

test('status', () =>
  withStage(async ({ run, fail, calls }) => {
    assert.equal(await run('status', 'blue'), { status: 0, out: 'blue is ready\n', err: '' })
    assert.is(calls(), 'one STATUS; two STATUS')
    fail('STATUS', { code: 50, msg: 'pool "blue" is exhausted: 253 of 253 taken' })
    const answer = await run('status', 'blue', '--json')
    assert.is(answer.status, 1)
    assert.is(JSON.parse(answer.err).error.code, 50)
  }))

test('gc keeps what still has its namespace', () =>
  withStage(async ({ run, calls, directory }) => {
    for (const id of ['dead', 'kept', 'alive']) await run('attach', 'blue', NETNS, '--container-id', id)
    for (const id of ['dead', 'kept']) {
      const path = join(directory, 'cache', 'results', `blue-${id}-eth0`)
      writeFileSync(path, readFileSync(path, 'utf8').replace(NETNS, '/run/netns/patchbay-gone'))
    }
    calls()
    const answer = await run('gc', 'blue', '--keep', 'kept', '--json')
    assert.equal(JSON.parse(answer.out).removed, [{ containerId: 'dead', ifName: 'eth0' }])
    assert.is(calls(), 'two DEL dead eth0; one DEL dead eth0; one GC; two GC')
    assert.is((await run('gc', 'blue', '--all')).out, 'blue: removed 2 attachments, kept 0 attachments\n')
  }))

test('networks: create, ls, inspect, connect, disconnect, rm', () =>
  withStage(async ({ run, calls, directory }) => {
    const created = await run('network', 'create', 'green', '--subnet', '198.51.100.0/24', '--label', 'a=b')
    assert.equal(created, { status: 0, out: 'green\n', err: '' })
    assert.match((await run('network', 'create', 'green')).err, /it exists already/)
    assert.match((await run('network', 'create', '../x')).err, /only letters/)
    assert.is((await run('network', 'ls', '-q')).out, 'blue\ngreen\n')
    const [inspected] = JSON.parse((await run('network', 'inspect', 'green')).out)
    assert.is(inspected.Driver, 'bridge')
    assert.equal(inspected.IPAM.Config, [{ Subnet: '198.51.100.0/24', Gateway: '198.51.100.1' }])
    assert.equal(inspected.Labels, { a: 'b' })

    await run('network', 'connect', 'blue', NETNS, '--ip', '10.0.0.2', '--mac-address', '02:00:00:00:00:01')
    await run('network', 'connect', 'blue', PID)
    const called = calls()
    const [one, two] = ['IgnoreUnknown=1;IP=10.0.0.2;MAC=02:00:00:00:00:01', 'IgnoreUnknown=1']
    assert.is(
      called,
      `one ADD ${ID} eth0 ${one}; two ADD ${ID} eth0 ${one}; one ADD ${ID} eth1 ${two}; two ADD ${ID} eth1 ${two}`
    )
    const [blue] = JSON.parse((await run('network', 'inspect', 'blue')).out)
    assert.equal(
      blue.Containers[ID].map((one: { Interface: string }) => one.Interface),
      ['eth0', 'eth1']
    )
    assert.equal(blue.Containers[ID][0].Addresses, ['10.0.0.2/24'])
    const refused = await run('network', 'rm', 'blue')
    assert.match(refused.err, new RegExp(String.raw`remove network "blue": ${ID} attached\n {2}what to do: disconnect`))
    const left = await run('network', 'disconnect', 'blue', PID)
    assert.is(left.out, `disconnected ${ID} (eth0, eth1) from blue\n`)
    assert.match((await run('network', 'disconnect', 'blue', PID)).err, /it is not on "blue"/)
    assert.is((await run('network', 'rm', 'blue')).status, 0)
    assert.equal(readdirSync(join(directory, 'net.d')), ['patchbay-green.conflist'])
  }))

test('a network that is not there names those that are', () =>
  withStage(async ({ run, directory }) => {
    writeFileSync(join(directory, 'net.d', 'bad.conflist'), '{')
    const answer = await run('attach', 'grey', NETNS)
    assert.is(answer.status, 1)
    assert.match(answer.err, /load network "grey": not in ".*net\.d" \(load ".*bad\.conflist": read JSON/)
    assert.match(answer.err, /what to do: networks there: blue; to make one: patchbay network create grey/)
    assert.match((await run('network', 'ls')).err, /bad\.conflist/)
  }))

test('wrong use is explained', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['frob'], /there is no "frob"/],
    [['attach', 'blue'], /the form is: patchbay attach NETWORK NETNS/],
    [['attach', 'blue', 'patchbay-gone'], /"\/run\/netns\/patchbay-gone" does not exist/],
    [['attach', 'blue', '99999999'], /find process 99999999/],
    [['attach', 'blue', NETNS, '--ifname', 'a/b'], /--ifname "a\/b": must hold no/],
    [['attach', 'blue', NETNS, '--args', 'x'], /--args "x": must be KEY=VALUE/],
    [['attach', 'blue', NETNS, '--cap', 'a=b'], /--cap a: read JSON/],
    [['attach', 'blue', NETNS, '--frob'], /read the options: Unknown option '--frob'/],
    [['detach', 'blue'], /the form is: patchbay detach/],
    [['network', 'frob'], /the form is: patchbay network create/],
    [['network', 'toString'], /the form is: patchbay network create/],
    [['gc'], /the form is: patchbay gc/]
  ]
  for (const [argv, message] of cases) {
    const answer = await command(...argv, '--conf-dir', '/nonexistent', '--cache-dir', '/nonexistent')
    assert.is(answer.status, 1, argv.join(' '))
    assert.is(answer.out, '')
    assert.match(answer.err, message)
  }
})

test('help and version', async () => {
  assert.match((await command('help')).out, /patchbay attach NETWORK NETNS/)
  assert.match((await command('attach', '--help')).out, /^patchbay attach NETWORK NETNS/)
  assert.is((await command()).status, 2)
  assert.match(
    (await command('version')).out,
    /^Patchbay v[0-9.]+\nCNI versions: 0\.1\.0, .*1\.1\.0\nplugins: .*loopback/
  )
  assert.ok(JSON.parse((await command('--version', '--json')).out).plugins.includes('bridge'))
})

test('a plugin that is missing is told before any other has run, and nothing has to be cleaned up', () =>
  withStage(async ({ directory, run, calls }) => {
    rmSync(join(directory, 'bin', 'two'))
    const answer = await run('attach', 'blue', PID)
    assert.is(answer.status, 1)
    assert.match(
      answer.err,
      /^patchbay: find plugin "two": not in ".*bin"\n {2}in plugin two, ADD\n {2}what to do: install it/
    )
    assert.is(answer.err.split('\n').length, 4, answer.err)
    assert.is(calls(), '')
  }))

test('what each verb of network takes is in its help; a wrong option is named in one line', async () => {
  for (const argv of [
    ['network', '--help'],
    ['network', 'create', '--help']
  ]) {
    const answer = await command(...argv)
    assert.is(answer.status, 0)
    for (const option of ['--subnet', '--ip-range', '--internal', '-o KEY=VALUE', '--mac-address', 'rm NAME']) {
      assert.match(answer.out, option)
    }
  }
  const wrong = await command('status', 'blue', '--bogus')
  assert.is(wrong.err.split('\n')[0], "patchbay: read the options: Unknown option '--bogus'")
})

test('a network is there for every program of the host, whatever the umask', () =>
  withStage(async ({ directory, run }) => {
    const confDir = join(directory, 'net.d')
    rmSync(confDir, { recursive: true })
    const mask = process.umask(0o777)
    try {
      const answer = await run('network', 'create', 'green', '--driver', 'macvlan', '-o', 'parent=eth0')
      assert.is(answer.status, 0, answer.err)
    } finally {
      process.umask(mask)
    }
    assert.is(statSync(confDir).mode & 0o777, 0o755)
    assert.is(statSync(join(confDir, 'patchbay-green.conflist')).mode & 0o777, 0o644)
  }))

test.run()
