/** The command over plugins that are shell scripts: what it calls, says, and remembers. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type CommandStage, RESULT, withCommandStage } from '../lib/testing/command-stage.ts'
import { Namespace } from '../lib/testing/namespace.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { runCommandLine } from './command-line.ts'

const test = suite('cli/command-line')

const withStage = (body: (stage: CommandStage) => Promise<void>): Promise<void> =>
  withCommandStage(runCommandLine, body)

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
    assert.is(
      (await run('gc', 'blue', '--all', '--dry-run')).out,
      'would remove alive (eth0)\nwould remove kept (eth0)\n'
    )
    assert.is(calls(), '')
    assert.is((await run('gc', 'blue', '--all')).out, 'blue: removed 2 attachments, kept 0 attachments\n')
  }))

test('what cannot be done is status 1', () =>
  withStage(async ({ run, netns }) => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [
        ['attach', 'blue', 'patchbay-gone'],
        /find container "patchbay-gone": no namespace has this name, and no container of run, containerd or podman has this name or id/
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
      // Lazily: who looks at it just now keeps it busy.
      assert.is(spawnSync('umount', ['--lazy', path]).status, 0)
    }
    while (existsSync(former.path)) await pause(1)
    mount(box)
    try {
      calls()
      const [blue] = JSON.parse((await run('network', 'inspect', 'blue')).out)
      assert.is(blue.Containers.c1.State, 'gone')
      assert.equal(
        JSON.parse((await run('network', 'ls', '-f', 'name=blue', '--json')).out).map(
          (row: { Containers: number; Gone: number }) => [row.Containers, row.Gone]
        ),
        [[0, 1]]
      )
      const again = await run('network', 'connect', 'blue', path)
      assert.match(again.err, /a former c1 \(eth0\) was still recorded on blue: removed/)
      assert.is(
        calls(),
        ['two DEL', 'one DEL', 'one ADD', 'two ADD'].map(one => `${one} c1 eth0 IgnoreUnknown=1`).join('; ')
      )
    } finally {
      // Lazily: who looks at it just now keeps it busy.
      assert.is(spawnSync('umount', ['--lazy', path]).status, 0)
    }
  }))

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

test.run()
