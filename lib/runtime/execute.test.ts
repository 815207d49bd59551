import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, rejectsLike, suite } from '../testing/suite.ts'
import { execute } from './execute.ts'

const test = suite('lib/runtime/execute')

async function withProgram(script: string, body: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-execute-'))
  try {
    const path = join(directory, 'program')
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    await body(path)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('a shell program opens its three streams by their paths', () =>
  withProgram('cat /dev/stdin > /dev/stdout; echo why > /dev/stderr; exit 3', async path => {
    const done = await execute(path, {}, '{"a":1}')
    assert.equal(done, { status: 3, signal: null, stdout: '{"a":1}', stderr: 'why\n' })
  }))

test('the three streams are pipes', () =>
  withProgram('for fd in 0 1 2; do stat -L -c %F /proc/$$/fd/$fd; done', async path => {
    const { stdout } = await execute(path, {}, '')
    assert.is(stdout, 'fifo\nfifo\nfifo\n')
  }))

test('input and output larger than a pipe go through', () =>
  withProgram('cat', async path => {
    const text = 'x'.repeat(3_000_000)
    assert.ok((await execute(path, {}, text)).stdout === text)
  }))

test('a program that does not read, or cannot be started, leaves no descriptor', async () => {
  const open = (): number => readdirSync('/proc/self/fd').length
  await withProgram('exit 0', async path => {
    await execute(path, {}, '')
    const before = open()
    assert.is((await execute(path, {}, 'x'.repeat(300_000))).status, 0)
    await rejectsLike(execute(`${path}-absent`, {}, ''), { code: 'ENOENT' })
    await rejectsLike(execute('/', {}, ''), { code: 'EACCES' })
    assert.is(open(), before)
  })
})

test('a program that takes too long is killed', () =>
  withProgram('exec sleep 60', async path => {
    assert.is((await execute(path, {}, '', 100)).signal, 'SIGKILL')
  }))

test.run()
