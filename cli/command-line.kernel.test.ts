/** The command over plugins that are shell scripts: what it calls, says, and remembers. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Namespace } from '../lib/testing/namespace.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { GRAMMAR, runCommandLine } from './command-line.ts'
import { optionName, usageLine } from './spec.ts'

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
  /** A container: its process, the path of its namespace, and the id that is made of it. */
  readonly pid: string
  readonly netns: string
  readonly id: string
  readonly box: Namespace
  /** Runs a command with the stage's directories. */
  readonly run: (...argv: string[]) => Promise<Answer>
  /** What the plugins were called with since the last question. */
  readonly calls: () => string
  readonly fail: (command: string, error: object) => void
}

async function withStage(body: (stage: Stage) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-cli-'))
  const box = Namespace.create()
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
      pid: String(box.pid),
      netns: box.path,
      id: idOf(box),
      box,
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
    box.close()
    rmSync(directory, { recursive: true })
  }
}

function idOf(box: Namespace): string {
  return `pid-${String(box.pid)}.${hostname()}`
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

test('attach, check and detach run the chain and show what came of it', () =>
  withStage(async ({ run, calls, directory, netns: NETNS, pid: PID, id: ID }) => {
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
      /patchbay: attach "pid-[^"]+" to "blue": it is attached as eth0 already\n {2}what to do: detach/
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
  withStage(async ({ run, calls, directory, netns: NETNS }) => {
    await run('attach', 'blue', NETNS, '--container-id', 'c1', '--ifname', 'net7')
    rmSync(join(directory, 'net.d', 'blue.conflist'))
    calls()
    const answer = await run('detach', 'blue', '--container-id', 'c1', '--ifname', 'net7', '--json')
    assert.is(answer.status, 0, answer.err)
    assert.equal(JSON.parse(answer.out), { network: 'blue', containerId: 'c1', ifName: 'net7', detached: true })
    assert.is(calls(), 'two DEL c1 net7; one DEL c1 net7')
  }))

test('a failed attach is cleaned up and explained, to people and to programs', () =>
  withStage(async ({ run, calls, fail, netns: NETNS, id: ID }) => {
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
    assert.is(listed[0].Containers, 0)
  }))

test('attach --json prints the result and nothing else', () =>
  withStage(async ({ run, netns: NETNS }) => {
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
  withStage(async ({ run, calls, netns }) => {
    const others = [Namespace.create(), Namespace.create()]
    const [dead, kept] = others as [Namespace, Namespace]
    try {
      await run('attach', 'blue', netns, '--container-id', 'alive')
      await run('attach', 'blue', dead.path, '--container-id', 'dead')
      await run('attach', 'blue', kept.path, '--container-id', 'kept')
    } finally {
      for (const one of others) one.close()
    }
    while (existsSync(dead.path) || existsSync(kept.path)) await pause(1)
    calls()
    const answer = await run('gc', 'blue', '--keep', 'kept', '--json')
    assert.equal(JSON.parse(answer.out).removed, [{ containerId: 'dead', ifName: 'eth0' }])
    assert.is(calls(), 'two DEL dead eth0; one DEL dead eth0; one GC; two GC')
    assert.is((await run('gc', 'blue', '--all')).out, 'blue: removed 2 attachments, kept 0 attachments\n')
  }))

test('networks: create, ls, inspect, connect, disconnect, rm', () =>
  withStage(async ({ run, calls, directory, netns, pid, id }) => {
    const created = await run('network', 'create', 'green', '--subnet', '198.51.100.0/24', '--label', 'a=b')
    assert.equal(created, { status: 0, out: 'green\n', err: '' })
    assert.match((await run('network', 'create', 'green')).err, /it exists already/)
    assert.match((await run('network', 'create', '../x')).err, /only letters/)
    assert.is((await run('network', 'ls', '-q')).out, 'blue\ngreen\n')
    const [inspected] = JSON.parse((await run('network', 'inspect', 'green')).out)
    assert.is(inspected.Driver, 'bridge')
    assert.equal(inspected.IPAM.Config, [{ Subnet: '198.51.100.0/24', Gateway: '198.51.100.1' }])
    assert.equal(inspected.Labels, { a: 'b' })

    await run('network', 'connect', 'blue', netns, '--ip', '10.0.0.2', '--mac-address', '02:00:00:00:00:01')
    assert.is(
      calls(),
      ['one', 'two'].map(one => `${one} ADD ${id} eth0 IgnoreUnknown=1;IP=10.0.0.2;MAC=02:00:00:00:00:01`).join('; ')
    )
    await run('network', 'connect', 'blue', pid, '--ifname', 'eth1')
    assert.is(calls(), `one ADD ${id} eth1 IgnoreUnknown=1; two ADD ${id} eth1 IgnoreUnknown=1`)
    const [blue] = JSON.parse((await run('network', 'inspect', 'blue')).out)
    assert.equal(
      blue.Containers[id].map((one: { Interface: string; State: string }) => [one.Interface, one.State]),
      [
        ['eth0', 'running'],
        ['eth1', 'running']
      ]
    )
    assert.equal(blue.Containers[id][0].Addresses, ['10.0.0.2/24'])
    const refused = await run('network', 'rm', 'blue')
    assert.match(refused.err, new RegExp(String.raw`remove network "blue": ${id} attached\n {2}what to do: disconnect`))
    const left = await run('network', 'disconnect', 'blue', id.slice(0, -3))
    assert.is(left.out, `disconnected ${id} (eth0, eth1) from blue\n`)
    assert.match((await run('network', 'disconnect', 'blue', pid)).err, /it is not on "blue"/)
    assert.is((await run('network', 'rm', 'blue')).status, 0)
    assert.equal(readdirSync(join(directory, 'net.d')), ['patchbay-green.conflist'])
  }))

test('a network that is not there names those that are', () =>
  withStage(async ({ run, directory, netns }) => {
    writeFileSync(join(directory, 'net.d', 'bad.conflist'), '{')
    const answer = await run('attach', 'grey', netns)
    assert.is(answer.status, 1)
    assert.match(answer.err, /load network "grey": not in ".*net\.d" \(load ".*bad\.conflist": read JSON/)
    assert.match(answer.err, /what to do: networks there: blue; to make one: patchbay network create grey/)
    assert.match((await run('network', 'ls')).err, /bad\.conflist/)
  }))

test('wrong use is status 2 and explained, with the form of the command; nothing was done', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['frob'], /unknown command 'frob'/],
    [['detatch', 'a', 'b'], /unknown command 'detatch'; did you mean detach\?/],
    [
      ['attach', 'blue'],
      /missing required argument 'CONTAINER'\n.*the form is: patchbay attach \[options\] NETWORK CONTAINER/
    ],
    [['attach', 'blue', 'c1', '--frob'], /unknown option '--frob'/],
    [['attach', 'blue', 'c1', '--ifnam', 'x'], /unknown option '--ifnam'; did you mean --ifname\?/],
    [['detach', 'blue'], /which container\?/],
    [['network'], /network needs a verb/],
    [['network', 'frob'], /unknown command 'frob'/],
    [['network', 'creat', 'x'], /did you mean create\?/],
    [['network', 'toString'], /unknown command 'toString'/],
    [['network', 'create', 'x', '-d', 'brigde'], /no driver "brigde"; did you mean "bridge"\?/],
    [['network', 'create', 'x'.repeat(300)], /a name has at most 237 letters, this one 300/],
    [['network', 'ls', '-f', 'drivr=x'], /did you mean "driver"\?/],
    [['completion', 'bsh'], /did you mean "bash"\?/],
    [['gc'], /missing required argument 'NETWORK'/],
    [['install', '--engine', 'fast'], /must be one of native, node/]
  ]
  for (const [argv, message] of cases) {
    const more = /^(attach|detach|gc|network (ls|create))/.test(argv.join(' ')) ? ['--conf-dir', '/nonexistent'] : []
    const answer = await command(...argv, ...more)
    assert.is(answer.status, 2, `${argv.join(' ')}: ${answer.err}`)
    assert.is(answer.out, '')
    assert.match(answer.err, message)
  }
})

test('what cannot be done is status 1', () =>
  withStage(async ({ run, netns }) => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [
        ['attach', 'blue', 'patchbay-gone'],
        /find container "patchbay-gone": no namespace has this name, no container this id/
      ],
      [['attach', 'blue', '99999999'], /there is no process 99999999/],
      [
        ['attach', 'blue', '/proc/self/ns/net'],
        /it is the network namespace of this host itself\n {2}what to do: name a container.*\n$/
      ],
      [['network', 'rm', 'grey'], /load network "grey"/]
    ]
    for (const [argv, message] of cases) {
      const answer = await run(...argv)
      assert.is(answer.status, 1, argv.join(' '))
      assert.match(answer.err, message)
    }
    for (const wrong of [
      ['--ifname', 'a/b'],
      ['--args', 'x'],
      ['--cap', 'ports=b'],
      ['--cap', 'port=[1]']
    ]) {
      assert.is((await run('attach', 'blue', netns, ...wrong)).status, 2, wrong.join(' '))
    }
  }))

