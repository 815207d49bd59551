import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonText } from '../config/json.ts'
import { toJson } from '../testing/memory-io.ts'
import { assert, rejectsLike, suite } from '../testing/suite.ts'
import { parseNetwork } from './network.ts'
import { Runtime } from './runtime.ts'

const test = suite('lib/runtime/runtime')

/**
 * A plugin that notes each call in `log`: its name, the verb and its input. It answers what the file `<name>.<verb>` beside
 * it holds, and fails when that holds an error.
 */
const STUB = `#!/bin/sh
cd "$(dirname "$0")"
me=$(basename "$0")
input=$(cat)
printf '%s\\t%s\\t%s\\t%s\\n' "$me" "$CNI_COMMAND" "$CNI_CONTAINERID/$CNI_IFNAME/$CNI_NETNS/$CNI_ARGS/$CNI_PATH" "$input" >> log
[ -f "$me.$CNI_COMMAND" ] || exit 0
cat "$me.$CNI_COMMAND"
grep -q '"msg"' "$me.$CNI_COMMAND" && exit 1
exit 0
`

interface Call {
  readonly plugin: string
  readonly command: string
  readonly env: string
  readonly config: Record<string, unknown>
}

interface Stage {
  readonly directory: string
  readonly runtime: Runtime
  readonly calls: () => readonly Call[]
  readonly answer: (plugin: string, command: string, value: unknown) => void
}

async function withStubs(names: readonly string[], body: (stage: Stage) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-runtime-'))
  try {
    for (const name of names) {
      writeFileSync(join(directory, name), STUB)
      chmodSync(join(directory, name), 0o755)
    }
    writeFileSync(join(directory, 'log'), '')
    await body({
      directory,
      runtime: new Runtime({
        pluginDirectories: ['/nonexistent', directory],
        cacheDirectory: join(directory, 'cache')
      }),
      calls: () =>
        readFileSync(join(directory, 'log'), 'utf8')
          .split('\n')
          .filter(line => line !== '')
          .map(parseCall),
      answer: (plugin, command, value) => writeFileSync(join(directory, `${plugin}.${command}`), JSON.stringify(value))
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function parseCall(line: string): Call {
  const [plugin = '', command = '', env = '', config = '{}'] = line.split('\t')
  return { plugin, command, env, config: JSON.parse(config) }
}

function list(more: object = {}) {
  return parseNetwork(
    JSON.stringify({ cniVersion: '1.1.0', name: 'blue', plugins: [{ type: 'one' }, { type: 'two' }], ...more })
  )
}

const WHERE = { containerId: 'c1', netns: '/run/netns/blue', ifName: 'eth0' }

function sequence(calls: readonly Call[]): string {
  return calls.map(call => `${call.command} ${call.plugin}`).join(', ')
}

test('ADD goes forward and hands each result on; DEL goes backward with the last one', async () => {
  await withStubs(['one', 'two'], async ({ directory, runtime, calls, answer }) => {
    answer('one', 'ADD', { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] })
    answer('two', 'ADD', { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }], dns: { domain: 'x' } })
    const result = await runtime.add(list(), {
      ...WHERE,
      args: [
        ['IgnoreUnknown', '1'],
        ['IP', '10.0.0.2']
      ]
    })
    assert.is(JSON.parse(jsonText(result)).dns.domain, 'x')
    assert.is(sequence(calls()), 'ADD one, ADD two')
    const [first, second] = calls()
    assert.is(first?.env, `c1/eth0//run/netns/blue/IgnoreUnknown=1;IP=10.0.0.2//nonexistent:${directory}`)
    assert.equal(first?.config, { type: 'one', name: 'blue', cniVersion: '1.1.0' })
    assert.equal(second?.config['prevResult'], { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] })

    assert.ok(await runtime.check(list(), WHERE))
    await runtime.del(list(), WHERE)
    assert.is(sequence(calls().slice(2)), 'CHECK one, CHECK two, DEL two, DEL one')
    for (const call of calls().slice(2)) assert.equal(call.config['prevResult'], JSON.parse(jsonText(result)))
    assert.equal(runtime.cache.list(), [])
    await runtime.del(list(), WHERE)
    assert.is(calls()[6]?.config['prevResult'], undefined, 'forgotten')
  })
})

test('plugins get the arguments of the capabilities they declare', async () => {
  await withStubs(['one', 'two'], async ({ runtime, calls }) => {
    const plugins = [
      { type: 'one', capabilities: { portMappings: true, ips: false, mac: true } },
      { type: 'two', capabilities: { bandwidth: true } }
    ]
    const capabilityArgs = toJson({ portMappings: [{ hostPort: 80 }], ips: ['10.0.0.1'] })
    await runtime.add(list({ plugins }), { ...WHERE, capabilityArgs })
    assert.equal(Object.keys(calls()[0]?.config['runtimeConfig'] ?? {}), ['portMappings'])
    assert.is(calls()[1]?.config['runtimeConfig'], undefined)
  })
})

test('a failure stops the chain and carries the plugin, the code and the advice', async () => {
  await withStubs(['one', 'two'], async ({ runtime, calls, answer }) => {
    answer('one', 'ADD', { code: 11, msg: 'allocate address: busy', details: 'try again' })
    const error = await rejectsLike(runtime.add(list(), WHERE), { name: 'PluginError', code: 11, message: /busy/ })
    assert.is('plugin' in error && error.plugin, 'one')
    assert.is('details' in error && error.details, 'try again')
    assert.is(sequence(calls()), 'ADD one')
    assert.equal(runtime.cache.list(), [], 'what failed is not remembered')
    answer('two', 'DEL', { code: 5, msg: 'disk' })
    await rejectsLike(runtime.del(list(), WHERE), { code: 5 })
    assert.is(sequence(calls()), 'ADD one, DEL two', 'DEL stops at the first error')
  })
})

