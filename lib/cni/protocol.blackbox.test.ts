/** The protocol as the built executables speak it, whatever the plugin does. */
// needs: ip strace
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Answer, binDir, builtPlugins, callPlugin, ENGINE, runProgram } from '../testing/blackbox.ts'
import { callEnv } from '../testing/memory-io.ts'
import { withNamespaces } from '../testing/namespace.ts'
import { withPrivateMounts } from '../testing/private-mounts.ts'
import { assert, suite } from '../testing/suite.ts'

// Configurations without a stateDir.
withPrivateMounts(import.meta.filename)

const test = suite(`lib/cni/protocol ${ENGINE}`)

const CONFIG = { cniVersion: '1.1.0', name: 'blue', type: 'loopback' }

function errorOf(answer: Answer): { code: number; msg: string; cniVersion: string; details?: string } {
  assert.is(answer.status, 1, `${answer.stdout}${answer.stderr}`)
  return JSON.parse(answer.stdout)
}

/** Runs a line of sh with the plugin's path as $1: for redirections that spawn does not offer. */
function shell(line: string, env: Readonly<Record<string, string>>, stdin: string | object = CONFIG): Answer {
  return runProgram('sh', ['-c', line, 'sh', join(binDir(), 'loopback')], { env, stdin })
}

test('every plugin shows the banner that nerdctl reads', () => {
  for (const name of builtPlugins()) {
    const answer = callPlugin(name, {})
    assert.is(answer.status, 0, name)
    assert.is(answer.stdout, '', name)
    const [first, second] = answer.stderr.split('\n')
    assert.match(first ?? '', new RegExp(`^CNI ${name} plugin v[0-9]+\\.[0-9]+\\.[0-9]+$`))
    assert.match(second ?? '', /^CNI protocol versions supported: ([0-9.]+, )*1\.1\.0$/)
  }
})

test('every plugin refuses calls without their variables, and versions nobody knows', () => {
  for (const name of builtPlugins()) {
    const bare = errorOf(callPlugin(name, { env: { CNI_COMMAND: 'ADD' } }))
    assert.is(bare.code, 4, name)
    assert.match(bare.msg, 'missing CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME')
    const config = { cniVersion: '99.0.0', name: 'blue', type: name }
    assert.is(errorOf(callPlugin(name, { env: callEnv('DEL'), stdin: config })).code, 1, name)
  }
})

test('input that cannot be used', () => {
  const bytes = new Uint8Array([0x7b, 0xff, 0x7d])
  const cases: readonly (readonly [string | Uint8Array | object, number, RegExp])[] = [
    ['', 6, /it is empty/],
    ['{', 6, /line 1 column 2/],
    ['[]', 6, /must be an object, got array/],
    [bytes, 6, /byte 1 is not UTF-8/],
    ['['.repeat(1 << 20), 6, /nested deeper than 128/],
    [' '.repeat((1 << 24) + 1), 6, /more than 16 MiB/],
    [{ cniVersion: '1.1.0' }, 7, /name is missing/],
    [{ ...CONFIG, name: 'a/b' }, 7, /got "a\/b"/],
    [{ ...CONFIG, name: 'a\nb' }, 7, /got "a\\nb"/]
  ]
  for (const [stdin, code, message] of cases) {
    const error = errorOf(callPlugin('loopback', { env: callEnv('DEL'), stdin }))
    assert.is(error.code, code, String(message))
    assert.match(error.msg, message)
  }
})

test('variables that cannot be used', () => {
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ CNI_IFNAME: '0123456789abcdef' }, /CNI_IFNAME must be at most 15 bytes/],
    [{ CNI_IFNAME: 'a/b' }, /CNI_IFNAME must hold no/],
    [{ CNI_CONTAINERID: '../c' }, /CNI_CONTAINERID must begin with/],
    [{ CNI_CONTAINERID: 'a\nb' }, /CNI_CONTAINERID .*got "a\\nb"/],
    [{ CNI_COMMAND: 'FROB' }, /CNI_COMMAND must be a verb, got "FROB"/]
  ]
  for (const [env, message] of cases) {
    const error = errorOf(callPlugin('loopback', { env: callEnv('ADD', env), stdin: CONFIG }))
    assert.is(error.code, 4)
    assert.match(error.msg, message)
  }
})

test('an interface name that is no UTF-8 is refused, whatever made it into text', () => {
  for (const command of ['ADD', 'DEL']) {
    const line = `CNI_IFNAME=$(printf 'a\\377') exec "$1"`
    const error = errorOf(shell(line, callEnv(command, { CNI_NETNS: '/nowhere' })))
    assert.equal([error.code, /CNI_IFNAME must be UTF-8/.test(error.msg)], [4, true], error.msg)
  }
})

