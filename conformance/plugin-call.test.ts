import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { callPlugin, errorCode, printed, shellLine, succeeded } from './plugin-call.ts'
import { ScriptedPlugin } from './scripted-plugin.ts'

const test = suite('conformance/plugin-call')

/** Works with a scripted plugin in a folder that is removed afterwards. */
function withScripted(body: (plugin: ScriptedPlugin, path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-scripted-'))
  try {
    body(new ScriptedPlugin('judge-ipam', join(folder, 'bin'), join(folder, 'records')), join(folder, 'bin/judge-ipam'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const env = { PATH: '/usr/bin:/bin', CNI_COMMAND: 'ADD', CNI_ARGS: "a=it's;b=$HOME" }

test('callPlugin: hands over every byte and keeps both outputs and the status', () =>
  withScripted((plugin, path) => {
    plugin.answer('ADD', { stdout: '{"code":7,"msg":"no"}', stderr: 'words', status: 3 })
    const outcome = callPlugin({ path, env, stdin: '{"a":"\u0000ü"}' })
    assert.equal([outcome.status, outcome.stderr, errorCode(outcome), succeeded(outcome)], [3, 'words', 7, false])
    const [call] = plugin.calls()
    assert.is(call?.stdin, '{"a":"\u0000ü"}')
    assert.is(call?.env['CNI_ARGS'], env.CNI_ARGS)
    assert.is(call?.verb, 'ADD')
  }))

test('callPlugin: a plugin that does not end is killed and told apart', () => {
  const outcome = callPlugin({
    path: '/bin/cat',
    env,
    stdin: '',
    wrapper: ['/bin/sh', '-c', 'sleep 10'],
    timeoutMs: 100
  })
  assert.equal([outcome.timedOut, outcome.status], [true, undefined])
})

test('callPlugin: a shell plugin reads its input from /dev/stdin, and both ends of its output are pipes', () => {
  const script = 'cat /dev/stdin; readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2'
  const outcome = callPlugin({ path: 'ignored', env, stdin: '{"a":1}', wrapper: ['/bin/sh', '-c', script] })
  assert.match(outcome.stdout, /^\{"a":1\}(pipe:\[[0-9]+\]\n){3}$/)
})

test('callPlugin: more input and output than a pipe holds, at the same time', () => {
  const stdin = 'x'.repeat(3_000_000)
  const outcome = callPlugin({ path: '-', env, stdin, wrapper: ['/bin/cat'] })
  assert.is(outcome.stdout.length, stdin.length)
})

test('callPlugin: what a process that was left behind holds open is not waited for', () => {
  const outcome = callPlugin({ path: '-', env, stdin: '', wrapper: ['/bin/sh', '-c', 'echo done; sleep 3 &'] })
  assert.equal([outcome.stdout, outcome.timedOut], ['done\n', false])
})

test('callPlugin: a signal is told by its name', () => {
  const outcome = callPlugin({ path: '-', env, stdin: '', wrapper: ['/bin/sh', '-c', 'kill -SEGV $$'] })
  assert.equal([outcome.status, outcome.signal], [undefined, 'SIGSEGV'])
})

test("callPlugin: a program that cannot be started is the judge's own error", () => {
  throwsLike(() => callPlugin({ path: '/not/there', env, stdin: '' }), { message: /run \/not\/there: ENOENT/ })
})

test('callPlugin: a plugin that ends before it has read everything is no error of the judge', () => {
  const outcome = callPlugin({ path: '/bin/true', env, stdin: 'x'.repeat(1_000_000) })
  assert.is(outcome.status, 0)
})

test('printed: one object and nothing else', () => {
  const base = callPlugin({ path: '/bin/true', env, stdin: '' })
  assert.equal(printed({ ...base, stdout: ' {"a":1}\n' }), { a: 1 })
  for (const stdout of ['', '[]', '{} {}', '{"a":1} done', 'null']) {
    assert.is(printed({ ...base, stdout }), undefined, stdout)
  }
})

test('shellLine: a shell repeats the very call', () =>
  withScripted((plugin, path) => {
    const line = shellLine({ path, env, stdin: `{"a":"it's","b":"%s \\n"}` })
    spawnSync('/bin/sh', ['-c', line])
    const [call] = plugin.calls()
    assert.is(call?.stdin, `{"a":"it's","b":"%s \\n"}`)
    assert.is(call?.env['CNI_ARGS'], env.CNI_ARGS)
  }))

test('ScriptedPlugin: an answer can be taken back, and calls forgotten', () =>
  withScripted((plugin, path) => {
    plugin.answer('ADD', { stdout: 'x', status: 1 })
    plugin.answer('ADD', {})
    const outcome = callPlugin({ path, env, stdin: '' })
    assert.equal([outcome.status, outcome.stdout], [0, ''])
    plugin.forget()
    assert.equal(plugin.calls(), [])
  }))

test.run()