test('plugins that are missing, crash or talk nonsense', async () => {
  await withStubs(['one', 'two'], async ({ directory, runtime }) => {
    const missing = list({ plugins: [{ type: 'absent' }] })
    await rejectsLike(runtime.add(missing, WHERE), { message: /find plugin "absent": not in "\/nonexistent", / })
    writeFileSync(join(directory, 'one.ADD'), 'not JSON')
    await rejectsLike(runtime.add(list(), WHERE), { message: /"one": its output is no JSON object/ })
    writeFileSync(join(directory, 'one'), '#!/bin/sh\necho oops >&2\nkill -9 $$\n')
    await rejectsLike(runtime.add(list(), WHERE), { message: /"one": killed by SIGKILL: oops/ })
    writeFileSync(join(directory, 'one'), '#!/bin/sh\nexit 3\n')
    await rejectsLike(runtime.add(list(), WHERE), { message: /"one": exit status 3$/ })
  })
})

test('a plugin that hangs is killed when there is a limit', async () => {
  await withStubs([], async ({ directory }) => {
    writeFileSync(join(directory, 'one'), '#!/bin/sh\nexec sleep 30\n', { mode: 0o755 })
    const runtime = new Runtime({
      pluginDirectories: [directory],
      cacheDirectory: join(directory, 'cache'),
      timeout: 200
    })
    const single = list({ plugins: [{ type: 'one' }] })
    await rejectsLike(runtime.add(single, WHERE), { message: /killed by SIGKILL/ })
  })
})

test('versions decide which verbs are called', async () => {
  await withStubs(['one', 'two'], async ({ runtime, calls }) => {
    assert.not.ok(await runtime.status(list({ cniVersion: '1.0.0' })))
    await rejectsLike(runtime.check(list({ cniVersion: '0.3.1' }), WHERE), {
      name: 'PluginError',
      message: /has no CHECK/
    })
    assert.not.ok(await runtime.check(list({ disableCheck: true }), WHERE))
    await runtime.gc(list({ cniVersion: '1.0.0' }), [])
    assert.is(sequence(calls()), '')
    assert.ok(await runtime.status(list()))
    assert.is(sequence(calls()), 'STATUS one, STATUS two')
  })
})

test('before 0.4.0 DEL gets no result', async () => {
  await withStubs(['one', 'two'], async ({ runtime, calls, answer }) => {
    answer('two', 'ADD', { ip4: { ip: '10.0.0.2/24' } })
    const old = list({ cniVersion: '0.2.0' })
    await runtime.add(old, WHERE)
    await runtime.del(old, WHERE)
    assert.is(calls()[2]?.config['prevResult'], undefined)
  })
})

test('a result remembered in another version is converted to the one in use', async () => {
  await withStubs(['one', 'two'], async ({ runtime, calls, answer }) => {
    answer('two', 'ADD', { cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.2/24' }] })
    await runtime.add(list({ cniVersion: '0.4.0' }), WHERE)
    await runtime.check(list(), WHERE)
    const expected = { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }], dns: {} }
    assert.equal(calls()[2]?.config['prevResult'], expected)
  })
})

test('GC deletes what is remembered and not valid, then asks every plugin', async () => {
  await withStubs(['one', 'two'], async ({ runtime, calls }) => {
    for (const id of ['keep', 'drop']) await runtime.add(list(), { ...WHERE, containerId: id })
    await runtime.add(list({ name: 'green' }), WHERE)
    const before = calls().length
    const valid = [{ containerId: 'keep', ifName: 'eth0' }]
    assert.equal(await runtime.gc(list(), valid), [{ containerId: 'drop', ifName: 'eth0' }])
    const after = calls().slice(before)
    assert.is(sequence(after), 'DEL two, DEL one, GC one, GC two')
    assert.equal(after[2]?.config['cni.dev/valid-attachments'], [{ containerID: 'keep', ifname: 'eth0' }])
    assert.equal(after[2]?.config['cni.dev/attachments'], [{ containerID: 'keep', ifname: 'eth0' }])
    assert.equal(
      runtime.cache.list('blue').map(one => one.containerId),
      ['keep']
    )
    assert.is(runtime.cache.list('green').length, 1, 'other networks are left alone')
    assert.equal(await runtime.gc(list({ disableGC: true }), []), [])
  })
})

test('GC goes on after failures and reports them all', async () => {
  await withStubs(['one', 'two'], async ({ runtime, calls, answer }) => {
    answer('one', 'GC', { code: 5, msg: 'first' })
    answer('two', 'GC', { code: 5, msg: 'second' })
    await rejectsLike(runtime.gc(list(), []), { message: /network "blue": one: first; two: second/ })
    assert.is(sequence(calls()), 'GC one, GC two')
  })
})

test('VERSION asks every plugin', async () => {
  await withStubs(['one'], async ({ runtime, answer }) => {
    answer('one', 'VERSION', { cniVersion: '1.0.0', supportedVersions: ['0.4.0', '1.0.0'] })
    const [versions] = await runtime.versions(list({ plugins: [{ type: 'one' }] }))
    assert.equal(versions?.supportedVersions, ['0.4.0', '1.0.0'])
  })
})

test.run()