test('namespaces that cannot be used: gone is 3, a plain file 8, the own one 8', () => {
  const add = (netns: string) =>
    errorOf(callPlugin('loopback', { env: callEnv('ADD', { CNI_NETNS: netns }), stdin: CONFIG }))
  assert.is(add('/run/netns/patchbay-test-absent').code, 3)
  assert.is(add('/etc/hostname').code, 8)
  assert.is(add('/proc/self/ns/net').code, 8)
  assert.is(add('/proc/self/ns/uts').code, 8)
})

test('started under a name that no plugin has: by what is before its dot, by the configuration, or an error', () => {
  const directory = mkdtempSync(join(binDir(), '..', '.names-'))
  try {
    const as = (name: string, config: object, env: Readonly<Record<string, string>> = callEnv('DEL')) => {
      linkSync(join(binDir(), 'loopback'), join(directory, name))
      return callPlugin(name, { directory, env, stdin: { ...CONFIG, ...config } })
    }
    assert.is(as('loopback.real', { type: 'anything' }).status, 0)
    assert.match(as('loopback.orig.1', {}, {}).stderr, /^CNI loopback plugin v/)
    assert.is(as('wrapped', {}).status, 0)
    assert.match(JSON.parse(as('asked', {}, { CNI_COMMAND: 'VERSION' }).stdout).supportedVersions.join(), '1.1.0')
    const unknown = errorOf(as('wrong', { type: 'nothing' }))
    assert.is(unknown.code, 7)
    assert.match(unknown.msg, 'start as "wrong": no plugin has that name, nor is the type "nothing" one')
    const both = errorOf(as('addresses', { type: 'bridge', ipam: { type: 'addresses' } }))
    assert.is(both.code, 7)
    assert.match(both.msg, 'ipam.type is this name')
    assert.is(errorOf(as('torn', {}, { ...callEnv('DEL'), CNI_COMMAND: 'x' })).code, 4)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

for (const [when, how] of [
  ['2', 'once'],
  ['2+', 'for good']
]) {
  test(`the way back from the container fails ${how}: an answer, and the ADD undone`, () => {
    withNamespaces(2, (host, box) => {
      const state = mkdtempSync(join(tmpdir(), 'patchbay-away-'))
      try {
        const ipam = { type: 'static', addresses: [{ address: '10.1.2.3/24' }] }
        const config = { ...CONFIG, type: 'bridge', bridge: 'br0', ipam, stateDir: state }
        const env = { PATH: process.env['PATH'] ?? '', ...callEnv('ADD', { CNI_NETNS: box.path, CNI_PATH: binDir() }) }
        const inject = ['-f', '-o', '/dev/null', '-e', 'trace=setns', '-e', `inject=setns:error=EPERM:when=${when}`]
        const input = JSON.stringify(config)
        const answer = host.run('strace', [...inject, join(binDir(), 'bridge')], { env, input })
        assert.is(answer.status, 1)
        const error = JSON.parse(answer.stdout)
        assert.is(error.code, 999)
        assert.match(error.msg, 'EPERM')
        for (const one of [host, box]) assert.not.match(one.run('ip', ['link', 'show']).stdout, 'veth')
      } finally {
        rmSync(state, { recursive: true })
      }
    })
  })
}

test('standard input closed, standard output full, closed, or without a reader', () => {
  withNamespaces(1, box => {
    const env = callEnv('ADD', { CNI_NETNS: box.path })
    assert.is(shell('"$1" <&-', env).status, 1)
    const full = shell('"$1" > /dev/full', env)
    assert.is(full.status, 1)
    assert.match(full.stderr, /write standard output: ENOSPC/)
    const unread = shell('{ sleep 0.2; "$1"; echo "status $?" >&2; } | true', env)
    assert.match(unread.stderr, /write standard output: EPIPE/)
    assert.match(unread.stderr, /status 1\n$/, 'not killed by SIGPIPE')
  })
})

test('a reader that is slow gets all of it', () => {
  withNamespaces(1, box => {
    const options = Array.from({ length: 20_000 }, (_, i) => `option-${i}`)
    const prevResult = { cniVersion: '1.1.0', dns: { options } }
    const env = callEnv('ADD', { CNI_NETNS: box.path })
    const answer = shell('"$1" | { sleep 0.3; cat; }', env, { ...CONFIG, prevResult })
    assert.is(answer.stderr, '')
    assert.equal(JSON.parse(answer.stdout), prevResult)
  })
})

test('one JSON object or nothing on standard output', () => {
  withNamespaces(1, box => {
    const env = (command: string) => callEnv(command, { CNI_NETNS: box.path, TRACEPARENT: '00-0-0-01', BAGGAGE: 'a=b' })
    const added = callPlugin('loopback', { env: env('ADD'), stdin: CONFIG })
    assert.is(JSON.parse(added.stdout).cniVersion, '1.1.0')
    assert.is(added.stderr, '')
    const gc = { ...CONFIG, 'cni.dev/valid-attachments': [] }
    for (const command of ['CHECK', 'STATUS', 'GC', 'DEL', 'DEL']) {
      const answer = callPlugin('loopback', { env: env(command), stdin: gc })
      assert.equal(answer, { status: 0, stdout: '', stderr: '' }, command)
    }
  })
})

/** An ADD and a DEL of a bridge network in fresh namespaces, with `plugins` as CNI_PATH. */
function bridgeRound(plugins: string, cniVersion: string): readonly Answer[] {
  const answers: Answer[] = []
  withNamespaces(2, (host, box) => {
    const state = mkdtempSync(join(tmpdir(), 'patchbay-round-'))
    try {
      const ipam = { type: 'host-local', dataDir: join(state, 'ipam'), subnet: '10.99.0.0/24' }
      const stdin = { cniVersion, name: 'blue', type: 'bridge', isGateway: true, stateDir: join(state, 'run'), ipam }
      for (const command of ['ADD', 'STATUS', 'DEL']) {
        if (command === 'STATUS' && cniVersion !== '1.1.0') continue
        const env = callEnv(command, { CNI_NETNS: box.path, CNI_PATH: plugins })
        answers.push(callPlugin('bridge', { env, stdin, host, directory: plugins }))
      }
    } finally {
      rmSync(state, { recursive: true })
    }
  })
  return answers
}

/** Without what differs from run to run: MACs, the veth's name, the namespace's path. */
function settled(answer: Answer): unknown {
  if (answer.stdout === '') return answer
  const result: { interfaces?: { name: string; mac: string; sandbox?: string }[] } = JSON.parse(answer.stdout)
  for (const one of result.interfaces ?? []) {
    one.mac = 'mac'
    if (one.name.startsWith('veth')) one.name = 'veth'
    if (one.sandbox !== undefined) one.sandbox = 'sandbox'
  }
  return { ...answer, stdout: result }
}

test('an address plugin called in the process, through links, and executed as another file give the same', () => {
  const directory = mkdtempSync(join(binDir(), '..', '.delegates-'))
  try {
    const linked = join(directory, 'linked')
    const copied = join(directory, 'copied')
    for (const one of [linked, copied]) mkdirSync(one)
    for (const one of [linked, copied]) linkSync(join(binDir(), 'bridge'), join(one, 'bridge'))
    symlinkSync(join(binDir(), 'host-local'), join(linked, 'host-local'))
    copyFileSync(join(binDir(), 'host-local'), join(copied, 'host-local'))
    for (const version of ['0.2.0', '0.4.0', '1.1.0']) {
      const inProcess = bridgeRound(binDir(), version).map(settled)
      assert.equal(bridgeRound(linked, version).map(settled), inProcess, `linked, ${version}`)
      assert.equal(bridgeRound(copied, version).map(settled), inProcess, `copied, ${version}`)
      for (const answer of inProcess) assert.is((answer as Answer).status, 0, JSON.stringify(answer))
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('errors of an address plugin reach the runtime unchanged, called or executed', () => {
  const directory = mkdtempSync(join(binDir(), '..', '.delegates-'))
  try {
    linkSync(join(binDir(), 'bridge'), join(directory, 'bridge'))
    copyFileSync(join(binDir(), 'host-local'), join(directory, 'host-local'))
    const errors = [binDir(), directory].map(plugins => {
      let error: unknown
      withNamespaces(2, (host, box) => {
        const stdin = { ...CONFIG, type: 'bridge', ipam: { type: 'host-local', subnet: '10.99.0.0/33' } }
        const env = callEnv('ADD', { CNI_NETNS: box.path, CNI_PATH: plugins })
        error = errorOf(callPlugin('bridge', { env, stdin, host, directory: plugins }))
        const links = host.run('cat', ['/proc/net/dev']).stdout
        assert.not.ok(links.includes('veth'), 'nothing is left behind')
      })
      return error
    })
    assert.equal(errors[0], errors[1])
    assert.match(JSON.stringify(errors[0]), /"code":7,"msg":"[^"]*ipam/)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a shell script as address plugin: environment inherited, our input unmodified, its standard error passed on', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-script-'))
  try {
    const script = `#!/bin/sh
printf '%s %s %s %s\\n' "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_IFNAME" "$EXTRA" >> ${directory}/calls
cat > ${directory}/input.$CNI_COMMAND
echo "words of $CNI_COMMAND" >&2
[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"10.99.0.7/24"}]}'
exit 0
`
    runProgram('sh', ['-c', `cat > ${directory}/script && chmod 755 ${directory}/script`], { stdin: script })
    linkSync(join(binDir(), 'bridge'), `${directory}/bridge`)
  } catch {
    // Another file system than the one of the built plugins: a symbolic link serves as well.
    symlinkSync(join(binDir(), 'bridge'), `${directory}/bridge`)
  }
  try {
    withNamespaces(2, (host, box) => {
      const stdin = `{ "cniVersion": "1.1.0",\n "name": "blue", "type": "bridge", "stateDir": "${directory}/run",\t"ipam": {"type": "script"}}`
      const env = callEnv('ADD', { CNI_NETNS: box.path, CNI_PATH: directory, EXTRA: 'word' })
      const added = callPlugin('bridge', { env, stdin, host, directory })
      assert.is(added.status, 0, added.stdout)
      assert.is(JSON.parse(added.stdout).ips[0].address, '10.99.0.7/24')
      assert.is(added.stderr, 'words of ADD\n')
      const deleted = callPlugin('bridge', { env: { ...env, CNI_COMMAND: 'DEL' }, stdin, host, directory })
      assert.equal(deleted, { status: 0, stdout: '', stderr: 'words of DEL\n' })
      const seen = runProgram('sh', ['-c', `cat ${directory}/calls; cat ${directory}/input.ADD`], {})
      assert.is(seen.stdout, `ADD c1 eth0 word\nDEL c1 eth0 word\n${stdin}`)
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('an address plugin that an installer is still writing is waited for', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-busy-'))
  try {
    const script = '#!/bin/sh\ncat > /dev/null\n'
    runProgram('sh', ['-c', `cat > ${directory}/script && chmod 755 ${directory}/script`], { stdin: script })
    symlinkSync(join(binDir(), 'bridge'), join(directory, 'bridge'))
    const stdin = { ...CONFIG, type: 'bridge', stateDir: join(directory, 'run'), ipam: { type: 'script' } }
    const env = callEnv('DEL', { CNI_NETNS: '', CNI_PATH: directory })
    const line = `{ sleep 0.6; } 9>> ${directory}/script & sleep 0.1; ${directory}/bridge`
    const started = Date.now()
    assert.equal(runProgram('sh', ['-c', `exec 3<&0; ${line} <&3`], { env, stdin }), {
      status: 0,
      stdout: '',
      stderr: ''
    })
    assert.ok(Date.now() - started > 400, 'it was in use meanwhile')
    const broken = { ...stdin, ipam: { type: 'broken' } }
    runProgram('sh', ['-c', `printf '\\177ELF' > ${directory}/broken && chmod 755 ${directory}/broken`], {})
    // The engines differ here: one says ENOEXEC, for the other the C library lets a shell try.
    const error = errorOf(callPlugin('bridge', { env, stdin: broken, directory }))
    assert.match(error.msg, /broken/)
    assert.is(error.code, 999)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('after a failed ADD the executed address plugin is told to take its address back', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-script-'))
  try {
    const script = `#!/bin/sh
echo "$CNI_COMMAND" >> ${directory}/calls
cat > /dev/null
[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"ff02::7/64"}]}'
exit 0
`
    runProgram('sh', ['-c', `cat > ${directory}/script && chmod 755 ${directory}/script`], { stdin: script })
    symlinkSync(join(binDir(), 'bridge'), `${directory}/bridge`)
    withNamespaces(2, (host, box) => {
      const stdin = { ...CONFIG, type: 'bridge', stateDir: join(directory, 'run'), ipam: { type: 'script' } }
      const env = callEnv('ADD', { CNI_NETNS: box.path, CNI_PATH: directory })
      // The kernel refuses a multicast address.
      const error = errorOf(callPlugin('bridge', { env, stdin, host, directory }))
      assert.match(error.msg, /ff02::7/)
      assert.is(runProgram('cat', [join(directory, 'calls')], {}).stdout, 'ADD\nDEL\n')
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test.run()
