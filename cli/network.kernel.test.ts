/** The verbs of networks over plugins that are shell scripts. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CommandStage, withCommandStage } from '../lib/testing/command-stage.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { runCommandLine } from './command-line.ts'

const test = suite('cli/network')

const withStage = (body: (stage: CommandStage) => Promise<void>): Promise<void> =>
  withCommandStage(runCommandLine, body)

test('networks: create, ls, inspect, connect, disconnect, rm', () =>
  withStage(async ({ run, calls, directory, netns, pid, id }) => {
    const created = await run('network', 'create', 'green', '--subnet', '198.51.100.0/24', '--label', 'a=b')
    assert.equal(created, { status: 0, out: 'green\n', err: '' })
    assert.match((await run('network', 'create', 'green')).err, /it exists already/)
    assert.match((await run('network', 'create', '../x')).err, /only letters/)
    assert.is((await run('network', 'ls', '-q')).out, 'blue\ngreen\nhost\nnone\n')
    const [inspected] = JSON.parse((await run('network', 'inspect', 'green')).out)
    assert.is(inspected.Driver, 'bridge')
    assert.equal(inspected.IPAM.Config, [{ Subnet: '198.51.100.0/24', Gateway: '198.51.100.1' }])
    assert.equal(inspected.Labels, { a: 'b' })

    await run('network', 'connect', 'blue', netns, '--ip', '10.0.0.2', '--mac-address', '02:00:00:00:00:01')
    assert.is(
      calls(),
      ['one', 'two'].map(one => `${one} ADD ${id} eth0 IgnoreUnknown=1;IP=10.0.0.2;MAC=02:00:00:00:00:01`).join('; ')
    )
    assert.match(
      (await run('network', 'connect', 'blue', pid)).err,
      /it is on it already, as eth0\n.*name it: --ifname/
    )
    await run('network', 'connect', 'blue', pid, '--ifname', 'eth1')
    assert.is(calls(), `one ADD ${id} eth1 IgnoreUnknown=1; two ADD ${id} eth1 IgnoreUnknown=1`)
    const [blue] = JSON.parse((await run('network', 'inspect', 'blue')).out)
    assert.equal(
      [id, `${id}:eth1`].map(key => [blue.Containers[key].Interface, blue.Containers[key].State]),
      [
        ['eth0', 'running'],
        ['eth1', 'running']
      ]
    )
    assert.equal(blue.Containers[id].Addresses, ['10.0.0.2/24'])
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

test('two commands at once do not choose the same name or subnet', () =>
  withStage(async ({ run, netns, box, directory }) => {
    const making = 'nsenter --net=/proc/$CNI_PID/ns/net ip link add $CNI_IFNAME type veth peer name p$CNI_IFNAME'
    writeFileSync(
      join(directory, 'bin', 'one'),
      `#!/bin/sh\n[ $CNI_COMMAND = ADD ] && ${making}; cat "\${0%/*}/result"\n`
    )
    process.env['CNI_PID'] = String(box.pid)
    const file = (name: string): string => join(directory, 'net.d', `${name}.conflist`)
    const blue = readFileSync(file('blue'), 'utf8')
    for (const name of ['red', 'grey']) writeFileSync(file(name), blue.replace('"blue"', `"${name}"`))
    await Promise.all(['blue', 'red', 'grey'].map(name => run('network', 'connect', name, netns)))
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
    const subnets = rows.filter(row => row.Name.startsWith('n') && row.Name !== 'none').flatMap(row => row.Subnets)
    assert.is(new Set(subnets).size, 6, subnets.join(' '))
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
      await run('network', 'create', name, '-d', 'macvlan', '-o', 'parent=lo', '--label', label)
    const dry = await run('network', 'prune', '--dry-run', '--filter', 'label=a=2')
    assert.is(dry.out, 'would remove n2\n')
    const unasked = await run('network', 'prune')
    assert.is(unasked.status, 2)
    assert.match(unasked.err, /n1, n2\n.*nobody is there to be asked/)
    assert.is((await run('network', 'ls', '-q', '-f', 'type=custom')).out, 'blue\nn1\nn2\n')
  }))

test('two files of one name are told by ls, and the first counts', () =>
  withStage(async ({ run, directory }) => {
    const second = { cniVersion: '1.0.0', name: 'blue', plugins: [{ type: 'two' }] }
    writeFileSync(join(directory, 'net.d', 'nerdctl-blue.conflist'), JSON.stringify(second))
    const listed = await run('network', 'ls', '-f', 'type=custom', '--format', 'Name,Plugins')
    assert.is(listed.out, 'NAME  PLUGINS\nblue  one two\n')
    assert.match(listed.err, /nerdctl-blue\.conflist": network "blue" is in ".*\/blue\.conflist" already, which counts/)
  }))

test('a network is there for every program of the host, whatever the umask', () =>
  withStage(async ({ directory, run }) => {
    const confDir = join(directory, 'net.d')
    rmSync(confDir, { recursive: true })
    const mask = process.umask(0o777)
    try {
      const answer = await run('network', 'create', 'green', '--driver', 'macvlan', '-o', 'parent=lo')
      assert.is(answer.status, 0, answer.err)
    } finally {
      process.umask(mask)
    }
    assert.is(statSync(confDir).mode & 0o777, 0o755)
    assert.is(statSync(join(confDir, 'patchbay-green.conflist')).mode & 0o777, 0o644)
  }))

test.run()