test('a capability that no plugin of the network has is refused, and the nearest one named', () =>
  withStage(async ({ run, netns, calls }) => {
    const answer = await run('attach', 'blue', netns, '--cap', 'port=[1]')
    assert.match(
      answer.err,
      /--cap port: no plugin of "blue" has this capability; did you mean "ports"\?\n {2}what to do: the network has ports\n/
    )
    assert.is(calls(), '')
  }))

test('connect takes the next name that is free in the container, and an interface of somebody else stays', () =>
  withStage(async ({ run, box, netns, id, calls, fail }) => {
    for (const name of ['eth0', 'eth2'])
      box.run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `peer-${name}`])
    box.run('ip', ['link', 'property', 'add', 'dev', 'eth2', 'altname', 'eth1'])
    await run('network', 'connect', 'blue', netns)
    assert.is(calls(), `one ADD ${id} eth3 IgnoreUnknown=1; two ADD ${id} eth3 IgnoreUnknown=1`)
    const taken = await run('attach', 'blue', netns)
    assert.is(taken.status, 1)
    assert.match(taken.err, /it has an interface "eth0" already/)
    assert.is(calls(), '', 'neither ADD nor a DEL that would take it away')
    fail('ADD', { code: 11, msg: 'no' })
    await run('network', 'connect', 'blue', netns, '--ifname', 'net1')
    assert.is(
      calls(),
      `one ADD ${id} net1 IgnoreUnknown=1; two DEL ${id} net1 IgnoreUnknown=1; one DEL ${id} net1 IgnoreUnknown=1`
    )
  }))

test('two commands at once do not choose the same name or subnet', () =>
  withStage(async ({ run, netns, box, directory }) => {
    const making = 'nsenter --net=/proc/$CNI_PID/ns/net ip link add $CNI_IFNAME type veth peer name p$CNI_IFNAME'
    writeFileSync(
      join(directory, 'bin', 'one'),
      `#!/bin/sh\n[ $CNI_COMMAND = ADD ] && ${making}; cat "\${0%/*}/result"\n`
    )
    process.env['CNI_PID'] = String(box.pid)
    await Promise.all([1, 2, 3].map(() => run('network', 'connect', 'blue', netns)))
    const names = box.run('ip', ['-j', 'link']).stdout
    assert.equal(
      JSON.parse(names)
        .map((one: { ifname: string }) => one.ifname)
        .filter((name: string) => !name.startsWith('p'))
        .sort(),
      ['eth0', 'eth1', 'eth2', 'lo']
    )
    await Promise.all(['n1', 'n2', 'n3', 'n4', 'n5', 'n6'].map(name => run('network', 'create', name)))
    const rows: { Name: string; Subnets: string[] }[] = JSON.parse((await run('network', 'ls', '--json')).out)
    const subnets = rows.filter(row => row.Name !== 'blue').flatMap(row => row.Subnets)
    assert.is(new Set(subnets).size, 6, subnets.join(' '))
  }))

test('lo is up after attach and after connect', () =>
  withStage(async ({ run, netns, box }) => {
    for (const [verb, name] of [
      [['attach'], 'eth0'],
      [['network', 'connect'], 'eth1']
    ] as const) {
      box.run('ip', ['link', 'set', 'lo', 'down'])
      assert.is((await run(...verb, 'blue', netns, '--ifname', name)).status, 0)
      assert.match(box.run('ip', ['link', 'show', 'lo']).stdout, /<LOOPBACK,UP/)
    }
  }))

test('a container is named the same way everywhere: by process, path, id, and the beginning of the id', () =>
  withStage(async ({ run, netns, pid }) => {
    await run('attach', 'blue', netns, '--container-id', 'ubuntu1')
    for (const word of [netns, pid, 'ubuntu1', 'ubu']) {
      const checked = await run('check', 'blue', word)
      assert.equal([checked.out, checked.err], ['ubuntu1 (eth0) on blue: as it should be\n', ''], word)
    }
    assert.is((await run('network', 'disconnect', 'blue', 'ubu')).status, 0)
    const nobody = await run('detach', 'blue', 'nobody')
    assert.equal(
      [nobody.status, nobody.out],
      [0, 'nobody (eth0) was not on blue: its plugins have been told all the same\n']
    )
  }))

test('a namespace that was made anew under the same name is another container, and the former one is told apart', () =>
  withStage(async ({ run, calls, directory, box }) => {
    const path = join(directory, 'c1')
    const mount = (of: Namespace): void => {
      writeFileSync(path, '')
      assert.is(spawnSync('mount', ['--bind', of.path, path]).status, 0)
    }
    const former = Namespace.create()
    try {
      mount(former)
      await run('network', 'connect', 'blue', path)
    } finally {
      former.close()
      spawnSync('umount', [path])
    }
    while (existsSync(former.path)) await pause(1)
    mount(box)
    try {
      calls()
      const [blue] = JSON.parse((await run('network', 'inspect', 'blue')).out)
      assert.is(blue.Containers.c1[0].State, 'gone')
      assert.equal(
        JSON.parse((await run('network', 'ls', '--json')).out).map((row: { Containers: number; Gone: number }) => [
          row.Containers,
          row.Gone
        ]),
        [[0, 1]]
      )
      const again = await run('network', 'connect', 'blue', path)
      assert.match(again.err, /a former c1 \(eth0\) was still recorded on blue: removed/)
      assert.is(
        calls(),
        ['two DEL', 'one DEL', 'one ADD', 'two ADD'].map(one => `${one} c1 eth0 IgnoreUnknown=1`).join('; ')
      )
    } finally {
      spawnSync('umount', [path])
    }
  }))

test('rm goes on after a failure; with --force it removes what it can', () =>
  withStage(async ({ run, directory, netns }) => {
    for (const name of ['n1', 'n2', 'n3']) await run('network', 'create', name)
    const some = await run('network', 'rm', 'n1', 'nope', 'n2', '--bin-dir', '/nonexistent')
    assert.is(some.status, 1)
    assert.match(some.err, /load network "nope"/)
    rmSync(join(directory, 'bin', 'two'))
    const missing = await run('network', 'rm', 'blue')
    assert.match(missing.err, /find plugin "two"/)
    assert.is(missing.status, 1)
    const forced = await run('network', 'rm', '-f', 'blue')
    assert.equal([forced.status, forced.out], [0, 'blue\n'])
    assert.match(forced.err, /find plugin "two".*removed all the same/)
    assert.is(netns !== '' && existsSync(join(directory, 'net.d', 'blue.conflist')), false)
  }))

test('prune removes what create made and nobody uses; --dry-run only says so', () =>
  withStage(async ({ run }) => {
    for (const [name, label] of [
      ['n1', 'a=1'],
      ['n2', 'a=2']
    ] as const)
      await run('network', 'create', name, '-d', 'macvlan', '-o', 'parent=eth0', '--label', label)
    const dry = await run('network', 'prune', '--dry-run', '--filter', 'label=a=2')
    assert.is(dry.out, 'would remove n2\n')
    const unasked = await run('network', 'prune')
    assert.is(unasked.status, 2)
    assert.match(unasked.err, /n1, n2\n.*nobody is there to be asked/)
    assert.is((await run('network', 'ls', '-q')).out, 'blue\nn1\nn2\n')
  }))

test('two files of one name are told by ls, and the first counts', () =>
  withStage(async ({ run, directory }) => {
    const second = { cniVersion: '1.0.0', name: 'blue', plugins: [{ type: 'two' }] }
    writeFileSync(join(directory, 'net.d', 'nerdctl-blue.conflist'), JSON.stringify(second))
    const listed = await run('network', 'ls', '--format', 'Name,Plugins')
    assert.is(listed.out, 'NAME  PLUGINS\nblue  one two\n')
    assert.match(listed.err, /nerdctl-blue\.conflist": network "blue" is in ".*\/blue\.conflist" already, which counts/)
  }))

test('help and version', async () => {
  const whole = await command('--help')
  assert.match(whole.out, /^Usage: patchbay COMMAND \[options\]/)
  assert.match((await command('attach', '--help')).out, /^Usage: patchbay attach \[options\] NETWORK CONTAINER\n/)
  assert.is((await command('help', 'network', 'create')).out, (await command('network', 'create', '--help')).out)
  const nothing = await command()
  assert.equal([nothing.status, nothing.out, nothing.err], [2, '', whole.out])
  assert.match(
    (await command('version')).out,
    /^Patchbay v[0-9.]+\nCNI versions: 0\.1\.0, .*1\.1\.0\nplugins: .*loopback/
  )
  assert.ok(JSON.parse((await command('--version', '--json')).out).plugins.includes('bridge'))
})

test('the help of a verb is its own, with examples, within 80 columns, and every option of it is taken', async () => {
  for (const spec of GRAMMAR.commands) {
    const { out } = await command(...spec.name.split(' '), '--help')
    assert.match(out, `Usage: ${usageLine(spec)}\n`)
    assert.match(out, '\nExamples:\n')
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line)
    for (const option of spec.options ?? []) assert.match(out, `--${optionName(option)}`)
  }
  assert.not.match((await command('network', 'ls', '--help')).out, '--subnet')
})

test('programs show the options that they read themselves', async () => {
  assert.match((await command('agent', '--help')).out, /--config FILE/)
  assert.match((await command('conformance', '--help')).out, /--plugin-dir \[NAME=\]DIR/)
  assert.match((await command('dhcp', '--help')).out, /socketpath/)
})

test('a plugin that is missing is told before any other has run, and nothing has to be cleaned up', () =>
  withStage(async ({ directory, run, calls, pid: PID }) => {
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
